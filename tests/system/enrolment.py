"""Enrolment at the real city: claim codes and EST (RFC 7030), with openssl and curl as the client."""
import base64
import os
import re
import stat
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_enrol import EST, EnrolCase  # noqa: E402
from fp_proc import City, main, run  # noqa: E402


class Ca(EnrolCase):
    def test_the_ca_is_private_and_never_overwritten(self):
        key = os.path.join(self.city.folder, "devices.key")
        self.assertEqual(stat.S_IMODE(os.stat(key).st_mode), 0o600)
        with open(key, "rb") as f:
            before = f.read()
        self.assertIn("never overwritten", self.city_cmd("ca", ok=(1,)).stderr)
        with open(key, "rb") as f:
            self.assertEqual(f.read(), before)
        text = run(["openssl", "x509", "-in", self.device_ca, "-noout", "-text"]).stdout
        for part in ("CA:TRUE, pathlen:0", "Certificate Sign", "fieldpost device CA"):
            self.assertIn(part, text)

    def test_cacerts_carries_both_cas_for_openssl(self):
        answer = self.curl(EST + "cacerts")
        self.assertEqual(answer[1]["content-type"], "application/pkcs7-mime")
        self.assertEqual(answer[1]["content-transfer-encoding"], "base64")
        text = self.certificate(answer)
        self.assertIn("fieldpost device CA", text)
        with open(self.path("box.pem"), encoding="ascii") as f:
            self.assertIn("subject=CN = contract test CA", f.read())

    def test_without_a_ca_enrolment_is_off_and_says_so(self):
        off = City(self.args.bin, self.path("off")).start()
        self.stack.callback(off.stop)
        port, self.city.url = self.city.url, off.url
        for path, body in (("cacerts", None), ("simpleenroll", b"x"), ("simplereenroll", b"x")):
            self.refused(self.curl(EST + path, body=body, ca=off.ca), 404, "enrolment_off")
        self.city.url = port
        r = run([off.exe, "claim", "--config", off.conf, "--id", "gw-1"], ok=(1,))
        self.assertIn("ca", r.stderr)


class Claims(EnrolCase):
    def test_a_code_gives_one_certificate_that_openssl_verifies(self):
        code, pin = self.claim()
        self.assertRegex(code, r"^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$")
        self.assertRegex(pin, r"^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){5}$")
        self.assertNotEqual(self.claim("gw-2")[0], code)
        more = ("-addext", "subjectAltName=DNS:evil", "-addext", "basicConstraints=CA:TRUE")
        answer = self.simpleenroll(self.request(more=more), "gw-1", code.lower().replace("-", " "))
        self.assertEqual(answer[1]["content-type"],
                         "application/pkcs7-mime; smime-type=certs-only")
        text = self.certificate(answer)
        for part in ("Subject: CN = gw-1", "CA:FALSE", "TLS Web Client Authentication",
                     "TLS Web Server Authentication", "DNS:gw-1"):
            self.assertIn(part, text)
        self.assertNotIn("evil", text)
        run(["openssl", "verify", "-CAfile", self.device_ca, "-purpose", "sslclient",
             self.path("box.pem")])
        keys = [run(["openssl", *a]).stdout for a in
                (("pkey", "-in", self.path("box.key"), "-pubout"),
                 ("x509", "-in", self.path("box.pem"), "-noout", "-pubkey"))]
        self.assertEqual(*keys)
        self.assertIn("gw-1,", self.city_cmd("certs").stdout)

    def test_only_a_salted_hash_of_a_code_is_stored(self):
        code, _ = self.claim()
        plain = code.replace("-", "")
        self.city.stop()
        for name in os.listdir(self.city.folder):
            with open(os.path.join(self.city.folder, name), "rb") as f:
                data = f.read()
            for form in (code, plain):
                self.assertNotIn(form.encode(), data, name)

    def test_used_expired_foreign_mistyped_and_unknown_codes_are_refused_by_name(self):
        csr, code = self.request(), self.claim()[0]
        first = self.simpleenroll(csr, "gw-1", code)
        self.certificate(first)
        self.assertEqual(self.simpleenroll(csr, "gw-1", code)[2], first[2])  # a lost answer
        words = self.refused(self.simpleenroll(self.request("other"), "gw-1", code), 403,
                             "code_used")
        self.assertIn("somebody else", words)

        code = self.claim("gw-2")[0]
        self.refused(self.simpleenroll(csr, "gw-1", code), 403, "code_foreign")
        at = next(i for i, c in enumerate(code) if c not in "-" + code[0])
        wrong = code[at] + code[1:at] + code[0] + code[at + 1:]
        self.refused(self.simpleenroll(csr, "gw-1", wrong), 400, "code_mistyped")
        self.refused(self.simpleenroll(csr, "gw-1", "hunter2"), 400, "code_mistyped")
        self.refused(self.simpleenroll(csr, "gw-1", "0000-0000-0000-0000"), 401, "code_unknown")

        old = self.claim()[0]
        self.claim()  # a newer label ends the older
        self.refused(self.simpleenroll(csr, "gw-1", old), 403, "code_expired")
        code = self.claim("gw-3", "--valid", "1h")[0]
        self.ask_db("UPDATE claim SET until_ms = made_ms WHERE gw = 'gw-3'")
        self.refused(self.simpleenroll(self.request(cn="gw-3"), "gw-3", code), 403, "code_expired")
        self.assertEqual(self.ask_db("SELECT count(*) FROM device"), [(1,)])

    def test_wrong_guesses_are_limited_and_right_codes_do_not_count(self):
        csr, code = self.request(), self.claim()[0]
        for _ in range(8):
            self.certificate(self.simpleenroll(csr, "gw-1", code))
        for _ in range(5):
            self.refused(self.simpleenroll(csr, "gw-1", "0000-0000-0000-0000"), 401,
                         "code_unknown")
        answer = self.simpleenroll(csr, "gw-1", code)
        self.refused(answer, 429, "rate")
        self.assertEqual(answer[1]["retry-after"], "60")

    def test_a_bad_request_is_refused_and_costs_no_code(self):
        code = self.claim()[0]
        good = self.request()
        broken = bytearray(base64.b64decode(good))
        broken[-5] ^= 1  # in the signature
        for body, words in ((self.request("a", cn="gw-2"), "CN=gw-1"),
                            (self.request("b", cn="gw-1/CN=gw-2"), "CN=gw-1"),
                            (self.request("c", curve="P-384"), "P-256"),
                            (base64.b64encode(broken), "signed by its own key"),
                            (good[:100], "PKCS#10"), (b"", "PKCS#10"), (b"\0" * 900, "PKCS#10"),
                            (good + base64.b64encode(b"x" * 30), "PKCS#10")):
            with self.subTest(words):
                answer = self.simpleenroll(body, "gw-1", code)
                self.assertIn(words, self.refused(answer, 400, "bad_request"))
        self.refused(self.curl(EST + "simpleenroll", "-u", f"gw-1:{code}", body=good), 415,
                     "unsupported_type")
        for who in ((), ("-u", "gw-1"), ("-H", "Authorization: Basic !!!"),
                    ("-H", "Authorization: Bearer x")):
            answer = self.curl(EST + "simpleenroll", *(w if w != "gw-1" else "gw-1:" for w in who),
                               "-H", "Content-Type: application/pkcs10", body=good)
            self.assertIn(answer[0], (400, 401), answer)
        answer = self.curl(EST + "simpleenroll", "-H", "Content-Type: application/pkcs10",
                           body=good)
        self.assertIn("basic", answer[1]["www-authenticate"])
        self.assertEqual(self.curl(EST + "simpleenroll", body=b"x" * 20000)[0], 413)
        self.certificate(self.simpleenroll(good, "gw-1", code))


class Renewal(EnrolCase):
    def test_a_certificate_is_renewed_with_itself_and_a_new_key(self):
        first = self.enrolled()
        second = self.certificate(self.reenroll(self.request("next"), "box"), "next")
        serial = [re.search(r"Serial Number:\s+([0-9a-f:]+)", t)[1] for t in (first, second)]
        self.assertNotEqual(*serial)
        run(["openssl", "verify", "-CAfile", self.device_ca, "-purpose", "sslclient",
             self.path("next.pem")])
        self.certificate(self.reenroll(self.request("third"), "next"), "third")
        self.assertEqual(len(self.city_cmd("certs").stdout.splitlines()), 4)

    def test_no_certificate_a_foreign_or_taken_back_one_and_another_subject_are_refused(self):
        self.enrolled()
        csr = self.request("next")
        none = self.curl(EST + "simplereenroll", "-H", "Content-Type: application/pkcs10",
                         body=csr)
        self.refused(none, 401, "unauthorized")
        words = self.refused(self.reenroll(self.request("next", cn="gw-2"), "box"), 400,
                             "bad_request")
        self.assertIn("CN=gw-1", words)
        run(["openssl", "req", "-x509", "-key", self.path("box.key"), "-subj", "/CN=gw-1", "-days",
             "9", "-out", self.path("self.pem")])
        os.link(self.path("box.key"), self.path("self.key"))
        self.refused(self.reenroll(csr, "self"), 403, "certificate_unknown")
        # the same names, and another key signed it
        run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", self.path("fake.key"), "-out", self.path("fake.pem"), "-subj",
             "/" + run(["openssl", "x509", "-in", self.device_ca, "-noout", "-subject", "-nameopt",
                        "compat"]).stdout.strip().partition("=")[2].lstrip("/ ")])
        run(["openssl", "req", "-new", "-key", self.path("box.key"), "-subj", "/CN=gw-1", "-out",
             self.path("forged.csr")])
        run(["openssl", "x509", "-req", "-in", self.path("forged.csr"), "-CA",
             self.path("fake.pem"), "-CAkey", self.path("fake.key"), "-CAcreateserial", "-days",
             "9", "-out", self.path("forged.pem")])
        os.link(self.path("box.key"), self.path("forged.key"))
        self.refused(self.reenroll(csr, "forged"), 403, "certificate_unknown")
        self.city_cmd("distrust", "--id", "gw-1")
        words = self.refused(self.reenroll(self.request("next"), "box"), 403,
                             "certificate_revoked")
        self.assertIn("claim code", words)
        self.assertEqual(self.city_cmd("distrust", "--id", "gw-1", ok=(1,)).returncode, 1)

    def test_an_expired_certificate_is_refused_and_the_words_say_what_to_do(self):
        self.enrolled()
        signed_by_ca(self, "past", "20200101000000Z", "20210101000000Z")
        words = self.refused(self.reenroll(self.request("next"), "past"), 403,
                             "certificate_expired")
        self.assertIn("new claim code", words)


class Keys(EnrolCase):
    def setUp(self):
        super().setUp()
        self.enrolled()
        self.key = fp.new_key()

    def test_a_key_is_bound_once_and_the_answer_has_the_key_of_the_receipts(self):
        for status in (201, 200):
            answer = self.bind(self.proof(self.key))
            self.assertEqual((answer[0], answer[2]), (status, fp.public_pem(self.city.pub)))
        self.assertEqual(self.ask_db("SELECT count(*) FROM key"), [(1,)])
        words = self.refused(self.bind(self.proof(fp.new_key())), 409, "key_exists")
        self.assertIn("--replaces", words)
        words = self.refused(self.bind(self.proof(fp.new_key(), replaces=True)), 409, "key_exists")

    def test_a_proof_fits_one_key_one_gateway_and_one_certificate(self):
        other = fp.new_key()
        self.enrolled("two", "gw-2")
        good = self.proof(self.key)
        flipped = bytearray(good)
        flipped[-70] ^= 1
        for body, args, status, code in (
                (self.proof(self.key, signer=other), {}, 400, "bad_signature"),
                (self.proof(self.key, gw="gw-2"), {}, 403, "wrong_gateway"),
                (good, {"gw": "gw-2"}, 403, "wrong_gateway"),
                (good, {"name": "two", "gw": "gw-2"}, 403, "wrong_gateway"),
                (self.proof(self.key, "box", "gw-2"), {"name": "two", "gw": "gw-2"}, 403,
                 "wrong_certificate"),
                (good[:-1], {}, 400, "bad_cbor"), (good + b"x", {}, 400, "bad_cbor"),
                (b"", {}, 400, "bad_cbor"), (bytes(flipped), {}, 400, "bad_cbor"),
                (self.proof(self.key, zz=1), {}, 400, "bad_cbor"),
                (self.proof(self.key, replaces=False), {}, 400, "bad_cbor"),
                (self.proof(self.key, v=2), {}, 400, "bad_cbor")):
            with self.subTest(code=code, args=args):
                self.refused(self.bind(body, **args), status, code)
        self.refused(self.curl("/v1/gateways/gw-1/keys", "-X", "PUT", "-H",
                               "Content-Type: application/cose", body=good), 401, "unauthorized")
        self.city_cmd("distrust", "--id", "gw-1")
        self.refused(self.bind(good), 403, "certificate_revoked")
        self.assertEqual(self.ask_db("SELECT count(*) FROM key"), [(0,)])


def signed_by_ca(case, name, begin, end):
    """A certificate of the device CA with these dates, made by openssl."""
    folder = case.path("ca-" + name)
    os.makedirs(folder)
    open(os.path.join(folder, "index.txt"), "w", encoding="ascii").close()
    with open(os.path.join(folder, "serial"), "w", encoding="ascii") as f:
        f.write("40112233445566778899AABBCCDDEEFF\n")
    with open(os.path.join(folder, "ca.cnf"), "w", encoding="ascii") as f:
        f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index.txt\nserial={folder}/serial\n"
                f"new_certs_dir={folder}\ndefault_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n")
    run(["openssl", "req", "-new", "-key", case.path("box.key"), "-subj", "/CN=gw-1", "-out",
         case.path(f"{name}.csr")])
    run(["openssl", "ca", "-batch", "-config", os.path.join(folder, "ca.cnf"), "-in",
         case.path(f"{name}.csr"), "-cert", case.device_ca, "-keyfile",
         os.path.join(case.city.folder, "devices.key"), "-startdate", begin, "-enddate", end,
         "-notext", "-out", case.path(f"{name}.pem")])
    os.link(case.path("box.key"), case.path(f"{name}.key"))


if __name__ == "__main__":
    main()
