"""kill -9 of the gateway at random points while it polls and uploads, its city out of reach a third of
the time, on a clock that runs faster, so that each short life holds seals and uploads. At the end:
what was served contains what is exported, exported equals dumped, no poll is there twice, and a
poll that is missing lies in a gap and behind all that its life had committed: it went with the kill.

How long before the kill the last commit was is journal_every and the time that a commit takes, which
is the disk's and, on a busy machine, that of whoever has its turn; it is told, and judged where the
machine had time."""
import bisect
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_line as line  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_proc import Proc, main, until  # noqa: E402

JOURNAL_MS = 500
SLACK_MS = 1500  # of the gateway's time: what is under way between slave, queue and journal
PROMPT = 0.75  # so many kills cost no more than these two
POINTS, ALL_POINTS = 100, 1000


class Sweep(LineCase):
    SPEED = 10
    UNITS = (1, 2, 3)

    def kill_after(self, seconds):
        """Starts the gateway and kills it that long after its start, ready or not."""
        self.gw.proc = Proc([self.gw.exe, "run", "--config", self.gw.conf], env=self.gw.env)
        end = time.monotonic() + seconds
        until(lambda: time.monotonic() >= end or self.gw.proc.p.poll() is not None, 60, "the point",
              0.001)
        self.assertIsNone(self.gw.proc.p.poll(), "the gateway ended by itself:\n" +
                          self.gw.proc.text())
        self.gw.kill()
        return self.warp.now_ms()

    def test_A1_exported_is_dumped_is_served_and_nothing_is_there_twice(self):
        rng = random.Random(self.args.seed)
        self.site(period=lambda k: f"{100 * k}ms", every="1s", journal=f"{JOURNAL_MS}ms")
        kills = []
        for _ in range(self.args.points or (ALL_POINTS if os.environ.get("FP_FULL") else POINTS)):
            self.breaks(line.DOWN if rng.random() < 1 / 3 else line.GOOD)
            kills.append(self.kill_after(rng.choice((rng.uniform(0.01, 0.3),
                                                     rng.uniform(0.3, 1)))))
        self.breaks(line.GOOD)
        self.gw.start()
        for unit in self.units.values():
            until(lambda u=unit, n=unit.n: u.n > n + 10, 60, "polls of the last run")
        rows = self.compare_at_the_end(120)
        lost = sorted((t, self.units[k].asked_by[n], k, n) for k, unit in self.units.items()
                      for n, t in self.lost(rows, k, unit, 100 * k))
        committed = self.last_of_each_life(rows)
        early = [x for x in lost if x[0] < committed.get(x[1], 0)]
        first = {}  # of what each life lost; the last one was not killed
        for t, life, _, _ in lost:
            first.setdefault(life, t)
        cost = sorted(kills[bisect.bisect_left(kills, t)] - t for t in first.values()
                      if t <= kills[-1])
        prompt = len(kills) - sum(x > JOURNAL_MS + SLACK_MS for x in cost)
        print(f"points {len(kills)} served {sum(len(u.log) for u in self.units.values())} polls, "
              f"held {len(rows) // 3}, lost at kills {len(lost) - len(early)}, before a commit of "
              f"their life {len(early)}; a kill cost {cost[len(cost) // 2]} ms in the middle, "
              f"{cost[-1]} ms at most, {prompt} within {JOURNAL_MS + SLACK_MS} ms", flush=True)
        self.assertEqual(early, [], "lost, though something later was committed")
        self.assertGreaterEqual(prompt, PROMPT * len(kills))

    def last_of_each_life(self, rows):
        """When the slave answered the last poll of each life that was committed. A life is known by
        its connection: what was asked before a kill may be answered behind it."""
        last = {}
        for k, unit in self.units.items():
            served = unit.served()
            for n, _ in self.polls(rows, k, unit):
                life = unit.asked_by[n]
                last[life] = max(last.get(life, 0), served[n])
        return last


if __name__ == "__main__":
    main(extra=lambda p: p.add_argument("--points", type=int,
                                        help=f"{POINTS}; {ALL_POINTS} with FP_FULL"))
