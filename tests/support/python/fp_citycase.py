"""A test with the real city, one enrolled gateway, and batches to put there."""
import json
import os
import random
import sqlite3
from decimal import Decimal

import fp_bad
import fp_contract as fp
from fp_proc import PUT_HEADERS, Case, City, Https, put_path, write

GW, T0 = fp_bad.GW, fp_bad.T0


class CityCase(Case):
    """A city with the gateway gw-1 enrolled, and a connection to it."""

    def setUp(self):
        super().setUp()
        self.rng = random.Random(f"{self.args.seed} {self.id()}")
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.key = fp.new_key()
        self.enroll(GW, self.key)
        self.stack.callback(self.city.stop)
        self.connect()
        self.stack.callback(lambda: self.https.close())

    def connect(self):
        """Starts the city, again too, and opens a new connection."""
        self.city.start()
        self.https = Https(self.city.port, self.city.ca)

    def enroll(self, gw, key):
        pub = write(os.path.join(self.folder, f"{gw}.pub"), fp.public_pem(key.public_key()))
        return self.city.enroll(gw, pub)

    def chain_id(self):
        return self.rng.randbytes(8)

    def chain(self, n, key=None, gw=GW, chain=None, t0=T0, readings=3, boot=b"boot-no1"):
        """n batches as (seq, whole): the first a plan, then data windows of 10 s."""
        key, chain, out, prev = key or self.key, chain or self.chain_id(), [], None
        for seq in range(1, n + 1):
            control = seq == 1
            a = t0 if control else t0 + (seq - 2) * 10_000
            h = fp.header(key, gw, chain, seq, a, a if control else a + 10_000, prev=prev,
                          control=control, boot=boot)
            if control:
                body = [["plan", "dev-1/a", "voltage", "V", 1000, t0]]
            else:
                body = fp.senml(gw, [("dev-1", a + 1000 * i, [("a", "V", Decimal(seq) + Decimal(
                    i) / 10, 0)]) for i in range(readings)])
            whole = fp.build(key, h, body)
            out.append((seq, whole))
            prev = fp.sha256(whole)
        return chain, out

    def put(self, chain, seq, whole, gw=GW, headers=None, body=None, https=None):
        return (https or self.https).request("PUT", put_path(gw, chain, seq),
                                             fp.compress(whole) if body is None else body,
                                             {**PUT_HEADERS, **(headers or {})})

    def stored(self, chain, seq, whole, **more):
        status, headers, body = self.put(chain, seq, whole, **more)
        self.assertEqual(status, 201, body)
        self.assertTrue(headers["content-type"].startswith("application/cose"), headers)
        return body

    def refusal(self, answer, codes, whole=None, statuses=range(400, 500)):
        """The problem document of a refusal; its code and its hash are checked."""
        status, headers, body = answer
        self.assertIn(status, statuses, body)
        self.assertTrue(headers.get("content-type", "").startswith("application/problem+json"),
                        headers)
        p = json.loads(body)
        self.assertIn(p.get("code"), fp.CODES, p)
        self.assertIn(p["code"], codes, p)
        if whole is not None:
            self.assertEqual(p.get("sha256"), fp.sha256(whole).hex(), p)
        return p

    def head(self, nonce=None):
        nonce = nonce or self.rng.randbytes(16).hex()
        status, _, body = self.https.request("GET", f"/v1/gateways/{GW}/head?nonce={nonce}")
        self.assertEqual(status, 200, body)
        h = fp.open_head(body, self.city.pub)
        self.assertEqual(h["gw"], GW)
        self.assertIn(h["nonce"], (nonce, nonce.encode(), bytes.fromhex(nonce)))
        return h["chains"]

    def sound(self):
        db = sqlite3.connect(f"file:{self.city.db}?mode=ro", uri=True)
        try:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
            self.assertEqual(db.execute("PRAGMA foreign_key_check").fetchall(), [])
        finally:
            db.close()
