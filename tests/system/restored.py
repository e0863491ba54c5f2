"""Restored copies: of the city's database, and of the gateway's store. Each time the city holds all that
the devices served once and only once, and the technician is told what was found and what to do."""
import json
import os
import shutil
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_gatewaycase import RealCityCase  # noqa: E402
from fp_proc import free_port, main, run, until  # noqa: E402

STORE = ("", "-wal", "-shm", ".journal")


class Restored(RealCityCase):
    def site(self, url=None, **more):
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}
  dev-2: {{bus: plant, unit: 2, profile: ./counter.yaml, every: 200ms}}
uplinks:
  city: {{url: "{url or self.real.url}", ca: {self.real.ca}, receipt_keys: [{self.real.pub_path}]}}
""", every="1s", **more)

    def sql(self, path, text, *args):
        db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        try:
            return db.execute(text, args).fetchall()
        finally:
            db.close()

    def at_city(self):
        return {(c, s): h for c, s, h in self.sql(
            self.real.db, "SELECT lower(hex(c.chain)), b.seq, b.sha256 FROM batch b "
            "JOIN chain c ON c.id = b.chain")}

    def sealed(self):
        return {(c, s): h for c, s, h in self.sql(
            self.gw.db, "SELECT lower(hex(c.chain)), b.id & 1099511627775, b.hash FROM batch b "
            "JOIN chain c ON c.id = b.id >> 40")}

    def all_sent(self):
        here, there = self.sealed(), self.at_city()
        return all(there.get(k) == h for k, h in here.items())

    def events(self, code):
        return [e[0] for e in self.sql(self.gw.db, "SELECT text FROM event WHERE code = ? ORDER BY id",
                                       code)]

    @staticmethod
    def copy(path, to):
        for tail in STORE:
            if os.path.exists(path + tail):
                shutil.copy(path + tail, to + tail)
            elif os.path.exists(to + tail):
                os.remove(to + tail)

    def polls(self, rows):
        """Which counts of which device the city's rows hold; none may be there twice."""
        counts = [(r[1], r[3]) for r in rows if r[1].endswith("/n")]
        self.assertEqual(len(counts), len(set(counts)), "a poll is there twice")
        return {(c[0].split("/")[0], int(float(c[1]))) for c in counts}

    def served(self):
        return {(f"dev-{k}", n) for k, unit in self.units.items() for n in unit.served()}

    def assert_whole(self, may_lack):
        """All that was served but the last poll of each run of the gateway, and what it holds that is
        newer than all that it sealed."""
        rows = self.real.rows()
        self.assertEqual(len({tuple(r[:5]) for r in rows}), len(rows))
        there = self.polls(rows)
        last = {device: max(n for d, n in there if d == device) for device, _ in there}
        unsealed = {(r[0].split("/")[0], int(float(r[2]))) for r in self.gw.export()
                    if r[0].endswith("/n") and not r[4]}
        waiting = {(d, n) for d, n in unsealed if n > last[d]}
        lacking = self.served() - there - waiting
        self.assertLessEqual(len(lacking), may_lack, sorted(lacking)[:20])

    def test_a_restored_city_gets_again_what_it_lost(self):
        self.site()
        self.gw.start()
        until(lambda: len(self.at_city()) > 5, 60, "batches at the city")
        self.real.stop()
        backup = os.path.join(self.folder, "city.copy")
        self.copy(self.real.db, backup)
        had = len(self.sql(backup, "SELECT 1 FROM batch"))
        self.real.start()
        until(lambda: len(self.at_city()) > had + 5 and self.all_sent(), 60, "more of them")
        self.real.stop()
        lost = set(self.at_city()) - {(c, s) for c, s in self.sql(
            backup, "SELECT lower(hex(c.chain)), seq FROM batch b JOIN chain c ON c.id = b.chain")}
        self.copy(backup, self.real.db)
        self.real.start()
        until(lambda: set(self.at_city()) & lost, 60, "the first of them again")
        # what is new does not wait for what is lost
        self.assertLess(len(set(self.at_city()) & lost), len(lost))
        newest = max(s for _, s in self.at_city())
        self.assertGreater(newest, max(s for _, s in lost))
        until(lambda: lost <= set(self.at_city()), 60, "all of them again")
        until(self.all_sent, 60, "all that is sealed")
        self.assertEqual(self.gw.stop(), 0)
        said = self.events("city.lacks")
        self.assertTrue(said)
        self.assertIn("the city has lost batches", said[0])
        self.assertIn("are sent again", said[0])
        self.assertEqual(self.sql(self.real.db, "SELECT count(*) FROM evidence"), [(0,)])
        self.assertEqual({k: h for k, h in self.at_city().items() if k in self.sealed()},
                         self.sealed())
        self.assert_whole(4)

    def test_a_restored_backup_of_a_gateway_loses_and_doubles_nothing(self):
        self.site()
        self.gw.start()
        until(lambda: len(self.at_city()) > 3, 60, "batches at the city")
        copy = os.path.join(self.folder, "copy.db")
        run([self.gw.exe, "backup", "--config", self.gw.conf, "--out", copy])
        until(lambda: len(self.at_city()) > 8 and self.all_sent(), 60, "more of them")
        self.assertEqual(self.gw.stop(), 0)
        before = {tuple(r[:5]) for r in self.real.rows()}
        for tail in STORE:
            if os.path.exists(self.gw.db + tail):
                os.remove(self.gw.db + tail)
        shutil.copy(copy, self.gw.db)
        self.gw.start()
        until(lambda: len(self.sealed()) > 6 and len({c for c, _ in self.at_city()}) == 2, 60,
              "batches of a new chain")
        until(self.all_sent, 60, "all that is sealed")
        self.assertEqual(self.gw.stop(), 0)
        self.assertLessEqual(before, {tuple(r[:5]) for r in self.real.rows()})
        self.assert_whole(8)
        said = self.events("chain.behind")
        self.assertEqual(len(said), 1, said)
        self.assertIn("A copy of the store was restored here? Then all is well", said[0])

    def test_an_image_that_is_put_back_seals_other_bytes_under_old_numbers(self):
        """The store's files as they were, on the same machine: the gateway does not know that it was
        further already, and goes on with the chain while the city is away."""
        self.site()
        self.gw.start()
        until(lambda: len(self.at_city()) > 3, 60, "batches at the city")
        self.assertEqual(self.gw.stop(), 0)
        image = os.path.join(self.folder, "image.db")
        self.copy(self.gw.db, image)
        self.gw.start()
        until(lambda: len(self.at_city()) > 12 and self.all_sent(), 60, "more of them")
        self.assertEqual(self.gw.stop(), 0)
        first = self.sealed()
        self.copy(image, self.gw.db)
        self.site(url=f"https://127.0.0.1:{free_port()}")
        self.gw.start()
        until(lambda: len([k for k, h in self.sealed().items() if first.get(k, h) != h]) > 3, 60,
              "other bytes under old numbers", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        self.site()
        self.gw.start()
        until(lambda: len({c for c, _ in self.at_city()}) == 2, 60, "a new chain")
        until(self.all_sent, 90, "all that is sealed")
        self.assertEqual(self.gw.stop(), 0)
        self.assert_whole(16)
        said = self.events("chain.conflict")
        self.assertEqual(len(said), 1, said)
        self.assertIn("its readings go out again in a new chain", said[0])
        self.assertIn("Else another gateway runs with this key: find it", said[0])
        self.assertTrue(self.events("batch.again"))
        # what the city had first stays as it was
        self.assertEqual({k: h for k, h in self.at_city().items() if k in first}, first)

    def rotate(self):
        """The running gateway's key changes; the id of the new one."""
        run([self.gw.exe, "key", "rotate", "--config", self.gw.conf])
        return fp.kid_of(fp.load_private(self.gw.key_path).public_key()).hex()

    def keys(self):
        return {k["kid"]: k for k in json.loads(run(
            [self.real.exe, "keys", "--config", self.real.conf, "--json"]).stdout)}

    def key_batch(self, kid):
        """(chain, seq) of the batch in which the store ended a chain for that key."""
        return self.sql(self.gw.db, "SELECT lower(hex(a.chain)), a.last_seq FROM chain a JOIN chain b "
                        "ON b.id = a.id + 1 WHERE lower(hex(b.kid)) = ? AND b.kid <> a.kid", kid)

    def test_a_next_key_under_a_taken_number_is_known(self):
        """The batch with the `key` entry meets 409: the city must know the next key all the same, or
        nothing that it signs would ever be taken."""
        self.site()
        self.gw.start()
        until(lambda: len(self.at_city()) > 3, 60, "batches at the city")
        self.assertEqual(self.gw.stop(), 0)
        image = os.path.join(self.folder, "image.db")
        self.copy(self.gw.db, image)
        self.gw.start()
        until(lambda: len(self.at_city()) > 16 and self.all_sent(), 60, "more of them")
        self.assertEqual(self.gw.stop(), 0)
        first = self.sealed()
        self.copy(image, self.gw.db)
        self.site(url=f"https://127.0.0.1:{free_port()}")
        self.gw.start()
        until(lambda: [k for k, h in self.sealed().items() if first.get(k, h) != h], 60,
              "other bytes under old numbers", 0.3)
        kid = self.rotate()
        until(lambda: self.key_batch(kid), 20, "a chain of the new key")
        (where,) = self.key_batch(kid)
        self.assertIn(where, first)
        self.assertNotEqual(self.sealed()[where], first[where])
        self.assertEqual(self.gw.stop(), 0)
        self.site()
        self.gw.start()
        until(lambda: kid in self.keys(), 60, "the next key at the city")
        self.assertEqual(self.keys()[kid]["how"], "rotation")
        self.assertEqual((self.keys()[kid]["batch"]["chain"], self.keys()[kid]["batch"]["seq"]), where)
        until(lambda: len({c for c, _ in self.at_city()}) == 2, 60, "the chain of the new key")
        until(self.all_sent, 90, "all that is sealed")
        self.assertEqual(self.gw.stop(), 0)
        self.assert_whole(16)
        self.assertEqual({k: h for k, h in self.at_city().items() if k in first}, first)

    def test_a_forgotten_rotation_is_told_again(self):
        """It has lost the batch that named the key in force, so it takes nothing new until it has that
        one: the gateway asks what is missing, and neither a person nor a start is needed."""
        self.site()
        self.gw.start()
        until(lambda: len(self.at_city()) > 3, 60, "batches at the city")
        self.real.stop()
        backup = os.path.join(self.folder, "city.copy")
        self.copy(self.real.db, backup)
        self.real.start()
        kid = self.rotate()
        until(lambda: self.key_batch(kid), 20, "a chain of the new key")
        (where,) = self.key_batch(kid)
        until(lambda: len([c for c, _ in self.at_city() if c != where[0]]) > 3 and self.all_sent(), 60,
              "batches of the new key at the city")
        self.real.stop()
        had = self.at_city()
        self.copy(backup, self.real.db)
        lost = set(had) - set(self.at_city())
        self.assertIn(where, lost)
        self.real.start()
        self.assertNotIn(kid, self.keys())
        until(lambda: kid in self.keys(), 60, "the key again", 0.2)
        # at its pace: one in two seconds, and what is new does not wait for what is lost
        self.assertLess(len(set(self.at_city()) & lost), len(lost))
        until(lambda: lost <= set(self.at_city()) and self.all_sent(), 90, "all of it")
        self.assertEqual(self.gw.stop(), 0)
        self.assertEqual({k: h for k, h in self.at_city().items() if k in had}, had)
        self.assertIn("are sent again", self.events("city.lacks")[0])
        self.assertEqual(self.sql(self.real.db, "SELECT count(*) FROM evidence"), [(0,)])
        self.assert_whole(4)


if __name__ == "__main__":
    main()
