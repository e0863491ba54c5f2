"""Deterministic CBOR (RFC 8949 section 4.2.1), written from the RFC alone: an encoder that can
only produce the shortest form (Raw smuggles other bytes in, for tests of refusal) and a decoder
that refuses every other form."""
import math
import struct


class Refused(Exception):
    """Bytes that break a rule; the text says which."""


class Tag:
    def __init__(self, tag, value):
        self.tag, self.value = tag, value

    def __eq__(self, other):
        return isinstance(other, Tag) and (self.tag, self.value) == (other.tag, other.value)

    def __repr__(self):
        return f"Tag({self.tag}, {self.value!r})"


class Raw(bytes):
    """Already encoded bytes, put in verbatim."""


class RawMap(list):
    """Pairs in the order given (unsorted and repeated keys stay)."""


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for info, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << (8 * size):
            return bytes([major << 5 | info]) + n.to_bytes(size, "big")
    raise ValueError(f"{n} does not fit a CBOR head")


def float_bytes(f):
    """The shortest of the three float forms that gives the same binary64."""
    for form, lead in ((">e", 0xF9), (">f", 0xFA)):
        try:
            b = struct.pack(form, f)
        except OverflowError:
            continue
        if math.isnan(f) or struct.pack(">d", struct.unpack(form, b)[0]) == struct.pack(">d", f):
            return bytes([lead]) + b
    return b"\xfb" + struct.pack(">d", f)


def encode(x):
    if isinstance(x, Raw):
        return bytes(x)
    if x is None:
        return b"\xf6"
    if isinstance(x, bool):
        return b"\xf5" if x else b"\xf4"
    if isinstance(x, int):
        return head(0, x) if x >= 0 else head(1, -1 - x)
    if isinstance(x, float):
        return float_bytes(x)
    if isinstance(x, (bytes, bytearray)):
        return head(2, len(x)) + bytes(x)
    if isinstance(x, str):
        b = x.encode()
        return head(3, len(b)) + b
    if isinstance(x, RawMap):
        return head(5, len(x)) + b"".join(encode(k) + encode(v) for k, v in x)
    if isinstance(x, (list, tuple)):
        return head(4, len(x)) + b"".join(encode(i) for i in x)
    if isinstance(x, dict):
        pairs = sorted((encode(k), encode(v)) for k, v in x.items())
        return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)
    if isinstance(x, Tag):
        return head(6, x.tag) + encode(x.value)
    raise TypeError(f"no CBOR for {type(x)}")


class _Reader:
    def __init__(self, data, max_depth, ordered):
        self.d, self.i, self.max_depth, self.ordered = data, 0, max_depth, ordered

    def take(self, n):
        if self.i + n > len(self.d):
            raise Refused("truncated")
        b = self.d[self.i:self.i + n]
        self.i += n
        return b

    def argument(self, info):
        if info < 24:
            return info
        if info > 27:
            raise Refused("indefinite or reserved length")
        size = 1 << (info - 24)
        n = int.from_bytes(self.take(size), "big")
        if n < (24 if size == 1 else 1 << (4 * size)):
            raise Refused("head is not the shortest")
        return n

    def item(self, depth):
        lead = self.take(1)[0]
        major, info = lead >> 5, lead & 31
        if major == 7:
            return self.simple(info)
        n = self.argument(info)
        if major == 0:
            return n
        if major == 1:
            return -1 - n
        if major == 2:
            return self.take(n)
        if major == 3:
            try:
                return self.take(n).decode()
            except UnicodeDecodeError as e:
                raise Refused("text is not UTF-8") from e
        if depth + 1 > self.max_depth:
            raise Refused(f"deeper than {self.max_depth}")
        if major == 4:
            return [self.item(depth + 1) for _ in range(n)]
        if major == 6:
            return Tag(n, self.item(depth + 1))
        return self.map(n, depth + 1)

    def map(self, n, depth):
        out, last = {}, None
        for _ in range(n):
            start = self.i
            key = self.item(depth)
            raw = self.d[start:self.i]
            if last is not None and (raw == last or self.ordered and raw < last):
                raise Refused("repeated key" if raw == last else "keys out of order")
            last = raw
            if not isinstance(key, (int, str, bytes)) or isinstance(key, bool):
                raise Refused("key is neither integer nor string")
            out[key] = self.item(depth)
        return out

    def simple(self, info):
        if info in (20, 21):
            return info == 21
        if info == 22:
            return None
        if info not in (25, 26, 27):
            raise Refused(f"simple value {info}")
        size = 1 << (info - 24)
        raw = self.take(size)
        f = struct.unpack({2: ">e", 4: ">f", 8: ">d"}[size], raw)[0]
        if math.isnan(f) and bytes(raw) != b"\x7e\x00":
            raise Refused("NaN is not the canonical one")
        if len(float_bytes(f)) != size + 1:
            raise Refused("float is not the shortest")
        return f


def decode(data, max_depth=8, ordered=True):
    """The one item that data holds; Refused for anything behind it. ordered=False takes maps of
    foreign test vectors."""
    r = _Reader(bytes(data), max_depth, ordered)
    x = r.item(0)
    if r.i != len(r.d):
        raise Refused("bytes behind the item")
    return x
