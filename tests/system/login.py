"""Signing in at a real gateway, over TLS that is verified with the certificate which the gateway made: the
first administrator, roles, CSRF, delays, the end of sessions, and the way back in. The line goes on being
polled meanwhile."""
import contextlib
import json
import os
import resource
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import time
import warnings

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import main, run, until, write  # noqa: E402
from fp_site import SiteCase  # noqa: E402

PASSWORD = "trà đá vỉa hè"


def held(pid, text, most=256 << 20):
    """Whether the process has these bytes in memory that it may write."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            place, mode, *rest = line.split()
            begin, end = (int(x, 16) for x in place.split("-"))
            if not mode.startswith("rw") or end - begin > most or "/dev/" in line:
                continue
            with contextlib.suppress(OSError, ValueError):
                mem.seek(begin)
                if text in mem.read(end - begin):
                    return True
    return False


class Login(SiteCase):
    names = ("m",)

    def setUp(self):
        super().setUp()
        self.play({"plant": 'type: modbus-tcp, listen: "127.0.0.1:0"'}, {"m": ("plant", 1, "")})
        self.configure({"plant": self.tcp("plant")}, {"m": ("plant", 1)})
        self.start()
        self.https = self.gw.page()
        self.stack.callback(self.https.close)

    def cli(self, *args, said=None, codes=(0,)):
        p = subprocess.run([self.gw.exe, *args, "--config", self.gw.conf], input=said, text=True,
                           capture_output=True, timeout=60, check=False)
        self.assertIn(p.returncode, codes, p.stderr)
        return p.stdout.strip()

    def say(self, method, path, body=None, cookie=None, csrf=None, **headers):
        """(status, JSON or None); self.headers are those of the answer."""
        if body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(body)
        if cookie:
            headers["Cookie"] = cookie
        if csrf:
            headers["X-CSRF-Token"] = csrf
        status, self.headers, text = self.https.request(method, path, body, headers)
        self.assertEqual(self.headers.get("x-content-type-options"), "nosniff", (method, path, headers, status))
        self.assertEqual(self.headers["referrer-policy"], "no-referrer")
        for word in ("default-src 'none'", "frame-ancestors 'none'", "script-src 'self';", "style-src 'self';"):
            self.assertIn(word, self.headers["content-security-policy"])
        return status, json.loads(text) if text else None

    def sign_in(self, name, password=PASSWORD):
        """(cookie, csrf)"""
        status, said = self.say("POST", "/api/v1/session", {"name": name, "password": password})
        self.assertEqual(status, 200, said)
        return self.cookie(), said["csrf"]

    def cookie(self):
        words = self.headers["set-cookie"].split("; ")
        self.assertEqual(sorted(words[1:]), ["HttpOnly", "Path=/", "SameSite=Strict", "Secure"])
        self.assertRegex(words[0], "^__Host-fp_session=[0-9a-f]{64}$")
        return words[0]

    def refused(self, status, code, *args, **more):
        got, said = self.say(*args, **more)
        self.assertEqual((got, said["code"]), (status, code), said)
        return said

    def told(self, *codes):
        """(code, subject, text) of events, oldest first."""
        marks = ",".join("?" * len(codes))
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True, timeout=10)
        with contextlib.closing(db):
            return db.execute(f"SELECT code, subject, text FROM event WHERE code IN ({marks}) "
                              "ORDER BY id", codes).fetchall()

    def first(self):
        code = self.cli("user", "claim")
        status, said = self.say("POST", "/api/v1/first", {"code": code, "name": "lan", "password": PASSWORD})
        self.assertEqual((status, said["role"]), (200, "administrator"), said)
        return code, self.cookie(), said["csrf"]

    def test_from_the_first_administrator_to_the_reset(self):
        self.assertTrue(self.refused(401, "no_session", "GET", "/api/v1/session")["first"])
        code, cookie, csrf = self.first()
        self.assertNotIn("first", self.refused(401, "no_session", "GET", "/api/v1/session"))
        self.refused(401, "wrong_code", "POST", "/api/v1/first",
                     {"code": code, "name": "eve", "password": "a long password"})
        self.assertEqual(self.say("GET", "/api/v1/session", cookie=cookie)[1],
                         {"name": "lan", "role": "administrator", "csrf": csrf})
        for suffix in (".users", ".page.key", ".console"):
            self.assertEqual(stat.S_IMODE(os.stat(self.gw.db + suffix).st_mode), 0o600, suffix)
        self.users(cookie, csrf)
        self.changes_name_their_author()
        self.forged(cookie)
        self.delays()
        self.reset(cookie)
        self.restart(cookie)
        self.forgotten()
        for secret in (PASSWORD, code, cookie[18:]):
            self.assertNotIn(secret, self.gw.proc.text())
            self.assertFalse([e for e in self.told("session.begin", "session.wrong", "user.added",
                                                   "user.changed", "claim.made") if secret in e[2]])

    def users(self, cookie, csrf):
        for name, role in (("tam", "technician"), ("vy", "viewer")):
            body = {"name": name, "role": role, "password": PASSWORD}
            self.refused(403, "csrf", "POST", "/api/v1/users", body, cookie)
            self.assertEqual(self.say("POST", "/api/v1/users", body, cookie, csrf)[0], 201)
            self.refused(409, "conflict", "POST", "/api/v1/users", body, cookie, csrf)
        self.refused(409, "conflict", "DELETE", "/api/v1/users/lan", cookie=cookie, csrf=csrf)
        vy, tam = self.sign_in("vy"), self.sign_in("tam")
        self.assertEqual(self.say("GET", "/api/v1/status", cookie=vy[0])[0], 200)
        self.refused(403, "wrong_role", "POST", "/api/v1/corrections", {}, *vy)
        self.refused(400, "bad_request", "POST", "/api/v1/corrections", {}, *tam)
        self.refused(403, "wrong_role", "GET", "/api/v1/users", cookie=tam[0])
        self.assertEqual(self.say("PUT", "/api/v1/users/vy", {"role": "technician"}, cookie, csrf)[0], 200)
        self.refused(400, "bad_request", "POST", "/api/v1/corrections", {}, *vy)
        status, said = self.say("POST", "/api/v1/tokens", {"name": "lab", "scopes": "read", "days": 1}, cookie, csrf)
        self.assertEqual((status, said["scopes"]), (201, "read"), said)
        bearer = {"Authorization": "Bearer " + said["token"]}
        self.assertEqual(self.say("GET", "/api/v1/status", **bearer)[0], 200)
        self.refused(403, "wrong_scope", "POST", "/api/v1/corrections", {}, **bearer)
        self.refused(403, "wrong_scope", "GET", "/api/v1/users", **bearer)
        self.assertEqual(self.say("DELETE", "/api/v1/tokens/lab", cookie=cookie, csrf=csrf)[0], 204)
        self.refused(401, "wrong_token", "GET", "/api/v1/status", **bearer)
        self.assertEqual(self.say("DELETE", "/api/v1/users/vy", cookie=cookie, csrf=csrf)[0], 204)
        self.refused(401, "no_session", "GET", "/api/v1/status", cookie=vy[0])
        self.assertEqual(self.say("POST", "/api/v1/password", {"password": PASSWORD, "new": PASSWORD + "!"}, *tam)[0],
                         200)
        self.refused(401, "no_session", "GET", "/api/v1/status", cookie=tam[0])
        self.sign_in("tam", PASSWORD + "!")

    def changes_name_their_author(self):
        want = [("claim.made", ""), ("user.added", "lan"), ("user.added", "tam"), ("user.added", "vy"),
                ("user.changed", "vy"), ("token.made", "lab"), ("token.removed", "lab"), ("user.removed", "vy"),
                ("user.changed", "tam")]
        events = until(lambda: (e := self.told(*{c for c, _ in want})) and len(e) >= len(want) and e, 30,
                       "an event of each change")
        self.assertEqual([e[:2] for e in sorted(events)], sorted(want))
        by = {(c, s): t for c, s, t in events}
        self.assertRegex(by["user.added", "lan"], r"^by the claim code, from 127\.0\.0\.1: administrator")
        self.assertRegex(by["user.added", "tam"], r"^by lan: technician")
        self.assertRegex(by["user.changed", "tam"], r"^by tam: technician, new password")
        self.assertRegex(by["token.made", "lab"], r"^by lan: scopes read, ends 20")

    def forged(self, cookie):
        for bad in ("__Host-fp_session=" + "0" * 64, cookie[:-1] + ("1" if cookie[-1] == "0" else "0"), cookie[:-1],
                    f"{cookie}; {cookie}", "__Host-fp_session=" + "A" * 1000):
            self.refused(401, "no_session", "GET", "/api/v1/status", cookie=bad)
        for bad in ("__Host-fp_session=\"", "__Host-fp_session=" + "A" * 30000):  # no HTTP: the library says no
            self.assertIn(self.https.request("GET", "/api/v1/status", headers={"Cookie": bad})[0],
                          (400, 401, 413, 431), bad[:20])
        self.refused(403, "csrf", "POST", "/api/v1/session", {"name": "lan", "password": PASSWORD},
                     Origin="https://evil.example")
        self.assertEqual(self.say("GET", "/api/v1/status", cookie=cookie)[0], 200)

    def delays(self):
        """Of a name that never signed in from here."""
        wrong = {"name": "eve", "password": "not the right one"}
        for _ in range(6):
            self.refused(401, "wrong_password", "POST", "/api/v1/session", wrong)
        self.refused(429, "rate", "POST", "/api/v1/session", wrong)
        self.assertEqual(self.headers["retry-after"], "1")
        self.sign_in("lan")  # known here: the guesses of others are not his
        told = until(lambda: self.told("session.wrong"), 30, "the event")  # at the next commit
        self.assertIn("127.0.0.1", told[0][2])

    def reset(self, cookie):
        """Whoever stands at the box gets in again, and the old session is over."""
        self.assertEqual([x.split()[:2] for x in self.cli("user", "list").splitlines()],
                         [["lan", "administrator"], ["tam", "technician"]])
        self.cli("user", "reset", "--name", "lan", said="too short\n", codes=(1,))
        self.cli("user", "reset", "--name", "lan", said="another long one\n")
        self.refused(401, "no_session", "GET", "/api/v1/status", cookie=cookie)
        self.sign_in("lan", "another long one")
        self.first()
        self.cli("user", "add", "--name", "be", "--role", "viewer", said=PASSWORD)
        self.cli("user", "remove", "--name", "be")
        for args in ((), ("show",), ("add",), ("add", "--name", "x"), ("claim", "--name", "x"), ("remove",),
                     ("add", "--name", "x", "--role", "root")):
            self.cli("user", *args, codes=(2,))

    def forgotten(self):
        """Passwords that came, right or wrong, whole or in pieces, as text or with escapes, are in no memory of
        the gateway any more."""
        words = [f"nobody says this again: {k}" for k in ("whole", "pieces", "wrong")]
        body = json.dumps({"name": "lan", "password": words[1]}).encode()
        self.refused(401, "wrong_password", "POST", "/api/v1/session", {"name": "nobody", "password": words[2]})
        self.cli("user", "reset", "--name", "lan", said=words[0] + "\n")
        cookie, csrf = self.sign_in("lan", words[0])
        self.assertEqual(self.say("POST", "/api/v1/password", {"password": words[0], "new": words[1]}, cookie, csrf)[0],
                         200)
        pieces = [body[i:i + 7] for i in range(0, len(body), 7)]  # as chunks
        self.assertEqual(self.https.request("POST", "/api/v1/session", pieces,
                                            {"Content-Type": "application/json"})[0], 200)
        self.say("GET", "/healthz")
        # an allocator writes over the first bytes of what is freed
        self.assertEqual([w for w in words if held(self.gw.proc.p.pid, w[16:].encode())], [])
        self.assertTrue(held(self.gw.proc.p.pid, self.gw.db.encode()))  # whoever looks finds

    def restart(self, cookie):
        """Sessions end; users, key and certificate stay."""
        before = self.cli("page", "--pem")
        cookie = self.sign_in("lan")[0]
        self.https.close()
        self.assertEqual(self.gw.stop(), 0)
        self.assertFalse(os.path.exists(self.gw.db + ".console"))
        self.start()
        self.https = self.gw.page()
        self.stack.callback(self.https.close)
        self.assertEqual(self.cli("page", "--pem"), before)
        self.refused(401, "no_session", "GET", "/api/v1/status", cookie=cookie)
        self.sign_in("lan")

    def test_the_certificate_is_the_boxs_own_and_old_tls_is_none(self):
        said = dict(line.split(" ", 1) for line in self.cli("page").splitlines())
        der = ssl.PEM_cert_to_DER_cert(self.cli("page", "--pem") + "\n")
        shown = run(["openssl", "x509", "-in", self.gw.db + ".page.crt", "-noout", "-fingerprint", "-sha256",
                     "-ext", "subjectAltName,basicConstraints,extendedKeyUsage"]).stdout
        self.assertIn(said["fingerprint"], shown)
        self.assertIn(said["fingerprint"], self.gw.proc.text())
        for word in ("DNS:localhost", "IP Address:127.0.0.1", "DNS:gw-1", "CA:FALSE", "TLS Web Server"):
            self.assertIn(word, shown)
        key = ["openssl", "pkey", "-pubout"]
        self.assertEqual(run([*key, "-in", self.gw.db + ".page.key"]).stdout,
                         run(["openssl", "x509", "-in", self.gw.db + ".page.crt", "-noout", "-pubkey"]).stdout)
        with socket.create_connection(("127.0.0.1", self.gw.port()), 10) as plain:  # no answer to plain HTTP
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            plain.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                self.assertNotIn(b"HTTP", plain.recv(100))
        old = ssl.create_default_context(cafile=self.gw.db + ".page.crt")
        with socket.create_connection(("127.0.0.1", self.gw.port()), 10) as s, \
                old.wrap_socket(s, server_hostname="localhost") as tls:
            self.assertEqual(tls.getpeercert(True), der)
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        old.maximum_version = ssl.TLSVersion.TLSv1_1
        old.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises(OSError), socket.create_connection(("127.0.0.1", self.gw.port()), 10) as s:
            old.wrap_socket(s, server_hostname="localhost")

    def test_readings_do_not_wait_for_the_page(self):
        """Its address is another program's: polls go on, it is told, and the page comes when it can."""
        self.good_polls("m")
        port = self.gw.port()
        self.gw.stop()
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("127.0.0.1", port))
            other.listen(1)
            with open(self.gw.conf, encoding="utf-8") as f:
                text = f.read()
            write(self.gw.conf, text.replace("127.0.0.1:0", f"127.0.0.1:{port}"))
            before = len(self.told("page.down"))
            self.gw.start(ready="goes on without its page")
            told = until(lambda: self.told("page.down")[before:], 30, "the event")
            self.assertIn(str(port), told[0][2])
            now = time.time_ns() // 1_000_000
            until(lambda: [r for r in self.gw.export() if r[0] == "m/poll" and int(r[1]) > now], 30, "readings")
        until(lambda: self.told("page.up"), 40, "the page")
        self.assertEqual(self.device("m")["state"], "good")

    def test_many_connections_and_guesses_do_not_slow_the_polling(self):
        """Guesses, and behind them ten thousand connections that say nothing."""
        idle = []
        self.stack.callback(lambda: [s.close() for s in idle])
        self.good_polls("m")
        lost = self.device("m")["overruns"]
        begin, guesses, page = time.monotonic(), 0, self.gw.page()
        while time.monotonic() - begin < 2:
            page.request("POST", "/api/v1/session", json.dumps({"name": f"u{guesses}", "password": "wrong"}),
                         {"Content-Type": "application/json"})
            guesses += 1
        page.close()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
        while len(idle) < min(10000, files - 100) and time.monotonic() - begin < 10:
            idle.append(socket.socket())
            idle[-1].setblocking(False)
            idle[-1].connect_ex(("127.0.0.1", self.gw.port()))
        for s in idle:
            s.close()
        took = time.monotonic() - begin
        self.good_polls("m", 1)
        polled = until(lambda: [r for r in self.gw.export() if r[0] == "m/poll"], 30, "readings")
        inside = [int(r[1]) for r in polled]
        wide = max(b - a for a, b in zip(inside, inside[1:]))
        print(f"{len(idle)} connections and {guesses} guesses in {took:.1f} s: the widest gap between polls "
              f"of 200 ms is {wide} ms")
        self.assertLess(wide, 600)
        self.assertEqual(self.device("m")["overruns"], lost)


if __name__ == "__main__":
    socket.setdefaulttimeout(60)
    main(needs=("fieldpost", "fieldpost-sim"))
