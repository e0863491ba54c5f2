"""The batch contract, seen from outside: COSE_Sign1, batches, SenML, receipts, heads, zstd frames.
Written from DESIGN section 6 and its rules, and from the RFCs, never from the gateway's sources."""
import hashlib
import math
import struct
import subprocess
from decimal import Decimal
from fractions import Fraction

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (decode_dss_signature,
                                                             encode_dss_signature)

from fp_cbor import Raw, Refused, Tag, decode, encode, float_bytes

N_P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
CT_SENML = 112
CT_CONTROL = "application/vnd.fieldpost.control+cbor"
CT_RECEIPT = "application/vnd.fieldpost.receipt+cbor"
CT_HEAD = "application/vnd.fieldpost.head+cbor"
CAUSES = ("off", "bus", "device", "overrun", "queue", "paused", "storage", "thinned")
CODES = ("bad_cbor", "bad_signature", "conflict", "wrong_gateway", "unknown_gateway",
         "unknown_key", "unauthorized", "version", "unsupported_type", "too_large", "rate",
         "unavailable")
MAX_WHOLE, MAX_HEADER = 1 << 20, 64 << 10
UNKNOWN_TIME_S = 1 << 28


def sha256(b):
    return hashlib.sha256(b).digest()


# ---- keys and COSE_Sign1 --------------------------------------------------------------------

def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def load_private(path):
    with open(path, "rb") as f:
        return serialization.load_pem_private_key(f.read(), None)


def load_public(path):
    with open(path, "rb") as f:
        return serialization.load_pem_public_key(f.read())


def public_pem(pub):
    return pub.public_bytes(serialization.Encoding.PEM,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def private_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def public_der(pub):
    return pub.public_bytes(serialization.Encoding.DER,
                            serialization.PublicFormat.SubjectPublicKeyInfo)


def kid_of(pub):
    return sha256(public_der(pub))[:8]


def to_be_signed(protected, payload):
    return encode(["Signature1", protected, b"", payload])


def sign(protected, payload, key, high_s=False):
    """COSE_Sign1 bytes over an encoded protected header and a payload."""
    r, s = decode_dss_signature(key.sign(to_be_signed(protected, payload),
                                         ec.ECDSA(hashes.SHA256())))
    if (s > N_P256 // 2) != high_s:
        s = N_P256 - s
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return encode(Tag(18, [protected, {}, payload, signature]))


class Cose:
    """A COSE_Sign1 opened strictly; `header` is the decoded protected map."""

    def __init__(self, whole):
        if len(whole) > MAX_WHOLE:
            raise Refused("larger than 1 MiB")
        self.whole, self.hash = bytes(whole), sha256(whole)
        x = decode(whole)
        if not isinstance(x, Tag) or x.tag != 18:
            raise Refused("not tag 18")
        if not isinstance(x.value, list) or len(x.value) != 4:
            raise Refused("not four members")
        self.protected, unprotected, self.payload, self.signature = x.value
        for b in (self.protected, self.payload, self.signature):
            if not isinstance(b, bytes):
                raise Refused("member is not a byte string")
        if unprotected != {} or len(self.signature) != 64:
            raise Refused("unprotected map or signature length")
        if len(self.protected) > MAX_HEADER:
            raise Refused("header larger than 64 KiB")
        self.header = decode(self.protected)
        if not isinstance(self.header, dict) or self.header.get(1) != -7:
            raise Refused("alg is not ES256")
        if not isinstance(self.header.get(4), bytes) or len(self.header[4]) != 8:
            raise Refused("kid is not 8 bytes")

    def verify(self, pub):
        r, s = (int.from_bytes(self.signature[i:i + 32], "big") for i in (0, 32))
        if s > N_P256 // 2:
            raise Refused("s is above n/2")
        try:
            pub.verify(encode_dss_signature(r, s), to_be_signed(self.protected, self.payload),
                       ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as e:
            raise Refused("signature does not match") from e


# ---- numbers --------------------------------------------------------------------------------

def exact(v):
    """The exact value of a SenML `v` as it came over the wire; Refused unless it is the form that
    rule 13 demands."""
    if isinstance(v, bool):
        raise Refused("v is a boolean")
    if isinstance(v, Tag):
        if v.tag != 4 or not isinstance(v.value, list) or len(v.value) != 2:
            raise Refused("v is a tag other than 4")
        e, m = v.value
        if not isinstance(e, int) or not isinstance(m, int) or e >= 0 or m % 10 == 0:
            raise Refused("tag 4: exponent not negative or mantissa divisible by 10")
        x, negative_zero = Fraction(m) * Fraction(10) ** e, False
    elif isinstance(v, (int, float)):
        if isinstance(v, float) and not math.isfinite(v):
            raise Refused("v is NaN or infinite")
        x, negative_zero = Fraction(v), isinstance(v, float) and struct.pack(">d", v)[0] == 0x80
    else:
        raise Refused(f"v is {type(v).__name__}")
    if not (negative_zero and x == 0) and encode(v) != number(x):
        raise Refused(f"v {v!r} is not the shortest exact form")
    return x


def number(x):
    """The bytes of rule 13 for an exact value (Fraction, int, Decimal): fewest bytes among the
    exact forms, ties integer, float, tag 4."""
    x = Fraction(x)
    forms = []
    if x.denominator == 1 and -(1 << 64) <= x.numerator < 1 << 64:
        forms.append(encode(x.numerator))
    try:
        if Fraction(float(x)) == x:
            forms.append(float_bytes(float(x)))
    except OverflowError:
        pass
    m, e = decimal_parts(x)
    if m is not None and e < 0 and -(1 << 64) <= m < 1 << 64:
        forms.append(encode(Tag(4, [e, m])))
    if not forms:
        raise ValueError(f"no exact form for {x}")
    return min(forms, key=len)


def decimal_parts(x):
    """(mantissa, exponent <= 0) with x = mantissa x 10^exponent and the fewest digits, or
    (None, None) when x is no finite decimal."""
    d, twos, fives = x.denominator, 0, 0
    while d % 2 == 0:
        d, twos = d // 2, twos + 1
    while d % 5 == 0:
        d, fives = d // 5, fives + 1
    if d != 1:
        return None, None
    e = max(twos, fives)
    return x.numerator * 10 ** e // x.denominator, -e


def text(v):
    """Rule 23: the CSV text of a `v` as decoded from the wire."""
    if isinstance(v, Tag):
        e, m = v.value
        return format(Decimal(m).scaleb(e), "f")
    if isinstance(v, float):
        if v == 0:
            return "-0" if struct.pack(">d", v)[0] else "0"
        t = format(Decimal(repr(v)), "f")
        return t[:-2] if t.endswith(".0") else t
    return str(v)


def time_value(ms):
    return ms // 1000 if ms % 1000 == 0 else Tag(4, [-3, ms])


def time_ms(x):
    if isinstance(x, int) and not isinstance(x, bool):
        return x * 1000
    if isinstance(x, Tag) and x.tag == 4 and isinstance(x.value, list) and len(x.value) == 2:
        e, m = x.value
        if e == -3 and isinstance(m, int) and m % 1000 != 0:
            return m
    raise Refused(f"time {x!r} is neither whole seconds nor tag 4 with exponent -3")


# ---- SenML ----------------------------------------------------------------------------------

def senml(gw, polls):
    """polls: [(device, t_ms, [(point, unit or None, v, q), ...]), ...]; v is an int, float, Tag or
    Raw as it shall stand on the wire, or a Fraction/Decimal that takes its shortest form."""
    out = []
    for device, t_ms, values in polls:
        for i, (point, unit, v, q) in enumerate(values):
            r = {0: point, 2: Raw(number(v)) if isinstance(v, (Fraction, Decimal)) else v}
            if unit is not None:
                r[1] = unit
            if i == 0:
                r[-2], r[-3] = f"{gw}/{device}/", time_value(t_ms)
            if q:
                r["q"] = q
            out.append(r)
    return out


class Reading:
    def __init__(self, index, device, point, unit, t_ms, v, q):
        self.index, self.device, self.point, self.unit = index, device, point, unit
        self.t_ms, self.v, self.q = t_ms, v, q
        self.x = exact(v)
        self.series = f"{device}/{point}"

    def __repr__(self):
        return f"<{self.series} {self.t_ms} {text(self.v)} q{self.q}>"


def is_id(s):
    return (isinstance(s, str) and 0 < len(s) <= 64 and s[0].isascii() and s[0].isalnum() and
            all(c.isascii() and (c.isalnum() or c in "._-") for c in s))


def parse_senml(payload, gw):
    records = decode(payload)
    if not isinstance(records, list):
        raise Refused("payload is not an array")
    out, device, base_ms, seen = [], None, None, set()
    for i, r in enumerate(records):
        if not isinstance(r, dict):
            raise Refused(f"record {i} is not a map")
        if {-4, -5, -6} & r.keys():
            raise Refused(f"record {i} has bu, bv or bs")
        if (-2 in r) != (-3 in r):
            raise Refused(f"record {i} has only one of bn and bt")
        if -2 in r:
            part = r[-2].split("/") if isinstance(r[-2], str) else []
            if len(part) != 3 or part[0] != gw or part[2] != "" or not is_id(part[1]):
                raise Refused(f"record {i}: bn {r[-2]!r}")
            device, base_ms, seen = part[1], time_ms(r[-3]), set()
            if 6 in r:
                raise Refused(f"record {i} opens a poll and has t")
        if device is None:
            raise Refused("the first record has no bn")
        if not is_id(r.get(0)) or 2 not in r:
            raise Refused(f"record {i} lacks n or v")
        if r[0] in seen:
            raise Refused(f"record {i}: {r[0]} twice in a poll (bn and bt are to be repeated)")
        seen.add(r[0])
        t = time_ms(r[6]) if 6 in r else 0
        if 6 in r and t == 0:
            raise Refused(f"record {i}: t is 0")
        q = r.get("q", 0)
        if "q" in r and (not isinstance(q, int) or isinstance(q, bool) or not 0 < q < 256):
            raise Refused(f"record {i}: q is {q!r}")
        if 1 in r and (not isinstance(r[1], str) or not r[1]):
            raise Refused(f"record {i}: u is {r[1]!r}")
        out.append(Reading(i, device, r[0], r.get(1), base_ms + t, r[2], q))
    return out


# ---- batches --------------------------------------------------------------------------------

def header(key, gw, chain, seq, from_ms, to_ms, prev=None, after=None, control=False,
           boot=b"\1" * 8, clk=0, gaps=(), **more):
    h = {1: -7, 3: CT_CONTROL if control else CT_SENML, 4: kid_of(key.public_key()), "v": 1,
         "gw": gw, "chain": chain, "seq": seq, "from": from_ms, "to": to_ms, "boot": boot,
         "clk": clk, "gaps": [list(g) for g in gaps], **more}
    if seq == 1:
        h["after"] = after
    else:
        h["prev"] = prev
    return h


def build(key, h, payload, high_s=False):
    """The COSE bytes of a batch. h and payload are values to encode, or Raw bytes."""
    return sign(encode(h), encode(payload), key, high_s)


def _need(h, name, kind, size=None):
    if name not in h:
        raise Refused(f"header lacks {name}")
    x = h[name]
    if not isinstance(x, kind) or isinstance(x, bool) or (size and len(x) != size):
        raise Refused(f"header {name} is {x!r}")
    return x


class Batch:
    """A whole batch, opened by every rule that one batch alone can break."""

    def __init__(self, whole, pub=None):
        c = self.cose = Cose(whole)
        h = self.header = c.header
        self.whole, self.hash = c.whole, c.hash
        if h.get(3) not in (CT_SENML, CT_CONTROL):
            raise Refused(f"content type {h.get(3)!r}")
        if h.get("v") != 1:
            raise Refused(f"version {h.get('v')!r}")
        self.control = h[3] == CT_CONTROL
        self.kid = h[4]
        self.gw = _need(h, "gw", str)
        self.chain = _need(h, "chain", bytes, 8)
        self.seq = _need(h, "seq", int)
        self.boot = _need(h, "boot", bytes, 8)
        self.clk = _need(h, "clk", int)
        self.from_ms, self.to_ms = _need(h, "from", int), _need(h, "to", int)
        self.gaps = _need(h, "gaps", list)
        if not is_id(self.gw) or self.seq < 1 or self.clk not in (0, 1, 2, 3):
            raise Refused("gw, seq or clk out of range")
        if self.from_ms > self.to_ms or (self.control and self.from_ms != self.to_ms):
            raise Refused("from and to")
        self._links(h)
        for g in self.gaps:
            self._gap(g)
        if "step" in h and h["step"] is not True:
            raise Refused("step is not true")
        if pub is not None:
            if self.kid != kid_of(pub):
                raise Refused("kid is not the key's")
            c.verify(pub)
        self.readings = [] if self.control else parse_senml(c.payload, self.gw)
        self.entries = self._entries(c.payload) if self.control else []
        flag = {2: 128, 3: 64}.get(self.clk, 0)
        for r in self.readings:
            if flag and not r.q & flag:
                raise Refused(f"clk {self.clk} and {r} lacks flag {flag}")

    def _links(self, h):
        if self.seq == 1:
            if "prev" in h or "after" not in h:
                raise Refused("seq 1 has after and no prev")
            a = self.after = h["after"]
            if a is not None and not (isinstance(a, list) and len(a) == 3 and
                                      isinstance(a[0], bytes) and len(a[0]) == 8 and
                                      isinstance(a[1], int) and isinstance(a[2], bytes) and
                                      len(a[2]) == 32):
                raise Refused(f"after is {a!r}")
        else:
            if "after" in h:
                raise Refused("after is for seq 1 alone")
            self.prev = _need(h, "prev", bytes, 32)

    def _gap(self, g):
        if not (isinstance(g, list) and len(g) == 4 and isinstance(g[0], str) and
                isinstance(g[1], int) and isinstance(g[2], int) and g[3] in CAUSES):
            raise Refused(f"gap {g!r}")
        part = g[0].split("/")
        named = len(part) == 2 and is_id(part[0]) and (part[1] == "*" or is_id(part[1]))
        if not (g[0] == "*" or named) or not self.from_ms <= g[1] < g[2] <= self.to_ms:
            raise Refused(f"gap {g!r} in a window {self.from_ms} to {self.to_ms}")

    def _entries(self, payload):
        x = decode(payload)
        if not isinstance(x, list) or not all(isinstance(e, list) and e and
                                              isinstance(e[0], str) for e in x):
            raise Refused("control payload is not an array of entries")
        return x


# ---- the city's answers ---------------------------------------------------------------------

def receipt(key, batch, received_ms, through_seq, through_hash):
    body = {"v": 1, "gw": batch.gw, "chain": batch.chain, "seq": batch.seq, "sha256": batch.hash,
            "n": len(batch.readings), "received": received_ms,
            "through": [through_seq, through_hash]}
    return sign(encode({1: -7, 3: CT_RECEIPT, 4: kid_of(key.public_key())}), encode(body), key)


def _answer(whole, pub, content_type, keys):
    c = Cose(whole)
    c.verify(pub)
    if c.header.get(3) != content_type or c.header[4] != kid_of(pub):
        raise Refused(f"answer's header {c.header!r}")
    body = decode(c.payload)
    if not isinstance(body, dict) or not keys <= body.keys() or body["v"] != 1:
        raise Refused(f"answer {body!r}")
    return body


def open_receipt(whole, pub):
    return _answer(whole, pub, CT_RECEIPT,
                   {"v", "gw", "chain", "seq", "sha256", "n", "received", "through"})


def open_head(whole, pub):
    return _answer(whole, pub, CT_HEAD, {"v", "gw", "nonce", "chains"})


# ---- zstd -----------------------------------------------------------------------------------

def compress(data, *options, size=True):
    """One frame by the zstd program; size=False leaves the content size out."""
    args = ["zstd", "-q", "-c", *(options or ("-3",))]
    if size:
        args.append(f"--stream-size={len(data)}")
    return subprocess.run(args, input=data, stdout=subprocess.PIPE, check=True).stdout


def decompress(data):
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=data, stdout=subprocess.PIPE,
                          check=True).stdout


def frame(data):
    """(content size, window bytes) of the one zstd frame that data holds; Refused for a frame
    without content size, with a dictionary, a window above 8 MiB, or anything behind it."""
    if data[:4] != b"\x28\xb5\x2f\xfd":
        raise Refused("no zstd frame")
    fhd, i = data[4], 5
    single, checksum, dictionary = fhd >> 5 & 1, fhd >> 2 & 1, fhd & 3
    window = 0
    if not single:
        e, m = data[i] >> 3, data[i] & 7
        window, i = (1 << (10 + e)) * (8 + m) // 8, i + 1
    if dictionary:
        raise Refused("zstd frame with a dictionary")
    size_bytes = (1 if single else 0, 2, 4, 8)[fhd >> 6]
    if not size_bytes:
        raise Refused("zstd frame without content size")
    size = int.from_bytes(data[i:i + size_bytes], "little") + (256 if size_bytes == 2 else 0)
    i += size_bytes
    last = 0
    while not last:
        b = int.from_bytes(data[i:i + 3], "little")
        last, kind, n = b & 1, b >> 1 & 3, b >> 3
        i += 3 + (1 if kind == 1 else n)
    i += 4 if checksum else 0
    if i != len(data):
        raise Refused("bytes behind the zstd frame" if i < len(data) else "truncated zstd frame")
    window = size if single else window
    if window > 8 << 20:
        raise Refused(f"zstd window of {window} bytes")
    return size, window
