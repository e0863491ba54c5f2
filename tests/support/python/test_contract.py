"""The contract library against itself and against published vectors."""
import random
import struct
import sys
import unittest
from decimal import Decimal
from fractions import Fraction

from cryptography.hazmat.primitives.asymmetric import ec

import fp_contract as fp
from fp_cbor import Raw, RawMap, Refused, Tag, decode, encode

RIOT = bytes.fromhex(
    "89A5216943424F522074657374221A608404D001616D07187802F953B0A2060102F953B0A2060202183DA2060302"
    "183DA2060402C48220190267A2060504F5A20606036752494F54204F53A20607084400010203A201626B6705183D")
COSE = bytes.fromhex(
    "d28443a10126a10442313154546869732069732074686520636f6e74656e742e58408eb33e4ca31d1c465ab05aac34"
    "cc6b23d58fef5c083106c4d25a91aef0b0117e2af9a291aa32e14ab834dc56ed2a223444547e01f11d3b0916e5a4c3"
    "45cacb36")
T0 = 1_790_000_000_000


def one_batch(key, chain=b"c" * 8, seq=2, v=Decimal("230.2"), **more):
    h = fp.header(key, "gw-1", chain, seq, T0, T0 + 10_000, prev=b"p" * 32, **more)
    return fp.build(key, h, fp.senml("gw-1", [("dev-1", T0 + 1000, [("a", "V", v, 0)])]))


class Cbor(unittest.TestCase):
    def test_riot_senml_vector_is_read(self):
        x = decode(RIOT, ordered=False)
        self.assertEqual(x[0], {-2: "CBOR test", -3: 0x608404D0, 1: "m", 7: 120, 2: 61.5})
        self.assertEqual(x[1:], [{6: 1, 2: 61.5}, {6: 2, 2: 61}, {6: 3, 2: 61},
                                 {6: 4, 2: Tag(4, [-1, 615])}, {6: 5, 4: True},
                                 {6: 6, 3: "RIOT OS"}, {6: 7, 8: b"\0\1\2\3"},
                                 {1: "kg", 5: 61}])
        self.assertEqual(len(encode(x)), len(RIOT))
        with self.assertRaises(Refused):
            decode(RIOT)

    def test_rfc8949_appendix_a(self):
        for x, hexa in ((0, "00"), (23, "17"), (24, "1818"), (1000, "1903e8"), (10**12,
                        "1b000000e8d4a51000"), (2**64 - 1, "1b" + "ff" * 8), (-2**64, "3b" + "ff" *
                        8), (-1000, "3903e7"), (0.0, "f90000"), (-0.0, "f98000"), (1.1,
                        "fb3ff199999999999a"), (65504.0, "f97bff"), (100000.0, "fa47c35000"),
                        (5.960464477539063e-8, "f90001"), (1e300, "fb7e37e43c8800759c"),
                        ([1, [2, 3]], "8201820203"), ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
                        (b"\1\2", "420102"), ("\u6c34", "63e6b0b4"), (None, "f6"), (True, "f5")):
            self.assertEqual(encode(x).hex(), hexa)
            self.assertEqual(decode(bytes.fromhex(hexa)), x)

    def test_other_forms_are_refused(self):
        for hexa in ("1800", "190017", "1a0000ffff", "1b00000000ffffffff", "9fff", "5f4101ff",
                     "bfff", "a2616201616101", "a2616101616102", "fa3f800000", "fb3ff0000000000000",
                     "61ff", "82", "0000", "f97e01", "81" * 9 + "00", "f7", "f818", "1c", "a1f600"):
            with self.assertRaises(Refused, msg=hexa):
                decode(bytes.fromhex(hexa))
        decode(bytes.fromhex("81" * 8 + "00"))

    def test_every_truncation_is_refused(self):
        whole = encode([{"a": 1.5, "bc": b"1234"}, Tag(4, [-3, 70000]), "text"])
        for n in range(len(whole)):
            with self.assertRaises(Refused):
                decode(whole[:n])

    def test_raw_and_unsorted_maps_pass_the_encoder(self):
        self.assertEqual(encode([Raw(b"\x18\x00")]), b"\x81\x18\x00")
        self.assertEqual(encode(RawMap([("b", 1), ("a", 2)])).hex(), "a2616201616102")


class Numbers(unittest.TestCase):
    def test_shortest_exact_form(self):
        for x, hexa in ((5, "05"), (Fraction(1, 2), "f93800"), (Decimal("0.1"), "c4822001"),
                        (Decimal("230.2"), "c482201908fe"), (2**40, "fa53800000"),
                        (10**11, "1b000000174876e800"), (40000, "199c40"),
                        (Decimal("33554432.5"), "c482201a14000005"),
                        (Decimal("1029.6666666667"), "c482291b0000095d6128b6ab"),
                        (Fraction(20.3), "fb40344ccccccccccd"), (2**64 - 1, "1b" + "ff" * 8),
                        (Fraction(struct.unpack(">f", bytes.fromhex("41a26666"))[0]),
                         "fa41a26666"), (-2**63, "fadf000000")):
            self.assertEqual(fp.number(x).hex(), hexa, x)
            self.assertEqual(fp.exact(decode(bytes.fromhex(hexa))), Fraction(x))

    def test_other_forms_are_refused(self):
        for v in (1.0, Tag(4, [-1, 10]), Tag(4, [0, 1]), Tag(4, [1, 3]), Tag(4, [-1, 5]), 0.0,
                  float("nan"), float("inf"), True, "1", Tag(5, [-1, 3]), 40000.0, 2**40):
            with self.assertRaises(Refused, msg=repr(v)):
                fp.exact(v)
        self.assertEqual(fp.exact(-0.0), 0)

    def test_csv_text(self):
        for v, t in ((Tag(4, [-1, 2302]), "230.2"), (Tag(4, [-3, -5]), "-0.005"), (-0.0, "-0"),
                     (2.0**40, "1099511627776"), (7, "7"), (1e-7, "0.0000001"), (0.5, "0.5"),
                     (20.299999237060547, "20.299999237060547"), (-12, "-12")):
            self.assertEqual(fp.text(v), t)


class Cose(unittest.TestCase):
    def test_rfc9052_c21_vector_verifies(self):
        pub = ec.EllipticCurvePublicNumbers(
            int("bac5b11cad8f99f9c72b05cf4b9e26d244dc189f745228255a219a86d6a09eff", 16),
            int("20138bf82dc1b6d562be0fa54ab7804a3a64b6d72ccfed6b6fb6ed28bbfc117e", 16),
            ec.SECP256R1()).public_key()
        x = decode(COSE)
        self.assertEqual(x.tag, 18)
        protected, unprotected, payload, signature = x.value
        self.assertEqual(unprotected, {4: b"11"})
        self.assertEqual(
            fp.to_be_signed(protected, payload).hex(),
            "846a5369676e61747572653143a101264054546869732069732074686520636f6e74656e742e")
        c = fp.Cose.__new__(fp.Cose)
        c.protected, c.payload, c.signature = protected, payload, signature
        s = int.from_bytes(signature[32:], "big")
        if s > fp.N_P256 // 2:
            c.signature = signature[:32] + (fp.N_P256 - s).to_bytes(32, "big")
        c.verify(pub)
        c.payload = payload + b"."
        with self.assertRaises(Refused):
            c.verify(pub)

    def test_high_s_is_refused(self):
        key = fp.new_key()
        h = fp.header(key, "gw-1", b"c" * 8, 2, T0, T0 + 1, prev=b"p" * 32)
        fp.Batch(fp.build(key, h, []), key.public_key())
        with self.assertRaises(Refused):
            fp.Batch(fp.build(key, h, [], high_s=True), key.public_key())

    def test_every_bit_flip_is_refused(self):
        key = fp.new_key()
        whole = one_batch(key)
        fp.Batch(whole, key.public_key())
        for i in range(len(whole) * 8):
            bad = bytearray(whole)
            bad[i // 8] ^= 1 << (i % 8)
            with self.assertRaises(Refused, msg=f"bit {i}"):
                fp.Batch(bytes(bad), key.public_key())


class Batches(unittest.TestCase):
    def test_round_trip(self):
        key, rng = fp.new_key(), random.Random(SEED)
        polls, want = [], []
        for i in range(200):
            t = T0 + rng.randrange(10**7)
            v = Fraction(rng.randrange(-10**6, 10**6), 10 ** rng.randrange(4))
            polls.append((f"d{i % 7}", t, [("a", "V", v, 0), ("b", None, i, 1)]))
            want += [(f"d{i % 7}/a", t, v, 0), (f"d{i % 7}/b", t, Fraction(i), 1)]
        h = fp.header(key, "gw-1", b"c" * 8, 1, T0, T0 + 10**7)
        b = fp.Batch(fp.build(key, h, fp.senml("gw-1", polls)), key.public_key())
        self.assertEqual([(r.series, r.t_ms, r.x, r.q) for r in b.readings], want)

    def test_broken_rules_are_refused(self):
        key = fp.new_key()
        for more in ({"step": False}, {"after": None}, {"clk": 4}, {"clk": 3}, {"v": 2},
                     {"gaps": [["a/b", T0 - 1, T0, "off"]]}, {"gaps": [["a/b", T0, T0 + 1, "x"]]},
                     {"gw": "other"}, {"boot": b"short"}):
            with self.assertRaises(Refused, msg=repr(more)):
                h = {**fp.header(key, "gw-1", b"c" * 8, 2, T0, T0 + 10, prev=b"p" * 32), **more}
                fp.Batch(fp.build(key, h, fp.senml("gw-1", [("d", T0, [("a", "V", 1, 0)])])),
                         key.public_key())

    def test_receipt_round_trip(self):
        key, city = fp.new_key(), fp.new_key()
        b = fp.Batch(one_batch(key), key.public_key())
        r = fp.open_receipt(fp.receipt(city, b, T0, 2, b.hash), city.public_key())
        self.assertEqual((r["gw"], r["n"], r["through"]), ("gw-1", 1, [2, b.hash]))
        with self.assertRaises(Refused):
            fp.open_receipt(fp.receipt(key, b, T0, 2, b.hash), city.public_key())


class Zstd(unittest.TestCase):
    def test_frames(self):
        data = b"fieldpost" * 5000
        for n in (0, 1, 200, 300, len(data)):
            z = fp.compress(data[:n])
            self.assertEqual(fp.frame(z)[0], n)
            self.assertEqual(fp.decompress(z), data[:n])
        z = fp.compress(data)
        for bad in (fp.compress(data, size=False), z + b"\0", z[:-1], z + z, b"\0" + z):
            with self.assertRaises((Refused, IndexError)):
                fp.frame(bad)


SEED = int(sys.argv.pop()) if len(sys.argv) > 1 and sys.argv[-1].isdigit() else random.randrange(
    1 << 32)

if __name__ == "__main__":
    print(f"seed {SEED}")
    unittest.main()
