"""A second source of truth: a slave that packs values with struct and never reads our YAML serves
every type in every order; what `fieldpost run` stored must be exactly these values."""
import os
import struct
import sys
from decimal import Decimal
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_proc import Case, Gateway, main, until, write  # noqa: E402
from fp_slave import Bank, Slave  # noqa: E402

ORDERS = {2: (None, "ABCD", "CDAB", "BADC", "DCBA"),
          4: (None, "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA")}
FORMS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "u64": ">Q", "s64": ">q", "f32": ">f",
         "f64": ">d"}
INTS = {"u16": (0, 1, 65535, 0x1234, 255, 256), "s16": (-1, -32768, 32767, 0x0102, -256),
        "u32": (0, 1, 2 ** 32 - 1, 0x12345678, 65536), "s32": (-1, -2 ** 31, 2 ** 31 - 1,
                                                              0x01020304, -65536),
        "u64": (2 ** 64 - 1, 0x0102030405060708, 2 ** 53 + 1, 2 ** 63),
        "s64": (-1, -2 ** 63, 2 ** 63 - 1, 0x0102030405060708, -(2 ** 53) - 1)}
INF, NAN = float("inf"), float("nan")
FLOATS = {"f32": (230.2, 7.25, -0.0, 0.0, 1e-45, 3.4028234663852886e38, -1.5, NAN, INF, -INF),
          "f64": (0.1, -1e300, 5e-324, 1.7976931348623157e308, 33554432.5, -0.0, NAN, -INF)}


def f32(x):
    return struct.unpack(">f", struct.pack(">f", x))[0]


def wire(big_endian, order):
    """Bytes on the wire: each letter of the order names a byte of the big-endian value."""
    return bytes(big_endian[ord(c) - ord("A")] for c in order) if order else big_endian


class Map:
    """The register map under test: profile lines, registers, and what must come out."""

    def __init__(self):
        self.bank, self.lines, self.want, self.at = Bank(), [], {}, {3: 0, 4: 0, 1: 0, 2: 0}

    def add(self, name, type_, data, want, function=3, order=None, **keys):
        """want: (text of the value, quality) or None for a value that must be missing."""
        at = self.at[function]
        if function in (1, 2):
            self.bank.regs[function][at] = data
            self.at[function] += 1
        else:
            self.bank.put(function, at, data)
            self.at[function] += len(data) // 2
        more = "".join(f", {k}: {v}" for k, v in keys.items())
        if order:
            more += f", order: {order}"
        self.lines.append(f"  - {{name: {name}, quantity: number, function: {function}, address: "
                          f"{at}, type: {type_}{more}}}")
        self.want[f"dev/{name}"] = want

    def plain(self):
        for type_, values in {**INTS, **FLOATS}.items():
            words = struct.calcsize(FORMS[type_]) // 2
            for order in ORDERS.get(words, (None,)):
                for i, x in enumerate(values):
                    data = struct.pack(FORMS[type_], x)
                    x = f32(x) if type_ == "f32" else x
                    bad = isinstance(x, float) and (x != x or x in (INF, -INF))
                    self.add(f"{type_}-{order or 'default'}-{i}", type_, wire(data, order),
                             None if bad else (x, 0), order=order)

    def bcd(self):
        for i, digits in enumerate(("0000", "1234", "9999", "0907", "12A4", "F000")):
            self.add(f"bcd16-{i}", "bcd16", bytes.fromhex(digits),
                     (int(digits), 0) if digits.isdigit() else None)
        for order in ORDERS[2]:
            for i, digits in enumerate(("00000000", "12345678", "99999999", "1234567B")):
                self.add(f"bcd32-{order or 'default'}-{i}", "bcd32",
                         wire(bytes.fromhex(digits), order),
                         (int(digits), 0) if digits.isdigit() else None, order=order)

    def bits(self):
        for function in (1, 2):
            for i, x in enumerate((1, 0, 0, 1, 1, 1, 0, 1, 1, 0)):
                self.add(f"bit{function}-{i}", "bit", x, (x, 0), function=function)

    def scaled(self):
        """Integers through decimals stay exact; floats are computed in binary64."""
        for i, (raw, scale, offset) in enumerate((
                (2302, "0.1", "0"), (1, "0.001", "0"), (65535, "0.01", "-40"), (7, "0.001", "0.5"),
                (0, "0.1", "-0.1"), (3, "0.3333333333", "0"), (65535, "1000", "0.25"))):
            self.add(f"scaled-{i}", "u16", struct.pack(">H", raw),
                     (Decimal(raw) * Decimal(scale) + Decimal(offset), 0), scale=scale,
                     offset=offset)
        self.add("scaled-s32", "s32", struct.pack(">i", -123456789),
                 (Decimal("-12345.6789"), 0), scale="0.0001")
        self.add("scaled-f32", "f32", struct.pack(">f", 20.3), (f32(20.3) * 0.001, 0),
                 scale="0.001")
        self.add("scaled-f64", "f64", struct.pack(">d", 1e-3), (1e-3 * 1.8 + 32, 0), scale="1.8",
                 offset="32")

    def marked(self):
        """Markers of no value, and limits that turn into quality, not into silence."""
        for i, (raw, want) in enumerate(((0xFFFF, None), (0x8000, None), (0x7FFF, (32767, 0)))):
            self.add(f"marker-{i}", "u16", struct.pack(">H", raw), want,
                     no_value="[0xFFFF, 0x8000]")
        self.add("marker-s16", "s16", b"\x80\0", None, no_value="[0x8000]")
        self.add("marker-u32", "u32", b"\xff\xff\xff\xff", None, no_value="[0xFFFFFFFF]")
        self.add("marker-swapped", "u32", wire(b"\0\0\x80\0", "CDAB"), None, order="CDAB",
                 no_value="[0x8000]")
        for i, (raw, q) in enumerate(((99, 1), (100, 0), (200, 0), (201, 1))):
            self.add(f"valid-{i}", "u16", struct.pack(">H", raw), (Decimal(raw) / 10, q),
                     scale="0.1", valid="[10, 20]")

    def inputs(self):
        for type_, x in (("u16", 4321), ("s32", -4321), ("f64", 0.1), ("u64", 1 << 60)):
            self.add(f"input-{type_}", type_, struct.pack(FORMS[type_], x), (x, 0), function=4)

    def profile(self):
        return "model: every type\npoints:\n" + "\n".join(self.lines) + "\n"


def right(text, x):
    """Whether the text is this value by rule 23: decimals exactly, floats the shortest text."""
    if isinstance(x, float):
        return text == fp.text(x)
    value = fp.decode(fp.number(Fraction(x)))
    return text in {fp.text(value), format(Decimal(x).normalize(), "f")}


class Types(Case):
    def poll(self, m):
        """The rows that some polls of the map leave behind, as {series: [row, ...]}."""
        slave = Slave({7: m.bank})
        self.stack.callback(slave.stop)
        gw = Gateway(self.args.bin, self.folder)
        self.stack.callback(gw.kill)
        write(os.path.join(self.folder, "types.yaml"), m.profile())
        gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {slave.port}, timeout: 1s}}
devices:
  dev: {{bus: plant, unit: 7, profile: ./types.yaml, every: 500ms}}""")
        gw.start()
        first = until(lambda: slave.requests and slave.requests[0], 20, "a request of the gateway")
        polls = 9  # more than a window, so that sealed and pending readings are both exported
        until(lambda: slave.requests.count(first) >= polls, 60, f"{polls} polls")
        self.assertEqual(gw.stop(), 0)
        out = {}
        for r in gw.export():
            out.setdefault(r[0], []).append(r)
        return out

    def compare(self, m, rows):
        wrong = []
        self.assertLessEqual(set(rows), set(m.want))
        most = max(len(r) for r in rows.values())
        for series, want in m.want.items():
            got = rows.get(series, [])
            if want is None:
                if got:
                    wrong.append(f"{series} is missing at the device, exported {got[0][1:4]}")
                continue
            if len(got) != most:
                wrong.append(f"{series}: {len(got)} readings of {most}")
            for r in got:
                if not right(r[2], want[0]) or r[3] != str(want[1]):
                    wrong.append(f"{series}: {r[2]} q{r[3]} in {r}, served {want}")
                    break
        self.assertGreaterEqual(most, 7)
        self.assertTrue(any(r[5] not in ("", "0") for g in rows.values() for r in g),
                        "nothing sealed was exported")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))

    def test_every_type_and_order(self):
        m = Map()
        for part in (m.plain, m.bcd, m.bits, m.inputs):
            part()
        self.compare(m, self.poll(m))

    def test_scales_markers_and_limits(self):
        m = Map()
        m.scaled()
        m.marked()
        self.compare(m, self.poll(m))


if __name__ == "__main__":
    main(needs=("fieldpost",))
