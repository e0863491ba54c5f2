"""Enrolment seen from outside: openssl makes requests and reads answers, curl asks."""
import base64
import json
import os
import re
import sqlite3
import subprocess

import fp_contract as fp
from fp_cbor import encode
from fp_proc import Case, City, run, write

EST = "/.well-known/est/"


class EnrolCase(Case):
    """A city with a CA of its own for the gateways."""
    life, page_life = "365d", "30d"

    def setUp(self):
        super().setUp()
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.with_ca()
        self.city_cmd("ca")
        self.city.start()
        self.stack.callback(self.city.stop)

    def with_ca(self):
        """Writes the part `ca` whenever the city's file is written."""
        plain, c = self.city.config, self.city

        def config(port):
            plain(port)
            with open(c.conf, "a", encoding="ascii") as f:
                f.write(f"ca: {{cert: {c.folder}/devices.pem, key: {c.folder}/devices.key, "
                        f"tls: {c.ca}, life: {self.life}, page_life: {self.page_life}}}\n")
        c.config = config
        c.config(0)
        self.device_ca = os.path.join(c.folder, "devices.pem")

    def city_cmd(self, *args, ok=(0,)):
        return run([self.city.exe, args[0], "--config", self.city.conf, *args[1:]], ok=ok)

    def claim(self, gw="gw-1", *more):
        """(code, pin) of a label."""
        text = self.city_cmd("claim", "--id", gw, *more).stdout
        return tuple(re.search(rf"^{word} +([0-9A-Z-]+)$", text, re.M)[1] for word in
                     ("code", "pin"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def request(self, name="box", cn="gw-1", curve="P-256", more=()):
        """A PKCS#10 request by openssl, in base64; its key is NAME.key."""
        run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{curve}",
             "-nodes", "-keyout", self.path(f"{name}.key"), "-subj", f"/CN={cn}", "-outform", "DER",
             "-out", self.path(f"{name}.csr"), *more])
        with open(self.path(f"{name}.csr"), "rb") as f:
            return base64.encodebytes(f.read())

    def curl(self, path, *more, body=None, ca=None):
        """(status, headers, body) by the curl program; the body's file is kept for openssl."""
        out, head = self.path("answer"), self.path("answer.head")
        args = ["curl", "-sS", "--cacert", ca or self.city.ca, "-o", out, "-D", head, "-w",
                "%{http_code}", *more]
        if body is not None:
            args += ["--data-binary", "@" + write(self.path("body"), body)]
        r = subprocess.run([*args, self.city.url + path], capture_output=True, text=True,
                           timeout=60, check=False)
        self.assertEqual(r.returncode, 0, r.stderr)
        with open(out, "rb") as f, open(head, encoding="latin-1") as h:
            headers = dict(x.lower().split(": ", 1) for x in h.read().splitlines() if ": " in x)
            return int(r.stdout), headers, f.read()

    def simpleenroll(self, body, gw, code):
        return self.curl(EST + "simpleenroll", "-u", f"{gw}:{code}", "-H",
                         "Content-Type: application/pkcs10", body=body)

    def reenroll(self, body, name):
        return self.curl(EST + "simplereenroll", "--cert", self.path(f"{name}.pem"), "--key",
                         self.path(f"{name}.key"), "-H", "Content-Type: application/pkcs10",
                         body=body)

    def refused(self, answer, status, code):
        self.assertEqual((answer[0], json.loads(answer[2])["code"]), (status, code), answer)
        self.assertTrue(answer[1]["content-type"].startswith("application/problem+json"))
        return json.loads(answer[2])["detail"]

    def certificate(self, answer, name="box"):
        """Reads an EST answer with openssl: the certificate's text; it is kept as NAME.pem."""
        self.assertEqual(answer[0], 200, answer)
        der = write(self.path("p7.der"), base64.b64decode(answer[2]))
        pem = run(["openssl", "pkcs7", "-inform", "DER", "-in", der, "-print_certs"]).stdout
        write(self.path(f"{name}.pem"), pem[pem.index("-----BEGIN"):])
        return run(["openssl", "x509", "-in", self.path(f"{name}.pem"), "-noout", "-text"]).stdout

    def enrolled(self, name="box", gw="gw-1"):
        """A certificate got with a code of its own."""
        code = self.claim(gw)[0]
        return self.certificate(self.simpleenroll(self.request(name, gw), gw, code), name)

    def proof(self, key, name="box", gw="gw-1", signer=None, **more):
        """The COSE_Sign1 with which a batch key is registered, over the certificate NAME.pem."""
        run(["openssl", "x509", "-in", self.path(f"{name}.pem"), "-outform", "DER", "-out",
             self.path("proof.der")])
        with open(self.path("proof.der"), "rb") as f:
            body = {"v": 1, "gw": gw, "cert": fp.sha256(f.read()),
                    "spki": fp.public_der(key.public_key()), **more}
        head = {1: -7, 3: "application/vnd.fieldpost.key+cbor",
                4: fp.kid_of((signer or key).public_key())}
        return fp.sign(encode(head), encode(body), signer or key)

    def bind(self, body, name="box", gw="gw-1"):
        return self.curl(f"/v1/gateways/{gw}/keys", "-X", "PUT", "--cert",
                         self.path(f"{name}.pem"), "--key", self.path(f"{name}.key"), "-H",
                         'Content-Type: application/cose; cose-type="cose-sign1"', body=body)

    def ask_db(self, sql, *values):
        db = sqlite3.connect(self.city.db, timeout=10)
        try:
            rows = db.execute(sql, values).fetchall()
            db.commit()
            return rows
        finally:
            db.close()
