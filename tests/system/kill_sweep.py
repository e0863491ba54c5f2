"""kill -9 of the gateway at random points while it polls and uploads, its city down a third of the
time. At the end: what was served contains what is exported, exported equals dumped, no poll is
there twice, and a poll that is missing was lost within journal_every of a kill."""
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, City, Gateway, Proc, main, until, write  # noqa: E402
from fp_slave import COUNTER_PROFILE, Counter, Slave  # noqa: E402

JOURNAL_MS, SLACK_MS = 500, 1000


def now_ms():
    return time.time_ns() // 1_000_000


class Sweep(Case):
    def site(self):
        self.units = {n: Counter(100 * n) for n in (1, 2, 3)}
        self.slave = Slave(self.units)
        self.stack.callback(self.slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        write(os.path.join(self.gw.folder, "counter.yaml"), COUNTER_PROFILE)
        devices = "\n".join(f"  dev-{n}: {{bus: plant, unit: {n}, profile: ./counter.yaml, "
                            f"every: {100 * n}ms}}" for n in self.units)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 500ms}}
devices:
{devices}
uplinks:
  city: {{type: city, url: "{self.city.url}", ca: {self.city.ca},
    receipt_keys: [{self.city.pub_path}], required: true}}""", every="1s",
                       journal=f"{JOURNAL_MS}ms")

    def kill_after(self, seconds):
        """Starts the gateway and kills it that long after its start, ready or not."""
        self.gw.proc = Proc([self.gw.exe, "run", "--config", self.gw.conf])
        end = time.monotonic() + seconds
        until(lambda: time.monotonic() >= end or self.gw.proc.p.poll() is not None, 60, "the point",
              0.001)
        self.assertIsNone(self.gw.proc.p.poll(), "the gateway ended by itself:\n" +
                          self.gw.proc.text())
        self.gw.kill()
        return now_ms()

    def test_exported_is_dumped_is_served_and_nothing_is_there_twice(self):
        rng = random.Random(self.args.seed)
        self.site()
        kills = []
        for _ in range(self.args.points):
            if rng.random() < 1 / 3:
                self.city.stop()
            elif self.city.proc is None:
                self.city.start()
            kills.append(self.kill_after(rng.choice((rng.uniform(0.01, 0.4),
                                                     rng.uniform(0.4, 3)))))
        if self.city.proc is None:
            self.city.start()
        self.gw.start()
        for unit in self.units.values():
            until(lambda u=unit, n=unit.n: u.n > n + 10, 60, "polls of the last run")
        until(self.drained, 120, "the city to hold all that is sealed", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        # A stop seals nothing; what it left is sealed and sent by the next start.
        last = now_ms()
        self.gw.start()
        until(lambda: self.drained() and max(int(r[1]) for r in self.sealed()) > last, 120,
              "the last readings to be sealed and sent", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        self.judge(kills, last)

    def sealed(self):
        return [tuple(r) for r in self.gw.export() if r[4]]

    def dumped(self):
        return [tuple(r[1:]) for r in self.city.rows()]

    def drained(self):
        rows = self.sealed()
        return rows and set(rows) <= set(self.dumped())

    def judge(self, kills, last):
        sealed, dumped = sorted(self.sealed()), sorted(self.dumped())
        self.assertEqual(sealed, sorted(set(sealed)))
        late = [r for r in sealed if r not in set(dumped)]  # sealed between drain and stop
        self.assertTrue(all(int(r[1]) > last for r in late), late[:5])
        self.assertEqual([r for r in dumped if r not in set(sealed)], [])
        polls, seen = {}, set()
        for series, t, value, q, *_ in dumped:
            device, point = series.split("/")
            self.assertEqual(q, "0")
            polls.setdefault((device, t), {})[point] = value
        for (device, t), p in polls.items():
            unit = self.units[int(device[-1])]
            n = int(p["n"])
            self.assertNotIn((device, n), seen, "a poll is there twice")
            seen.add((device, n))
            self.assertLess(abs(unit.served()[n] - int(t)), 2000)
            self.assertEqual((int(p["d"]), float(p["f"])), (unit.derived(n), unit.real(n)))
        lost = []
        for k, unit in self.units.items():
            for n, t in unit.log:
                if t < last - SLACK_MS and (f"dev-{k}", n) not in seen and not any(
                        x - JOURNAL_MS - SLACK_MS <= t <= x + SLACK_MS for x in kills):
                    lost.append((k, n, t))
        served = sum(len(u.log) for u in self.units.values())
        print(f"points {len(kills)} served {served} polls, dumped {len(seen)}, "
              f"lost away from kills {len(lost)}", flush=True)
        self.assertEqual(lost, [])


if __name__ == "__main__":
    main(extra=lambda p: p.add_argument("--points", type=int, default=25))
