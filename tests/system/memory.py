"""The release programs under a backlog, and a city that is slow or away for long: memory, start and
the flash that is written. The bench `store` measures the same, longer."""
import os
import pathlib
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))
import fp_line as line  # noqa: E402
import store as bench  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_proc import Case, main, until  # noqa: E402

ROOT = pathlib.Path(HERE).parents[1]
TOLERANCE_KIB = 2048  # what memory may grow by between two moments
RSS_LIMIT_KIB = 20 * 1024  # of three devices, whatever waits
START_MS = 1000
FLASH_B_PER_READING = 100  # 102 series a minute: 15 MB a day


class Backlog(Case):
    def setUp(self):
        super().setUp()
        self.site = bench.Site(pathlib.Path(self.args.bin).resolve(),
                               pathlib.Path(self.folder) / "site", ROOT / "tests/data")
        self.stack.callback(self.site.close)

    def test_C3_sixty_days_of_backlog_cost_no_memory_and_no_start(self):
        empty, full = self.site.work / "empty", self.site.work / "backlog"
        empty.mkdir()
        made = self.site.backlog(full, 60)
        self.assertGreater(made["readings"], 8_000_000)
        found = {}
        for name, store in (("empty", empty), ("backlog", full)):
            runs = [bench.start_once(self.site, store, 1, 4) for _ in range(3)]
            found[name] = [min(x[i] for x in runs) for i in range(3)]
            print(f"{name}: first poll after {found[name][0]:.0f} ms (best of 3), RSS "
                  f"{found[name][1]} KiB, highest {found[name][2]} KiB", flush=True)
        self.assertLess(found["backlog"][0], START_MS)
        self.assertLess(found["backlog"][2], RSS_LIMIT_KIB)
        self.assertLess(found["backlog"][1] - found["empty"][1], TOLERANCE_KIB)

    def test_C4_bytes_to_flash_stay_within_their_budget(self):
        each = bench.ward(self.site, bench.options(["--bin", self.args.bin, "--hours", "6"]))
        self.assertLess(each, FLASH_B_PER_READING)


class Memory(LineCase):
    def grows(self, first_s, last_s):
        """RSS at two moments of the warped clock, KiB."""
        self.lives(first_s - self.warp.elapsed_s())
        before = self.gw.rss_kib()
        self.lives(last_s - self.warp.elapsed_s())
        after = self.gw.rss_kib()
        print(f"RSS {before} KiB at {first_s / 3600:.0f} h, {after} KiB at {last_s / 3600:.0f} h",
              flush=True)
        return after - before


class Slow(Memory):
    SPEED = 1800

    def test_J2_a_city_at_a_byte_a_second_leaves_memory_flat_for_a_day(self):
        self.site(period=lambda k: "30s", every="5min")
        self.breaks(line.SLOW)
        self.gw.start()
        self.assertLess(self.grows(6 * 3600, 30 * 3600), TOLERANCE_KIB)


class Away(Memory):
    SPEED = 86400  # a day each second

    def test_J2_a_city_away_for_sixty_days_leaves_memory_flat(self):
        self.site(period=lambda k: "30min", every="1h", journal="30min")
        self.gw.start()
        until(self.arrived, 60, "a batch at the city: what follows is tried with batches")
        self.breaks(line.DOWN)
        away = self.warp.elapsed_s()
        self.assertLess(self.grows(away + 4 * 86400, away + 64 * 86400), TOLERANCE_KIB)
        self.assertGreater(self.sealed(), 1000)


if __name__ == "__main__":
    main()
