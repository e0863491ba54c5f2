"""A small internet in namespaces: the box (this process's own), a line that delays, an operator's router with
DNS, and the city behind it. What a test breaks of it is broken for real.

    box wan0 10.7.0.2 -- (line, delays) -- 10.7.0.1 isp 10.8.0.1 -- 10.8.0.2 city, 10.9.0.9 another host

Net.second() adds another way, wan1 10.6.0.2 -- 10.6.0.1 isp; Net.six() the same internet in IPv6.
"""
import contextlib
import ctypes
import heapq
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from fp_proc import City, Proc, run, until, write

INSIDE = "FP_NETLAB_INSIDE"
BOX, HOP, CITY, OTHER, NAME, PORT = "10.7.0.2", "10.7.0.1", "10.8.0.2", "10.9.0.9", "city.test", 8443
BOX2, HOP2 = "10.6.0.2", "10.6.0.1"
BOX6, HOP6, CITY6, OTHER6, NAME6 = "fd07::2", "fd07::1", "fd08::2", "fd09::9", "city6.test"
CLONE_NEWNET, SOL_PACKET, PACKET_VNET_HDR, ETH_P_ALL = 0x40000000, 263, 15, 3


def enter(what):
    """Starts this program anew in namespaces of its own; returns within them. Exits with 77 where none are."""
    if os.environ.get(INSIDE):
        return
    for how in (["--user", "--map-root-user"], []):
        args = ["unshare", *how, "--net", "--mount"]
        if shutil.which("ip") and shutil.which("nft") and subprocess.run(
                [*args, "sh", "-ec", "mount -t sysfs sysfs /sys; mount -t tmpfs tmpfs /run; "
                 "ip netns add a; ip link add x type veth peer name y; nft list ruleset"],
                capture_output=True, check=False).returncode == 0:
            os.execvpe("unshare", [*args, "--", sys.executable, *sys.argv], {**os.environ, INSIDE: "1"})
    print(f"skipped: {what}: no network namespaces can be had", flush=True)
    sys.exit(77)


def sh(text):
    for line in filter(None, (x.strip() for x in text.splitlines())):
        subprocess.run(line.split(), check=True, capture_output=True)


def nft(where, text):
    subprocess.run(["ip", "netns", "exec", where, "nft", "-f", "-"] if where else ["nft", "-f", "-"], input=text,
                   text=True, check=True)


def within(where, make):
    """What make() gives, called in that namespace: a socket stays in it."""
    got = []

    def go():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{where}", encoding="ascii") as f:
            if libc.setns(f.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        got.append(make())
    t = threading.Thread(target=go)
    t.start()
    t.join()
    return got[0]


class Line:
    """Between the box and the operator: frames come out `delay_s` later."""

    def __init__(self):
        self.delay_s, self.ends = 0.0, {}
        names = ("ra", "rb")
        for name in names:
            self.ends[name] = within("line", lambda name=name: self.open(name))
        threading.Thread(target=self.run, daemon=True).start()

    @staticmethod
    def open(name):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)  # checksums that are still to be made stay so
        s.bind((name, ETH_P_ALL))
        return s

    def run(self):
        due, a, b = [], self.ends["ra"], self.ends["rb"]
        order = 0
        while True:
            wait = max(0, due[0][0] - time.monotonic()) if due else 1
            for s in select.select([a, b], [], [], wait)[0]:
                data, address = s.recvfrom(70000)
                if address[2] == socket.PACKET_OUTGOING:
                    continue
                order += 1
                heapq.heappush(due, (time.monotonic() + self.delay_s, order, b if s is a else a, data))
            while due and due[0][0] <= time.monotonic():
                _, _, s, data = heapq.heappop(due)
                with contextlib.suppress(OSError):
                    s.send(data)


class Dns:
    """The operator's: answers for the city, is silent, or says NXDOMAIN. city.test has an A alone, city6.test an
    AAAA alone."""
    A, AAAA = 1, 28
    NAMES = {b"\4city\4test": (A, socket.inet_aton(CITY)),
             b"\5city6\4test": (AAAA, socket.inet_pton(socket.AF_INET6, CITY6))}

    def __init__(self, family=socket.AF_INET, at=HOP):
        self.mode, self.asked = "answer", 0
        self.s = within("isp", lambda: self.open(family, at))
        threading.Thread(target=self.run, daemon=True).start()

    @staticmethod
    def open(family, at):
        s = socket.socket(family, socket.SOCK_DGRAM)
        s.bind((at, 53))
        return s

    def run(self):
        while True:
            q, who = self.s.recvfrom(2048)
            self.asked += 1
            if self.mode == "silent":
                continue
            end = q.index(b"\0", 12) + 5
            kind, = struct.unpack(">H", q[end - 4:end - 2])
            has, data = self.NAMES.get(q[12:end - 5], (None, b""))
            named = has is not None
            found = self.mode == "answer" and has == kind
            answer = b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 1, len(data)) + data if found else b""
            code = 0 if self.mode == "answer" and named else 3
            self.s.sendto(q[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, int(found), 0, 0) + q[12:end] + answer, who)


class LabCity(City):
    """The real one, in its namespace, known as city.test."""
    at = "0.0.0.0"  # where it listens

    def __init__(self, bindir, folder):
        super().__init__(bindir, folder)
        f = folder
        write(f + "/san", f"subjectAltName=DNS:{NAME},DNS:{NAME6},DNS:localhost,IP:127.0.0.1,IP:{CITY},IP:{CITY6}\n")
        run(["openssl", "x509", "-req", "-in", f + "/tls.csr", "-CA", f + "/ca.pem", "-CAkey", f + "/ca.key",
             "-CAcreateserial", "-days", "30", "-extfile", f + "/san", "-out", f + "/tls.pem"])
        self.url = f"https://{NAME}:{PORT}"

    def config(self, port):
        super().config(port)
        with open(self.conf, encoding="utf-8") as f:
            text = f.read()
        write(self.conf, text.replace(f"127.0.0.1:{port}", f"{self.at}:{PORT}"))

    def start(self):
        self.proc = Proc(["ip", "netns", "exec", "city", self.exe, "serve", "--config", self.conf])
        self.proc.wait_line("listening on https://")
        return self


class Net:
    """All of it. A process has one."""

    def __init__(self):
        folder = tempfile.mkdtemp(prefix="fp-net-")
        self.folder = folder
        sh(f"""mount -t sysfs sysfs /sys
               mount -t tmpfs tmpfs /run
               ip link set lo up
               ip netns add line
               ip netns add isp
               ip netns add city
               ip link add wan0 type veth peer name ra netns line
               ip link add rb netns line type veth peer name e0 netns isp
               ip link add e1 netns isp type veth peer name c0 netns city
               ip -n line link set ra up
               ip -n line link set rb up
               ip -n isp link set lo up
               ip -n isp link set e0 up
               ip -n isp link set e1 up
               ip -n city link set lo up
               ip -n city link set c0 up
               ip -n isp addr add {HOP}/24 dev e0
               ip -n isp addr add 10.8.0.1/24 dev e1
               ip -n city addr add {CITY}/24 dev c0
               ip -n city addr add {OTHER}/32 dev lo
               ip -n city route add default via 10.8.0.1
               ip -n isp route add {OTHER}/32 via {CITY}
               ip netns exec isp sysctl -qw net.ipv4.ip_forward=1""")
        self.dns6 = None
        self.resolver()
        write(folder + "/nsswitch", "hosts: files dns\n")
        for name, file in (("resolv", "resolv.conf"), ("nsswitch", "nsswitch.conf")):
            sh(f"mount --bind {folder}/{name} {os.path.realpath('/etc/' + file)}")
        self.up()
        self.line, self.dns = Line(), Dns()

    def resolver(self, options=""):
        write(self.folder + "/resolv", f"nameserver {HOP}\n{options}")

    @staticmethod
    def up():
        """The box's own link, address and route."""
        sh(f"""ip link set wan0 up
               ip addr replace {BOX}/24 dev wan0
               ip route replace default via {HOP}""")

    @staticmethod
    def second():
        """Another way to the operator, which the routes take when the first is not there."""
        sh(f"""ip link add wan1 type veth peer name e2 netns isp
               ip -n isp link set e2 up
               ip -n isp addr add {HOP2}/24 dev e2""")
        Net.second_up()

    @staticmethod
    def second_up():
        sh(f"""ip link set wan1 up
               ip addr replace {BOX2}/24 dev wan1
               ip route replace default via {HOP2} dev wan1 metric 200""")

    def six(self):
        """The same in IPv6; the box is not in it before six_up()."""
        sh(f"""ip netns exec isp sysctl -qw net.ipv6.conf.all.forwarding=1
               ip -n isp addr add {HOP6}/64 dev e0 nodad
               ip -n isp addr add fd08::1/64 dev e1 nodad
               ip -n city addr add {CITY6}/64 dev c0 nodad
               ip -n city addr add {OTHER6}/128 dev lo nodad
               ip -n city route add default via fd08::1
               ip -n isp route add {OTHER6}/128 via {CITY6}""")
        self.dns6 = Dns(socket.AF_INET6, HOP6)
        for where in ("isp", "city"):  # before an interface's own address is proven, it asks for no neighbours
            until(lambda where=where: not run(["ip", "-n", where, "-6", "addr", "show", "tentative"]).stdout, 30,
                  "addresses")

    def six_up(self):
        """As up(), of a box that has IPv6 and no IPv4 but its loopback's."""
        write(self.folder + "/resolv", f"nameserver {HOP6}\n")
        sh(f"""ip link set wan0 up
               ip -4 addr flush dev wan0
               ip addr replace {BOX6}/64 dev wan0 nodad
               ip route replace default via {HOP6}""")
        until(lambda: not run(["ip", "-6", "addr", "show", "tentative"]).stdout, 30, "the box's addresses")

    @staticmethod
    def rules6(text=""):
        nft("isp", "table ip6 fp\ndelete table ip6 fp\ntable ip6 fp {\nchain before { type nat hook prerouting "
            "priority -100; }\nchain through { type filter hook forward priority 0; }\nchain to { type filter hook "
            "input priority 0; }\n}\n" + text)

    @staticmethod
    def rules(text=""):
        """What the operator's router does to what it forwards, instead of what it did."""
        nft("isp", "table ip fp\ndelete table ip fp\ntable ip fp {\nchain before { type nat hook prerouting priority "
            "-100; }\nchain through { type filter hook forward priority 0; }\nchain to { type filter hook input "
            "priority 0; }\nchain from { type filter hook output priority 0; }\n}\n" + text)

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
