"""A month of outages (three days of one, without --full): the real gateway polls, seals and sends over
TLS to the real city, 3,600 times as fast as the world, while the line between them breaks in every
way, the gateway is killed and stopped and its clock steps. At the end the city holds every reading
that the gateway committed, once; what was served and is not there lies in a signed gap."""
import csv
import io
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_line as line  # noqa: E402
from fp_linecase import ERROR, LineCase  # noqa: E402
from fp_proc import main, run  # noqa: E402

PERIOD_MS = 120_000
KILL, OFF, AHEAD, BACK = "kill -9", "off for two hours", "clock +10 min", "clock -30 min"

# (hours, how the line is, what happens in the middle)
DAYS = [(3, line.GOOD), (6, line.DOWN), (2, line.GOOD), (4, ERROR), (2, line.GOOD, KILL),
        (4, line.RESET), (2, line.GOOD), (6, line.HALF_OPEN), (2, line.GOOD), (7, line.SLOW, KILL),
        (2, line.GOOD), (7, line.DOWN, KILL), (7, line.DOWN, OFF), (3, line.GOOD),
        (3, line.GOOD, AHEAD), (3, line.GOOD, BACK), (3, line.DROP_ANSWERS), (3, line.GOOD)]
HOURS_OF_A_MONTH = 30 * 24
BROKEN = [line.DOWN, ERROR, line.RESET, line.HALF_OPEN, line.SLOW, line.DROP_ANSWERS]


def month(rng):
    """The same, drawn, behind the three days: outages of hours, two of many days."""
    script, left = list(DAYS), HOURS_OF_A_MONTH - sum(x[0] for x in DAYS)
    for days in (9, 4):
        script += [(days * 24, line.DOWN, KILL), (6, line.GOOD)]
        left -= days * 24 + 6
    while left > 0:
        hours, good = rng.randint(2, 30), rng.randint(2, 8)
        script += [(hours, rng.choice(BROKEN), rng.choice((None, None, KILL, OFF))),
                   (good, line.GOOD, rng.choice((None, None, KILL, AHEAD, BACK)))]
        left -= hours + good
    return script


class Month(LineCase):
    SPEED = 3600  # an hour each second

    def happen(self, what):
        if what == KILL:
            self.gw.kill()
            self.gw.start()
        elif what == OFF:
            self.assertEqual(self.gw.stop(), 0)
            self.sleeps(7200)
            self.gw.start()
        elif what in (AHEAD, BACK):
            self.warp.step(600 if what == AHEAD else -1800)

    def live(self, script):
        self.site(period=lambda k: f"{PERIOD_MS}ms", every="10min", journal="5min")
        self.gw.start()
        self.outages, broken = [], False
        for hours, how, *what in script:
            if broken and how == line.GOOD:
                self.outages.append(self.city_sql("SELECT coalesce(max(id), 0) FROM batch")[0][0])
            broken = how not in (line.GOOD, line.DROP_ANSWERS)
            self.breaks(how)
            self.lives(hours * 1800)
            self.happen(what[0] if what else None)
            self.lives(hours * 1800)
            print(f"day {self.warp.elapsed_s() / 86400:.1f}: {hours} h {how} {what or ''}",
                  flush=True)

    def test_A_month_of_outages_loses_nothing_in_silence(self):
        rng = random.Random(self.args.seed)
        self.live(month(rng) if os.environ.get("FP_FULL") or self.args.full else DAYS)
        self.judge(self.compare_at_the_end())
        self.judge_completeness()

    def judge(self, rows):
        lost = sum(len(self.lost(rows, k, unit, PERIOD_MS)) for k, unit in self.units.items())
        # Without a hole up to the last reading; empty windows behind it were still on their way.
        chains = self.city_sql(
            "SELECT count(*), min(seq), max(seq), sum(broken) FROM batch b WHERE seq <= (SELECT "
            "max(seq) FROM batch x WHERE x.chain = b.chain AND kind = 0 AND n > 0) GROUP BY chain")
        for n, first, last, broken in chains:
            self.assertEqual((first, last, broken), (1, n, 0), "a number is missing or broken")
        firsts = [self.judge_order(at) for at in self.outages]
        causes = dict(self.city_sql("SELECT cause, count(*) FROM gap GROUP BY cause"))
        print(f"days {self.warp.elapsed_s() / 86400:.1f}, served "
              f"{sum(len(u.log) for u in self.units.values())} polls, held {len(rows) // 3}, in gaps "
              f"{lost}, in silence 0, batches {sum(c[0] for c in chains)}, gaps {causes}, outages "
              f"with the newest first {sum(firsts)}", flush=True)
        self.assertGreaterEqual(sum(firsts), 4)
        self.assertGreater(self.line.dropped, 0, "no answer was dropped")

    def judge_completeness(self):
        """What the city reckons, by its own command: every due millisecond is a reading or has a
        signed cause, through all of it."""
        (end,), = self.city_sql("SELECT max(to_ms) FROM batch b JOIN chain c ON c.id = b.chain "
                                "WHERE seq <= through_seq")
        rows = list(csv.DictReader(io.StringIO(run(
            ["env", *(f"{k}={v}" for k, v in self.warp.env.items()), self.city.exe, "report",
             "--config", self.city.conf, "--by", "total", "--to", str(end)]).stdout)))
        self.assertEqual(len(rows), 3 * len(self.units))
        for r in rows:
            self.assertEqual({k: r[k] for k in (
                "unexplained_ms", "not_received_ms", "void_ms", "invalid")}, {
                "unexplained_ms": "0", "not_received_ms": "0", "void_ms": "0", "invalid": "0"}, r)
            self.assertGreater(float(r["complete"]), 20)
        print("complete, in percent:", *(f"{r['series']} {r['complete']}" for r in rows), flush=True)

    def judge_order(self, at):
        """B3: after that outage the newest went first (and what was sealed meanwhile), then the
        backlog from its oldest. False: too little had waited to tell."""
        seqs = [x[0] for x in self.city_sql(
            f"SELECT seq FROM batch WHERE id > {at} AND kind = 0 ORDER BY id")]
        waited = [s for s in seqs if s < seqs[0]]
        if len(waited) < 3:
            return False
        live = seqs.index(min(waited))
        self.assertTrue(0 < live < 5 and seqs[:live] == sorted(seqs[:live]),
                        f"behind an outage came {seqs[:9]}")
        backlog = [s for s in seqs[live:] if s < seqs[0]]
        self.assertEqual(backlog, sorted(backlog), "the backlog is not oldest first")
        return True


if __name__ == "__main__":
    main(extra=lambda p: p.add_argument("--full", action="store_true", help="thirty days"))
