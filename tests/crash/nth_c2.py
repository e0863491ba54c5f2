"""Case C2: the storage fails under the real gateway while it polls its slave and uploads to the real
city. Polling goes on, the fault is visible and says what to do, and when its cause is gone all flows
again by itself, with every poll either at the city once or inside a gap that names the storage."""
import json
import mmap
import os
import re
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_city import relay  # noqa: E402
from fp_gatewaycase import EVERY_MS, GatewayCase  # noqa: E402
from fp_proc import City, Gateway, Proc, free_port, main, run, skipped, until, write  # noqa: E402
from fp_rules import chain_faults  # noqa: E402
from fp_slave import Bank, Counter  # noqa: E402

EIO, ENOSPC, EROFS, EDQUOT = 5, 28, 30, 122
HOLD_S = 5  # how long a fault lasts once it shows: more than two windows
SHOWN_S, GOOD_S = 40, 60


class Nth:
    """The injector's control, a mapped struct nth (nth.h)."""
    with open(os.path.join(HERE, "nth.h"), encoding="utf-8") as f:
        CLASSES = re.findall(r'X\(NTH_\w+, "(\w+)"\)', f.read())
    FORMAT = f"<4i2q{len(CLASSES) + 4}q256s"

    def __init__(self, path, under):
        write(path, bytes(struct.calcsize(self.FORMAT)))
        self.path = path
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)
        self.map[-256:] = under.encode().ljust(256, b"\0")

    def arm(self, kind, error):
        """From now on each call of this class fails with this errno."""
        self.map[4:32] = struct.pack("<3i2q", error, 1, 0, 1, 0)
        self.map[:4] = struct.pack("<i", self.CLASSES.index(kind) + 1)

    def disarm(self):
        self.map[:4] = bytes(4)

    def failed(self):
        return struct.unpack("<q", self.map[24:32])[0]


class FaultyGateway(Gateway):
    """A gateway whose calls on its store's files the injector can fail."""

    def __init__(self, bindir, folder, preload):
        super().__init__(bindir, folder)
        self.store = os.path.join(folder, "store")
        os.makedirs(self.store)
        self.db = os.path.join(self.store, "fieldpost.db")
        self.listen = f"127.0.0.1:{free_port()}"
        self.nth = Nth(os.path.join(folder, "nth"), self.store + "/")
        asan = os.environ.get("ASAN_OPTIONS", "")
        self.env = {"LD_PRELOAD": preload, "FP_NTH": self.nth.path,
                    "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0"}

    def run(self):
        self.proc = Proc([self.exe, "run", "--config", self.conf], env=self.env)
        return self.proc

    def start(self):
        self.run().wait_line(r"page https://")
        return self

    def status(self):
        return json.loads(run([self.exe, "status", "--config", self.conf, "--json"]).stdout)

    def fault(self):
        return self.status()["store"]["fault"]


class C2(GatewayCase):
    def setUp(self):
        super().setUp()
        self.gw = FaultyGateway(self.args.bin, os.path.join(self.folder, "faulty"),
                                self.args.preload)
        self.stack.callback(self.gw.kill)
        with open(os.path.join(self.folder, "gw", "counter.yaml"), encoding="utf-8") as f:
            write(os.path.join(self.gw.folder, "counter.yaml"), f.read())
        self.city.device = self.gw.pub
        self.real = City(self.args.bin, os.path.join(self.folder, "real"))
        self.real.enroll(self.gw.gw, self.gw.pub_path)
        self.real.start()
        self.stack.callback(self.real.stop)
        self.city.hook = relay(self.city, self.real)

    def begin(self, **more):
        self.site(city=self.real, listen=self.gw.listen, **more)
        self.gw.start()
        self.wait_for(2)

    def served(self):
        return [u.n for u in self.units.values() if isinstance(u, Counter)]

    def polling(self, n=10):
        """Until every unit was polled n more times."""
        before = self.served()
        until(lambda: all(b + n <= a for b, a in zip(before, self.served())), 30,
              "polling to go on")

    def shown(self, pattern):
        """Until status tells the fault; polling goes on meanwhile and for HOLD_S."""
        text = until(self.gw.fault, SHOWN_S, "the fault to be visible", 0.2)
        self.assertRegex(text, pattern)
        end = time.monotonic() + HOLD_S
        while time.monotonic() < end:
            self.polling()
        print(f"shown: {text}", flush=True)
        return text

    def recovered(self):
        """Until no fault is told and new batches arrive."""
        until(lambda: not self.gw.fault(), GOOD_S, "the fault to go away by itself", 0.3)
        self.wait_for(len(self.data()) + 2)

    def finish(self):
        """All is drained; what was served is at the city once, and the chain keeps every rule. What
        fits into memory is not lost for the storage; an answer that came too late for a busy
        machine is a gap of its own."""
        self.drain(90)
        self.rules()
        seen = self.truth(self.city.readings())
        end = max(b.to_ms for b in self.data())
        told = [g for b in self.city.held() for g in b.gaps]
        self.assertEqual([g for g in told if g[3] == "storage"], [])
        lost = [(f"dev-{k}", n, t) for k, u in self.units.items() for n, t in u.log
                if (f"dev-{k}", n) not in seen and t < end - 300]
        for device, n, t in lost:
            self.assertTrue(any(g[0] in ("*", f"{device}/*") and g[1] - 300 <= t <= g[2] + 300
                                for g in told), (device, n, t, told))
        dumped = {tuple(r[1:4]) for r in self.real.rows()}
        here = {r[:3] for r in self.exported() if int(r[1]) < end}
        self.assertEqual(here - dumped, set())
        print(f"served {sum(self.served())} polls, {len(lost)} in gaps, lost in silence 0", flush=True)

    def injected(self, kind, error, pattern):
        self.gw.nth.arm(kind, error)
        text = self.shown(pattern)
        self.gw.nth.disarm()
        self.assertGreater(self.gw.nth.failed(), 0)
        self.recovered()
        return text

    def mount(self, *options):
        """A small file system of our own under the store; why not, where that is not allowed."""
        done = subprocess.run(["mount", *options, self.gw.store], capture_output=True, text=True)
        if done.returncode != 0:
            return f"no mount here: {done.stderr.splitlines()[0]}"
        self.stack.callback(subprocess.run, ["umount", "-l", self.gw.store], capture_output=True)
        return ""

    def mount_tmpfs(self):
        return self.mount("-t", "tmpfs", "-o", "size=8m", "tmpfs")

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", self.gw.store], check=True)

    def test_C2_storage_a_small_filesystem_fills_up(self):
        refused = self.mount_tmpfs()
        mounted = not refused
        if refused:
            skipped("a small filesystem that is full, but by the injector", refused)
        self.begin()
        ballast = os.path.join(self.gw.store, "ballast")
        if mounted:
            fd = os.open(ballast, os.O_WRONLY | os.O_CREAT)
            try:
                while True:
                    os.write(fd, bytes(4096))
            except OSError as e:
                self.assertEqual(e.errno, ENOSPC)
            os.close(fd)
        else:
            self.gw.nth.arm("write", ENOSPC)
        self.shown(r"full|No space")
        if mounted:
            os.unlink(ballast)
        self.gw.nth.disarm()
        self.recovered()
        self.finish()

    def test_C2_storage_the_storage_fails_for_a_while(self):
        self.begin()
        for kind in ("write", "sync", "read", "open"):
            with self.subTest(kind):
                self.gw.nth.arm(kind, EIO)
                if kind in ("read", "open"):  # what stands in caches needs neither
                    self.polling()
                    self.gw.nth.disarm()
                    self.recovered()
                else:
                    self.injected(kind, EIO, r"card")
        self.finish()

    def test_C2_storage_a_quota_is_used_up(self):
        self.begin()
        self.injected("write", EDQUOT, r"quota|[Ff]ull")
        self.finish()

    def test_C2_storage_the_storage_turns_read_only(self):
        self.begin()
        self.injected("write", EROFS, r"[Rr]ead-only")
        self.finish()

    def error_switch(self):
        source = run(["findmnt", "-n", "-o", "SOURCE", self.gw.store]).stdout.strip()
        return f"/sys/fs/ext4/{os.path.basename(source)}/trigger_fs_error"

    def break_ext4(self):
        """The kernel finds an error in the file system, as on a worn card, and turns it read-only
        under the files that are open. (A remount by hand it refuses while a gateway runs there.)"""
        with open(self.error_switch(), "w", encoding="ascii") as f:
            f.write("1")
        with self.assertRaises(OSError) as refused:
            write(os.path.join(self.gw.store, "probe"), "")
        self.assertEqual(refused.exception.errno, EROFS)

    def test_C2_storage_an_ext4_with_an_error_turns_read_only_and_is_repaired(self):
        """Until a technician repairs it all polls go on and the fault is told; then what no commit
        could keep lies in a gap."""
        disk = os.path.join(self.folder, "disk")
        write(disk, "")
        os.truncate(disk, 24 << 20)
        run(["mke2fs", "-q", "-t", "ext4", disk])
        mount = ["-o", "loop,errors=remount-ro", disk]
        refused = self.mount(*mount)
        if refused:
            self.skipTest(refused)
        if not os.path.exists(self.error_switch()):
            self.skipTest("this kernel cannot be told to find an error in ext4")
        self.begin()
        self.break_ext4()
        self.shown(r"[Rr]ead-only")
        began = time.monotonic()
        self.gw.stop()
        self.assertLess(time.monotonic() - began, 5)
        run(["umount", self.gw.store])
        # 1: it has mended what it found
        self.assertEqual(subprocess.run(["e2fsck", "-fp", disk], capture_output=True).returncode, 1)
        self.assertEqual(self.mount(*mount), "")
        self.gw.start()
        self.recovered()
        self.finish()

    def test_C2_storage_a_start_on_a_read_only_mount_says_so_and_works_later(self):
        refused = self.mount_tmpfs()
        if refused:
            self.skipTest(refused)
        self.begin()
        self.assertEqual(self.gw.stop(), 0)
        self.remount("ro")
        self.gw.run()
        self.gw.proc.wait_line(r"[Rr]ead-only|written.*mount")
        self.assertEqual(self.gw.proc.p.wait(20), 1)
        self.remount("rw")
        self.gw.start()
        self.wait_for(len(self.data()) + 2)
        self.drain(90)
        self.rules()

    def lock(self):
        """A curious technician's sqlite3 that holds the database."""
        p = subprocess.Popen(["sqlite3", self.gw.db], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)
        self.stack.callback(p.kill)
        p.stdin.write(".timeout 20000\nBEGIN EXCLUSIVE;\nSELECT 'held';\n")
        p.stdin.flush()
        self.assertEqual(p.stdout.readline().strip(), "held")
        return p

    @staticmethod
    def unlock(p):
        p.stdin.close()
        p.stdout.close()
        p.wait(20)

    def test_C2_storage_a_technician_locks_the_database(self):
        self.begin()
        p = self.lock()
        since = time.monotonic()
        self.shown(r"another program holds it")
        until(lambda: time.monotonic() - since > 12, 20, "longer than SQLite waits")
        self.unlock(p)
        self.recovered()
        p = self.lock()
        self.shown(r"another program holds it")
        began = time.monotonic()
        self.assertEqual(self.gw.stop(), 0)
        took = time.monotonic() - began
        print(f"stopped after {took:.1f} s under the lock", flush=True)
        self.assertLess(took, 5)
        self.unlock(p)
        self.gw.start()
        self.wait_for(len(self.data()) + 2)
        self.drain(90)
        self.rules()

    def test_C2_memory_what_does_not_fit_into_memory_is_a_gap_with_its_cause(self):
        """A device with a thousand long points fills what may wait within seconds."""
        names = [f"a-point-with-a-name-as-long-as-it-may-be-for-this-one-{i:04}" for i in range(990)]
        self.units[3] = bank = Bank()
        bank.put(3, 0, bytes(2 * len(names)))
        write(os.path.join(self.gw.folder, "wide.yaml"), "model: wide\npoints:\n" + "".join(
            f"  - {{name: {x}, quantity: number, function: 3, address: {i}, type: u16}}\n"
            for i, x in enumerate(names)))
        self.site(city=self.real, listen=self.gw.listen)
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        write(self.gw.conf, text.replace(
            "devices:\n", "devices:\n  dev-3: {bus: plant, unit: 3, profile: ./wide.yaml, "
            "every: 200ms}\n"))
        self.gw.start()
        self.wait_for(2)
        self.gw.nth.arm("write", EIO)
        self.shown(r"card")

        def dropped():
            return self.gw.status()["store"]["queue_dropped"]
        until(lambda: dropped() > 10, 120, "the queue to be full", 0.5)
        self.polling()
        self.gw.nth.disarm()
        self.recovered()
        gaps = until(lambda: [g for b in self.city.held() for g in b.gaps if g[3] == "storage"], 150,
                     "a gap that names the storage")
        self.assertIn("dev-3/*", {g[0] for g in gaps} | {"dev-3/*" for g in gaps if g[0] == "*"})
        until(lambda: not self.gw.fault(), 30, "no fault", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        self.slave.stop()  # a last run sends what is left
        self.gw.start()
        until(lambda: all(sorted(b.seq for b in c) == list(range(1, len(c) + 1))
                          for c in self.chains()), 90, "the backlog to be sent", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        faults = [x for c in self.chains() for x in chain_faults(sorted(c, key=lambda b: b.seq), EVERY_MS)
                  if not x.startswith("rule 6")]  # windows are cut: a thousand readings a poll
        # A poll that a busy machine answered in part has more gaps than a header holds: the stretch of the
        # whole device may stand over the readings that came (batch.md, 18), but over no whole poll.
        part = [re.search(r"^rule 18: .*\['dev-3/\*'.* over (\d+) readings", x) for x in faults]
        faults = [x for x, m in zip(faults, part) if not m or int(m[1]) >= len(names)]
        self.assertEqual(faults, [])


def options(parser):
    parser.add_argument("--preload", required=True, help="libnth.so")


if __name__ == "__main__":
    main(extra=options)
