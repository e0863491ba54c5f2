"""The real fieldpost-city against the contract: what it stores, answers, refuses and survives.
Written from DESIGN sections 4 to 6 and the batch rules, without reading the city's sources."""
import json
import os
import resource
import socket
import sqlite3
import ssl
import sys
import time
from decimal import Decimal
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_bad  # noqa: E402
import fp_contract as fp  # noqa: E402
from fp_cbor import Raw, encode  # noqa: E402
from fp_citycase import GW, T0, CityCase  # noqa: E402
from fp_proc import PUT_HEADERS, main, put_path, until, write  # noqa: E402


class Stores(CityCase):
    def test_201_gives_a_receipt_that_says_all_it_must(self):
        chain, batches = self.chain(4)
        for seq, whole in batches:
            before = time.time_ns() // 1_000_000
            r = fp.open_receipt(self.stored(chain, seq, whole), self.city.pub)
            after = time.time_ns() // 1_000_000
            self.assertEqual((r["gw"], r["chain"], r["seq"]), (GW, chain, seq))
            self.assertEqual(r["sha256"], fp.sha256(whole))
            self.assertEqual(r["n"], 0 if seq == 1 else 3)
            self.assertTrue(before - 1 <= r["received"] <= after + 1, r["received"])
            self.assertEqual(r["through"], [seq, fp.sha256(whole)])

    def test_identity_transport_is_taken_too(self):
        chain, batches = self.chain(1)
        status, _, body = self.https.request(
            "PUT", put_path(GW, chain, 1), batches[0][1],
            {"Content-Type": PUT_HEADERS["Content-Type"]})
        self.assertEqual(status, 201, body)

    def test_same_bytes_again_give_the_first_receipt_byte_for_byte(self):
        chain, batches = self.chain(3)
        first = [self.stored(chain, *b) for b in batches]
        for _ in range(2):
            for (seq, whole), receipt in zip(batches, first):
                self.assertEqual(self.put(chain, seq, whole)[::2], (200, receipt))
        again = self.put(chain, 2, batches[1][1], body=fp.compress(batches[1][1], "-19"))
        self.assertEqual(again[::2], (200, first[1]))
        self.assertEqual(len(self.city.rows()), 6)

    def test_other_bytes_under_a_taken_number_are_conflict_and_never_counted(self):
        chain, batches = self.chain(3)
        for b in batches:
            self.stored(chain, *b)
        before = self.city.dump()
        _, other = self.chain(3, chain=chain, readings=9)
        self.refusal(self.put(chain, *other[1]), {"conflict"}, other[1][1], {409})
        self.refusal(self.put(chain, *other[1]), {"conflict"}, other[1][1], {409})
        self.assertEqual(self.put(chain, *batches[1])[0], 200)
        self.assertEqual(self.city.dump(), before)
        self.sound()

    def test_unknown_keys_and_entries_are_kept_and_ignored(self):
        chain = self.chain_id()
        h = fp.header(self.key, GW, chain, 1, T0, T0, control=True, future={"a": [1]})
        one = fp.build(self.key, h, [["future", 1, None],
                                     ["plan", "dev-1/a", "number", None, 0, T0]])
        self.stored(chain, 1, one)
        h = fp.header(self.key, GW, chain, 2, T0, T0 + 10, prev=fp.sha256(one), x=1.5)
        self.stored(chain, 2, fp.build(self.key, h, [fp_bad.record(x=[1, {"y": None}], k1=None)]))
        self.assertEqual([r[1:4] for r in self.city.rows()], [["dev-1/a", str(T0), "5"]])

    def test_backfill_header_and_old_times_are_never_refused(self):
        for t0 in (1_000_000_000_000, T0 - 10 ** 11, T0 + 10 ** 11):
            chain, batches = self.chain(3, t0=t0)
            for seq, whole in reversed(batches):
                self.stored(chain, seq, whole, headers={"Fieldpost-Backfill": "1"})
        self.assertEqual(len(self.city.rows()), 18)


class Refuses(CityCase):
    def test_every_broken_rule_is_refused_and_nothing_is_stored(self):
        chain, batches = self.chain(1, chain=fp_bad.CHAIN)
        self.stored(chain, *batches[0])
        self.stored(fp_bad.CHAIN, 3, fp_bad.good(self.key, 3))
        before, wrong = self.city.dump("--raw"), []
        for name, whole, codes in fp_bad.cases(self.key, fp.new_key()):
            seq = 1 if name.startswith("seq 1 ") else 2
            try:
                self.refusal(self.put(fp_bad.CHAIN, seq, whole), codes,
                             None if len(whole) > fp.MAX_WHOLE else whole)
            except AssertionError as e:
                wrong.append(f"{name}: {str(e)[:300]}")
        self.assertEqual(self.city.dump("--raw"), before)
        self.assertEqual(self.head()[fp_bad.CHAIN]["missing"], [[2, 2]])
        self.sound()
        self.stored(fp_bad.CHAIN, 2, fp_bad.good(self.key))
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_address_must_agree_with_the_header(self):
        chain, batches = self.chain(2)
        seq, whole = batches[1]
        other = fp.new_key()
        self.enroll("gw-2", other)
        self.refusal(self.put(chain, seq, whole, gw="gw-9"), {"unknown_gateway"})
        self.refusal(self.put(chain, seq, whole, gw="gw-2"), {"wrong_gateway"})
        self.refusal(self.put(self.chain_id(), seq, whole), fp.CODES)
        self.refusal(self.put(chain, 3, whole), fp.CODES)
        # gw-2's enrolled key does not sign for gw-1, nor gw-1's for gw-2.
        _, stolen = self.chain(2, key=other, chain=chain)
        self.refusal(self.put(chain, *stolen[1]), {"unknown_key", "bad_signature"})
        self.assertEqual((self.city.rows(), self.head()), ([], {}))

    def test_odd_addresses_and_methods_are_refused(self):
        chain, batches = self.chain(1)
        body, c = fp.compress(batches[0][1]), chain.hex()
        for path in (f"/v1/gateways/{GW}/batches/{c}/01", f"/v1/gateways/{GW}/batches/{c}/0",
                     f"/v1/gateways/{GW}/batches/{c}/-1", f"/v1/gateways/{GW}/batches/{c}/1/",
                     f"/v1/gateways/{GW}/batches/{c[:-1]}/1", f"/v1/gateways//batches/{c}/1",
                     f"/v1/gateways/{GW}/batches/{c}/{2 ** 64 + 1}", f"/v1/gateways/{GW}/batches",
                     f"/v1/gateways/%2e%2e/batches/{c}/1", "/", "/v2/", "//v1/gateways",
                     f"/v1/gateways/{GW}/../{GW}/batches/{c}/1x"):
            status, _, text = self.https.request("PUT", path, body, PUT_HEADERS)
            self.assertIn(status, range(400, 500), (path, text))
        for method in ("POST", "DELETE", "PATCH"):
            status, _, text = self.https.request(method, put_path(GW, chain, 1), body, PUT_HEADERS)
            self.assertIn(status, (404, 405, 501), (method, text))
        self.assertEqual(self.head(), {})

    def test_transport_is_checked(self):
        chain, batches = self.chain(1)
        seq, whole = batches[0]
        z = fp.compress(whole)
        self.refusal(self.put(chain, seq, whole, headers={"Content-Type": "application/json"}),
                     {"unsupported_type"}, statuses={415})
        self.refusal(self.put(chain, seq, whole, headers={"Content-Encoding": "gzip"}),
                     {"unsupported_type"}, statuses={415})
        for name, body in (("no content size", fp.compress(whole, size=False)),
                           ("bytes behind the frame", z + b"\0"), ("two frames", z + z),
                           ("a cut frame", z[:-3]), ("no frame", b"\x28\xb5\x2f\xfd"),
                           ("not zstd", whole),
                           ("a skippable frame first", b"\x50\x2a\x4d\x18\0\0\0\0" + z),
                           ("window of 16 MiB", fp.compress(bytes(whole) + bytes(20 << 20),
                                                            "--ultra", "-22", "--long=24"))):
            with self.subTest(name):
                self.refusal(self.put(chain, seq, whole, body=body),
                             {"bad_cbor", "too_large", "unsupported_type"})
        began = time.monotonic()
        bomb = fp.compress(bytes(1 << 30), "-3")
        made = time.monotonic()
        self.refusal(self.put(chain, seq, whole, body=bomb[:900_000]), {"too_large", "bad_cbor"})
        small = fp.compress(bytes(2 << 20))
        self.refusal(self.put(chain, seq, whole, body=small), {"too_large", "bad_cbor"})
        self.assertLess(time.monotonic() - made, 10, f"the bomb took {made - began} s to make")
        self.assertEqual(self.head(), {})
        self.stored(chain, seq, whole, body=fp.compress(whole, "-3", "--no-check"))

    def flipped(self, whole, before, behind=0):
        """The batch with the lowest bit of the byte flipped that ends `before`."""
        at = whole.index(before) + len(before) - 1 + behind
        return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:]

    def test_a_flipped_bit_in_each_field_is_refused_by_its_name_and_counts_nothing(self):
        self.enroll("gw-0", self.key)
        first = fp_bad.good(self.key, 3)
        self.stored(fp_bad.CHAIN, 3, first)
        whole, c = fp_bad.good(self.key), fp_bad.CHAIN
        before = self.city.dump("--raw")

        def field(name, value):
            return self.flipped(whole, encode(name) + encode(value))
        other = c[:-1] + bytes([c[-1] ^ 1])
        # (what, bytes, chain, seq and gateway of the URL, code)
        table = [("gw", field("gw", GW), c, 2, GW, "bad_cbor"),  # not that of bn
                 ("gw and URL", field("gw", GW), c, 2, "gw-0", "bad_cbor"),
                 ("chain", field("chain", c), c, 2, GW, "wrong_gateway"),
                 ("chain and URL", field("chain", c), other, 2, GW, "bad_signature"),
                 ("seq", field("seq", 2), c, 2, GW, "wrong_gateway"),
                 ("seq and URL", field("seq", 2), c, 3, GW, "bad_signature"),
                 ("prev", field("prev", b"p" * 32), c, 2, GW, "bad_signature"),
                 ("boot", field("boot", b"\1" * 8), c, 2, GW, "bad_signature"),
                 ("clk", field("clk", 0), c, 2, GW, "bad_signature"),
                 ("from", field("from", T0), c, 2, GW, "bad_signature"),
                 ("to", field("to", T0 + 10_000), c, 2, GW, "bad_signature"),
                 ("v", field("v", 1), c, 2, GW, "version"),
                 ("kid", field(4, fp.kid_of(self.key.public_key())), c, 2, GW, "unknown_key"),
                 ("alg", self.flipped(whole, b"\x01\x26"), c, 2, GW, "bad_cbor"),
                 ("payload", self.flipped(whole, b"\x02\x05"), c, 2, GW, "bad_signature"),
                 ("r", self.flipped(whole, whole[-64:-32]), c, 2, GW, "bad_signature"),
                 ("s", whole[:-1] + bytes([whole[-1] ^ 1]), c, 2, GW, "bad_signature"),
                 ("nothing, another gateway's URL", whole, c, 2, "gw-0", "wrong_gateway"),
                 ("nothing, no gateway's URL", whole, c, 2, "gw-9", "unknown_gateway"),
                 ("nothing, a taken number's URL", whole, c, 3, GW, "wrong_gateway")]
        final = {"bad_cbor": 400, "bad_signature": 400}
        status = {"wrong_gateway": 403, "unknown_key": 403, "unknown_gateway": 404,
                  "version": 400} | final
        for what, bad, chain, seq, gw, code in table:
            with self.subTest(what):
                p = self.refusal(self.put(chain, seq, bad, gw=gw), {code},
                                 bad if code in final else None, {status[code]})
                self.assertEqual(p["status"], status[code])
        self.assertEqual(self.city.dump("--raw"), before)
        self.assertEqual(self.head()[c]["missing"], [[1, 2]])
        self.assertEqual(list(self.head()), [c])
        # A replay is known, and changes nothing.
        self.assertEqual(self.put(c, 3, first)[0], 200)
        self.assertEqual(self.city.dump("--raw"), before)

    def test_random_bit_flips_are_refused(self):
        whole = fp_bad.good(self.key)
        for _ in range(200):
            i = self.rng.randrange(len(whole) * 8)
            bad = bytearray(whole)
            bad[i // 8] ^= 1 << (i % 8)
            self.refusal(self.put(fp_bad.CHAIN, 2, bytes(bad)), fp.CODES, bytes(bad))
        self.assertEqual(self.head(), {})


class Rate(CityCase):
    """One client may ask only so often; it is told when it may again."""

    def setUp(self):
        super().setUp()
        self.https.close()
        self.city.stop()
        self.city.more = "rate: 30\n"
        self.city.config(self.city.port)
        self.connect()

    def test_too_many_requests_about_one_gateway_are_put_off_and_lose_nothing(self):
        self.enroll("gw-2", self.key)
        chain, batches = self.chain(40)
        answers = [self.put(chain, *b) for b in batches]
        self.assertEqual({a[0] for a in answers[:30]}, {201})
        late = [a for a in answers[30:] if a[0] != 201]
        self.assertGreater(len(late), 5)
        for a in late:
            self.refusal(a, {"rate"}, statuses={429})
            self.assertIn(int(a[1]["retry-after"]), range(1, 4))
        # Another gateway has a rate of its own; reading counts as sending does.
        other, two = self.chain(1, gw="gw-2")
        self.assertEqual(self.put(other, *two[0], gw="gw-2")[0], 201)
        status, headers, _ = self.https.request("GET", f"/v1/gateways/{GW}/head?nonce=00")
        self.assertEqual((status, "retry-after" in headers), (429, True))

        def again():
            status = self.put(chain, *batches[39])[0]
            self.assertIn(status, (201, 200, 429))
            return status != 429
        until(again, 30, "the rate to allow it")


class Full(CityCase):
    """What the city cannot store now it puts off, and says so."""

    def put_off(self, answer):
        p = self.refusal(answer, {"unavailable"}, statuses={503})
        self.assertGreater(int(answer[1]["retry-after"]), 0)
        return p

    def test_a_database_that_another_program_holds_puts_off(self):
        chain, batches = self.chain(2)
        self.stored(chain, *batches[0])
        db = sqlite3.connect(self.city.db, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        p = self.put_off(self.put(chain, *batches[1]))
        self.assertIn("locked", p["detail"])
        db.execute("ROLLBACK")
        db.close()
        self.stored(chain, *batches[1])

    def test_a_full_disk_puts_off(self):
        """The city may write to no file: as on a full disk, for SQLite."""
        chain, batches = self.chain(8)
        self.https.close()
        self.city.stop()
        exe = self.city.exe
        self.city.exe = write(os.path.join(self.folder, "full"),
                              f"#!/bin/sh\ntrap '' XFSZ\nexec {exe} \"$@\"\n", 0o755)
        self.connect()
        self.stored(chain, *batches[0])
        pid = self.city.proc.p.pid
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        for b in batches[1:3]:
            self.put_off(self.put(chain, *b))
        self.assertEqual(len(self.city.rows()), 0)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
        for b in batches[1:]:
            self.stored(chain, *b)
        self.assertEqual(len(self.city.rows()), 21)
        self.sound()


class Clients(CityCase):
    """Clients that cut, flood and dawdle."""

    def raw(self):
        c = ssl.create_default_context(cafile=self.city.ca).wrap_socket(
            socket.create_connection(("127.0.0.1", self.city.port), 60),
            server_hostname="127.0.0.1")
        self.stack.callback(c.close)
        return c

    @staticmethod
    def request_head(chain, seq, length):
        return (f"PUT {put_path(GW, chain, seq)} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                f"Content-Type: {PUT_HEADERS['Content-Type']}\r\nContent-Encoding: zstd\r\n"
                f"Content-Length: {length}\r\n\r\n").encode()

    def test_a_cut_body_stores_nothing(self):
        chain, batches = self.chain(1)
        z = fp.compress(batches[0][1])
        for n in (0, 1, len(z) // 2, len(z) - 1):
            c = self.raw()
            c.sendall(self.request_head(chain, 1, len(z)) + z[:n])
            c.close()
        self.assertEqual(self.head(), {})
        self.stored(chain, *batches[0])

    def test_20_mb_are_refused_without_being_read(self):
        chain, batches = self.chain(1)
        c = self.raw()
        c.settimeout(30)
        c.sendall(self.request_head(chain, 1, 20 << 20))
        sent, answer = 0, b""
        try:
            while sent < 20 << 20:
                c.sendall(bytes(16384))
                sent += 16384
        except OSError:
            pass
        try:
            while True:
                more = c.recv(65536)
                if not more:
                    break
                answer += more
                if b"too_large" in answer:
                    break
        except OSError:
            pass
        self.assertTrue(answer.startswith(b"HTTP/1.1 413"), (sent, answer[:300]))
        self.assertIn(b"too_large", answer)
        self.stored(chain, *batches[0])

    def test_slow_clients_are_ended_and_do_not_hold_up_others(self):
        chain, batches = self.chain(1)
        z = fp.compress(batches[0][1])
        slow = [self.raw() for _ in range(8)]
        for c in slow:
            c.sendall(self.request_head(chain, 1, len(z)))
        began = time.monotonic()
        self.stored(chain, *batches[0])
        self.assertLess(time.monotonic() - began, 5)
        alive, byte, end = set(slow), 0, began + 90

        def trickle():
            nonlocal byte
            for c in list(alive):
                try:
                    c.settimeout(0.001)
                    try:
                        if c.recv(4096) == b"":
                            raise OSError
                    except (TimeoutError, ssl.SSLWantReadError):
                        pass
                    c.sendall(z[:1])
                except OSError:
                    alive.discard(c)
            byte += 1
            return not alive
        until(trickle, end - time.monotonic(), f"{len(alive)} slow clients still served", 0.5)

    def test_garbage_before_tls_and_idle_connections_harm_nobody(self):
        chain, batches = self.chain(1)
        idle = []
        for i in range(20):
            s = socket.create_connection(("127.0.0.1", self.city.port), 10)
            self.stack.callback(s.close)
            if i % 2:
                s.sendall(b"GET / HTTP/1.1\r\n\r\n" + self.rng.randbytes(200))
            idle.append(s)
        self.stored(chain, *batches[0])


class Heads(CityCase):
    def test_head_names_missing_ranges_and_the_last_without_a_hole(self):
        chain, batches = self.chain(9)
        by = dict(batches)
        for seq in (2, 5, 9):
            self.stored(chain, seq, by[seq])
        h = self.head()[chain]
        self.assertEqual((h["through"][0], h["missing"], h["broken"]),
                         (0, [[1, 1], [3, 4], [6, 8]], []))
        r = fp.open_receipt(self.stored(chain, 1, by[1]), self.city.pub)
        self.assertEqual(r["through"], [2, fp.sha256(by[2])])
        h = self.head()[chain]
        self.assertEqual((h["through"], h["missing"]), ([2, fp.sha256(by[2])], [[3, 4], [6, 8]]))
        for seq in (3, 4, 6, 7, 8):
            r = fp.open_receipt(self.stored(chain, seq, by[seq]), self.city.pub)
        self.assertEqual(r["through"], [9, fp.sha256(by[9])])
        self.assertEqual(self.head()[chain], {"through": [9, fp.sha256(by[9])], "missing": [],
                                              "broken": []})

    def test_a_broken_link_is_stored_and_named(self):
        for order in ((1, 2, 3, 4), (4, 3, 2, 1)):
            chain, batches = self.chain(4)
            by = dict(batches)
            _, other = self.chain(4, chain=chain, readings=5)
            by[3] = dict(other)[3]
            for seq in order:
                self.stored(chain, seq, by[seq])
            broken = self.head()[chain]["broken"]
            self.assertTrue(set(broken) & {3, 4} and set(broken) <= {3, 4}, broken)

    def test_each_head_answers_its_own_nonce(self):
        status, _, _ = self.https.request("GET", f"/v1/gateways/{GW}/head")
        self.assertIn(status, (200, 400))
        self.assertEqual(self.head("00" * 16), {})
        for nonce in ("x" * 3000, ""):
            status, _, _ = self.https.request("GET", f"/v1/gateways/{GW}/head?nonce={nonce}")
            self.assertIn(status, (200, 400, 413, 414, 431))
        status, _, body = self.https.request("GET", "/v1/gateways/gw-9/head?nonce=00")
        self.assertEqual((status, json.loads(body)["code"]), (404, "unknown_gateway"))


class Dumps(CityCase):
    def one(self, polls, chain=None, seq=1, prev=None, boot=b"boot-no1", t0=T0, t1=T0 + 10 ** 6,
            **more):
        chain = chain or self.chain_id()
        h = fp.header(self.key, GW, chain, seq, t0, t1, prev=prev, boot=boot, **more)
        whole = fp.build(self.key, h, fp.senml(GW, polls))
        self.stored(chain, seq, whole)
        return chain, whole

    def test_numbers_print_exactly_and_without_exponent(self):
        values = [0, -1, 2 ** 64 - 1, -2 ** 63, Decimal("230.2"), Decimal("-0.005"),
                  Decimal("1029.6666666667"), Decimal("1e-12"), Fraction(1, 2), Fraction(0.1),
                  Fraction(1e21), Fraction(5e-324), Fraction(1.7976931348623157e308),
                  Decimal("33554432.5"), 2 ** 40, Fraction(20.3), Decimal("1e-7"), 10 ** 19]
        wire = [fp.decode(fp.number(v)) for v in values] + [-0.0]
        chain, _ = self.one([("dev-1", T0 + i, [("a", None, Raw(encode(v)), 0)])
                             for i, v in enumerate(wire)])
        rows = self.city.rows()
        self.assertEqual([r[:3] for r in rows],
                         [[GW, "dev-1/a", str(T0 + i)] for i in range(len(wire))])
        for r, v in zip(rows, wire):
            self.assertEqual(r[3], fp.text(v))
        self.assertEqual({tuple(r[4:]) for r in rows}, {("0", chain.hex(), "1")})

    def test_rows_are_sorted_and_repeats_across_chains_print_once(self):
        a = [("dev-2", T0 + 500, [("b", "V", 1, 0), ("a", "V", 2, 4)]),
             ("dev-1", T0 + 1000, [("a", "V", 3, 0)]), ("dev-1", T0, [("a", "V", 4, 0)])]
        first, _ = self.one(a)
        self.one(a)                                              # a repeat of all four
        self.one(a, boot=b"boot-no2")                            # another boot: no repeat
        self.one([("dev-1", T0, [("a", "V", 5, 0)])])            # another value
        self.one([("dev-1", T0, [("a", "V", 4, 1)])])            # another quality
        rows = self.city.rows()
        self.assertEqual([r[1:3] for r in rows], sorted(
            ([r[1], r[2]] for r in rows), key=lambda r: (r[0], int(r[1]))))
        self.assertEqual(len(rows), 4 + 4 + 1 + 1)
        self.assertEqual(sum(r[5] == first.hex() for r in rows), 4)

    def test_nothing_is_dropped_inside_a_chain(self):
        same = [("dev-1", T0, [("a", "V", 7, 0)])]
        chain, whole = self.one(same + same)
        self.one(same, chain, 2, fp.sha256(whole))
        self.assertEqual([r[3] for r in self.city.rows()], ["7"] * 3)

    def test_time_and_correct_entries_apply_unless_raw(self):
        chain, boot = self.chain_id(), b"boot-no3"
        base = fp.UNKNOWN_TIME_S * 1000
        _, whole = self.one([("dev-1", base + 5000, [("a", "V", 1, 64)]),
                             ("dev-1", base + 6000, [("a", "V", 2, 64 | 1)])],
                            chain, boot=boot, t0=base, t1=base + 10_000, clk=3)
        add = T0 - base
        entries = [["time", boot, 1, 1, add - 777, 50], ["time", boot, 1, 1, add, 20],
                   ["correct", "c1", "dev-1/a", T0 + 6000, T0 + 6001, "invalidate", None,
                    "test", "author"]]
        h = fp.header(self.key, GW, chain, 2, base + 10_000, base + 10_000,
                      prev=fp.sha256(whole), control=True, boot=boot, clk=3)
        self.stored(chain, 2, fp.build(self.key, h, entries))
        self.assertEqual([r[2:5] for r in self.city.rows("--raw")],
                         [[str(base + 5000), "1", "64"], [str(base + 6000), "2", "65"]])
        self.assertEqual([r[2:5] for r in self.city.rows()], [[str(T0 + 5000), "1", "128"]])

    def test_gaps_and_readings_are_served(self):
        gap = ["dev-1/a", T0 + 10, T0 + 20, "device"]
        self.one([("dev-1", T0 + 1000 * i, [("a", "V", i, 0)]) for i in range(9)], gaps=[gap])
        status, _, body = self.https.request("GET", f"/v1/gateways/{GW}/gaps")
        self.assertEqual(status, 200, body)
        for part in (b"dev-1/a", str(T0 + 10).encode(), str(T0 + 20).encode(), b"device"):
            self.assertIn(part, body)
        status, _, body = self.https.request(
            "GET", f"/v1/gateways/{GW}/readings?series=dev-1/a&from={T0 + 2000}&to={T0 + 5000}")
        self.assertEqual(status, 200, body)
        found = [str(T0 + 1000 * i).encode() in body for i in range(9)]
        self.assertEqual(found[2:5], [True] * 3, body)
        self.assertFalse(any(found[:2] + found[6:]), body)


class Program(CityCase):
    def test_enroll_says_what_is_wrong(self):
        for gw, pub in (("../x", None), ("", None), ("gw-3", "/nowhere.pub"),
                        ("gw-3", self.city.conf)):
            r = self.city.enroll(gw, pub or os.path.join(self.folder, f"{GW}.pub"), ok=None)
            self.assertIn(r.returncode, (1, 2), (gw, pub))
            self.assertGreater(len(r.stderr.strip()), 10, (gw, pub))

    def test_enrolling_the_same_key_again_changes_nothing(self):
        chain, batches = self.chain(1)
        self.enroll(GW, self.key)
        self.stored(chain, *batches[0])


if __name__ == "__main__":
    main(needs=("fieldpost-city",))
