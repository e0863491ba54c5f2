"""What is measured is what a link gives: two network namespaces and a link between them that the kernel holds
to a known rate both ways. And what it says: a rate of the way, or that the box's own port was full."""
import ctypes
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support", "python")]
from fp_proc import main, run, skipped  # noqa: E402
from throughput import LINK, RATED, Site  # noqa: E402

INSIDE = "FP_THROUGHPUT_INSIDE"
SPEED = os.path.join(HERE, "..", "support", "python", "fp_speed.py")
MBIT, PAYLOAD = 16, 1448 / 1514  # of the shaped link; of a frame as the kernel's shaper counts it
PORT_MBIT, BEHIND_MBIT = 10, 4  # of the box's port; of the line behind it
CLONE_NEWNET, TUNSETIFF, IFF_TAP, IFF_NO_PI, SIOCETHTOOL, ETHTOOL_SSET = 0x40000000, 0x400454ca, 2, 0x1000, 0x8946, 2


class Ends(Site):
    """A network namespace beyond this one, with a server to measure against; subclasses make the link."""

    def setUp(self):
        super().setUp()
        self.far = subprocess.Popen(
            ["unshare", "--net", "--", sys.executable, "-c",
             "import subprocess, sys; print(flush=True); sys.stdin.readline(); "
             f"sys.exit(subprocess.call([sys.executable, {SPEED!r}, '--listen', '10.9.0.2']))"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.stack.callback(self.far_end)
        self.far.stdout.readline()
        self.there = ["nsenter", "-t", str(self.far.pid), "-n"]
        self.link()
        for words in (["ip", "addr", "add", "10.9.0.1/24", "dev", "near"], ["ip", "link", "set", "near", "up"],
                      [*self.there, "ip", "addr", "add", "10.9.0.2/24", "dev", "far"],
                      [*self.there, "ip", "link", "set", "far", "up"]):
            subprocess.run(words, check=True)
        self.far.stdin.write("\n")
        self.far.stdin.flush()
        self.url = f"http://10.9.0.2:{int(self.far.stdout.readline())}"

    def shape(self, mbit, *how, queue="60ms"):
        for where, name in (([], "near"), (self.there, "far")):
            # each frame alone: of several in one the shaper would count the head once
            subprocess.run([*where, "ip", "link", "set", "dev", name, "gso_max_segs", "1"], check=True)
            subprocess.run([*where, "tc", "qdisc", "replace", "dev", name, "root", *how, "tbf", "rate", f"{mbit}mbit",
                            "burst", "16kb", "latency", queue], check=True)

    def far_end(self):
        self.far.stdin.close()
        self.far.wait(20)
        self.far.stdout.close()


class Line(Ends):
    """A link whose interfaces say 10 Gbit/s, and that the kernel holds to MBIT both ways."""

    def link(self):
        subprocess.run(["ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
                        str(self.far.pid)], check=True)
        self.shape(MBIT)

    def test_both_ways_are_what_the_link_gives(self):
        self.site({"line": f"down: '{self.url}/endless', up: '{self.url}/sink', interface: near, ramp: 1s, "
                           "duration: 4s, connections: 4"})
        self.gw.start()
        answer = self.ask("line")
        gives = MBIT * PAYLOAD
        for way in ("download", "upload"):
            r = answer[way]
            print(f"{way}: {r.get('mbit')} of {gives:.2f} Mbit/s, code {r['code']}, load {r.get('load_percent')} %",
                  flush=True)
            self.assertIn(r["code"], RATED, r)
            self.assertNotEqual(r["result"], "link capability")
            self.assertLess(r["mbit"], 1.02 * gives)
            self.assertGreater(r["mbit"], 0.9 * gives)
        self.assertEqual(answer["interface"], "near")
        self.assertEqual(answer["link_mbit"], 10000)  # what veth says of itself
        self.assertEqual(self.gw.stop(), 0)
        rows = {r[0]: r[2] for r in self.gw.export("--raw")}
        self.assertEqual(float(rows["line/download"]), answer["download"]["mbit"])
        self.assertEqual(rows["line/link"], "10000")
        self.assertEqual(rows["line/upload_result"], str(answer["upload"]["code"]))


class Port(Ends):
    """A link whose interfaces say PORT_MBIT, as a network card does, and that carries what Ethernet of that rate does:
    two taps and a wire between them."""

    def setUp(self):
        try:
            os.close(os.open("/dev/net/tun", os.O_RDWR))
        except OSError as e:
            self.skipTest(f"/dev/net/tun: {e.strerror}")
        super().setUp()

    def link(self):
        self.taps = [self.tap("near"), self.within(lambda: self.tap("far"))]
        for a, b in (self.taps, self.taps[::-1]):
            threading.Thread(target=self.wire, args=(a, b), daemon=True).start()
        # a frame of Ethernet takes 24 bytes more than the kernel sees: preamble, checksum, gap
        self.shape(PORT_MBIT, "stab", "overhead", "24", "linklayer", "ethernet", queue="200ms")

    def within(self, make):
        got = []

        def go():
            with open(f"/proc/{self.far.pid}/ns/net", encoding="ascii") as f:
                if ctypes.CDLL(None, use_errno=True).setns(f.fileno(), CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            got.append(make())
        t = threading.Thread(target=go)
        t.start()
        t.join()
        return got[0]

    @staticmethod
    def tap(name):
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
        # struct ethtool_cmd: command, supported, advertised, speed, duplex, and more that stays 0
        says = ctypes.create_string_buffer(struct.pack("=IIIHB29x", ETHTOOL_SSET, 0, 0, PORT_MBIT, 1))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            fcntl.ioctl(s, SIOCETHTOOL, struct.pack("16sQ16x", name.encode(), ctypes.addressof(says)))
        return fd

    @staticmethod
    def wire(a, b):
        while frame := os.read(a, 2048):
            try:
                os.write(b, frame)
            except OSError:
                pass  # the other end is not up

    def measured(self, code):
        """{way: its result of this code}, within some tries: others are on this machine, too."""
        got = {}
        for _ in range(4):
            answer = self.ask("line")
            self.assertEqual(answer["link_mbit"], PORT_MBIT)
            for way in ("download", "upload"):
                print(f"link of {PORT_MBIT} Mbit/s: {way} {answer[way].get('mbit')}, {answer[way]['result']}", flush=True)
                if answer[way]["code"] in code:
                    got[way] = answer[way]
            if len(got) == 2:
                return got
        self.fail(f"not {code} both ways")

    def says(self):
        """For people."""
        return run([self.gw.exe, "throughput", "--config", self.gw.conf, "--yes", "line"], 120, ok=(0, 1)).stdout

    def test_a_full_port_is_link_capability_and_a_slower_line_behind_it_a_measured_rate(self):
        self.site({"line": f"down: '{self.url}/endless', up: '{self.url}/sink', interface: near, ramp: 2s, "
                           "duration: 3s, connections: 4"})
        self.gw.start()
        for r in self.measured((LINK,)).values():
            self.assertEqual(r["result"], "link capability")
            self.assertLess(r["mbit"], 1.02 * PORT_MBIT * 1448 / 1538)
        self.assertTrue(any(re.search(r"(?m)^(download|upload) +[\d.]+ Mbit/s, link capability \(", said := self.says())
                            for _ in range(4)), said)
        self.assertRegex(said, rf"(?m)^link +near, {PORT_MBIT} Mbit/s$")
        self.shape(BEHIND_MBIT, queue="200ms")
        behind = self.measured(RATED)
        for r in behind.values():
            self.assertLess(r["mbit"], 1.02 * BEHIND_MBIT * PAYLOAD)
            self.assertGreater(r["mbit"], 0.8 * BEHIND_MBIT * PAYLOAD)
        self.assertEqual(self.gw.stop(), 0)
        rows = self.gw.export()
        for way in ("download", "upload"):
            codes = [int(r[2]) for r in rows if r[0] == f"line/{way}_result"]
            self.assertIn(LINK, codes)
            self.assertIn(codes[-1], RATED)
            self.assertIn(behind[way]["mbit"], [float(r[2]) for r in rows if r[0] == f"line/{way}"])
        self.assertEqual({r[2] for r in rows if r[0] == "line/link"}, {str(PORT_MBIT)})


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)  # of this namespace
        main()
    elif not all(shutil.which(x) for x in ("unshare", "nsenter", "ip", "tc")) or subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && ip link add near type veth peer name far && "
             "tc qdisc add dev near root tbf rate 1mbit burst 16kb latency 50ms"],
            capture_output=True, check=False).returncode != 0:
        skipped("throughput_line", "no network namespace with a shaped link can be had")
        sys.exit(77)
    else:
        os.execvpe("unshare", ["unshare", "--user", "--map-root-user", "--net", "--mount", "--", sys.executable,
                               *sys.argv], {**os.environ, INSIDE: "1"})
