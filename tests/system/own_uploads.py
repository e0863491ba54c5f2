"""What our own uploads show of the line, for nothing: a real city behind a link that the kernel holds to a known rate.
Large batches, and a backlog of middling ones, say that rate; small ones say nothing, and no one invents it."""
import os
import random
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_netlab as lab  # noqa: E402
from fp_pathcase import PathCase  # noqa: E402
from fp_proc import main, until, write  # noqa: E402
from fp_slave import Slave  # noqa: E402

MBIT, PAYLOAD = 2, 1448 / 1514  # of a frame as the kernel's shaper counts it
POINTS, UNITS = 500, 4
PROFILE = "model: noise\npoints:\n" + "".join(
    f"  - {{name: p{i}, quantity: number, function: 3, address: {4 * i}, type: s64}}\n" for i in range(POINTS))


class Noise:
    """A unit whose registers nobody can compress."""

    @staticmethod
    def read(_function, _address, count):
        return [random.getrandbits(16) for _ in range(count)]


class Own(PathCase):
    def setUp(self):
        super().setUp()
        self.net.second()
        self.stack.callback(lab.sh, "ip link del wan1")
        lab.sh(f"""tc qdisc add dev wan1 root tbf rate {MBIT}mbit burst 4kb latency 200ms
                   ip route replace 10.8.0.0/24 via {lab.HOP2} dev wan1""")
        self.stack.callback(subprocess.run, ["ip", "route", "del", "10.8.0.0/24"], check=False)
        self.slave = Slave({k: Noise() for k in range(1, UNITS + 1)})
        self.stack.callback(self.slave.stop)
        write(os.path.join(self.gw.folder, "noise.yaml"), PROFILE)

    def site(self, units, every, readings):
        devices = "".join(f"  n{k}: {{bus: plant, unit: {k}, profile: ./noise.yaml, every: 1s}}\n" for k in units)
        self.gw.config(f"""connectivity:
  throughput:
    line: {{uploads_every: 1s, interface: wan1}}
    other: {{uploads_every: 1s, interface: wan0}}
buses: {{plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 3s}}}}
devices:
{devices}uplinks:
  city: {{url: "https://{lab.CITY}:{lab.PORT}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]}}
""", every=every, more=f", max_readings: {readings}")
        self.gw.start()

    def rates(self, device="line"):
        return [float(r[2]) for r in self.gw.export() if r[0] == device + "/own_upload"]

    def sql(self, path, text):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return [r[0] for r in db.execute(text)]
        finally:
            db.close()

    def arrived(self):
        """Bytes of each batch at the city, as they came."""
        return self.sql(self.city.db, "SELECT length(cose) FROM batch ORDER BY id")

    def sealed(self):
        return self.sql(self.gw.db, "SELECT max(last_seq) FROM chain")[0]

    def judge(self, what, before, sizes, least):
        got = self.rates()[before:]
        most = MBIT * PAYLOAD
        print(f"{what}: batches of {min(sizes)} to {max(sizes)} bytes over {MBIT} Mbit/s ({most:.2f} of payload): {got}",
              flush=True)
        # what fits into the shaper's bucket goes for nothing
        self.assertLess(max(got), most * 1.1)
        self.assertGreater(max(got), most * least)
        self.assertGreater(min(got), 0)

    def test_large_batches_and_a_backlog_say_the_rate_and_small_ones_nothing(self):
        self.site([1], "1s", 5000)
        until(lambda: len(self.arrived()) > 8, 60, "small batches", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        self.assertLess(max(self.arrived()), 16384)
        self.assertEqual(self.rates(), [])
        # a backlog: each batch says nothing alone, but they follow one another
        self.city.stop()
        self.site(range(1, UNITS + 1), "1s", POINTS * UNITS)
        sealed, held = self.sealed(), len(self.arrived())
        until(lambda: self.sealed() > sealed + 12, 90, "a backlog", 0.5)
        self.city.start()
        until(self.rates, 90, "a rate of the backlog", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        sizes = [n for n in self.arrived()[held:] if n > 16384]
        self.assertLess(max(sizes), 65536)
        self.judge("backlog", 0, sizes, 0.4)
        before, held = len(self.rates()), len(self.arrived())
        self.site(range(1, UNITS + 1), "8s", 60000)

        def large():
            return [n for n in self.arrived()[held:] if n > 65536]
        until(lambda: len(large()) > 1, 120, "large batches", 0.5)  # what was left of the backlog goes before them
        said = len(self.rates())
        until(lambda: len(self.rates()) > said, 60, "a rate of large batches", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        self.judge("large batches", before, large(), 0.6)
        self.assertEqual(self.rates("other"), [], "they went out over another interface")


if __name__ == "__main__":
    lab.enter("own_uploads")
    PathCase.net = lab.Net()
    try:
        main()
    finally:
        PathCase.net.close()
