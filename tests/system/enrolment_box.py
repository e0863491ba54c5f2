"""fieldpost enroll against the real city, and against everybody else who may answer."""
import base64
import http.client
import http.server
import os
import sqlite3
import ssl
import stat
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_enrol import EnrolCase  # noqa: E402
from fp_slave import COUNTER_PROFILE, Counter, Slave  # noqa: E402
from fp_proc import Gateway, main, make_tls, run, until, write  # noqa: E402


class BoxCase(EnrolCase):
    def setUp(self):
        super().setUp()
        self.box = self.new_box("box")

    def new_box(self, name, gw="gw-1"):
        """A gateway with a configuration whose files of the city are not there yet."""
        box = Gateway(self.args.bin, self.path(name), gw)
        self.configure(box)
        self.stack.callback(box.kill)
        return box

    def configure(self, box, url=None, more=""):
        box.config(f"uplinks: {{city: {{url: \"{url or self.city.url}\", ca: {box.folder}/ca.pem, "
                   f"receipt_keys: [{box.folder}/city.pub]{more}}}}}")

    def enroll(self, *more, box=None, ok=(0,), code=None, stdin=None):
        box = box or self.box
        args = [box.exe, "enroll", "--config", box.conf, *more]
        if code is not None:
            args += ["--code-file", write(os.path.join(box.folder, "code"), code + "\n", 0o600)]
        r = subprocess.run(args, capture_output=True, text=True, timeout=60, input=stdin,
                           check=False)
        self.assertNotIn("Sanitizer", r.stderr)
        self.assertIn(r.returncode, ok, r.stderr)
        return r.stderr

    def file(self, name, box=None):
        return os.path.join((box or self.box).folder, name)

    def read(self, name, box=None):
        with open(self.file(name, box), "rb") as f:
            return f.read()

    def seals(self, box, seconds=60):
        """Runs the gateway until the city has a batch of it."""
        before = self.ask_db("SELECT count(*) FROM batch")[0][0]
        box.start()
        until(lambda: self.ask_db("SELECT count(*) FROM batch")[0][0] > before, seconds,
              "a batch at the city")


class Enroll(BoxCase):
    def test_a_label_is_enough(self):
        code, pin = self.claim()
        said = self.enroll("--city", self.city.url, "--pin", pin, code=code)
        for part in ("ca.pem", "city.pem", "city.pub", "the city takes"):
            self.assertIn(part, said)
        self.assertEqual(stat.S_IMODE(os.stat(self.file("city.pem")).st_mode), 0o600)
        self.assertEqual(self.read("city.pub"), open_bytes(self.city.pub_path))
        names = [run(["openssl", "x509", "-in", p, "-noout", "-fingerprint"]).stdout
                 for p in (self.file("ca.pem"), self.city.ca)]
        self.assertEqual(*names)
        run(["openssl", "verify", "-CAfile", self.device_ca, self.file("city.pem")])
        self.assertNotEqual(run(["openssl", "pkey", "-in", self.file("city.pem"),
                                 "-pubout"]).stdout.encode(), open_bytes(self.box.pub_path))
        self.assertEqual(sorted(n for n in os.listdir(self.box.folder) if "pem" in n),
                         ["ca.pem", "city.pem"])
        run([self.box.exe, "check", "--config", self.box.conf])
        self.seals(self.box)
        self.assertEqual(self.ask_db("SELECT count(*) FROM key"), [(1,)])

    def test_the_code_comes_from_a_prompt_and_stands_in_no_output(self):
        code, pin = self.claim()
        said = self.enroll("--pin", pin, "--code", "-", stdin=code + "\n")
        self.assertNotIn(code, said)
        self.assertIn("no claim code", self.enroll("--pin", pin, "--code", "-", stdin="",
                                                   ok=(2,)))

    def test_a_brought_ca_and_a_code_on_the_command_line_will_do(self):
        self.enroll("--ca", self.city.ca, "--code", self.claim()[0])
        self.assertEqual(self.read("ca.pem"), open_bytes(self.city.ca))

    def test_what_was_trusted_before_is_never_overwritten(self):
        write(self.file("ca.pem"), open_bytes(self.city.ca))
        other = self.path("other.key")
        pub = run([self.box.exe, "keygen", "--out", other]).stdout
        write(self.file("city.pub"), pub)
        self.enroll(code=self.claim()[0])
        self.assertEqual(self.read("city.pub"), pub.encode())
        os.unlink(self.file("ca.pem"))
        other_ca = self.path("other-ca")
        os.makedirs(other_ca)
        make_tls(other_ca)
        write(self.file("ca.pem"), open_bytes(other_ca + "/ca.pem"))
        before = self.read("ca.pem")
        self.enroll("--pin", self.claim()[1], code=self.claim()[0], ok=(1,))
        self.assertEqual(self.read("ca.pem"), before)

    def test_codes_that_are_refused_say_why_and_the_next_good_one_works(self):
        used, pin = self.claim()
        self.enroll("--pin", pin, code=used)
        box = self.new_box("second")
        self.enroll("--pin", pin, box=box, code=self.claim("gw-2")[0], ok=(1,))
        for code, words in ((used, "code_used"), (self.claim("gw-2")[0], "code_foreign"),
                            ("0000-0000-0000-0000", "code_unknown"),
                            (used[1] + used[0] + used[2:] if used[0] != used[1] else
                             "1" + used[1:-1] + "2", "mistyped"), ("hunter2", "none that a code has")):
            said = self.enroll(box=box, code=code, ok=(1,))
            self.assertIn(words, said)
            self.assertNotIn(code, said)
            self.assertFalse(os.path.exists(self.file("city.pem", box)))
        # the first box's key is bound: a second one is refused and told the way
        said = self.enroll(box=box, code=self.claim()[0], ok=(1,))
        self.assertIn("--replaces", said)

    def test_without_a_code_it_goes_on_where_it_ended(self):
        self.assertIn("claim code", self.enroll("--pin", self.claim()[1], ok=(1,)))
        code, pin = self.claim()
        self.city_cmd("enroll", "--id", "gw-1", "--key", self.new_box("x").pub_path)
        self.assertIn("key_exists", self.enroll("--pin", pin, code=code, ok=(1,)))
        self.ask_db("DELETE FROM key")
        self.enroll()
        self.assertIn("the city takes", self.enroll())  # nothing changes

    def test_a_lost_answer_costs_no_code(self):
        code, pin = self.claim()
        stopped = threading.Event()

        def cut(path, _body):
            if path.endswith("simpleenroll") and not stopped.is_set():
                stopped.set()
                return "drop-after"
            return None
        proxy = Proxy(self, cut)
        self.configure(self.box, proxy.url)
        self.enroll("--pin", pin, code=code, ok=(1,))
        self.assertEqual(self.ask_db("SELECT count(*) FROM device"), [(1,)])
        self.assertFalse(os.path.exists(self.file("city.pem")))
        self.configure(self.box)
        self.enroll("--pin", pin, code=code)
        self.assertEqual(self.ask_db("SELECT count(*) FROM device"), [(1,)])


class Replaces(BoxCase):
    def setUp(self):
        self.slave = Slave({1: Counter(100)})
        super().setUp()
        self.stack.callback(self.slave.stop)

    def configure(self, box, url=None, more=""):
        super().configure(box, url, more)
        write(os.path.join(box.folder, "counter.yaml"), COUNTER_PROFILE)
        with open(box.conf, "a", encoding="ascii") as f:
            f.write(f"buses: {{plant: {{type: modbus-tcp, host: 127.0.0.1, port: "
                    f"{self.slave.port}}}}}\n"
                    "devices: {dev-1: {bus: plant, unit: 1, profile: ./counter.yaml, every: 1s}}\n")

    def dead_box(self):
        """The old box: known, with batches at the city, and some that never got there."""
        code, pin = self.claim()
        self.enroll("--pin", pin, code=code)
        self.seals(self.box)
        until(lambda: self.ask_db("SELECT max(through_seq) FROM chain")[0][0] >= 3, 60, "batches")
        self.box.stop()
        port = self.city.port
        self.city.stop()
        self.box.start()  # goes on without the city
        had = self.ask_db("SELECT max(seq) FROM batch")[0][0]  # what the box does not know it has counts, too
        until(lambda: self.sealed(self.box) >= had + 2, 60, "batches that wait")
        self.box.kill()
        self.city.start()
        self.assertEqual(self.city.port, port)
        return pin

    @staticmethod
    def sealed(box):
        """The newest number in the box's store."""
        db = sqlite3.connect(f"file:{box.db}?mode=ro", uri=True)
        try:
            return db.execute("SELECT max(last_seq) FROM chain").fetchone()[0]
        finally:
            db.close()

    def test_a_new_box_follows_the_dead_one_and_the_old_card_is_still_taken(self):
        pin = self.dead_box()
        old_chain, seq, digest = self.ask_db(
            "SELECT chain, through_seq, through_hash FROM chain")[0]
        old_end = self.ask_db("SELECT max(to_ms) FROM batch")[0][0]
        box = self.new_box("new")
        self.assertIn("gateway.id", self.enroll("--replaces", "gw-9", box=box, ok=(2,)))
        plain = self.claim()[0]
        self.assertIn("key_exists", self.enroll("--replaces", "gw-1", "--pin", pin, box=box,
                                                code=plain, ok=(1,)))
        code = self.claim("gw-1", "--replaces")[0]
        self.assertIn("enroll --replaces", self.enroll(box=box, code=code, ok=(1,)))
        self.enroll("--replaces", "gw-1", box=box, code=code)
        handed = self.ask_db("SELECT at_ms FROM handed")
        self.assertEqual(len(handed), 1)
        self.seals(box)
        after = self.ask_db("SELECT after_chain, after_seq, after_hash FROM chain ORDER BY id DESC "
                            "LIMIT 1")[0]
        self.assertEqual(after, (old_chain, seq, digest))
        until(lambda: self.ask_db("SELECT count(*) FROM batch WHERE kind = 0 AND chain = (SELECT "
                                  "max(id) FROM chain)")[0][0], 30, "a window of the new box")
        first = self.ask_db("SELECT min(from_ms) FROM batch WHERE kind = 0 AND chain = (SELECT "
                            "max(id) FROM chain)")[0][0]
        self.assertEqual(first, old_end)
        self.assertEqual(self.ask_db("SELECT DISTINCT g.cause FROM gap g JOIN batch b ON b.id = "
                                     "g.batch WHERE b.chain = (SELECT max(id) FROM chain) AND "
                                     "g.from_ms = ?", first), [("off",)])
        series = [{r[0] for r in self.ask_db("SELECT p.series FROM plan p JOIN batch b ON b.id = "
                                             "p.batch WHERE b.chain = ?", chain)}
                  for (chain,) in self.ask_db("SELECT id FROM chain ORDER BY id")]
        self.assertEqual(series[0], series[-1])
        self.assertIn("dev-1/n", series[0])
        self.assertEqual(self.ask_db("SELECT count(*) FROM batch WHERE broken"), [(0,)])

        # the old card: sealed before the hand-over, so taken
        stick = self.path("stick")
        os.makedirs(stick)
        held = self.ask_db("SELECT count(*) FROM batch b JOIN chain c ON c.id = b.chain WHERE "
                           "c.chain = ?", old_chain)[0][0]
        run([self.box.exe, "export", "--config", self.box.conf, "--sealed", stick])
        r = self.city_cmd("import", stick)
        self.assertIn(" 0 refused", r.stdout)
        now = self.ask_db("SELECT count(*) FROM batch b JOIN chain c ON c.id = b.chain WHERE "
                          "c.chain = ?", old_chain)[0][0]
        self.assertGreaterEqual(now, held + 2)

        # the old box itself, come back: nothing new of it
        self.box.start()
        self.box.proc.wait_line("unauthorized", 60)
        latest = self.ask_db("SELECT max(b.to_ms) FROM batch b JOIN chain c ON c.id = b.chain JOIN "
                             "handed h ON h.key = c.key")[0][0]
        self.assertLessEqual(latest, handed[0][0])
        self.box.stop()
        self.assertEqual(self.ask_db("SELECT count(*) FROM evidence"), [(0,)])
        self.refused_now(box)

    def refused_now(self, box):
        """The old box's certificate and a third box have ended chances."""
        write(self.path("box.pem"), run(["openssl", "x509", "-in", self.file("city.pem")]).stdout)
        write(self.path("box.key"), run(["openssl", "pkey", "-in", self.file("city.pem")]).stdout)
        self.refused(self.reenroll(self.request("later"), "box"), 403, "certificate_revoked")
        write(self.path("new.pem"), run(["openssl", "x509", "-in",
                                         self.file("city.pem", box)]).stdout)
        write(self.path("new.key"), run(["openssl", "pkey", "-in",
                                         self.file("city.pem", box)]).stdout)
        self.refused(self.bind(self.proof(fp.new_key(), "new", replaces=True), "new"), 409,
                     "key_exists")

    def test_a_box_that_has_a_store_of_its_own_is_told(self):
        code, pin = self.claim("gw-1", "--replaces")
        write(self.box.db, b"")
        said = self.enroll("--replaces", "gw-1", "--pin", pin, code=code, ok=(1,))
        self.assertIn("move it away", said)
        self.assertEqual(self.ask_db("SELECT count(*) FROM device"), [(0,)])


class Strangers(BoxCase):
    def test_nothing_is_sent_to_another_than_the_one_on_the_label(self):
        code, pin = self.claim()
        asked = []
        stranger = self.path("stranger")
        os.makedirs(stranger)
        make_tls(stranger)
        proxy = Proxy(self, lambda path, body: asked.append((path, body)), folder=stranger)
        self.configure(self.box, proxy.url)
        said = self.enroll("--pin", pin, code=code, ok=(1,))
        self.assertIn("not the city of this label", said)
        self.enroll("--ca", self.city.ca, code=code, ok=(1,))
        write(self.file("ca.pem"), open_bytes(self.city.ca))
        self.enroll(code=code, ok=(1,))
        self.assertEqual(asked, [])

    def test_answers_that_are_no_certificates_change_nothing(self):
        code, pin = self.claim()
        good, name = [], None
        csr = self.request("other", "gw-1")
        other = self.simpleenroll(csr, "gw-1", code)[2]
        self.enrolled("gw2", "gw-2")
        run(["openssl", "x509", "-in", self.path("gw2.pem"), "-outform", "DER", "-out",
             self.path("gw2.der")])
        p7 = "application/pkcs7-mime"
        der = base64.b64decode(other)
        answers = {
            "another key": (200, p7, other),
            "cut off": (200, p7, base64.b64encode(der[:-40])),
            "bytes behind the right one": "append",
            "half of base64": (200, p7, other[:301]),
            "empty": (200, p7, b""),
            "a lone certificate": (200, p7, base64.b64encode(open_bytes(self.path("gw2.der")))),
            "HTML with 200": (200, "text/html", b"<html>log in</html>"),
            "HTML as PKCS#7": (200, p7, b"<html>log in</html>"),
            "redirect": (302, "text/html", b""),
            "400": (400, "text/html", b"bad"),
            "too long": (200, p7, b"A" * 200000),
            "503": (503, "text/plain", b""),
        }

        def hook(path, _body):
            good.append(path)
            return answers[name] if path.endswith("simpleenroll") else None
        proxy = Proxy(self, hook)
        self.configure(self.box, proxy.url)
        for name in answers:
            with self.subTest(name):
                said = self.enroll("--pin", pin, code=self.claim()[0], ok=(1,))
                self.assertFalse(os.path.exists(self.file("city.pem")), said)
                if name in ("HTML with 200", "400"):
                    self.assertIn("portal", said)
                if name == "redirect":
                    self.assertIn("not followed", said)
        self.assertNotIn("/elsewhere", good)

    def test_certificates_made_by_openssl_are_taken_only_when_all_fits(self):
        """EST answers made by the openssl program: of the right CA, key and name, and of others."""
        self.enroll("--pin", self.claim()[1], ok=(1,))  # leaves the CA and no certificate
        fake = self.path("fake")
        os.makedirs(fake)
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "9", "-keyout", f"{fake}/ca.key", "-out", f"{fake}/ca.pem", "-subj",
             "/CN=fake CA"])
        real = (self.device_ca, os.path.join(self.city.folder, "devices.key"))
        case, asked, which = self, [], None

        def answer(body, ca, subject):
            csr = write(case.path("asked.csr"), base64.b64decode(body))
            asked.append(run(["openssl", "req", "-inform", "DER", "-in", csr, "-noout", "-verify",
                              "-subject"]).stdout)
            cert, p7 = case.path("made.pem"), case.path("made.p7")
            run(["openssl", "req", "-inform", "DER", "-in", csr, "-out", csr + ".pem"])
            run(["openssl", "x509", "-req", "-in", csr + ".pem", "-CA", ca[0], "-CAkey", ca[1],
                 "-set_serial", "77", "-days", "9", "-out", cert, *subject])
            run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", cert, "-outform", "DER", "-out",
                 p7])
            return 200, "application/pkcs7-mime", base64.encodebytes(open_bytes(p7))

        want = {"ca": ((f"{fake}/ca.pem", f"{fake}/ca.key"), ()),
                "name": (real, ("-subj", "/CN=gw-2")), "good": (real, ())}

        def hook(path, body):
            return answer(body, *want[which]) if path.endswith("simpleenroll") else None
        proxy = Proxy(self, hook)
        self.configure(self.box, proxy.url)
        for which, words in (("ca", "not signed by the city's CA"), ("name", "not for gw-1")):
            said = self.enroll(code=self.claim()[0], ok=(1,))
            self.assertIn(words, said)
            self.assertFalse(os.path.exists(self.file("city.pem")))
        which = "good"
        self.enroll(code=self.claim()[0], ok=(0, 1))
        run(["openssl", "verify", "-CAfile", self.device_ca, self.file("city.pem")])
        self.assertIn("CN = gw-1", asked[0])


class Proxy:
    """Before the real city, with its TLS: hook(path, body) may answer (status, type, body) itself,
    or "drop-after" the city has, or "append" bytes to what it says."""

    def __init__(self, case, hook, folder=None):
        folder = folder or case.city.folder
        target, case_ = case.city, case

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                a = hook(self.path, body)
                if a is None or isinstance(a, str):
                    got = self.forward(body)
                    if a == "append":
                        got = *got[:2], base64.b64encode(base64.b64decode(got[2]) + b"\0\0")
                    if a == "drop-after":
                        self.close_connection = True
                        return
                    a = got
                self.send_response(a[0])
                self.send_header("Content-Type", a[1])
                self.send_header("Content-Length", str(len(a[2])))
                if a[0] == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                self.wfile.write(a[2])

            def forward(self, body):
                c = http.client.HTTPSConnection(
                    "127.0.0.1", target.port,
                    context=ssl.create_default_context(cafile=target.ca))
                keep = {k: v for k, v in self.headers.items()
                        if k.lower() in ("authorization", "content-type")}
                c.request(self.command, self.path, body or None, keep)
                r = c.getresponse()
                out = r.status, r.getheader("Content-Type"), r.read()
                c.close()
                return out

            do_GET = do_POST = do_PUT = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def get_request(self):
                s, address = super().get_request()
                s.settimeout(30)
                return context.wrap_socket(s, server_side=True, do_handshake_on_connect=False), \
                    address

            def handle_error(self, request, client_address):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{folder}/tls.pem", f"{folder}/tls.key")
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        case_.stack.callback(self.stop)

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


def open_bytes(path):
    with open(path, "rb") as f:
        return f.read()


if __name__ == "__main__":
    main()
