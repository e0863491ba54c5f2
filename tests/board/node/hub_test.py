"""The RS-485 line of tests/sim/hub.py: who hears what, and each thing that it can do wrong."""
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
import unittest

SIM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "sim")
sys.path.insert(0, SIM)
from hub import Hub  # noqa: E402

BAUD = 100000  # a byte takes 0.1 ms


class Line(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="fp-hub-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        paths = [os.path.join(self.folder, n) for n in ("a", "b")]
        self.hub = Hub(os.path.join(self.folder, "pty"), paths, BAUD, 7)
        self.socks = []
        for p in paths:
            s = socket.socket(socket.AF_UNIX)
            s.connect(p)
            self.addCleanup(s.close)
            self.socks.append(s)
        self.pty = os.open(os.path.join(self.folder, "pty"), os.O_RDWR | os.O_NOCTTY)
        self.addCleanup(os.close, self.pty)
        self.addCleanup(self.hub.stop)

    def heard(self, fd, n, quiet=1.0):
        """n bytes, or what came until it was quiet for so long."""
        got = b""
        while len(got) < n and select.select([fd], [], [], quiet)[0]:
            got += os.read(fd if isinstance(fd, int) else fd.fileno(), 4096)
        return got

    def test_all_hear_but_who_speaks(self):
        self.hub.start()
        os.write(self.pty, b"to all")
        for s in self.socks:
            self.assertEqual(self.heard(s, 6, 5), b"to all")
        self.socks[0].send(b"answer")
        self.assertEqual(self.heard(self.pty, 6, 5), b"answer")
        self.assertEqual(self.heard(self.socks[1], 6, 5), b"answer")
        self.assertEqual(self.heard(self.socks[0], 1), b"")
        self.assertEqual(self.hub.count["mangled"], 0)

    def test_a_byte_takes_its_time(self):
        self.hub.start()
        began = time.monotonic()
        os.write(self.pty, bytes(1000))
        self.assertEqual(self.heard(self.socks[0], 1000, 5), bytes(1000))
        self.assertGreaterEqual(time.monotonic() - began, 1000 * 10 / BAUD)

    def test_two_at_once_mangle_each_other(self):
        for s in self.socks:  # both wait in the hub before it looks
            s.send(bytes(200))
        self.hub.start()
        got = self.heard(self.pty, 400, 5)
        self.assertEqual(len(got), 400)
        self.assertGreater(self.hub.count["mangled"], 100)
        self.assertGreater(sum(1 for b in got if b), 100)
        os.write(self.pty, b"alone")  # behind them
        self.assertTrue(self.heard(self.socks[0], 205, 5).endswith(b"alone"))

    def test_noise_and_drops_come_by_the_seed(self):
        self.hub.noise, self.hub.drop = 0.1, 0.1
        self.hub.start()
        os.write(self.pty, bytes(1000))
        first = self.heard(self.socks[0], 1000)
        self.assertEqual(len(first), 1000 - self.hub.count["dropped"])
        self.assertEqual(sum(1 for b in first if b) > 50, True)
        again = Hub(os.path.join(self.folder, "again"), [os.path.join(self.folder, "c")], BAUD, 7)
        self.addCleanup(again.stop)
        again.noise, again.drop = 0.1, 0.1
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(self.folder, "c"))
            again.start()
            fd = os.open(os.path.join(self.folder, "again"), os.O_RDWR | os.O_NOCTTY)
            self.addCleanup(os.close, fd)
            os.write(fd, bytes(1000))
            self.assertEqual(self.heard(s, 1000), first)

    def test_a_wire_is_cut_in_the_midst(self):
        self.hub.start()
        self.hub.cut("a", 3)
        self.socks[0].send(b"broken off")
        self.assertEqual(self.heard(self.pty, 10), b"bro")
        os.write(self.pty, b"x")
        self.assertEqual(self.heard(self.socks[1], 4, 5), b"brox")
        self.assertEqual(self.heard(self.socks[0], 1), b"")
        self.hub.join("a")
        self.socks[0].send(b"whole")
        self.assertEqual(self.heard(self.pty, 5, 5), b"whole")


class Program(unittest.TestCase):
    def test_is_told_what_goes_wrong(self):
        with tempfile.TemporaryDirectory(prefix="fp-hub-") as folder:
            p = subprocess.Popen([sys.executable, os.path.join(SIM, "hub.py"), "--pty", folder + "/pty", "--node",
                                  folder + "/a", "--seed", "3"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
            out, err = p.communicate("noise 0.5\ncut a\njoin a\ncut nobody\ncounts\n", 30)
            said = out.splitlines()
            self.assertEqual(said[0], "seed 3")
            self.assertEqual(json.loads(said[1])["bytes"], 0)
            self.assertIn("cut nobody: not known", err)
            self.assertEqual(p.returncode, 0)


if __name__ == "__main__":
    unittest.main()
