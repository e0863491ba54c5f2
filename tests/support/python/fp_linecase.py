"""A test with the real gateway on a warped clock, the real city, and a line between them that breaks."""
import os
import sqlite3

import fp_line as line
from fp_city import FakeCity
from fp_proc import Case, City, Gateway, until, write
from fp_slave import COUNTER_PROFILE, Counter, Slave
from fp_warp import Warp

ERROR = "500"  # as a mode of the line: someone answers 500


class LineCase(Case):
    """Counters on a slave; the gateway reaches the city through `line` alone. Subclasses say how fast
    it lives, and the counters' units."""
    SPEED = 60
    UNITS = (1, 2)

    def setUp(self):
        super().setUp()
        self.warp = Warp(self.args.bin, os.path.join(self.folder, "warp"), self.SPEED)
        self.units = {k: Counter(100 * k, self.warp.now_ms) for k in self.UNITS}
        self.slave = Slave(self.units)
        self.stack.callback(self.slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.gw.env = self.warp.env
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "counter.yaml"), COUNTER_PROFILE)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        self.angry = FakeCity(os.path.join(self.folder, "angry")).start()
        self.angry.hook = lambda r: (500, {}, b"")
        self.stack.callback(self.angry.stop)
        self.line = line.Line(self.city.port)
        self.stack.callback(self.line.close)

    def site(self, period=lambda k: "1s", devices=None, keys=None, port=None, named="", **more):
        """period(k) is unit k's."""
        trusted = os.path.join(self.folder, "ca.pem")
        with open(self.city.ca, "rb") as a, open(self.angry.ca, "rb") as b:
            write(trusted, a.read() + b.read())
        listed = "\n".join(f"  dev-{n}: {{bus: plant, unit: {n}, profile: ./counter.yaml, "
                           f"every: {period(n)}{named}}}" for n in devices or self.UNITS)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 3s}}
devices:
{listed}
uplinks:
  city: {{type: city, url: "https://127.0.0.1:{port or self.line.port}", ca: {trusted},
    receipt_keys: [{", ".join(keys or [self.city.pub_path])}], required: true}}""", **more)

    def breaks(self, how):
        self.line.mode(line.GOOD if how == ERROR else how,
                       self.angry.port if how == ERROR else self.city.port)

    def sleeps(self, seconds):
        """So many warped seconds pass."""
        end = self.warp.elapsed_s() + seconds
        until(lambda: self.warp.elapsed_s() >= end, seconds / self.warp.speed + 60, "time to pass")

    def lives(self, seconds):
        """The same, and the gateway still runs."""
        self.sleeps(seconds)
        self.assertIsNone(self.gw.proc.p.poll(), "the gateway ended by itself:\n" +
                          self.gw.proc.text())

    def city_sql(self, sql):
        db = sqlite3.connect(f"file:{self.city.db}?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def arrived(self):
        """Batches at the city."""
        return self.city_sql("SELECT count(*) FROM batch")[0][0]

    def sealed(self):
        """The newest number that the gateway has sealed."""
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True)
        try:
            return db.execute("SELECT max(last_seq) FROM chain").fetchone()[0]
        finally:
            db.close()

    def compare_at_the_end(self, seconds=240):
        """Nothing new to read: what is committed gets sealed and sent, and the gateway and the city
        hold the same, once. Their rows: (series, ts, value, quality, chain, seq)."""
        self.slave.stop()
        self.breaks(line.GOOD)

        def all_there():
            rows = self.gw.export()
            return all(r[4] for r in rows) and {tuple(r) for r in rows} == {
                tuple(r[1:]) for r in self.city.rows()}
        until(all_there, seconds, "the city to hold all that the gateway holds", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        rows = sorted(tuple(r[1:]) for r in self.city.rows())
        self.assertEqual(rows, sorted(tuple(r) for r in self.gw.export()))
        for k, unit in self.units.items():
            self.polls(rows, k, unit)
        return rows

    def polls(self, rows, k, unit):
        """The polls of unit k among the rows as (number, time): each as it was served, and once."""
        def of(point):
            return sorted((int(r[1]), r[2]) for r in rows if r[0] == f"dev-{k}/{point}")
        found = [(int(n), t) for t, n in of("n")]
        self.assertEqual(len({n for n, _ in found}), len(found), "a poll is there twice")
        self.assertLessEqual({n for n, _ in found}, set(unit.served()))
        self.assertEqual(sorted((t, unit.derived(n)) for n, t in found),
                         sorted((t, int(d)) for t, d in of("d")))
        self.assertEqual(sorted((t, unit.real(n)) for n, t in found),
                         sorted((t, float(f)) for t, f in of("f")))
        return sorted(found)

    def lost(self, rows, k, unit, period_ms):
        """The polls of unit k that were served and are not among the rows: (number, time), up to the
        last that is. Each of them, and each silence, lies in a gap at the city."""
        mine, name = self.polls(rows, k, unit), f"dev-{k}"
        gaps = self.city_sql(f"SELECT from_ms, to_ms FROM gap WHERE series IN ('*', '{name}/*', "
                             f"'{name}/n')")
        silent = []
        for (n1, t1), (n2, t2) in zip(mine, mine[1:]):
            if n2 == n1 + 1 and t2 - t1 <= 2 * period_ms:
                continue
            if not any(g[0] < max(t1, t2) and g[1] > min(t1, t2) for g in gaps):
                silent.append((n1, t1, n2, t2))
        self.assertEqual(silent, [], f"{name} is missing without a gap")
        there = {n for n, _ in mine}
        return [(n, t) for n, t in unit.log if n < mine[-1][0] and n not in there]
