"""Every fault of the network and every false answer, one after the other, between the gateway and the real
city: nothing is lost, nothing counts twice, and the page says what it is and what to do."""
import gzip
import os
import random
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_cbor import encode  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_middle import RESET, Fault, Middle, reset  # noqa: E402
from fp_proc import main, until  # noqa: E402

COSE = {"Content-Type": 'application/cose; cose-type="cose-sign1"'}
HTML = {"Content-Type": "text/html; charset=utf-8"}
PAGE = b"<html><body>Welcome to the free network. Sign in.</body></html>"
WEB_PAGE = "a web page came in place of the city's answer"
BREAKS = "nobody answers, or the line breaks: check network and DNS here, then the city"
TIMEOUT = "no answer in time: check signal, cable and SIM here, then the city"
NOT_PROVEN = "who answers is not proven to be the city: see ca and url of this uplink"
NOT_SIGNED = "a receipt is not signed by the city: see receipt_keys, and who answers at url"
ANOTHER = "the receipt is for another batch: see who answers at url"
NO_RECEIPT = "the answer is not a receipt: see who answers at url"
TOO_LONG = "the answer is longer than any of the city's"


class Faults(LineCase):
    SPEED = 60

    def setUp(self):
        super().setUp()
        self.middle = Middle(self.city, os.path.join(self.folder, "middle"), self.SPEED)
        self.stack.callback(self.middle.close)
        self.stranger = fp.new_key()

    def begin(self):
        self.site(every="10s", journal="2s", port=self.middle.port)
        self.gw.start()
        try:
            until(lambda: self.arrived() > 2, 60, "batches at the city")
        except AssertionError as e:
            raise AssertionError(f"{e}; the page says {self.text()!r}") from None

    def text(self):
        return self.gw.get("/api/v1/status")["uplinks"][0]["text"]

    def events(self, code):
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True, timeout=10)
        try:
            return [t for t, in db.execute("SELECT text FROM event WHERE code = ? ORDER BY id", (code,))]
        finally:
            db.close()

    def forge(self, request, key=None, kind=fp.CT_RECEIPT, **change):
        """A receipt for the batch of a PUT, by the city's key unless another is given."""
        b = fp.Batch(fp.decompress(request.body))
        body = {"v": 1, "gw": b.gw, "chain": b.chain, "seq": b.seq, "sha256": b.hash,
                "n": len(b.readings), "received": time.time_ns() // 1_000_000,
                "through": [0, bytes(32)], **change}
        protected = encode({1: -7, 3: kind, 4: fp.kid_of(self.city.key.public_key())})
        return 201, COSE, fp.sign(protected, encode(body), key or self.city.key)

    def a_head(self, request):
        """What the city says to the question for its head: signed by it, but no receipt."""
        path = request.path.split("/batches/")[0] + "/head?nonce=abc"
        return self.middle.hand_on(type(request)("GET", path, {}, b""))

    def cases(self):
        """(name, fault, what the page must say)"""
        def says(status, headers, body):
            return lambda q: (status, headers, body)

        def cut(q, a):
            return f"HTTP/1.1 {a[0]} X\r\nContent-Length: {len(a[2])}\r\n\r\n".encode() + a[2][:-9]
        bomb = gzip.compress(bytes(200_000_000))
        return (
            ("reset before TLS", Fault(connect=reset), BREAKS),
            ("closed before TLS", Fault(connect=lambda raw: raw.close()), BREAKS),
            ("garbage in place of TLS", Fault(connect=lambda raw: raw.sendall(b"HTTP/1.0 200 OK\r\n\r\n")),
             BREAKS),
            ("reset in the body", Fault(body=0.5), BREAKS),
            ("reset after the body", Fault(answer=lambda q: RESET), BREAKS),
            ("answer lost after the commit", Fault(spoil=lambda q, a: RESET), BREAKS),
            ("a byte a second", Fault(drip=1), TIMEOUT),
            ("silence", Fault(connect=lambda raw: time.sleep(6)), TIMEOUT),
            ("captive portal", Fault(answer=says(200, HTML, PAGE)), WEB_PAGE),
            ("a proxy's 400", Fault(answer=says(400, HTML, PAGE)), WEB_PAGE),
            ("a proxy's 407", Fault(answer=says(407, HTML, PAGE)), "a proxy wants a login"),
            ("a proxy's 502", Fault(answer=says(502, HTML, PAGE)), "the city is not ready"),
            ("redirected to http", Fault(answer=says(302, {"Location": "http://127.0.0.1:1/"}, b"")),
             "redirected: something between here and the city answers, or the address in url is wrong"),
            ("certificate expired", Fault(cert="expired"), "the city's certificate"),
            ("certificate of another name", Fault(cert="name"), NOT_PROVEN),
            ("certificate of an unknown CA", Fault(cert="unknown"), NOT_PROVEN),
            ("wrong clock", Fault(cert="early"), "is not valid yet"),
            ("truncated in the body", Fault(spoil=cut), BREAKS),
            ("truncated in the head", Fault(spoil=lambda q, a: b"HTTP/1.1 201 Cre"), BREAKS),
            ("no HTTP", Fault(spoil=lambda q, a: b"\x00\x01\x02\x03 no such protocol\r\n\r\n"),
             "what answers does not speak HTTP: see url, and who stands between"),
            ("oversize", Fault(answer=says(201, COSE, bytes(1 << 20))), TOO_LONG),
            ("oversize head", Fault(answer=lambda q: b"HTTP/1.1 201 X\r\n" + b"X-A: b\r\n" * 200_000),
             BREAKS),
            ("gzip bomb", Fault(answer=says(201, {**COSE, "Content-Encoding": "gzip"}, bomb)), TOO_LONG),
            ("small gzip bomb", Fault(answer=says(201, {**COSE, "Content-Encoding": "gzip"},
                                                  gzip.compress(bytes(8_000_000)))), NO_RECEIPT),
            ("receipt by another key", Fault(answer=lambda q: self.forge(q, self.stranger)), NOT_SIGNED),
            ("receipt for other bytes", Fault(answer=lambda q: self.forge(q, sha256=bytes(32))), ANOTHER),
            ("receipt for another gateway", Fault(answer=lambda q: self.forge(q, gw="gw-2")), ANOTHER),
            ("receipt for another number", Fault(answer=lambda q: self.forge(q, seq=10 ** 6)), ANOTHER),
            ("receipt for another chain", Fault(answer=lambda q: self.forge(q, chain=bytes(8))), ANOTHER),
            ("receipt of another type", Fault(answer=lambda q: self.forge(q, kind=fp.CT_HEAD)),
             NO_RECEIPT),
            ("a head for a receipt", Fault(answer=self.a_head), NO_RECEIPT),
            ("flipped bit in a receipt", Fault(spoil=lambda q, a: (
                a[0], COSE, a[2][:-1] + bytes([a[2][-1] ^ 1]))), NOT_SIGNED),
        )

    def test_every_fault_loses_nothing_and_says_what_to_do(self):
        self.begin()
        for name, fault, sentence in self.cases():
            begun = time.monotonic()
            self.middle.spoil(fault)
            try:
                until(lambda s=sentence: s in self.text(), 30, f"{sentence!r}")
            except AssertionError as e:
                raise AssertionError(f"{name}: {e}; the page says {self.text()!r}") from None
            self.assertGreater(fault.met, 0, name)
            self.middle.fault = None
            first = self.arrived()
            try:
                until(lambda f=first: self.arrived() > f + 1 and not self.text(), 60, "uploads again")
                print(f"{name}: {time.monotonic() - begun:.1f} s", flush=True)
            except AssertionError as e:
                raise AssertionError(f"after {name}: {e}; the page says {self.text()!r}") from None
        self.compare_at_the_end()
        self.assertEqual(self.city_sql("SELECT count(*) FROM evidence"), [(0,)])
        self.assertEqual(self.events("chain.conflict") + self.events("batch.refused"), [])

    def test_three_answers_in_ten_are_lost_in_every_way(self):
        """Before, in and behind the body, and the answer behind the commit, drawn anew each time."""
        rng = random.Random(self.args.seed)

        def answer(_):
            return RESET if rng.random() < 0.15 else None

        def spoil(_, a):
            return RESET if rng.random() < 0.18 else a
        self.begin()
        self.middle.fault = fault = Fault(answer=answer, spoil=spoil)
        until(lambda: fault.met > 60, 90, "60 requests")
        self.middle.fault = None
        self.compare_at_the_end()

    def test_heads_that_answer_another_question_are_refused(self):
        """An older head, another gateway's, a stranger's, a receipt: nothing is taken back for them,
        nor acknowledged."""
        other = "gw-2"
        self.city.enroll(other, self.gw.pub_path)
        self.begin()
        old = next(a for p, a in self.middle.seen.items() if "/head" in p)
        until(lambda: self.arrived() > 5, 60, "batches that the old head does not know")

        def of_other(q):
            path = q.path.replace(f"/{self.gw.gw}/", f"/{other}/")
            return self.middle.hand_on(type(q)("GET", path, {}, b""))

        def by_stranger(q):
            nonce = q.path.split("nonce=")[1]
            protected = encode({1: -7, 3: fp.CT_HEAD, 4: fp.kid_of(self.city.key.public_key())})
            body = {"v": 1, "gw": self.gw.gw, "nonce": nonce, "chains": {}}
            return 200, COSE, fp.sign(protected, encode(body), self.stranger)

        def a_receipt(_):
            return (200, *next(a for p, a in self.middle.seen.items() if "/batches/" in p)[1:])
        for answer, sentence in (
                (lambda q: old, "of another gateway or an older question: see who answers at url"),
                (of_other, "of another gateway or an older question: see who answers at url"),
                (by_stranger, "the head is not signed by the city: see receipt_keys"),
                (a_receipt, "not a message of type")):
            self.assertEqual(self.gw.stop(), 0)
            told = len(self.events("uplink.head"))
            self.middle.fault = Fault(answer=answer, only="GET")
            first = self.arrived()
            self.gw.start()
            until(lambda t=told: len(self.events("uplink.head")) > t, 60, "the head to be refused")
            self.assertIn(sentence, self.events("uplink.head")[-1])
            self.middle.fault = None
            until(lambda f=first: self.arrived() > f + 1, 60, "uploads again")
        self.assertEqual(self.events("city.lacks"), [])
        self.compare_at_the_end()


if __name__ == "__main__":
    main()
