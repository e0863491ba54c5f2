"""A city that refuses, lies, drops and stays away must cost no reading, and no batch is ever sent with
other bytes."""
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_city import DROP, FakeCity, problem, relay  # noqa: E402
from fp_gatewaycase import GatewayCase  # noqa: E402
from fp_proc import City, main, until, write  # noqa: E402

AGAIN_S = 240  # within this time a batch that met trouble is to be sent again


class Sent(GatewayCase):
    def bytes_of(self):
        """Every request's bytes by (chain, seq): retries must be byte-identical."""
        sent = {}
        for r in self.city.requests:
            sent.setdefault((r.chain, r.seq), set()).add((r.raw, r.hash))
        self.assertEqual([k for k, v in sent.items() if len(v) != 1], [],
                         "a retry sent other bytes")
        return sent


class Held(Sent):
    SPEED = 4  # a batch that met trouble is held for a minute

    def treated(self, kinds, seconds):
        """Gives the first request of one data batch after another the next answer of `kinds`, each
        only after another batch has passed. All must arrive in the end; returns none voided."""
        told, passed, first = {}, [True], {}

        def hook(r):
            b = fp.Batch(r.whole)
            if not b.control and passed[0] and len(told) < len(kinds) and r.seq not in told:
                told[r.seq], passed[0] = kinds[len(told)][0], False
                first[r.chain, r.seq] = r.at
                return kinds[len(told) - 1][1](r)
            passed[0] = True
            return None
        self.city.hook = hook
        until(lambda: len(told) == len(kinds), seconds, "an upload for every answer")

        def missing():
            held = {b.seq for b in self.city.held()}
            return {seq: name for seq, name in told.items() if seq not in held}
        try:
            until(lambda: not missing(), seconds, "all to be sent again")
        except AssertionError as e:
            raise AssertionError(f"{e}: not sent again are {missing()}") from None
        for (chain, seq), at in first.items():
            again = min(r.at for r in self.city.requests if (r.chain, r.seq) == (chain, seq) and r.at > at)
            self.assertLess((again - at) * self.SPEED, AGAIN_S, f"{told[seq]}: by the gateway's clock")
        self.assertEqual([e for b in self.city.held() for e in b.entries if e[0] == "void"], [])
        self.bytes_of()

    def test_A4_answers_that_are_not_final_lose_nothing(self):
        self.site()
        self.gw.start()
        self.wait_for(1)
        html = {"Content-Type": "text/html"}
        self.treated((
                ("401", lambda r: problem(401, "unauthorized", r.hash)),
                ("403", lambda r: problem(403, "unknown_key", r.hash)),
                ("404", lambda r: problem(404, "unknown_gateway", r.hash)),
                ("413", lambda r: problem(413, "too_large", r.hash)),
                ("415", lambda r: problem(415, "unsupported_type", r.hash)),
                ("429", lambda r: problem(429, "rate", r.hash)),
                ("500", lambda r: (500, {}, b"")), ("503", lambda r: problem(
                    503, "unavailable", r.hash)),
                ("HTML 200", lambda r: (200, html, b"<html>sign in to the network</html>")),
                ("HTML 400", lambda r: (400, html, b"<html>bad_cbor</html>")),
                ("HTML with our hash", lambda r: (400, html, problem(400, "bad_cbor", r.hash)[2])),
                ("redirect", lambda r: (302, {"Location": self.city.url + "/login"}, b"")),
                ("201 without a receipt", lambda r: (201, self.city.type(), b"")),
                ("garbage for a receipt", lambda r: (201, self.city.type(), b"\xd2\x84garbage")),
                ("bad_cbor about other bytes", lambda r: problem(400, "bad_cbor", bytes(32))),
                ("bad_cbor without a hash", lambda r: (
                    400, {"Content-Type": "application/problem+json"},
                    b'{"status": 400, "code": "bad_cbor"}')),
                ("204", lambda r: (204, {}, b"")), ("dropped", lambda r: DROP),
                ("1 MB of junk", lambda r: (500, html, bytes(1 << 20)))), AGAIN_S)
        self.drain()
        self.rules()

    def test_a_receipt_that_is_not_right_is_not_applied(self):
        """Wrong signature, wrong hash, wrong gateway, another batch's receipt, `through` with a
        wrong hash: the batch is sent again until a right receipt comes."""
        stranger = fp.new_key()
        self.site()
        self.gw.start()
        self.wait_for(1)

        def forged(key=None, **change):
            def answer(r):
                b = fp.Batch(r.whole)
                body = {"v": 1, "gw": b.gw, "chain": b.chain, "seq": b.seq, "sha256": b.hash,
                        "n": len(b.readings), "received": time.time_ns() // 1_000_000,
                        "through": [0, bytes(32)], **change}
                k = key or self.city.key
                return 201, self.city.type(), fp.sign(
                    fp.encode({1: -7, 3: fp.CT_RECEIPT, 4: fp.kid_of(self.city.key.public_key())}),
                    fp.encode(body), k)
            return answer
        self.treated((("signature", forged(stranger)), ("sha256", forged(sha256=bytes(32))),
                      ("gw", forged(gw="gw-2")), ("seq", forged(seq=10 ** 6)),
                      ("chain", forged(chain=bytes(8)))), AGAIN_S)
        self.drain()
        self.rules()

    def test_a_through_with_a_wrong_hash_acknowledges_nothing(self):
        self.site()
        self.city.hook = lambda r: problem(503, "unavailable", r.hash)
        self.gw.start()
        until(lambda: len({r[5] for r in self.exported()}) >= 3, 60, "a backlog", 0.3)
        lied = []

        def hook(r):
            b = fp.Batch(r.whole)
            if lied:
                return None
            lied.append((b.chain, b.seq))
            return 201, self.city.type(), fp.receipt(self.city.key, b, 1, b.seq + 50, bytes(32))
        self.city.hook = hook
        self.wait_for(3, 90)
        self.city.hook = None
        want = {(b, int(s)) for b, s in {r[4:6] for r in self.exported()}}
        until(lambda: want - {(c.hex(), s) for c, s in lied} <= {
            (b.chain.hex(), b.seq) for b in self.city.held()}, 90, "all the others to arrive")
        self.gw.stop()


class Uploads(Sent):
    def test_A5_a_reply_lost_after_the_commit_is_a_harmless_repeat(self):
        self.site()
        tries = {}

        def after(r):
            tries[r.chain, r.seq] = tries.get((r.chain, r.seq), 0) + 1
            return DROP if tries[r.chain, r.seq] == 1 else None
        self.city.after = after
        self.gw.start()
        self.wait_for(4, 90)
        self.city.after = None
        self.drain(90)
        self.rules()
        self.bytes_of()
        self.assertIn(200, {r.status for r in self.city.requests})

    def test_B1_every_retry_carries_the_same_number_and_the_same_bytes(self):
        """Also when the gateway is killed and configured anew between two tries, and when the city
        has the batch already."""
        self.city.hook = lambda r: None if fp.Batch(r.whole).control else DROP
        for every in ("2s", "1h", "30min"):  # the later two seal nothing new, which would go first
            self.site(every=every)
            first = {(r.chain, r.seq) for r in self.city.requests if r.status == DROP}
            before = len(self.city.requests)
            self.gw.start()
            until(lambda: (lambda tried: tried & first if first else tried)(
                {(r.chain, r.seq) for r in self.city.requests[before:] if r.status == DROP}),
                  AGAIN_S, "a batch of the life before to be tried again")
            self.gw.kill()
        tries = {}

        def after(r):
            tries[r.chain, r.seq] = tries.get((r.chain, r.seq), 0) + 1
            return DROP if tries[r.chain, r.seq] <= 2 else None  # libcurl tries again by itself
        self.city.hook, self.city.after = None, after
        self.site()
        self.gw.start()
        self.wait_for(4, AGAIN_S)
        self.city.after = None
        self.drain(AGAIN_S)
        repeated = self.repeated()
        self.assertGreaterEqual(len(repeated), 4)
        for tried in repeated:
            for header in ("content-type", "content-encoding"):
                self.assertEqual(len({r.headers.get(header) for r in tried}), 1, tried[0].path)
            self.assertEqual(len({(r.path, r.raw, r.hash) for r in tried}), 1, tried[0].path)

    def repeated(self):
        """The requests of each batch that was sent more than once."""
        tried = {}
        for r in self.city.requests:
            tried.setdefault((r.chain, r.seq), []).append(r)
        return [t for t in tried.values() if len(t) > 1]

    def test_B2_every_third_reply_lost_doubles_no_row(self):
        """The real city commits; its answer is dropped 30 % of the time."""
        city = City(self.args.bin, os.path.join(self.folder, "real"))
        city.enroll(self.gw.gw, self.gw.pub_path)
        city.start()
        self.stack.callback(city.stop)
        rng, passing, dropped = random.Random(self.args.seed), relay(self.city, city), []

        def hook(r):
            answer = passing(r)
            if rng.random() < 0.3:
                dropped.append(r.seq)
                return DROP
            return answer
        self.city.hook = hook
        self.site(city=city, every="1s")
        self.gw.start()
        until(lambda: len(dropped) >= 6, 120, "six answers to be dropped")
        self.city.hook = passing
        self.drain(90)
        rows = [tuple(r[1:]) for r in city.rows()]
        self.assertEqual(len(rows), len(set(rows)))
        held = {r[4:6] for r in rows}
        self.assertEqual(sorted(rows), sorted(r for r in self.exported() if r[4:6] in held))
        self.bytes_of()

    def test_B3_after_an_outage_the_newest_goes_first_then_the_backlog_oldest_first(self):
        self.site()
        self.gw.start()
        self.wait_for(1)
        self.city.stop()
        before = len(self.city.requests)
        seqs = {r[5] for r in self.exported()}
        until(lambda: len({r[5] for r in self.exported()} - seqs) >= 6, 60, "a backlog of 6", 0.3)
        self.city.start()
        self.wait_for(8, 120)
        late = [r for r in self.city.requests[before:] if r.status in (200, 201)]
        said = [(r.seq, "backfill" if r.backfill else "live", r.status)
                for r in self.city.requests[before:]]
        first = next(r for r in late if not fp.Batch(r.whole).control)
        backlog = [r for r in late if r.backfill]
        self.assertFalse(first.backfill, "the newest batch is no backfill")
        self.assertGreater(len(backlog), 3, said)
        self.assertTrue(all(first.seq > r.seq for r in backlog[:3]), "newest first")
        self.assertEqual([r.seq for r in backlog], sorted(r.seq for r in backlog))
        self.drain(90)
        self.rules()

    def test_J1_a_final_refusal_is_voided_and_the_rest_flows(self):
        for code in ("bad_cbor", "bad_signature"):
            with self.subTest(code):
                poison = []

                def hook(r, poison=poison, code=code):
                    b = fp.Batch(r.whole)
                    if not poison and not b.control:
                        poison.append(b)
                    if poison and poison[0].hash == b.hash:
                        return problem(400, code, r.hash)
                    return None
                if self.gw.proc is None:
                    self.site()
                    self.gw.start()
                    self.wait_for(1)
                self.city.hook = hook
                until(lambda p=poison: p, 30, "a batch to poison")
                bad = poison[0]

                def voided(bad=bad):
                    return [e for b in self.city.held() if b.chain == bad.chain for e in b.entries
                            if e[0] == "void" and e[1] <= bad.seq <= e[2] and
                            bad.hash in e[3]]
                until(voided, 90, "a void entry that names the refused batch and its hash")
                self.wait_for(len(self.data()) + 2)
                self.assertEqual(len(voided()), 1)
        self.assertEqual(self.gw.stop(), 0)

    def test_tls_is_always_verified(self):
        other = FakeCity(os.path.join(self.folder, "other"))
        self.site()
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        other.start()
        other.stop()
        write(self.gw.conf, text.replace(self.city.ca, other.ca))
        self.gw.start()
        until(lambda: len({r[5] for r in self.exported()}) >= 3, 60, "sealed batches", 0.3)
        self.assertEqual(self.city.requests, [], "sent to a city whose certificate is not trusted")
        self.assertEqual(self.gw.stop(), 0)
        write(self.gw.conf, text)
        self.gw.start()
        self.wait_for(3)
        self.drain()
        self.rules()


if __name__ == "__main__":
    main()
