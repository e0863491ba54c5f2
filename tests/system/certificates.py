"""The gateway's TLS certificate while it runs: L1, a renewed file is used without a restart; L2, its
end is shown 30 days before."""
import json
import os
import re
import sqlite3
import ssl
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_city import FakeCity  # noqa: E402
from fp_enrol import EnrolCase  # noqa: E402
from fp_proc import Gateway, main, run, until, write  # noqa: E402


class CertCase(EnrolCase):
    def setUp(self):
        super().setUp()
        self.box = Gateway(self.args.bin, self.path("box"))
        self.stack.callback(self.box.kill)
        self.configure(self.city.url)
        self.identity = os.path.join(self.box.folder, "city.pem")

    def configure(self, url, ca=None):
        f = self.box.folder
        self.box.config(f"uplinks: {{city: {{url: \"{url}\", ca: {ca or f + '/ca.pem'}, "
                        f"receipt_keys: [{f}/city.pub]}}}}", every="1s")

    def enroll(self):
        code, pin = self.claim()
        run([self.box.exe, "enroll", "--config", self.box.conf, "--code-file",
             write(self.path("code"), code), "--pin", pin])

    def serial(self):
        return run(["openssl", "x509", "-in", self.identity, "-noout",
                    "-serial"]).stdout.partition("=")[2].strip().lower()

    def status(self):
        text = run([self.box.exe, "status", "--config", self.box.conf, "--json"]).stdout
        return json.loads(text)["uplinks"][0]

    def events(self, kind):
        db = sqlite3.connect(f"file:{self.box.db}?mode=ro", uri=True, timeout=10)
        try:
            return [r[0] for r in db.execute("SELECT text FROM event WHERE code = ?", (kind,))]
        finally:
            db.close()

    def batches(self):
        return self.ask_db("SELECT count(*) FROM batch")[0][0]


class Looking(FakeCity):
    """Asks for a certificate, and notes the serials it was shown."""

    def __init__(self, folder, device_ca):
        super().__init__(folder)
        self.serials, self.device_ca = [], device_ca

    def start(self):
        super().start()
        self.context.verify_mode = ssl.CERT_OPTIONAL
        self.context.load_verify_locations(self.device_ca)
        return self

    def put(self, path, headers, raw):
        for c in list(self.connections):
            cert = c.getpeercert()
            serial = cert["serialNumber"].lower() if cert else None
            if not self.serials or self.serials[-1] != serial:
                self.serials.append(serial)
        return super().put(path, headers, raw)


class Used(CertCase):
    def test_L1_a_replaced_file_is_shown_by_the_next_connection_without_a_restart(self):
        self.enroll()
        fake = Looking(self.path("fake"), self.device_ca).start()
        self.stack.callback(fake.stop)
        self.configure(fake.url, fake.ca)
        write(os.path.join(self.box.folder, "city.pub"), text(fake.pub_path))
        self.box.start()
        pid, first = self.box.proc.p.pid, self.serial()
        until(lambda: fake.serials == [first], 30, "the first certificate at the city")
        # as another program would renew it
        write(self.path("box.key"), run(["openssl", "pkey", "-in", self.identity]).stdout)
        write(self.path("box.pem"), run(["openssl", "x509", "-in", self.identity]).stdout)
        self.certificate(self.reenroll(self.request("next"), "box"), "next")
        both = text(self.path("next.key")) + text(self.path("next.pem"))
        os.rename(write(self.identity + ".tmp", both, 0o600), self.identity)
        second = self.serial()
        # the old connection may end later
        until(lambda: list(dict.fromkeys(fake.serials)) == [first, second], 30, "the second certificate at the city")
        self.assertEqual(self.box.proc.p.pid, pid)
        self.assertEqual(len(self.events("start")), 1)
        until(lambda: any(second in t for t in self.events("certificate.new")), 10, "the event")
        # a file that is none is told, and batches go on without
        write(self.identity, "-----BEGIN NONSENSE-----\n", 0o600)
        until(lambda: list(dict.fromkeys(fake.serials)) == [first, second, None], 30, "batches without a certificate")
        until(lambda: self.events("certificate.bad"), 10, "the event")


class Renewed(CertCase):
    life = "24s"

    def test_L1_it_is_renewed_at_two_thirds_with_a_new_key_and_without_a_restart(self):
        self.enroll()
        self.box.start()
        pid = self.box.proc.p.pid
        first, key = self.serial(), run(["openssl", "pkey", "-in", self.identity, "-pubout"]).stdout
        until(lambda: self.serial() != first, 60, "another certificate")
        self.assertNotEqual(run(["openssl", "pkey", "-in", self.identity, "-pubout"]).stdout, key)
        run(["openssl", "verify", "-CAfile", self.device_ca, self.identity])
        until(lambda: self.events("certificate.new"), 30, "the event")
        rows = self.ask_db("SELECT issued_ms, until_ms FROM device ORDER BY id")
        self.assertEqual(len(rows), 2)
        self.assertTrue(15_000 <= rows[1][0] - rows[0][0] < 24_000, rows)
        before = self.batches()
        until(lambda: self.batches() > before + 2, 30, "batches after the renewal")
        self.assertEqual((self.box.proc.p.pid, len(self.events("start"))), (pid, 1))
        self.assertEqual(os.stat(self.identity).st_mode & 0o777, 0o600)


class Ends(CertCase):
    life = "29d"

    def test_L2_an_end_within_30_days_is_shown_on_the_page_in_status_and_once_as_an_event(self):
        self.enroll()
        self.box.start()
        s = until(lambda: (self.status().get("certificate") or {}).get("text") and self.status(), 30,
                  "the warning")
        c = s["certificate"]
        self.assertEqual(c["days_left"], 28)
        self.assertIn("ends in 28 days", c["text"])
        self.assertEqual(s["text"], "")  # the uplink itself is well
        before = self.batches()
        until(lambda: self.batches() > before + 2, 30, "batches go on")
        until(lambda: len(self.events("certificate.ends")) == 1, 10, "the event")

    def test_L2_nothing_is_shown_while_it_lasts_longer(self):
        self.city.stop()
        self.life = "40d"
        self.city.config(self.city.port)
        self.city.start()
        self.enroll()
        self.box.start()
        c = until(lambda: self.status().get("certificate"), 30, "the certificate")
        self.assertEqual((c["text"], c["days_left"] in (38, 39)), ("", True))


class Ended(CertCase):
    life = "10s"

    def test_an_ended_certificate_says_what_to_do_and_stops_no_batch(self):
        self.enroll()
        self.city_cmd("distrust", "--id", "gw-1")  # so that it cannot be renewed
        self.box.start()
        words = until(lambda: re.search("ended at.*", (
            self.status().get("certificate") or {}).get("text") or ""), 40, "its end")[0]
        self.assertIn("new claim code", words)
        before = self.batches()
        until(lambda: self.batches() > before + 2, 30, "batches after its end")
        until(lambda: any("certificate_revoked" in t
                          for t in self.events("certificate.renewal")), 10, "the event")
        until(lambda: len(self.events("certificate.ended")) == 1, 10, "the event")


def text(path):
    with open(path, encoding="ascii") as f:
        return f.read()


if __name__ == "__main__":
    main()
