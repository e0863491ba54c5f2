#!/usr/bin/python3
"""An RS-485 line: what one of its talkers sends, all others hear, byte by byte at the line's speed.

    tests/sim/hub.py --pty LINK [--node SOCKET]... [--baud 9600] [--seed N]

The gateway opens LINK, a pseudo-terminal that the hub holds open itself; a node in QEMU connects to its
SOCKET (-chardev socket,id=line,path=SOCKET,reconnect=1 -serial chardev:line). Two that talk at once mangle
each other's bytes. What else goes wrong is told on standard input, a line each; NAME is `pty` or a socket's
file name:

    noise P         each byte has one wrong bit with probability P
    drop P          each byte is lost with probability P
    babble P        somebody talks over a transmission with probability P
    cut NAME        its wire is broken;   join NAME: it is mended
    cut NAME N      after N more bytes of it, in the midst of a frame
    counts          prints what went over the line, as JSON

The seed is printed first: the same seed and the same bytes in the same order have the same faults. It knows
nothing of Modbus. Tests use the class Hub, whose methods these are.
"""
import argparse
import heapq
import json
import os
import pty
import random
import select
import socket
import sys
import threading
import time
import tty


AHEAD_MAX = 1 << 16  # bytes; who does not listen for so long misses the next


class Talker:
    def __init__(self, name):
        self.name, self.joined, self.left = name, True, None
        self.bursts = []  # (begin, end) of what it sent, the newest last
        self.listener = self.sock = self.fd = None
        self.ahead = bytearray()  # what it is to hear, and has not taken yet

    def free_at(self):
        return self.bursts[-1][1] if self.bursts else 0.0


class Hub:
    """Runs in a thread of its own from start() to stop(). All methods are for any thread."""
    BITS = 10  # of a byte, with its start and stop bit

    def __init__(self, pty_link, nodes=(), baud=9600, seed=None):
        self.seed = random.SystemRandom().randrange(1 << 32) if seed is None else seed
        self.random = random.Random(self.seed)
        self.byte_s = self.BITS / baud
        self.noise = self.drop = self.babble = 0.0
        self.count = {"bytes": 0, "noise": 0, "dropped": 0, "mangled": 0, "babbled": 0, "cut": 0}
        self.heard = None  # called with (name, bytes, when they begin) for each piece that a talker sends
        self.due, self.n, self.lock = [], 0, threading.RLock()
        self.wake_r, self.wake_w = os.pipe()
        self.talkers = {"pty": self._pty(pty_link), **{os.path.basename(p): self._listen(p) for p in nodes}}
        self.thread, self.over = None, False

    def _pty(self, link):
        t = Talker("pty")
        t.fd, self.slave = pty.openpty()  # the slave stays open: what is written before anybody reads is kept
        tty.setraw(self.slave)
        os.set_blocking(t.fd, False)
        if os.path.lexists(link):
            os.unlink(link)
        os.symlink(os.ttyname(self.slave), link)
        return t

    @staticmethod
    def _listen(path):
        t = Talker(os.path.basename(path))
        t.listener = socket.socket(socket.AF_UNIX)
        t.listener.bind(path)
        t.listener.listen(1)
        return t

    # ---- what goes wrong ----

    def cut(self, name, after=0):
        with self.lock:
            t = self.talkers[name]
            t.joined, t.left = after > 0, after or None

    def join(self, name):
        with self.lock:
            self.talkers[name].joined, self.talkers[name].left = True, None

    def spoke(self, name):
        """When it last did, by time.monotonic(); 0.0: never."""
        with self.lock:
            return self.talkers[name].free_at()

    def well(self):
        """Nothing goes wrong any more."""
        with self.lock:
            self.noise = self.drop = self.babble = 0.0
            for name in self.talkers:
                self.join(name)

    # ---- the line ----

    def start(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def stop(self):
        self.over = True
        os.write(self.wake_w, b"x")
        if self.thread:
            self.thread.join(10)
        for t in self.talkers.values():
            for s in (t.sock, t.listener):
                if s:
                    s.close()
        for fd in (self.talkers["pty"].fd, self.slave, self.wake_r, self.wake_w):
            os.close(fd)

    def _run(self):
        while not self.over:
            with self.lock:
                now = time.monotonic()
                wait = max(self.due[0][0] - now, 0) if self.due else 1.0
                if any(t.ahead for t in self.talkers.values()):
                    wait = min(wait, 0.005)  # somebody is slow to take what it hears
                whose = {x: t for t in self.talkers.values() for x in (t.fd, t.sock, t.listener) if x is not None}
            readable, _, _ = select.select([*whose, self.wake_r], [], [], wait)
            with self.lock:
                for x in readable:
                    if x in whose:
                        self._ready(whose[x], x)
                self._deliver(time.monotonic())

    def _ready(self, t, x):
        if x is t.listener:
            if t.sock:
                t.sock.close()
            t.sock = t.listener.accept()[0]
            t.sock.setblocking(False)
            return
        try:
            data = t.sock.recv(4096) if x is t.sock else os.read(x, 4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._send(t, data)
        elif x is t.sock:
            t.sock.close()
            t.sock = None
            t.ahead.clear()

    def _send(self, t, data):
        begin = max(time.monotonic(), t.free_at())
        if self.heard:
            self.heard(t.name, data, begin)
        if self.babble and self.random.random() < self.babble:
            self.count["babbled"] += 1
            self._burst(Talker("babble"), begin + self.random.random() * len(data) * self.byte_s,
                        self.random.randbytes(1 + self.random.randrange(8)))
        self._burst(t, begin, data)

    def _burst(self, t, begin, data):
        self.talkers.setdefault(t.name, t)
        t = self.talkers[t.name]
        begin = max(begin, t.free_at())
        end = begin + len(data) * self.byte_s
        if t.bursts and t.bursts[-1][1] == begin:
            t.bursts[-1] = (t.bursts[-1][0], end)
        else:
            t.bursts = [*t.bursts[-8:], (begin, end)]
        for i, byte in enumerate(data):
            self.n += 1
            heapq.heappush(self.due, (begin + (i + 1) * self.byte_s, self.n, t, byte))

    def _deliver(self, now):
        while self.due and self.due[0][0] <= now:
            end, _, t, byte = heapq.heappop(self.due)
            if t.left is not None:
                t.left -= 1
                if t.left < 0:
                    t.joined, t.left = False, None
            if not t.joined:
                self.count["cut"] += 1
                continue
            self.count["bytes"] += 1
            begin = end - self.byte_s
            if any(b < end and begin < e for o in self.talkers.values() if o is not t and o.joined
                   for b, e in o.bursts):
                self.count["mangled"] += 1
                byte = self.random.randrange(256)
            if self.random.random() < self.noise:
                self.count["noise"] += 1
                byte ^= 1 << self.random.randrange(8)
            if self.random.random() < self.drop:
                self.count["dropped"] += 1
                continue
            self._hear(t, byte)
        self._hand_over()

    def _hear(self, talker, byte):
        for o in self.talkers.values():
            if o is not talker and o.joined and (o.fd is not None or o.sock) and len(o.ahead) < AHEAD_MAX:
                o.ahead.append(byte)

    def _hand_over(self):
        for o in self.talkers.values():
            if not o.ahead:
                continue
            try:
                del o.ahead[:os.write(o.fd, o.ahead) if o.fd is not None else o.sock.send(o.ahead)]
            except BlockingIOError:
                pass  # later
            except OSError:
                o.ahead.clear()  # it does not listen


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    p.add_argument("--pty", required=True)
    p.add_argument("--node", action="append", default=[])
    p.add_argument("--baud", type=int, default=9600)
    p.add_argument("--seed", type=int)
    a = p.parse_args()
    hub = Hub(a.pty, a.node, a.baud, a.seed).start()
    print(f"seed {hub.seed}", flush=True)
    for line in sys.stdin:
        word, *rest = line.split() or [""]
        if word in ("noise", "drop", "babble") and len(rest) == 1:
            setattr(hub, word, float(rest[0]))
        elif word == "cut" and rest and rest[0] in hub.talkers:
            hub.cut(rest[0], *map(int, rest[1:2]))
        elif word == "join" and rest and rest[0] in hub.talkers:
            hub.join(rest[0])
        elif word == "counts":
            print(json.dumps(hub.count), flush=True)
        elif word:
            print(f"{line.strip()}: not known, or no such talker: {', '.join(hub.talkers)}", file=sys.stderr)
    hub.stop()


if __name__ == "__main__":
    main()
