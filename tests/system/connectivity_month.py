"""A month (a day of one, without --full) of what a gateway sees of its own network: a modem by AT
commands, a ping and an interface, 3,600 times as fast as the world, while the line to the city breaks and
the gateway is killed. At the end every reading of these series that the gateway sealed is at the city, and
comes out of it again by `fieldpost-city dump`; what the modem did not answer in time has a signed cause."""
import csv
import io
import os
import random
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_line as line  # noqa: E402
from fp_linecase import ERROR, LineCase  # noqa: E402
from fp_proc import main, run, until  # noqa: E402

EVERY_S, LOOP_S = 600, 1800  # what waits on a socket waits 300 ms of the world, 18 minutes of the gateway's
SERIES = {"internet/latency", "internet/loss", "lo/up", "modem/state", "modem/registration", "modem/technology",
          "modem/operator", "modem/rsrp", "modem/nr_rsrp", "modem/nr_sinr", "modem/cell"}
POINTS = sorted(s.split("/")[1] for s in SERIES if s.startswith("modem/"))
CONNECTIVITY = """connectivity:
  ping: {{internet: {{host: 127.0.0.1, every: {loop}s, count: 1, timeout: 30s}}}}
  link: {{lo: {{interface: lo, every: {loop}s}}}}
  modem: {{port: {port}, every: {every}s, points: [{points}]}}
"""


class Month(LineCase):
    SPEED = 3600  # an hour each second
    UNITS = (1,)

    def site_of(self, port):
        self.site(period=lambda k: "120s", every="10min", journal="5min")
        if port:
            with open(self.gw.conf, "a") as f:
                f.write(CONNECTIVITY.format(every=EVERY_S, loop=LOOP_S, port=port, points=", ".join(POINTS)))

    def test_a_month_of_connectivity_reaches_the_city_and_comes_out_again(self):
        modem = subprocess.Popen([os.path.join(self.args.bin, "test-modem")], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self.stack.callback(modem.wait)
        self.stack.callback(modem.stdin.close)
        self.site_of(modem.stdout.readline().strip())
        rng = random.Random(self.args.seed)
        days = 30 if self.args.full or os.environ.get("FP_FULL") else 1
        self.gw.start()
        while self.warp.elapsed_s() < days * 86400:
            self.breaks(rng.choice((line.GOOD, line.GOOD, line.DOWN, ERROR, line.SLOW)))
            self.lives(rng.randint(2, 12) * 3600)
            if rng.random() < 0.2:
                self.gw.kill()
                self.gw.start()
        self.assertEqual(self.gw.stop(), 0)
        end = self.warp.now_ms()
        self.site_of(None)  # nothing new of these: what is committed gets sealed and sent
        self.gw.start()
        self.breaks(line.GOOD)
        until(lambda: self.held(self.gw.export()) and all(r[4] for r in self.held(self.gw.export())), 60,
              "the seal of all of it", 0.5)
        self.slave.stop()
        rows = self.compare_at_the_end()
        self.judge(rows, end, modem)

    @staticmethod
    def held(rows):
        return [r for r in rows if r[0] in SERIES]

    def judge(self, rows, end, modem):
        mine = self.held(rows)
        modem.stdin.close()
        told = {int(text.split()[0]) for text in modem.stdout}
        signals = [int(r[2]) for r in mine if r[0] == "modem/rsrp"]
        self.assertEqual({r[0] for r in mine}, SERIES)
        self.assertLessEqual(set(signals), told)
        self.assertGreater(len(set(signals)), 20, "the modem's figures are not the same all month")
        self.assertEqual({r[2] for r in mine if r[0] == "modem/technology"}, {"13"})
        report = list(csv.DictReader(io.StringIO(run(
            ["env", *(f"{k}={v}" for k, v in self.warp.env.items()), self.city.exe, "report", "--config",
             self.city.conf, "--by", "total", "--to", str(end)]).stdout)))
        report = {r["series"]: r for r in report if r["series"] in SERIES}
        self.assertEqual(set(report), SERIES)
        for r in report.values():
            self.assertEqual({k: r[k] for k in ("unexplained_ms", "not_received_ms", "void_ms")},
                             {"unexplained_ms": "0", "not_received_ms": "0", "void_ms": "0"}, r)
        whole = {s: float(r["complete"]) for s, r in report.items()}
        for s in ("internet/latency", "lo/up", "modem/state"):  # its own figures may be late on a busy machine
            self.assertGreater(whole[s], 60, whole)
        print(f"figure: days {self.warp.elapsed_s() / 86400:.1f}, readings of connectivity at the city and "
              f"out of it {len(mine)} in {len(SERIES)} series, unexplained 0; complete, in percent: "
              + ", ".join(f"{s} {p}" for s, p in sorted(whole.items())), flush=True)


if __name__ == "__main__":
    main(extra=lambda p: p.add_argument("--full", action="store_true", help="thirty days"))
