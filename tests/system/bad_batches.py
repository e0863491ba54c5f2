"""bad_batches.py DIR: leaves in DIR the device's public key, every batch of fp_bad that breaks a rule
(and the name of the rule), and good batches with values of every form, for verifiers in other
languages to be judged by."""
import json
import os
import random
import sys
from fractions import Fraction

from cryptography.hazmat.primitives import serialization

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support", "python"))
import fp_bad  # noqa: E402
import fp_contract as fp  # noqa: E402
from fp_cbor import Raw, Refused, decode, encode  # noqa: E402

VALUES = 2000


def values(rng):
    """Exact values of all sizes, each once, with the bytes of its one form."""
    edges = [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53, 2**63, 2**64 - 1, -1, -24, -25,
             -2**63, Fraction(1, 2), Fraction(1, 10), Fraction(33554435, 2), Fraction(1, 2**24), 65504, 65505]
    seen = set()
    while len(seen) < VALUES:
        if edges:
            x = Fraction(edges.pop())
        else:
            x = Fraction(rng.choice([rng.getrandbits(rng.randint(1, 63)),
                                     float.fromhex(f"{rng.getrandbits(53)}p{rng.randint(-80, 20)}"),
                                     Fraction(rng.getrandbits(rng.randint(1, 60)), 10 ** rng.randint(0, 20)),
                                     Fraction(rng.getrandbits(11), 2 ** rng.randint(0, 24))])) * rng.choice([1, -1])
        if x not in seen:
            try:
                fp.number(x)
            except (ValueError, OverflowError):
                continue
            seen.add(x)
            yield x


def spki(pub):
    return pub.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


MIDNIGHT = 1_790_010_000_000  # 2026-09-21T17:00:00Z, when a day of Viet Nam ends
WINDOW = 600_000
ROTATION = "rotation"


class Chain:
    """Batches one behind the other; what a case changes in one of them is not repaired in the next."""

    def __init__(self, key, chain=fp_bad.CHAIN, gw=fp_bad.GW):
        self.key, self.chain, self.gw, self.wholes, self.to = key, chain, gw, [], MIDNIGHT - 5 * WINDOW

    def hash(self, seq):
        return fp.sha256(self.wholes[seq - 1])

    def add(self, payload=None, **change):
        seq, control = len(self.wholes) + 1, payload is not None
        to = self.to if control else self.to + WINDOW
        h = fp.header(self.key, self.gw, self.chain, seq, self.to, to,
                      **({"prev": self.hash(seq - 1)} if seq > 1 else {}), control=control)
        record = fp_bad.record(kn2=f"{self.gw}/dev-1/", kn3=self.to // 1000 + 1)
        self.wholes.append(fp.build(self.key, {**h, **change}, payload if control else [record]))
        self.to = change.get("to", to)
        return self

    def run(self, last, change):
        d = {"day": "2026-09-21", "from": 1, "to": last, "readings": last, "gaps": 0, "hash": bytes(32)}
        for seq in range(1, last + 1):
            d["hash"] = fp.sha256(d["hash"] + self.hash(seq))
        return list({**d, **change}.values())

    def digest(self, last, **change):
        return self.add([["digest", *self.run(last, change)]])

    def rest(self, last, **change):
        """What a later chain says of this one."""
        return [["rest", self.chain, *self.run(last, change)]]


def chains(key):
    """(name, its batches, numbers left out, what the page must call it: a code of words.js or None, the
    same for the day). Names with ROTATION are of keys that follow each other."""
    def day(**change):
        return Chain(key).add().add().add().add().add().digest(5, **change).wholes
    yield "a good day", day(), (), None, None
    yield "a missing batch", day(), (3,), "hole_one", "digest_missing"
    yield "two missing batches", day(), (3, 4), "hole", "digest_missing"
    yield "another hash", day(hash=bytes(32)), (), "digest_hash", "digest_hash"
    yield "another count", day(readings=6), (), "digest_count", "digest_count"
    yield "other gaps", day(gaps=1), (), "digest_count", "digest_count"
    yield "another day", day(day="2026-09-22"), (), "digest_day", "digest_none"
    yield "a day that ends before itself", day(**{"from": 6}), (), "digest_range", "digest_range"
    yield "no digest", Chain(key).add().add().wholes, (), None, "digest_none"
    yield "behind the digest", Chain(key).add().add().digest(2).add().wholes, (), None, "digest_uncovered"
    for name, out, entry, fault, told in (
            ("a rest told by the next chain", (), {}, None, "good"),
            ("a rest of other bytes", (), {"hash": bytes(32)}, "digest_hash", "digest_hash"),
            ("a rest of another day", (), {"day": "2026-09-22"}, "digest_day", "digest_none"),
            ("a rest with a hole", (2,), {}, "hole_one", "digest_missing"),
            ("an end that the next chain names", (), None, None, "good"),
            ("an end that is missing", (3,), None, None, "digest_end")):
        old = Chain(key).add().add().add()
        later = Chain(key, b"next" * 2)
        later.add(old.rest(3, **entry) if entry is not None else [], after=[old.chain, 3, old.hash(3)])
        yield name, old.wholes + later.wholes, out, fault, told
    yield "a broken link", Chain(key).add().add(prev=bytes(32)).wholes, (), "link", None
    yield "windows that do not abut", Chain(key).add().add(**{"from": MIDNIGHT - 3 * WINDOW, "to": MIDNIGHT}) \
        .wholes, (), "window", None
    yield "a step of the clock", Chain(key).add().add(step=True, **{"from": MIDNIGHT - 3 * WINDOW,
                                                                     "to": MIDNIGHT}).wholes, (), None, None
    for name, gw, fault in ((f"{ROTATION} to another key", fp_bad.GW, None), (f"{ROTATION} of another gateway", "gw-2", "other_key")):
        old, new = Chain(key).add(), fp.new_key()
        old.add([["key", spki(new.public_key())]])
        after = Chain(new, b"next" * 2, gw).add(after=[old.chain, 2, old.hash(2)])
        # what is signed by the new key comes first
        yield name, after.wholes + old.wholes, (), fault, None
    yield f"{ROTATION} that is not the end", old.add().wholes, (), "behind_key", None
    c = Chain(key).add().add().add().add()
    c.add([["void", 2, 3, [c.hash(2), c.hash(3)], "refused"]])
    yield "a voided run", c.wholes, (2, 3), None, None
    c = Chain(key).add().add().add().add()
    c.add([["void", 2, 3, [c.hash(3), c.hash(2)], "refused"]])
    yield "a void that names other hashes", c.wholes, (2, 3), "link", None
    c = Chain(key).add().add().add().add()
    c.add([["void", 2, 3, [c.hash(2), c.hash(3)], "refused"]]).digest(4)
    yield "a day with a voided run", c.wholes, (2, 3), None, "good"


def write_chains(folder, key):
    listed = []
    for i, (name, wholes, out, fault, day) in enumerate(chains(key)):
        files = [(f"chain-{i}-{seq}", whole) for seq, whole in enumerate(wholes, 1) if seq not in out]
        for file, whole in files:
            with open(os.path.join(folder, f"{file}.cose"), "wb") as f:
                f.write(whole)
        listed.append({"name": name, "files": [f for f, _ in files], "fault": fault, "day": day})
    return listed


def main(folder, seed):
    rng, key, other = random.Random(seed), fp.new_key(), fp.new_key()
    with open(os.path.join(folder, "device.pub"), "wb") as f:
        f.write(fp.public_pem(key.public_key()))
    names = {}
    for i, (name, whole, codes) in enumerate(fp_bad.cases(key, other)):
        if codes == {"wrong_gateway"}:  # good by itself, under another URL
            continue
        names[f"bad-{i}"] = name
        with open(os.path.join(folder, f"bad-{i}.cose"), "wb") as f:
            f.write(whole)
    texts, records = [], []
    for x in values(rng):
        raw = fp.number(x)
        records.append(fp_bad.record(k2=Raw(raw)))
        texts.append(fp.text(decode(raw)))
    with open(os.path.join(folder, "good.cose"), "wb") as f:
        f.write(fp.build(key, fp_bad.good_header(key), records))
    # the same values in forms that are not the one: a record each, all of them to be refused
    wrong = []
    for x in values(random.Random(seed + 1)):
        for form in ([x.numerator] if x.denominator == 1 else []) + [float(x) if abs(x) < 1e300 else 0.5]:
            try:
                if Fraction(form) == x and encode(form) != fp.number(x):
                    wrong.append(encode(form))
            except (Refused, ValueError, OverflowError, AttributeError):
                pass
    for i, raw in enumerate(wrong[:200]):
        names[f"form-{i}"] = f"v {raw.hex()} is not the one form"
        with open(os.path.join(folder, f"form-{i}.cose"), "wb") as f:
            f.write(fp.build(key, fp_bad.good_header(key), [fp_bad.record(k2=Raw(raw))]))
    with open(os.path.join(folder, "names.json"), "w", encoding="utf-8") as f:
        json.dump({"bad": names, "values": texts, "chains": write_chains(folder, key)}, f)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
