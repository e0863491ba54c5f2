"""The node's image in QEMU, a Modbus master of its own, and the register map as node.def has it.

A Node has its files in a folder (EEPROM, external memory), which outlive a restart, and connects to the
sockets of a line (tests/sim/hub.py) and of the sensors on its UARTs. The Master knows Modbus RTU and no node;
Map walks the node's blocks by the lengths that it finds."""
import json
import mmap
import os
import re
import select
import socket
import struct
import sys
import threading
import time

from fp_proc import Case, Proc, until
from fp_rs485 import crc

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tests", "sim"))
from hub import Hub  # noqa: E402, F401

SHARED_BYTES = 16 << 20
SHARED_MARK = 0x46506873
EEPROM_BYTES = 4096
SHARED = {"mark": (0, "I"), "supply_mv": (4, "I"), "temperature_dc": (8, "i"), "pulses_0": (12, "I"),
          "pulses_1": (16, "I"), "weight": (20, "I"), "sda_low": (24, "I"), "serial": (28, "16s"), "hang": (44, "I")}


class Shared:
    """The external memory of an MPS2 board: board/mps2-an385/README.md."""

    def __init__(self, path, serial):
        if not os.path.exists(path):
            with open(path, "wb") as f:
                f.truncate(SHARED_BYTES)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)
        self.put(serial=serial.encode(), supply_mv=3300, temperature_dc=250)
        self.put(mark=SHARED_MARK)

    def put(self, **values):
        for name, value in values.items():
            at, kind = SHARED[name]
            struct.pack_into("<" + kind, self.map, at, value)

    def get(self, name):
        at, kind = SHARED[name]
        return struct.unpack_from("<" + kind, self.map, at)[0]


class Feed:
    """A sensor's serial port: a socket that QEMU connects to."""

    def __init__(self, path):
        self.path, self.sock = path, None
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(1)

    def send(self, data):
        if self.sock is None:
            self.listener.settimeout(20)
            self.sock = self.listener.accept()[0]
        try:
            self.sock.sendall(data)
        except OSError:  # a machine that was started anew connects anew
            self.sock.close()
            self.sock = None

    def close(self):
        for s in (self.sock, self.listener):
            if s:
                s.close()


class Qmp:
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)

        def connected():
            try:
                self.sock.connect(path)
                return True
            except OSError:
                return False
        until(connected, 20, "QEMU's monitor")
        self.file = self.sock.makefile("r")
        self.file.readline()
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = json.loads(self.file.readline())
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise AssertionError(f"QEMU: {command}: {answer['error']}")

    def close(self):
        self.file.close()
        self.sock.close()


class Node:
    """image: an .elf of board mps2-an385. line: the socket of a hub. Its files are NAME.*, in folder."""

    def __init__(self, image, folder, name, line, serial=None):
        self.image, self.name, self.line = image, name, line
        self.eeprom = os.path.join(folder, name + ".eeprom")
        self.memory = os.path.join(folder, name + ".memory")
        self.monitor = os.path.join(folder, name + ".qmp")
        if not os.path.exists(self.eeprom):
            with open(self.eeprom, "wb") as f:
                f.write(b"\xff" * EEPROM_BYTES)
        self.shared = Shared(self.memory, serial or name)
        self.dust = Feed(os.path.join(folder, name + ".dust"))
        self.level = Feed(os.path.join(folder, name + ".level"))
        self.proc = self.qmp = None
        self.millidegrees = 0

    def start(self, eeprom=True):
        def chardev(name, path):
            return ["-chardev", f"socket,id={name},path={path},reconnect=1", "-serial", f"chardev:{name}"]
        if os.path.exists(self.monitor):
            os.unlink(self.monitor)
        self.proc = Proc([
            "qemu-system-arm", "-S", "-M", "mps2-an385,memory-backend=ram0", "-nodefaults", "-display", "none",
            "-object", f"memory-backend-file,id=ram0,size=16M,mem-path={self.memory},share=on",
            "-kernel", self.image, *chardev("line", self.line), *chardev("dust", self.dust.path),
            *chardev("level", self.level.path), "-qmp", f"unix:{self.monitor},server=on,wait=off",
            "-device", "tmp105,id=thermometer,bus=i2c,address=0x48",
            *(["-drive", f"if=none,id=eeprom,format=raw,file={self.eeprom}", "-device",
               f"at24c-eeprom,bus=i2c,address=0x50,rom-size={EEPROM_BYTES},drive=eeprom"] if eeprom else [])])
        self.qmp = Qmp(self.monitor)
        self.temperature(self.millidegrees)  # before its first instruction
        self.qmp.ask("cont")
        return self

    def temperature(self, millidegrees):
        self.millidegrees = millidegrees
        self.qmp.ask("qom-set", path="/machine/peripheral/thermometer", property="temperature",
                     value=millidegrees)

    def power_off(self):
        """As a plug that is pulled."""
        if self.qmp:
            self.qmp.close()
            self.qmp = None
        if self.proc:
            self.proc.kill()
            self.proc = None

    def close(self):
        self.power_off()
        self.dust.close()
        self.level.close()


class Silence(AssertionError):
    """Nobody answered, in all tries."""


class Refused(AssertionError):
    def __init__(self, code):
        super().__init__(f"exception {code}")
        self.code = code


class Master:
    """On the pty of a hub. A request that is not answered in `timeout_s`, or with a wrong check sum, is asked
    again; `count` says how often."""

    def __init__(self, port, timeout_s=1.0, tries=4):
        self.fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.timeout_s, self.tries = timeout_s, tries
        self.count = {"requests": 0, "silent": 0, "wrong": 0}

    def close(self):
        os.close(self.fd)

    def _heard(self, end):
        ready, _, _ = select.select([self.fd], [], [], max(end - time.monotonic(), 0))
        return os.read(self.fd, 4096) if ready else b""

    def send(self, unit, pdu):
        frame = bytes([unit]) + pdu
        os.write(self.fd, frame + struct.pack("<H", crc(frame)))

    def raw(self, data):
        os.write(self.fd, data)

    def drain(self, quiet_s=0.05):
        """Takes what comes until it is quiet."""
        held = b""
        while data := self._heard(time.monotonic() + quiet_s):
            held += data
        return held

    @staticmethod
    def _fits(pdu, answer):
        """Whether it can be the answer to that, and not one that comes late to what was asked before."""
        if answer[0] == pdu[0] | 0x80:
            return True
        if pdu[0] in (3, 4):
            n = struct.unpack_from(">H", pdu, 3)[0]
            return len(answer) == 2 + 2 * n and answer[1] == 2 * n
        return answer[0] == pdu[0] and (pdu[0] not in (6, 16) or answer == pdu[:5])

    def once(self, unit, pdu):
        """The answer's PDU, or None."""
        self.drain(0)
        self.count["requests"] += 1
        self.send(unit, pdu)
        held, end = b"", time.monotonic() + self.timeout_s
        while True:
            data = self._heard(end)
            if not data:
                self.count["wrong" if held else "silent"] += 1
                self.drain(0.1)  # a late answer is none to the next request
                return None
            held += data
            if len(held) >= 5 and held[0] == unit and crc(held) == 0 and self._fits(pdu, held[1:-2]):
                return held[1:-2]

    def ask(self, unit, pdu):
        for _ in range(self.tries):
            answer = self.once(unit, pdu)
            if answer:
                if answer[0] & 0x80:
                    raise Refused(answer[1])
                return answer
        raise Silence(f"unit {unit}: no answer to {pdu.hex()} in {self.tries} tries")

    def read(self, unit, at, n, function=3):
        out = []
        while n > 0:
            some = min(n, 125)
            data = self.ask(unit, struct.pack(">BHH", function, at, some))
            out += struct.unpack(f">{some}H", data[2:])
            at, n = at + some, n - some
        return out

    def write(self, unit, at, values):
        self.ask(unit, struct.pack(">BHHB", 16, at, len(values), 2 * len(values)) +
                 struct.pack(f">{len(values)}H", *values))


def _definition():
    """({block name: id}, {(block, field?, name): (offset, type, count)}, {state: name})"""
    with open(os.path.join(ROOT, "sensors", "node.def"), encoding="utf-8") as f:
        text = f.read()
    blocks = {m[2]: int(m[1]) for m in re.finditer(r"^NODE_BLOCK\((\d+), (\w+), \d+\)", text, re.M)}
    regs = {(m[2], m[1] == "FIELD", m[3]): (int(m[4]), m[5], int(m[6])) for m in re.finditer(
        r"^NODE_(REG|FIELD)\((\w+), (\w+), (\d+), (\w+), (\d+), \w+\)", text, re.M)}
    states = {int(m[1]): m[2] for m in re.finditer(r"^NODE_STATE\((\d+), (\w+)\)", text, re.M)}
    return blocks, regs, states


BLOCKS, REGS, STATES = _definition()
NO_VALUE = -2147483648


def decode(kind, words):
    data = struct.pack(f">{len(words)}H", *words)
    if kind == "TEXT":
        return data.rstrip(b"\0").decode("ascii")
    return struct.unpack({"U16": ">H", "S16": ">h", "U32": ">I", "S32": ">i"}[kind], data)[0]


def encode(kind, count, value):
    if kind == "TEXT":
        data = value.encode().ljust(2 * count, b"\0")
    else:
        data = struct.pack({"U16": ">H", "S16": ">h", "U32": ">I", "S32": ">i"}[kind], value)
    return list(struct.unpack(f">{count}H", data))


class Map:
    """Of the node at `unit`, walked when it is made."""

    def __init__(self, master, unit):
        self.master, self.unit, self.where = master, unit, {}
        mark = master.read(unit, 0, 3)
        assert mark[:2] == [0x4650, 0x6E64], f"no mark: {mark}"
        self.version, at = mark[2], 3
        while True:
            number, = master.read(unit, at, 1)
            if number == 0xFFFF:
                self.end = at
                break
            length, = master.read(unit, at + 1, 1)
            self.where[number] = (at + 2, length)
            at += 2 + length

    def at(self, block, name, entry=None):
        """(address, type, registers)"""
        offset, kind, count = REGS[block, entry is not None, name]
        base, length = self.where[BLOCKS[block]]
        if entry is not None:
            each, entries = self.master.read(self.unit, base, 2)
            assert entry < entries, f"{block} has {entries} entries"
            base += length - each * entries + each * entry
        return base + offset, kind, count

    def get(self, block, name, entry=None):
        at, kind, count = self.at(block, name, entry)
        return decode(kind, self.master.read(self.unit, at, count))

    def set(self, block, name, value, entry=None):
        at, kind, count = self.at(block, name, entry)
        self.master.write(self.unit, at, encode(kind, count, value))

    def _table(self, block):
        base, length = self.where[BLOCKS[block]]
        each, entries = self.master.read(self.unit, base, 2)
        words = self.master.read(self.unit, base + length - each * entries, each * entries)
        return [{name: decode(kind, words[i * each + offset:i * each + offset + count])
                 for (b, field, name), (offset, kind, count) in REGS.items() if b == block and field}
                for i in range(entries)]

    def points(self):
        """[{quantity, instance, exponent, …}] of the block POINTS, each with its value's fields."""
        return [{**p, **v, "state": STATES[v["state"]]} for p, v in zip(
            self._table("POINTS"), self._table("VALUES"), strict=True)]

    def sensors(self):
        return [{**s, "state": STATES[s["state"]]} for s in self._table("SENSORS")]

    def point(self, quantity, instance=1):
        return next(p for p in self.points() if (p["quantity"], p["instance"]) == (quantity, instance))

    def value(self, quantity, wanted, instance=1, seconds=30):
        """Waits until the point's raw value is that, and is good; the point."""
        def there():
            p = self.point(quantity, instance)
            return p if (p["raw"], p["state"]) == (wanted, "GOOD") else None
        return until(there, seconds, f"quantity {quantity}.{instance}: {wanted}", 0.1)


def pms5003(pm1, pm25, pm10):
    """A frame of the data sheet: atmospheric values are the second three."""
    words = [28, pm1, pm25, pm10, pm1, pm25, pm10, 0, 0, 0, 0, 0, 0, 0x9700]
    body = b"\x42\x4d" + struct.pack(f">{len(words) - 1}H", *words[:-1]) + struct.pack(">H", words[-1])
    return body[:30] + struct.pack(">H", sum(body[:30]) & 0xFFFF)


def a02(mm):
    """A frame of an ultrasonic sensor A02YYUW."""
    frame = b"\xff" + struct.pack(">H", mm)
    return frame + bytes([sum(frame) & 0xFF])


class Sending(threading.Thread):
    """A sensor that sends by itself, each 0.3 s, until stop()."""

    def __init__(self, feed, frame):
        super().__init__(daemon=True)
        self.feed, self.frame, self.over = feed, frame, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.3):
            self.feed.send(self.frame)

    def stop(self):
        self.over.set()
        self.join(5)


class NodeCase(Case):
    """One line at 115200 bit/s with the nodes that node() makes. Needs --image, the folder of the images."""
    baud = 115200

    def setUp(self):
        super().setUp()
        self.nodes, self.hub = [], None
        self.port = os.path.join(self.folder, "line")

    def line(self, *names, baud=None, image="mps2-an385.elf", **more):
        """The started nodes, each with its name as its serial number."""
        sockets = [os.path.join(self.folder, n + ".line") for n in names]
        self.hub = Hub(self.port, sockets, baud or self.baud, self.args.seed).start()
        self.stack.callback(self.hub.stop)
        for name, path in zip(names, sockets, strict=True):
            node = Node(os.path.join(self.args.image, image), self.folder, name, path, **more)
            self.stack.callback(node.close)
            self.nodes.append(node.start())
        return self.nodes

    def master(self, **more):
        m = Master(self.port, **more)
        self.stack.callback(m.close)
        return m


NAMES, UNITS = ("node-a", "node-b", "node-c"), (11, 12, 13)
KEEP = 2


class LineCase(NodeCase):
    """Three nodes on one line, at UNITS, from three(); `at` is a master of the tests."""

    def three(self, baud=None):
        """All begin at address 1, and who asks there hears three at once. One alone tells the map; then each
        gets an address by its serial number, which is for all to hear."""
        self.line(*NAMES, baud=baud)
        self.at = self.master()
        for name in NAMES[1:]:
            self.hub.cut(name + ".line")
        alone = Map(self.at, 1)
        self.hub.well()
        self.for_serial, _, n = alone.at("LINE", "for_serial")
        self.assertEqual(alone.at("LINE", "new_address")[0], self.for_serial + n)
        for name, unit in zip(NAMES, UNITS, strict=True):
            self.give(name, unit)

    def give(self, serial, unit):
        words = encode("TEXT", REGS["LINE", False, "for_serial"][2], serial) + [unit]
        pdu = struct.pack(">BHHB", 16, self.for_serial, len(words), 2 * len(words)) + struct.pack(
            f">{len(words)}H", *words)

        def there():
            self.at.send(0, pdu)  # to all: nobody answers
            try:
                m = Map(self.at, unit)
                m.set("LINE", "command", KEEP)
                return m.get("IDENTITY", "serial") == serial
            except Silence:
                return False
        until(there, 30, f"{serial} at {unit}")


def image(parser):
    parser.add_argument("--image", required=True, help="folder of the node's images")
