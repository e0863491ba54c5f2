"""The real city changes its receipt key and its CA: gateways that run learn it from notices, those that
were offline too long take them from a file, and nobody else's notices count."""
import json
import os
import shutil
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_enrol import EnrolCase  # noqa: E402
from fp_proc import Case, City, Gateway, main, make_tls, run, until, write  # noqa: E402
from fp_warp import Warp  # noqa: E402

A_DAY_S = 86_400
NOW = ("--after", "0s")


class KeysCase(Case):
    speed, every = 10, "10s"

    def setUp(self):
        super().setUp()
        self.city = City(self.args.bin, self.path("city"))
        make_tls(self.city.folder, "400")
        self.city.start()
        self.stack.callback(self.city.stop)
        self.box = Gateway(self.args.bin, self.path("box"))
        self.stack.callback(self.box.kill)
        self.warp = Warp(self.args.bin, self.path("warp"), self.speed)
        self.box.env = self.warp.env
        # the administrator's files, which nobody else writes
        self.ca = shutil.copy(self.city.ca, self.box.folder)
        self.pub = shutil.copy(self.city.pub_path, self.box.folder)
        self.files = [read(self.ca), read(self.pub)]
        self.box.config(f"uplinks: {{city: {{url: \"{self.city.url}\", ca: {self.ca}, receipt_keys: "
                        f"[{self.pub}]}}}}", every=self.every)
        self.city.enroll("gw-1", self.box.pub_path)

    def path(self, name):
        return os.path.join(self.folder, name)

    def city_cmd(self, *args, ok=(0,)):
        return run([self.city.exe, args[0], "--config", self.city.conf, *args[1:]], ok=ok)

    def trust(self, *args, ok=0):
        r = subprocess.run([self.box.exe, "trust", "--config", self.box.conf, *args], text=True,
                           capture_output=True, timeout=60, check=False)
        self.assertEqual(r.returncode, ok, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def notices(self, name="notices"):
        path = self.path(name)
        if os.path.exists(path):
            os.unlink(path)
        self.city_cmd("trust", "--out", path)
        return path

    def status(self):
        """Of the gateway that runs: on a busy machine its page may be late once."""
        def ask():
            self.assertIsNone(self.box.proc.p.poll(), self.box.proc.text())
            r = run([self.box.exe, "status", "--config", self.box.conf, "--json"], ok=(0, 1))
            up = json.loads(r.stdout)["uplinks"][0]
            return up if "acknowledged" in up else None
        return until(ask, 60, "the gateway's page")

    def sql(self, db, text, *values):
        con = sqlite3.connect(f"file:{db}?mode=ro", uri=True, timeout=10)
        try:
            return con.execute(text, values).fetchall()
        finally:
            con.close()

    def events(self, code):
        return [t for (t,) in self.sql(self.box.db, "SELECT text FROM event WHERE code = ?", code)]

    def acknowledged(self):
        return self.status()["acknowledged"]

    def flows(self, what, seconds=60):
        """Batches are acknowledged from here on."""
        before = self.acknowledged()
        until(lambda: self.acknowledged() >= before + 3, seconds, what)

    def receipt_kids(self):
        return [run_kid(c) for (c,) in self.sql(self.city.db, "SELECT cose FROM receipt ORDER BY batch")]

    def swap_tls(self, folder=None, name="tls2"):
        """The city shows a certificate under another CA, without a restart; its folder."""
        folder = folder or self.path(name)
        if not os.path.exists(folder):
            os.makedirs(folder)
            make_tls(folder, "400")
        for part in ("tls.key", "tls.pem"):  # one behind the other, as an administrator does
            tmp = os.path.join(self.city.folder, part + ".tmp")
            shutil.copy(os.path.join(folder, part), tmp)
            os.rename(tmp, os.path.join(self.city.folder, part))
        return folder

    def untouched(self):
        self.assertEqual([read(self.ca), read(self.pub)], self.files)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def run_kid(receipt):
    """The kid in the protected header: the 8 bytes behind `04 48`."""
    at = receipt.index(b"\x04\x48")
    return receipt[at + 2:at + 10].hex()


class Running(KeysCase):
    """An hour of the gateway in some seconds: it asks for the head about every hour."""
    speed, every = 400, "10min"

    def test_a_running_gateway_follows_both_changes_and_the_old_ones_end_after_90_days(self):
        self.box.start()
        pid, city_pid = self.box.proc.p.pid, self.city.proc.p.pid
        self.flows("batches under the first key")
        self.city_cmd("announce", "--next-key", *NOW)
        until(lambda: len(set(self.receipt_kids())) == 2, 60, "receipts by the next key")
        self.flows("batches under the next key")
        t = until(lambda: self.status()["trust"], 30, "the notice in status")
        self.assertEqual((t["notice"], t["text"]), (1, ""))
        self.assertTrue(80 * A_DAY_S < t["ends_ms"] / 1000 - self.warp.now_ms() / 1000 <= 90 * A_DAY_S)

        # the CA: told first, shown later
        folder = self.path("tls2")
        os.makedirs(folder)
        make_tls(folder, "400")
        old = shutil.copytree(self.city.folder, self.path("tls1"))
        self.city_cmd("announce", "--next-ca", os.path.join(folder, "ca.pem"), *NOW)
        until(lambda: (self.status()["trust"] or {}).get("notice") == 2, 60, "the second notice")
        self.flows("batches under the old certificate")
        self.swap_tls(folder)
        self.city.proc.wait_line("TLS: .*tls.pem is in use")
        self.flows("batches under the new certificate")
        self.assertEqual(len(self.events("trust.changed")), 2)
        shown = self.trust()
        self.assertIn("notice 2 counts last", shown)
        self.assertEqual(self.city_cmd("trust").stdout.count("notice "), 2)

        # 91 days: nothing under the old ones any more
        self.warp.step(91 * A_DAY_S)
        until(lambda: self.events("trust.ended"), 30, "the end as an event")
        self.flows("batches after the end")
        self.swap_tls(old)
        self.city.proc.wait_line("(?s)TLS: .*tls.pem is in use.*", 30)
        until(lambda: "not proven to be the city" in self.status()["text"], 60, "the old CA is refused")
        self.swap_tls(folder)
        self.flows("batches under the new certificate again", 90)
        self.assertEqual((self.box.proc.p.pid, self.city.proc.p.pid), (pid, city_pid))
        self.assertEqual(len(self.events("start")), 1)
        self.untouched()


class Offline(KeysCase):
    def change_both(self):
        """The city's key and CA change while the box is away."""
        self.city_cmd("announce", "--next-key", *NOW)
        folder = self.path("tls2")
        os.makedirs(folder)
        make_tls(folder, "400")
        self.city_cmd("announce", "--next-ca", os.path.join(folder, "ca.pem"), *NOW)
        self.swap_tls(folder)
        self.city.proc.wait_line("TLS: .*tls.pem is in use")

    def was_there(self):
        self.box.start()
        self.flows("batches before")
        self.box.stop()

    def test_offline_over_both_it_takes_a_file_while_it_runs_and_nothing_else(self):
        self.was_there()
        self.change_both()
        self.warp.step(100 * A_DAY_S)
        self.box.start()
        until(lambda: "not proven to be the city" in self.status()["text"], 60, "it is shut out")
        good = self.notices()
        whole = read(good)
        flipped = bytearray(whole)
        flipped[150] ^= 1  # of the first
        other = City(self.args.bin, self.path("other"))
        run([other.exe, "announce", "--config", other.conf, "--next-key", *NOW])
        run([other.exe, "trust", "--config", other.conf, "--out", self.path("foreign")])
        for data, words in ((bytes(flipped), "."), (b"hello", "."), (b"", "empty"),
                            (read(self.path("foreign")), "another city's"), (whole[:-9], ".")):
            said = self.trust("--file", write(self.path("bad"), data), ok=1)
            self.assertRegex(said, words)
        # what was cut off: its whole beginning counts, and the rest comes with the whole
        self.assertEqual(self.status()["trust"] is None or self.status()["trust"]["notice"], 1)
        said = self.trust("--file", good)
        self.assertIn("the next CA is", said)
        self.flows("batches, without a restart")
        self.assertIn("nothing new", self.trust("--file", good))
        self.assertIn("nothing new", self.trust("--file", write(self.path("first"), whole[:whole.index(
            b"\xd2\x84", 4)])))
        self.assertEqual(len(self.events("start")), 2)
        self.untouched()

    def test_a_file_before_the_start_will_do_and_old_receipts_count(self):
        self.was_there()
        stick = self.path("stick")
        os.makedirs(stick)
        self.city.stop()
        self.box.start()
        until(lambda: self.sql(self.box.db, "SELECT max(last_seq) FROM chain")[0][0] >= 6, 30, "batches that wait")
        self.box.stop()
        run([self.box.exe, "export", "--config", self.box.conf, "--sealed", stick, "--unsent"])
        self.city_cmd("import", "--receipts", self.path("receipts"), stick)  # by the first key
        self.city.start()
        self.change_both()
        self.city_cmd("import", "--receipts", self.path("again"), stick)
        self.warp.step(100 * A_DAY_S)
        said = self.trust("--file", self.notices())
        self.assertIn("does not run", said)
        # receipts that the key of then made, brought after its end
        took = run([self.box.exe, "receipts", "--config", self.box.conf, self.path("receipts")]).stdout
        self.assertNotIn(" 0 batches acknowledged", took)
        self.box.start()
        self.flows("batches under both new ones")
        self.assertEqual(self.status()["trust"]["notice"], 2)

    def test_within_90_days_the_network_is_enough_and_later_it_is_not(self):
        self.was_there()
        self.city_cmd("announce", "--next-key", *NOW)
        late = Gateway(self.args.bin, self.path("late"))
        self.stack.callback(late.kill)
        late.config(read(self.box.conf).decode().split("\n")[4], every=self.every)
        self.city.enroll("gw-1", late.pub_path)
        self.warp.step(30 * A_DAY_S)
        self.box.start()
        self.flows("batches after 30 days")
        self.assertEqual(self.status()["trust"]["notice"], 1)
        self.box.stop()
        warp = Warp(self.args.bin, self.path("late-warp"), self.speed)
        warp.step(100 * A_DAY_S)
        self.box = late
        late.env = warp.env
        late.start()
        text = until(lambda: (self.status()["trust"] or {}).get("text"), 60, "why it is refused")
        self.assertIn("fieldpost trust --file", text)
        self.assertEqual(self.acknowledged(), 0)
        self.trust("--file", self.notices())
        self.flows("batches with the file")
        self.assertEqual(self.status()["trust"]["text"], "")


class Announced(KeysCase):
    def test_the_old_key_signs_until_the_day_that_was_said(self):
        self.city_cmd("announce", "--next-key")
        key = os.path.join(self.city.folder, "sign.key.1")
        self.assertEqual(os.stat(key).st_mode & 0o777, 0o600)
        # a week ahead: one that serve cannot read is told now
        os.rename(key, key + ".away")
        other = City(self.args.bin, self.path("other"))
        run([other.exe, "announce", "--config", other.conf, "--next-key"])
        self.city.stop()
        shutil.copy(os.path.join(other.folder, "sign.key.1"), key)
        self.city.start()
        self.city.proc.wait_line(r"ALARM receipt key: .*sign\.key\.1: is not the key")
        os.rename(key + ".away", key)
        self.city.proc.wait_line("receipt key: over")
        self.box.start()
        self.flows("batches")
        self.assertEqual(self.status()["trust"]["notice"], 1)  # it knows, before it is used
        self.assertEqual(set(self.receipt_kids()), {fp.kid_of(self.city.pub).hex()})
        text = self.city_cmd("trust").stdout
        self.assertRegex(text, r"^notice 1 signed by [0-9a-f]{16}, in use from .*, receipt key [0-9a-f]{16}\n$")

    def test_a_restored_database_gets_its_notices_back(self):
        for more in (("--next-key",), ("--next-ca", self.city.ca), ("--next-key",)):
            self.city_cmd("announce", *more)
        good, text = self.notices(), self.city_cmd("trust").stdout
        self.assertEqual(text.count("notice "), 3)
        self.forget("n > 1")
        self.assertIn("took 2 notices back", self.city_cmd("trust", "--restore", good).stderr)
        self.assertEqual(self.city_cmd("trust").stdout, text)
        self.assertIn("took 0 notices back", self.city_cmd("trust", "--restore", good).stderr)
        self.forget("n > 0")
        key = os.path.join(self.city.folder, "sign.key.3")
        os.rename(key, key + ".away")
        self.assertIn("sign.key.3", self.city_cmd("trust", "--restore", good, ok=(1,)).stderr)
        self.assertIn("no notice", self.city_cmd("trust", ok=(1,)).stderr)  # all or none
        os.rename(key + ".away", key)
        other = City(self.args.bin, self.path("other"))
        run([other.exe, "announce", "--config", other.conf, "--next-key"])
        run([other.exe, "trust", "--config", other.conf, "--out", self.path("foreign")])
        self.city_cmd("trust", "--restore", self.path("foreign"), ok=(1,))
        self.city_cmd("trust", "--restore", good)
        self.assertEqual(self.city_cmd("trust").stdout, text)

    def forget(self, where):
        con = sqlite3.connect(self.city.db, timeout=10)
        con.execute(f"DELETE FROM trust WHERE {where}")
        con.commit()
        con.close()

    def test_wrong_use_is_told(self):
        self.assertIn("no notice", self.city_cmd("trust", ok=(1,)).stderr)
        for args, words in (((), "--next-key"), (("--next-key", "--after", "soon"), "--after soon")):
            self.assertIn(words, self.city_cmd("announce", *args, ok=(2,)).stderr)
        for args, words in ((("--next-ca", self.city.conf), "PEM"), (("--next-ca", "/none"), "No such file"),
                            (("--next-ca", self.city.ca, "--both", "900d"), "ends before")):
            self.assertIn(words, self.city_cmd("announce", *args, ok=(1,)).stderr)
        self.assertIn("no store yet", self.trust("--file", write(self.path("x"), b"\x01"), ok=1))
        self.assertIn("until: no end is known", self.trust())


class Enrolled(EnrolCase):
    def test_a_box_enrols_again_under_the_next_ca(self):
        box = Gateway(self.args.bin, self.path("box"))
        self.stack.callback(box.kill)
        box.config(f"uplinks: {{city: {{url: \"{self.city.url}\", ca: {box.folder}/ca.pem, receipt_keys: "
                   f"[{box.folder}/city.pub]}}}}")
        enroll = [box.exe, "enroll", "--config", box.conf]
        code, pin = self.claim()
        run([*enroll, "--pin", pin, "--code", code])
        box.start()
        box.stop()
        folder = self.path("tls2")
        os.makedirs(folder)
        make_tls(folder, "400")
        self.city_cmd("announce", "--next-ca", os.path.join(folder, "ca.pem"), "--both", "5d")
        self.city_cmd("trust", "--out", self.path("notices"))
        for part in ("tls.key", "tls.pem"):
            shutil.copy(os.path.join(folder, part), self.city.folder)
        self.city.proc.wait_line("TLS: .*tls.pem is in use")
        self.assertRegex(run(enroll, ok=(1,)).stderr, "certificate")
        run([box.exe, "trust", "--config", box.conf, "--file", self.path("notices")])
        self.assertIn("the city takes", run(enroll).stderr)


if __name__ == "__main__":
    main()
