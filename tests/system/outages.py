"""Outages of the line to the city, one kind and one question at a time, on a clock that runs faster."""
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
import fp_line as line  # noqa: E402
from fp_linecase import ERROR, LineCase  # noqa: E402
from fp_proc import main, make_tls, until, write  # noqa: E402

ANY = [line.DOWN, ERROR, line.RESET, line.HALF_OPEN, line.SLOW, line.DROP_ANSWERS]


class Outages(LineCase):
    def test_A2_the_reading_of_the_cut_itself_is_kept(self):
        rng = random.Random(self.args.seed)
        self.site(every="10s", journal="2s")
        self.gw.start()
        until(lambda: self.arrived() > 2, 60, "batches at the city")
        for _ in range(12):
            self.sleeps(rng.uniform(3, 25))
            self.breaks(rng.choice((line.DOWN, line.RESET)))
            self.sleeps(rng.uniform(1, 15))
            self.breaks(line.GOOD)
        rows = self.compare_at_the_end()
        for k, unit in self.units.items():
            there, served = {n for n, _ in self.polls(rows, k, unit)}, set(unit.served())
            # The very last poll may have been cut off with the slave.
            self.assertLessEqual(served - there, {unit.n}, "a reading around a cut is missing")
            self.assertGreater(len(there), 60)

    def test_G2_uploads_resume_alone_after_every_kind_of_outage(self):
        self.site(every="10s", journal="2s")
        self.gw.start()
        until(lambda: self.arrived() > 2, 60, "batches at the city")
        for how in ANY:
            self.breaks(how)
            begun = self.sealed()
            until(lambda b=begun: self.sealed() > b + 4, 60, "batches that wait")
            self.breaks(line.GOOD)
            first, healed = self.arrived(), self.warp.elapsed_s()
            until(lambda f=first: self.arrived() > f + 4, 60, f"uploads after: {how}")
            print(f"{how}: uploads again within {self.warp.elapsed_s() - healed:.0f} s", flush=True)
        self.compare_at_the_end()


class Changes(LineCase):
    SPEED = 600

    def test_A3_a_changed_configuration_touches_no_backlog(self):
        """10,000 readings wait while devices are renamed, slowed down and removed, the city moves,
        its certificate is renewed under another CA and its key for receipts is replaced."""
        self.site(period=lambda k: "2s", every="1min", journal="10s")
        self.gw.start()
        until(lambda: self.arrived() > 2, 60, "batches at the city")
        self.breaks(line.DOWN)
        begun = len(self.gw.export())
        until(lambda: len(self.gw.export()) > begun + 10_000, 120, "10,000 readings that wait", 1)
        self.assertEqual(self.gw.stop(), 0)
        waiting = {tuple(r[:4]) for r in self.gw.export()}
        sealed = {tuple(r) for r in self.gw.export() if r[4]}

        self.city.stop()
        make_tls(self.city.folder)
        key, old = fp.new_key(), self.city.pub_path
        write(os.path.join(self.city.folder, "sign.key"), fp.private_pem(key), 0o600)
        new = write(os.path.join(self.city.folder, "sign-2.pub"), fp.public_pem(key.public_key()))
        self.city.start()
        moved = line.Line(self.city.port)
        self.stack.callback(moved.close)
        self.site(period=lambda k: "4s", devices=(1,), keys=[old, new], port=moved.port, every="2min",
                  journal="10s", named=', name: "Đồng hồ 2", place: "nhà kho"')
        self.gw.start()
        rows = self.compare_at_the_end(120)
        self.assertGreater(len(waiting), 10_000)
        self.assertLessEqual(waiting, {r[:4] for r in rows}, "a reading that waited is gone")
        self.assertLessEqual(sealed, set(rows), "what was sealed has moved to another batch")
        self.assertEqual(self.city_sql("SELECT count(*), sum(broken) FROM batch b, chain c "
                                       "WHERE c.id = b.chain GROUP BY c.id")[0][1:], (0,))
        self.assertEqual(self.city_sql("SELECT count(*) FROM chain"), [(1,)])


if __name__ == "__main__":
    main()
