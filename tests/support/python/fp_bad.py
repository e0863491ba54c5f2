"""Batches that break one rule each, signed by the right key wherever the signature is not the
rule: a table of (name, COSE bytes, problem codes of which one must be answered)."""
import fp_contract as fp
from fp_cbor import Raw, RawMap, Tag, encode, head

GW, CHAIN, T0 = "gw-1", bytes(range(8)), 1_790_000_000_000
BAD = {"bad_cbor"}
NAMED = {"bad_cbor", "wrong_gateway"}
TYPE = {"bad_cbor", "unsupported_type"}
SIZE = {"bad_cbor", "too_large"}
SIGN = {"bad_signature", "bad_cbor"}


def good_header(key, seq=2, **more):
    return fp.header(key, GW, CHAIN, seq, T0, T0 + 10_000, prev=b"p" * 32, **more)


def record(**more):
    """A first record; keyword k<n> sets key n, kn<n> key -n, None removes."""
    r = {-2: f"{GW}/dev-1/", -3: T0 // 1000, 0: "a", 1: "V", 2: Raw(fp.number(5))}
    for k, v in more.items():
        k = -int(k[2:]) if k.startswith("kn") else int(k[1:]) if k[0] == "k" else k
        if v is None:
            r.pop(k, None)
        else:
            r[k] = v
    return r


def good(key, seq=2, **more):
    return fp.build(key, good_header(key, seq, **more), [record()])


def _envelope(key):
    whole = good(key)
    c = fp.Cose(whole)
    parts = [c.protected, {}, c.payload, c.signature]
    body = b"".join(encode(p) for p in parts)
    yield "a byte behind the batch", whole + b"\0"
    yield "no tag", whole[1:]
    yield "another tag", encode(Tag(98, parts))
    yield "tag head not the shortest", b"\xd8\x12" + whole[1:]
    yield "indefinite array", b"\xd2\x9f" + body + b"\xff"
    yield "five members", encode(Tag(18, parts + [0]))
    yield "unprotected map not empty", encode(Tag(18, [parts[0], {4: c.header[4]}, *parts[2:]]))
    yield "payload nil", encode(Tag(18, [parts[0], {}, None, parts[3]]))
    yield "byte string head not the shortest", b"\xd2\x84" + encode(parts[0]) + b"\xa0" + \
        b"\x59" + len(c.payload).to_bytes(2, "big") + c.payload + encode(c.signature)
    yield "indefinite byte string", b"\xd2\x84" + encode(parts[0]) + b"\xa0\x5f" + \
        encode(c.payload) + b"\xff" + encode(c.signature)
    yield "signature of 63 bytes", encode(Tag(18, [*parts[:3], c.signature[:63]]))
    yield "garbage", bytes(range(256)) * 3
    yield "nothing", b""
    yield "JSON", b'{"gw": "gw-1"}'
    yield "half a batch", whole[:len(whole) // 2]
    yield "all but the last byte", whole[:-1]


def _raw_header(key, h):
    return fp.sign(h, encode([record()]), key)


def _headers(key):
    h = good_header(key)
    pairs = sorted(h.items(), key=lambda kv: encode(kv[0]))
    enc = encode(h)
    yield "header keys out of order", _raw_header(key, encode(RawMap(pairs[1:] + pairs[:1])))
    yield "header key twice", _raw_header(key, encode(RawMap(pairs + pairs[-1:])))
    yield "indefinite header map", _raw_header(key, b"\xbf" + enc[1:] + b"\xff")
    yield "bytes behind the header map", _raw_header(key, enc + b"\0")
    yield "header is an array", _raw_header(key, encode([1, 2]))
    yield "empty header", _raw_header(key, b"")
    yield "int in the header not the shortest", _raw_header(
        key, enc.replace(encode("clk") + b"\0", encode("clk") + b"\x18\0"))
    deep = 1
    for _ in range(8):
        deep = [deep]
    yield "header deeper than 8", fp.build(key, {**h, "x": deep}, [record()])
    for k in list(h):
        if k != 1:
            yield f"header without {k}", fp.build(
                key, {a: b for a, b in h.items() if a != k}, [record()])
    for k, v in (("seq", 0), ("seq", -2), ("seq", "2"), ("chain", b"7 bytes"), ("chain", "8 chars."),
                 ("prev", b"p" * 31), ("boot", b""), ("clk", 4), ("clk", -1), ("from", T0 + 20_000),
                 ("from", 1.5), ("to", "x"), ("gaps", None), ("gaps", {}), ("gaps", [["a/b"]]),
                 ("gaps", [["dev-1/a", T0, T0 + 1, "weather"]]),
                 ("gaps", [["dev-1/a", T0 - 1, T0 + 1, "off"]]),
                 ("gaps", [["dev-1/a", T0 + 5, T0 + 5, "off"]]),
                 ("gaps", [["dev-1/a", T0, T0 + 10_001, "off"]]), (4, b"short"), (4, "8 chars."),
                 (1, -35), (1, "ES256"), ("after", None)):
        yield f"header {k} = {v!r}", fp.build(key, {**h, k: v}, [record()])
    one = fp.header(key, GW, CHAIN, 1, T0, T0 + 10_000)
    yield "seq 1 with prev", fp.build(key, {**one, "prev": b"p" * 32}, [record()])
    del one["after"]
    yield "seq 1 without after", fp.build(key, one, [record()])


def _payload(key, *records, **more):
    return fp.build(key, good_header(key, **more), Raw(head(4, len(records)) + b"".join(
        encode(r) for r in records)))


def _numbers(key):
    for name, v in (("float where an integer is shorter", b"\xf9\x45\x00"),
                    ("float of 8 bytes where 2 do", b"\xfb\x3f\xe0" + bytes(6)),
                    ("double for a short decimal", b"\xfb" + bytes.fromhex("406cc66666666666")),
                    ("NaN", b"\xf9\x7e\x00"), ("infinite", b"\xf9\x7c\x00"),
                    ("integer not the shortest", b"\x18\x05"),
                    ("tag 4, mantissa divisible by 10", encode(Tag(4, [-2, 23020]))),
                    ("tag 4, exponent 0", encode(Tag(4, [0, 2303]))),
                    ("tag 4, exponent positive", encode(Tag(4, [2, 2303]))),
                    ("tag 4 where a float is shorter", encode(Tag(4, [-1, 5]))),
                    ("tag 4, mantissa 0", encode(Tag(4, [-1, 0]))),
                    ("tag 4, three members", encode(Tag(4, [-1, 2303, 0]))),
                    ("tag 5", encode(Tag(5, [-1, 2303]))), ("true", b"\xf5"),
                    ("a text", encode("5")), ("undefined", b"\xf7"), ("null", b"\xf6")):
        if name == "double for a short decimal":
            continue  # 230.2 as a double is another number than 2302e-1: it is allowed
        yield f"v: {name}", _payload(key, record(k2=Raw(v)))
    for name, t in (("float", 1_790_000_000.0), ("tag 4, exponent -6", Tag(4, [-6, T0 * 1000 + 1])),
                    ("tag 4 for whole seconds", Tag(4, [-3, T0])), ("text", "now")):
        yield f"bt: {name}", _payload(key, record(kn3=t))
    yield "t 0", _payload(key, record(), {0: "b", 2: 1, 6: 0})
    yield "t is a float", _payload(key, record(), {0: "b", 2: 1, 6: 1.5})


def _records(key):
    yield "payload is empty bytes", fp.build(key, good_header(key), Raw(b""))
    yield "payload is a map", fp.build(key, good_header(key), {})
    yield "payload is indefinite", fp.build(key, good_header(key),
                                            Raw(b"\x9f" + encode(record()) + b"\xff"))
    yield "bytes behind the payload", fp.build(key, good_header(key),
                                               Raw(encode([record()]) + b"\0"))
    yield "fewer records than the head says", fp.build(key, good_header(key),
                                                       Raw(b"\x82" + encode(record())))
    yield "record is an array", _payload(key, [1])
    for k, what in (("kn4", "bu"), ("kn5", "bv"), ("kn6", "bs")):
        yield f"{what} present", _payload(key, record(**{k: "V" if k == "kn4" else 0}))
    yield "vs for v", _payload(key, record(k2=None, k3="on"))
    yield "vb for v", _payload(key, record(k2=None, k4=True))
    for k, what in (("k0", "n"), ("k2", "v"), ("kn2", "bn"), ("kn3", "bt")):
        yield f"record without {what}", _payload(key, record(**{k: None}))
    for n in ("", "-a", "a/b", "a b", "ậ", 7):
        yield f"n is {n!r}", _payload(key, record(k0=n))
    yield "n is not UTF-8", _payload(key, record(k0=Raw(b"\x62\xc3\x28")))
    for bn in (f"{GW}/dev-1", f"{GW}//", f"{GW}/", "dev-1/", f"{GW}/dev-1/x/", ""):
        yield f"bn is {bn!r}", _payload(key, record(kn2=bn))
    for q in (0, -1, "1", 1.5):
        yield f"q is {q!r}", _payload(key, record(q=q))
    yield "u is a number", _payload(key, record(k1=5))
    r = sorted(record().items(), key=lambda kv: encode(kv[0]))
    yield "record keys out of order", _payload(key, RawMap(r[1:] + r[:1]))
    yield "record key twice", _payload(key, RawMap(r + r[-1:]))
    deep = 1
    for _ in range(7):
        deep = [deep]
    yield "payload deeper than 8", _payload(key, record(x=deep))
    yield "clk 2 without flag 128", _payload(key, record(), clk=2)
    yield "clk 3 without flag 64", _payload(key, record(), clk=3)


def _control(key):
    h = {**good_header(key, control=True), "to": T0}
    yield "control with from before to", fp.build(key, good_header(key, control=True), [])
    for name, x in (("map", {}), ("entry a text", ["plan"]), ("entry empty", [[]]),
                    ("entry without a name", [[1, 2]]), ("plan too short", [["plan", "dev-1/a"]]),
                    ("plan with text period", [["plan", "dev-1/a", "number", None, "1", T0]]),
                    ("void with too few hashes", [["void", 2, 4, [b"h" * 32], "thinned"]])):
        yield f"control payload: {name}", fp.build(key, h, x)


def cases(key, stranger):
    for group in (_envelope, _headers, _numbers, _records, _control):
        for name, whole in group(key):
            yield name, whole, BAD
    yield "another gateway in bn", _payload(key, record(kn2="gw-2/dev-1/")), NAMED
    yield "content type 60", fp.build(key, {**good_header(key), 3: 60}, [record()]), TYPE
    yield "version 2", fp.build(key, {**good_header(key), "v": 2}, [record()]), {"version"}
    yield "header above 64 KiB", fp.build(
        key, good_header(key, x=b"x" * 65_537), [record()]), SIZE
    yield "whole above 1 MiB", _payload(key, record(x=b"x" * (1 << 20))), SIZE
    h = good_header(key)
    yield "s above n/2", fp.build(key, h, [record()], high_s=True), SIGN
    yield "another key under this kid", fp.build(stranger, h, [record()]), {"bad_signature"}
    flipped = bytearray(good(key))
    flipped[-40] ^= 4
    yield "a bit of the signature flipped", bytes(flipped), {"bad_signature"}
    yield "signature of zeros", good(key)[:-64] + bytes(64), SIGN
    yield "a key that is not enrolled", fp.build(
        stranger, good_header(stranger), [record()]), {"unknown_key"}
