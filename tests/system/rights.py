"""Who may do what is signed: a user, a token, a retirement, by the page's API and by the command line, with the
gateway on and off, is an entry of the chain that the city keeps and lists. And the page's certificate: the
city's CA signs it after enrolment, for what is the gateway's alone."""
import contextlib
import csv
import io
import json
import os
import shutil
import sqlite3
import ssl
import stat
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_enrol import EST, EnrolCase  # noqa: E402
from fp_proc import Gateway, Https, main, run, until, write  # noqa: E402

PASSWORD, HOST = "trà đá vỉa hè", "127.0.7.1"
COLUMNS = ["gateway", "at_ms", "what", "about", "now", "author", "chain", "seq", "received_ms"]


class Box(EnrolCase):
    def setUp(self):
        super().setUp()
        self.box = Gateway(self.args.bin, self.path("box"))
        self.box.config(f"uplinks: {{city: {{url: \"{self.city.url}\", ca: {self.box.folder}/ca.pem, "
                        f"receipt_keys: [{self.box.folder}/city.pub]}}}}", listen=f"{HOST}:0")
        self.stack.callback(self.box.kill)

    def cli(self, *args, said=None):
        p = subprocess.run([self.box.exe, *args, "--config", self.box.conf], input=said, text=True,
                           capture_output=True, timeout=60, check=False)
        self.assertEqual(p.returncode, 0, p.stderr)
        return p.stdout.strip()

    def enroll(self):
        code, pin = self.claim()
        file = write(self.path("code"), code + "\n", 0o600)
        self.cli("enroll", "--pin", pin, "--code-file", file)

    def changes(self, *more):
        text = self.city_cmd("changes", *more).stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(text.split("\n", 1)[0].split(","), COLUMNS)
        return rows

    def told(self, what, about=None):
        return [r for r in self.changes() if r["what"] == what and about in (None, r["about"])]

    def at_city(self, what, about):
        return until(lambda: self.told(what, about), 30, f"{what} of {about} at the city")[0]

    def https(self, ca):
        """The page by its address, verified with these CAs alone."""
        page = Https(self.box.port(), ca)
        page.c.host = HOST
        self.stack.callback(page.close)
        return page

    def known(self):
        """The city's files, as somebody brings them."""
        for name, path in (("ca.pem", self.city.ca), ("city.pub", self.city.pub_path)):
            shutil.copy(path, os.path.join(self.box.folder, name))

    def text(self, suffix=".page.crt"):
        with open(self.box.db + suffix, encoding="ascii") as f:
            return f.read()


class Rights(Box):
    def test_rights_are_entries_at_the_city(self):
        self.enroll()
        # off: sealed at the next start, each once
        self.cli("user", "add", "--name", "lan", "--role", "administrator", said=PASSWORD + "\n")
        token = self.cli("token", "add", "--name", "lab", "--scope", "read")
        self.box.start()
        self.assertEqual(self.at_city("user.added", "lan")["now"], "administrator, new password, at the console")
        self.assertEqual(self.at_city("token.made", "lab")["now"], "scopes read, without end")
        # on: by the command line and by the page
        self.cli("token", "remove", "--name", "lab")
        self.assertEqual(self.at_city("token.removed", "lab")["author"], self.at_city("user.added", "lan")["author"])
        cas = ""
        for name in (self.box.db + ".page.crt", self.device_ca):  # soon the city has signed another
            with open(name, encoding="ascii") as f:
                cas += f.read()
        page = self.https(write(self.path("cas.pem"), cas))
        status, headers, body = page.request("POST", "/api/v1/session", json.dumps(
            {"name": "lan", "password": PASSWORD}), {"Content-Type": "application/json"})
        self.assertEqual(status, 200, body)
        head = {"Cookie": headers["set-cookie"].split(";")[0], "X-CSRF-Token": json.loads(body)["csrf"],
                "Content-Type": "application/json"}
        for method, path, body in (("POST", "users", {"name": "tam", "role": "viewer", "password": PASSWORD}),
                                   ("PUT", "users/tam", {"role": "technician"}),
                                   ("POST", "tokens", {"name": "desk", "scopes": "enter"}),
                                   ("DELETE", "users/tam", None)):
            status, _, said = page.request(method, "/api/v1/" + path, json.dumps(body) if body else None, head)
            self.assertIn(status, (200, 201, 204), said)
        for _ in range(7):  # a stranger guesses at a name that is there
            page.request("POST", "/api/v1/session", json.dumps({"name": "lan", "password": "a wrong one"}),
                         {"Content-Type": "application/json"})
        for what, about, now in (("user.added", "tam", "viewer, new password"), ("user.changed", "tam", "technician"),
                                 ("token.made", "desk", "scopes enter, without end"),
                                 ("user.removed", "tam", "gone; was technician")):
            row = self.at_city(what, about)
            self.assertEqual((row["now"], row["author"]), (now, "lan"))
        row = self.at_city("user.locked", "lan")
        self.assertEqual((row["author"], row["now"]),
                         ("the gateway", "many wrong passwords: locked out, at first for 1 s"))
        self.box.stop()
        rows = self.changes("--gateway", "gw-1")
        pairs = [(r["what"], r["about"]) for r in rows if r["what"].split(".")[0] in ("user", "token")]
        self.assertEqual(len(pairs), len(set(pairs)), pairs)  # each once
        listed = json.loads(self.curl("/v1/gateways/gw-1/changes?format=json&limit=1000")[2])
        self.assertEqual([r["what"] for r in listed["changes"]], [r["what"] for r in rows])
        self.secrets(token)

    def secrets(self, token):
        """None of it is in what was sealed."""
        texts = [v for row in self.ask_db("SELECT what, about, now, author FROM change") for v in row if v]
        with open(self.box.db + ".users", encoding="ascii") as f:
            hashes = [w for line in f for w in line.split() if len(w) >= 32]
        self.assertTrue(hashes)
        for secret in (PASSWORD, token, token[4:], HOST, "127.0.0.1", *hashes):
            self.assertFalse([t for t in texts if secret in t and not t.startswith("one of")], secret)

    def given(self, key, names):
        """A certificate by the city's CA itself, as an uplink would leave it."""
        run(["openssl", "req", "-new", "-key", key, "-subj", "/CN=gw-1", "-out", self.path("x.csr")])
        ext = write(self.path("x.ext"), f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        run(["openssl", "x509", "-req", "-in", self.path("x.csr"), "-CA", self.device_ca, "-CAkey",
             os.path.join(self.city.folder, "devices.key"), "-days", "30", "-extfile", ext, "-out", self.path("x.pem")])
        pem = ""
        for name in (self.path("x.pem"), self.device_ca):
            with open(name, encoding="ascii") as f:
                pem += f.read()
        os.rename(write(self.box.db + ".new", pem, 0o600), self.box.db + ".page.given")

    def test_a_certificate_that_is_no_good_is_not_used(self):
        self.known()
        self.box.start()
        key = self.box.db + ".page.key"
        first = self.text()
        names = f"DNS:gw-1,DNS:gw-1.local,IP:{HOST}"
        other = self.path("other.key")
        run([self.box.exe, "keygen", "--out", other])
        for n, (with_key, with_names) in enumerate(((other, names), (key, "DNS:gw-1,DNS:gw-1.local")), 1):
            self.given(with_key, with_names)
            until(lambda n=n: len(self.refusals()) == n, 30, "it is refused")
            self.assertEqual(self.text(), first, with_names)
        self.given(key, names)
        until(lambda: self.text() != first, 30, "the good one in use")

    def test_the_citys_ca_signs_for_the_page_after_enrolment(self):
        self.known()
        self.box.start()
        own = self.box.db + ".page.crt"
        key = self.box.db + ".page.key"
        before = self.https(own).request("GET", "/healthz")
        self.assertEqual(before[0], 200)
        first = self.text()
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.https(self.device_ca).c.connect()
        # a name of ours is another gateway's id: that is said, and the page's own stays in use
        self.city_cmd("enroll", "--id", "gw-1.local", "--key", self.box.pub_path)
        self.enroll()
        self.assertIn("gw-1.local is the id of another gateway", until(self.refusals, 30, "the refusal")[0])
        self.assertEqual(self.text(), first)
        self.ask_db("DELETE FROM key WHERE gateway = (SELECT id FROM gateway WHERE gw = 'gw-1.local')")
        self.ask_db("DELETE FROM gateway WHERE gw = 'gw-1.local'")
        os.utime(self.box.db + ".page.csr")  # another request is tried at once

        def by_the_city():
            with contextlib.suppress(ssl.SSLCertVerificationError):
                return self.https(self.device_ca).request("GET", "/healthz")[0] == 200
            return False
        until(by_the_city, 60, "the page by the city's CA")
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        text = run(["openssl", "x509", "-in", own, "-noout", "-text"]).stdout
        for part in ("Subject: CN = gw-1", "TLS Web Server Authentication", "CA:FALSE", "DNS:gw-1, DNS:gw-1.local",
                     f"IP Address:{HOST}"):
            self.assertIn(part, text)
        self.assertNotIn("Client Authentication", text)
        keys = [run(["openssl", *a]).stdout for a in (("pkey", "-in", key, "-pubout"),
                                                      ("x509", "-in", own, "-noout", "-pubkey"))]
        self.assertEqual(*keys)
        self.assertNotEqual(keys[0], run(["openssl", "pkey", "-in", self.box.key_path, "-pubout"]).stdout)
        rows = until(lambda: (r := self.told("page.renewed")) and len(r) == 2 and r, 30, "both certificates told")
        self.assertTrue(rows[0]["now"].startswith("one of its own"), rows)
        self.assertTrue(rows[1]["now"].startswith("one of the city's CA"), rows)
        print_ = run(["openssl", "x509", "-in", own, "-noout", "-fingerprint", "-sha256"]).stdout.split("=")[1].strip()
        self.assertIn(print_, rows[1]["now"])
        self.assertIn("gw-1,", self.city_cmd("certs").stdout)
        # what the city gave is of no use any more: the page's own is there again, the very same
        self.box.stop()
        self.city.stop()
        os.unlink(self.box.db + ".page.city.crt")
        self.box.start()
        self.assertEqual(self.text(), first)

    def refusals(self):
        db = sqlite3.connect(f"file:{self.box.db}?mode=ro", uri=True, timeout=10)
        with contextlib.closing(db):
            return [r[0] for r in db.execute("SELECT text FROM event WHERE code = 'page.refused'")]

    def page(self, names, cn="gw-1", cert="box"):
        csr = self.request("asked", cn=cn, more=("-addext", f"subjectAltName={names}") if names else ())
        return self.curl(EST + "page/simpleenroll", "--cert", self.path(f"{cert}.pem"), "--key",
                         self.path(f"{cert}.key"), "-H", "Content-Type: application/pkcs10", body=csr)

    def test_the_city_signs_what_is_the_gateways_alone(self):
        self.certificate(self.simpleenroll(self.request(), "gw-1", self.claim()[0]))
        good = "DNS:gw-1,DNS:gw-1.local,IP:192.168.1.20,IP:10.0.0.7,IP:172.31.4.4,IP:fd00::7"
        text = self.certificate(self.page(good), "asked")
        self.assertIn("DNS:gw-1, DNS:gw-1.local, IP Address:192.168.1.20, IP Address:10.0.0.7", text)
        self.assertIn("TLS Web Server Authentication", text)
        self.assertNotIn("Client", text)
        run(["openssl", "verify", "-CAfile", self.device_ca, "-purpose", "sslserver", self.path("asked.pem")])
        run(["openssl", "x509", "-in", self.path("asked.pem"), "-noout", "-checkend", str(29 * 86400)])
        self.assertEqual(subprocess.run(["openssl", "x509", "-in", self.path("asked.pem"), "-noout", "-checkend",
                                         str(31 * 86400)], capture_output=True, check=False).returncode, 1)
        for name in ("key", "pem"):
            os.rename(self.path(f"asked.{name}"), self.path(f"page.{name}"))
        for names, words in (("DNS:gw-2", "no other"), ("DNS:city.example", "no other"), ("DNS:*.local", "no other"),
                             ("DNS:gw-1.local.evil", "no other"), ("IP:8.8.8.8", "no address of a private"),
                             ("IP:172.32.0.1", "no address of a private"), ("IP:2001:db8::1", "no address of a private"),
                             ("IP:127.0.0.1", "the city's own"), ("email:a@b", "no others"),
                             ("DNS:gw-1,DNS:localhost", "no other")):
            self.assertIn(words, self.refused(self.page(names), 403, "wrong_name"), names)
        self.refused(self.page(None), 400, "bad_request")
        self.refused(self.page("DNS:gw-2", cn="gw-2"), 400, "bad_request")
        # the page's certificate opens nothing, neither here nor for another
        self.refused(self.page("DNS:gw-1", cert="page"), 403, "certificate_unknown")
        # a name that is another gateway's id
        self.city_cmd("enroll", "--id", "gw-1.local", "--key", self.box.pub_path)
        self.assertIn("another gateway", self.refused(self.page("DNS:gw-1"), 403, "wrong_name"))
        self.city_cmd("distrust", "--id", "gw-1")
        self.refused(self.page("DNS:gw-1"), 403, "certificate_revoked")


class Renewal(Box):
    page_life = "9s"

    def test_it_is_renewed_without_a_restart_and_the_own_one_comes_back_when_it_ends(self):
        self.known()
        self.box.start()
        first = self.text()
        self.enroll()
        seen, verified = set(), []

        def renewed():
            text = self.text()
            if text != first:
                seen.add(text)
                with contextlib.suppress(ssl.SSLError, OSError):  # the server takes it up within a second
                    verified.append(self.https(self.device_ca).request("GET", "/healthz")[0])
            return len(seen) > 1
        until(renewed, 40, "another certificate of the city")
        self.assertEqual(set(verified), {200})
        self.city.stop()
        until(lambda: self.text() == first, 30, "the page's own certificate")
        self.assertIsNone(self.box.proc.p.poll())


if __name__ == "__main__":
    main()
