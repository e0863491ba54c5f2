#!/usr/bin/env python3
"""fieldpost-sim seen from outside: polls it by plain sockets and a tty, and compares what came over
the wire with the log of what it says it served."""
import argparse
import csv
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_sim import WAIT_S, Sim  # noqa: E402

PROFILE = """model: test
points:
  - {name: level, quantity: number, function: 3, address: 10, type: s16, scale: 0.1}
  - {name: volts, quantity: voltage, function: 3, address: 12, type: f32, order: CDAB}
  - {name: poll, quantity: number, function: 3, address: 100, type: u32}
"""
SITE = """log: served.csv
traces: {dir: .}
buses:
  plant: {type: modbus-tcp, listen: "127.0.0.1:0"}
  line: {type: modbus-rtu, link: tty}
devices:
  t: {bus: plant, unit: 3, profile: ./p.yaml, counter: poll, late: 300ms,
      points: {level: {trace: tr, series: a/b, offset_rows: 1}, volts: {formula: ramp, from: 1, step: 0.5}},
      faults: [{at: 4, do: silent}]}
  r: {bus: line, unit: 1, profile: ./p.yaml, counter: poll, points: {level: {formula: constant, value: -3.4}}}
"""
TRACE = "series,ts_ms,value\na/b,1,0.5\na/b,2,7\na/b,3,-12.34\n"


class Tcp:
    def __init__(self, where, unit):
        host, port = where.split(":")
        self.s, self.unit, self.tid = socket.create_connection((host, int(port)), WAIT_S), unit, 0

    def send(self, address, n, function=3):
        self.tid += 1
        self.s.sendall(struct.pack(">HHHBBHH", self.tid, 0, 6, self.unit, function, address, n))

    def read(self, timeout_s=WAIT_S):
        """(tid, unit, pdu); None: silence; "closed"."""
        if not select.select([self.s], [], [], timeout_s)[0]:
            return None
        head = self.s.recv(7)
        if not head:
            return "closed"
        tid, proto, n, unit = struct.unpack(">HHHB", head)
        assert proto == 0
        return tid, unit, self.s.recv(n - 1) if n > 1 else b""

    def ask(self, address, n):
        self.send(address, n)
        got = self.read()
        assert got[:2] == (self.tid, self.unit), got
        return got[2]


def crc(data):
    c = 0xFFFF
    for x in data:
        c ^= x
        for _ in range(8):
            c = c >> 1 ^ 0xA001 if c & 1 else c >> 1
    return struct.pack("<H", c)


def read_tty(fd, n):
    data = b""
    while len(data) < n and select.select([fd], [], [], WAIT_S)[0]:
        data += os.read(fd, n - len(data))
    return data


def served(folder):
    with open(os.path.join(folder, "served.csv"), encoding="utf-8") as f:
        return [tuple(r.values()) for r in csv.DictReader(f)]


def check_tcp(sim):
    t = Tcp(sim.bus["plant"], 3)
    assert t.ask(10, 4) == bytes.fromhex("0308 0046 0000 0000 3f80"), "7.0, hole, 1.0 as CDAB"
    assert t.ask(10, 1) == bytes.fromhex("0302 0046"), "values moved within a poll"
    assert t.ask(100, 2) == bytes.fromhex("0304 00000001")
    assert t.ask(10, 4)[:4] == bytes.fromhex("0308 ff85"), "-12.3"
    assert t.ask(100, 2) == bytes.fromhex("0304 00000002")
    t.send(10, 1)  # the fourth poll; the second began where 10 was asked again
    assert t.read(0.3) is None, "the fault at poll 4 did not happen"


def check_faults(sim):
    t = Tcp(sim.bus["plant"], 3)
    assert sim.say("heal t") == "ok"
    assert sim.say("fault t wrong_tid 1") == "ok"
    t.send(10, 1)
    assert t.read()[0] == t.tid + 1
    assert sim.say("fault t exception 1") == "ok"
    assert t.ask(10, 1) == b"\x83\x04"
    assert sim.say("fault t late 1") == "ok"
    t.send(10, 1)
    assert t.read(0.1) is None and t.read()[0] == t.tid
    assert sim.say("fault t silent 1") == "ok"
    t.send(10, 1)
    assert t.read(0.3) is None
    assert sim.say("fault t close 1") == "ok"
    t.send(10, 1)
    assert t.read() == "closed"
    assert sim.say("fault t crc 1").startswith("error: ")
    assert sim.say("fault nobody silent 1").startswith("error: ")
    assert sim.say("heal t") == "ok"
    other = Tcp(sim.bus["plant"], 9)
    assert other.ask(10, 1) == b"\x83\x0b", "nobody has unit 9"


def check_rtu(folder):
    fd = os.open(os.path.join(folder, "tty"), os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    for pdu, want in ((b"\x03\0\x0a\0\x01", "0302 ffde"), (b"\x03\0\x64\0\x02", "0304 00000001")):
        frame = b"\x01" + pdu
        os.write(fd, frame + crc(frame))
        good = b"\x01" + bytes.fromhex(want)
        assert read_tty(fd, len(good) + 2) == good + crc(good)
    os.close(fd)


def check_quiesce(sim):
    """A poll in progress ends, no other begins."""
    t = Tcp(sim.bus["plant"], 3)
    t.ask(10, 1)
    sim.p.send_signal(signal.SIGUSR1)
    number = struct.unpack(">I", t.ask(100, 2)[2:])[0]
    assert sim.line() == "quiet"
    t.send(10, 1)
    assert t.read(0.3) is None, "a new poll was answered"
    return number


def check_mistakes(binary, folder):
    with open(os.path.join(folder, "site.yaml"), "w", encoding="utf-8") as f:
        f.write("devices:\n  a: {bus: b, profile: ./p.yaml}\n  c: {bus: b, profil: x}\n")
    p = subprocess.run([binary, "--config", os.path.join(folder, "site.yaml")],
                       capture_output=True, text=True, timeout=WAIT_S, check=False)
    assert p.returncode == 2, p
    assert "site.yaml:3:" in p.stderr and "profil" in p.stderr, p.stderr


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--bin", required=True)
    binary = os.path.join(a.parse_args().bin, "fieldpost-sim")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("p.yaml", PROFILE), ("site.yaml", SITE), ("tr.csv", TRACE)):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                f.write(text)
        sim = Sim(binary, folder)
        try:
            check_tcp(sim)
            check_faults(sim)
            check_rtu(folder)
            number = check_quiesce(sim)
            assert sim.stop() == 0
        finally:
            if sim.p.poll() is None:
                sim.p.kill()
                sim.p.wait()
        rows = served(folder)
        assert rows[:3] == [("t", "1", "level", "7"), ("t", "1", "volts", "1"),
                            ("t", "1", "poll", "1")], rows
        assert ("t", "2", "level", "-12.3") in rows and ("r", "1", "level", "-3.4") in rows, rows
        assert rows[-1] == ("t", str(number), "poll", str(number)), rows
        assert len(set(r[:3] for r in rows)) == len(rows), "a row twice"
        assert not os.path.lexists(os.path.join(folder, "tty")), "the link is left behind"
        check_mistakes(binary, folder)
    print(f"{len(rows)} rows served as logged")
    return 0


if __name__ == "__main__":
    sys.exit(main())
