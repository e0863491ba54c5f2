"""A month (a day of one, without --full) of what a gateway sees of its own network: a modem by AT
commands, a ping, an interface, the way to the city and its speed, 3,600 times as fast as the world, while the line
to the city breaks and the gateway is killed. At the end every reading of these series that the gateway sealed is at the
city, and comes out of it again by `fieldpost-city dump`; what was not answered in time has a signed cause.

What is true of the figures: the path's probes go over real sockets through the line that is really broken, so its
state is held against that; libcurl's times (connect, tls, first byte) are of the world. Those that the gateway
takes by its own clock (latency, jitter, dns, how long a transfer went) are 3,600 times as long as in the world: that
they are right is shown in path.py and throughput_line.py, here that they arrive, and that nothing is missing without
its cause."""
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
from fp_proc import main, run, until, write  # noqa: E402
from fp_speed import Speed  # noqa: E402

# what waits on a socket waits 300 ms of the world, 18 minutes of the gateway's: so long lie two echoes apart
EVERY_S, LOOP_S, PING_S = 600, 1800, 3600
PATH = {"way/" + p for p in ("state", "availability", "dns", "connect", "tls", "first_byte", "mtu")}
SERIES = {"internet/latency", "internet/jitter", "internet/loss", "lo/up", "modem/state", "modem/registration",
          "modem/technology", "modem/operator", "modem/rsrp", "modem/nr_rsrp", "modem/nr_sinr", "modem/cell",
          "speed/download_result"} | PATH
PAUSED = {"speed/own_upload"}  # no batch here is large enough to say something: gaps alone
WAYS = (line.GOOD, line.GOOD, line.DOWN, ERROR, line.SLOW)
UP, DNS, CITY = 0, 4, 5
NETWORK_MS = 2000  # of the world: what a call waits at most, two hours of the gateway's
POINTS = sorted(s.split("/")[1] for s in SERIES if s.startswith("modem/"))
CONNECTIVITY = """connectivity:
  ping: {{internet: {{host: 127.0.0.1, every: {ping}s, count: 2, timeout: 30s}}}}
  path: {{way: {{interface: lo, every: {every}s, timeout: 60s}}}}
  link: {{lo: {{interface: lo, every: {loop}s}}}}
  throughput: {{speed: {{down: "{server}/endless", every: 6h, size: 1MB, ramp: 0s, duration: 1s, uploads_every: 6h}}}}
  modem: {{port: {port}, every: {every}s, points: [{points}]}}
"""


class Month(LineCase):
    SPEED = 3600  # an hour each second
    UNITS = (1,)

    def site_of(self, port):
        self.site(period=lambda k: "120s", every="10min", journal="5min")
        with open(self.gw.conf, encoding="ascii") as f:
            text = f.read()
        if port:
            text += CONNECTIVITY.format(every=EVERY_S, loop=LOOP_S, ping=PING_S, port=port, points=", ".join(POINTS),
                                        server=self.server.url)
        write(self.gw.conf, text.replace("https://127.0.0.1:", "https://localhost:"))  # a name to be looked up

    def test_a_month_of_connectivity_reaches_the_city_and_comes_out_again(self):
        modem = subprocess.Popen([os.path.join(self.args.bin, "test-modem")], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self.stack.callback(modem.wait)
        self.stack.callback(modem.stdin.close)
        self.stack.callback(modem.stdout.close)
        self.server = Speed()
        self.stack.callback(self.server.close)
        self.site_of(modem.stdout.readline().strip())
        rng = random.Random(self.args.seed)
        days = 30 if self.args.full or os.environ.get("FP_FULL") else 1
        self.gw.start()
        first, was = rng.sample(sorted(set(WAYS)), 4), []  # each once; (how the line was, from, to)
        while self.warp.elapsed_s() < days * 86400:
            how, begun = first.pop() if first else rng.choice(WAYS), self.warp.now_ms()
            self.breaks(how)
            self.lives(rng.randint(3, 7) * 3600)
            was.append((how, begun, self.warp.now_ms()))
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
        self.judge_path(rows, was)

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
        self.assertGreater(len(set(signals)), 5, "the modem's figures are not the same all month")
        self.assertEqual({r[2] for r in mine if r[0] == "modem/technology"}, {"13"})
        report = list(csv.DictReader(io.StringIO(run(
            ["env", *(f"{k}={v}" for k, v in self.warp.env.items()), self.city.exe, "report", "--config",
             self.city.conf, "--by", "total", "--to", str(end)]).stdout)))
        report = {r["series"]: r for r in report if r["series"] in SERIES | PAUSED}
        self.assertEqual(set(report), SERIES | PAUSED)
        for r in report.values():
            self.assertEqual({k: r[k] for k in ("unexplained_ms", "not_received_ms", "void_ms")},
                             {"unexplained_ms": "0", "not_received_ms": "0", "void_ms": "0"}, r)
        whole = {s: float(r["complete"]) for s, r in report.items()}
        for s in ("internet/latency", "lo/up", "modem/state"):  # its own figures may be late on a busy machine
            self.assertGreater(whole[s], 60, whole)
        results = [r[2] for r in mine if r[0] == "speed/download_result"]
        print(f"figure: measurements, by what they say: { {k: results.count(k) for k in set(results)} }", flush=True)
        print(f"figure: days {self.warp.elapsed_s() / 86400:.1f}, readings of connectivity at the city and "
              f"out of it {len(mine)} in {len(SERIES)} series, unexplained 0; complete, in percent: "
              + ", ".join(f"{s} {p}" for s, p in sorted(whole.items())), flush=True)

    def judge_path(self, rows, was):
        """The state is that of the line, once what began before it has ended."""
        states = [(int(r[1]), int(r[2])) for r in rows if r[0] == "way/state"]
        late_ms = NETWORK_MS * self.SPEED + EVERY_S * 1000
        seen = {UP: [], CITY: []}
        for how, begun, end in was:
            seen[CITY if how in (line.DOWN, line.SLOW) else UP] += [s for t, s in states if begun + late_ms < t < end]
        counts = {k: (v.count(k), len(v)) for k, v in seen.items()}
        away = {k: [s for s in v if s not in (k, DNS)] for k, v in seen.items()}  # a name may be late on a busy machine
        print(f"figure: path: {len(states)} looks; of those while the line was open {counts[UP][0]} of {counts[UP][1]} "
              f"say so, while it was cut or crawled {counts[CITY][0]} of {counts[CITY][1]}", flush=True)
        self.assertGreater(counts[CITY][1], 0)
        self.assertEqual(away[CITY], [])
        for good, n in counts.values():
            self.assertGreaterEqual(good, 0.8 * n)
        for s in ("connect", "tls", "first_byte"):  # of the world
            took = [float(r[2]) for r in rows if r[0] == "way/" + s]
            self.assertTrue(0 < min(took) <= max(took) <= NETWORK_MS, (s, min(took), max(took)))
        self.assertEqual({r[2] for r in rows if r[0] == "way/mtu"}, {"1500"})  # the most that is told; lo has more


if __name__ == "__main__":
    main(extra=lambda p: p.add_argument("--full", action="store_true", help="thirty days"))
