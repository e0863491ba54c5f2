"""Several city uplinks: each with what it has acknowledged, its own pauses, its own outages; and what
becomes of a backlog when an uplink is renamed, taken away or added (A3)."""
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_gatewaycase import GatewayCase  # noqa: E402
from fp_proc import City, main, until  # noqa: E402


class Uplinks(GatewayCase):
    def setUp(self):
        super().setUp()
        self.cities = {}
        for name in ("a", "b"):
            city = self.cities[name] = City(self.args.bin, os.path.join(self.folder, name))
            city.enroll(self.gw.gw, self.gw.pub_path)
            city.start()
            self.stack.callback(city.stop)

    def site(self, uplinks, keep="60d"):
        """uplinks: {id: (city, required)}"""
        lines = [f'  {k}: {{url: "{c.url}", ca: {c.ca}, receipt_keys: [{c.pub_path}], required: '
                 f'{str(required).lower()}}}' for k, (c, required) in uplinks.items()]
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}
uplinks:
{chr(10).join(lines)}
""", every="1s", keep=keep)

    @staticmethod
    def sql(path, text, *args):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute(text, args).fetchall()
        finally:
            db.close()

    def held(self, city):
        return {(c, s): h for c, s, h in self.sql(
            city.db, "SELECT lower(hex(c.chain)), b.seq, b.sha256 FROM batch b "
            "JOIN chain c ON c.id = b.chain")}

    def sealed(self):
        return {(c, s): h for c, s, h in self.sql(
            self.gw.db, "SELECT lower(hex(c.chain)), b.id & 1099511627775, b.hash FROM batch b "
            "JOIN chain c ON c.id = b.id >> 40")}

    def arrives(self, city, seconds=60):
        want = self.sealed()
        until(lambda: want.items() <= self.held(city).items(), seconds, "all that is sealed")

    def acked(self, uplink):
        return sum(z - a + 1 for a, z in self.sql(self.gw.db, "SELECT a, z FROM ack WHERE uplink = ?",
                                                  uplink))

    def test_an_uplink_that_is_away_holds_up_no_other_and_loses_nothing(self):
        a, b = self.cities["a"], self.cities["b"]
        self.site({"a": (a, True), "b": (b, False)})
        self.gw.start()
        until(lambda: len(self.held(a)) > 3 and len(self.held(b)) > 3, 60, "batches at both")
        a.stop()
        had = len(self.held(a))
        until(lambda: len(self.held(b)) > had + 6, 60, "b to go on alone")
        self.arrives(b)
        self.assertEqual(len(self.held(a)), had)
        a.start()
        self.arrives(a)
        b.stop()  # and the other way round
        had = len(self.held(b))
        until(lambda: len(self.held(a)) > had + 4, 60, "a to go on alone")
        b.start()
        self.arrives(b)
        self.assertEqual(self.gw.stop(), 0)
        rows = [sorted(tuple(r) for r in c.rows()) for c in (a, b)]
        self.assertEqual(len(rows[0]), len(set(rows[0])))
        self.assertGreater(len(rows[0]), 50)
        common = set(self.held(a)) & set(self.held(b))
        self.assertEqual([r for r in rows[0] if (r[5], int(r[6])) in common],
                         [r for r in rows[1] if (r[5], int(r[6])) in common])

    def test_a_renamed_removed_or_added_uplink_keeps_the_backlog(self):
        a, b = self.cities["a"], self.cities["b"]
        self.site({"a": (a, True)})
        self.gw.start()
        until(lambda: len(self.held(a)) > 3, 60, "batches at a")
        self.arrives(a)
        a.stop()
        had = len(self.held(a))
        until(lambda: len(self.sealed()) > had + 5, 60, "a backlog")
        self.assertEqual(self.gw.stop(), 0)

        # Renamed: the same city under another name says itself what it holds; nothing is sent twice.
        a.start()
        self.site({"ward": (a, True)})
        self.gw.start()
        self.arrives(a)
        self.assertEqual(self.gw.stop(), 0)
        self.assertIn("ward", {u for u, in self.sql(self.gw.db, "SELECT uplink FROM ack")})
        again = self.sql(a.db, "SELECT count(*) FROM batch")[0][0]
        self.assertEqual(again, len(self.held(a)))

        # Added: the new one gets all that the store holds, the history too.
        self.site({"ward": (a, True), "b": (b, True)})
        b.stop()
        self.gw.start()
        until(lambda: len(self.held(a)) > again + 3, 60, "a to go on")
        self.assertEqual(self.gw.stop(), 0)

        # Removed with its backlog: what waited for it alone waits no more, and nothing else changes.
        self.site({"ward": (a, True)})
        self.gw.start()
        more = len(self.held(a))
        until(lambda: len(self.held(a)) > more + 2, 60, "a to go on without b")
        self.assertEqual(self.gw.stop(), 0)
        b.start()
        self.site({"ward": (a, True), "b": (b, True)})
        self.gw.start()
        sealed = set(self.sealed())  # what comes after may wait for the next start
        self.arrives(b)
        self.arrives(a)
        self.assertEqual(self.gw.stop(), 0)
        for city in (a, b):
            rows = [tuple(r) for r in city.rows()]
            self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(sealed - set(self.held(b)), set())


if __name__ == "__main__":
    main()
