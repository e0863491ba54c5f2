"""C1: the database, its WAL or the journal is damaged. The gateway starts by itself, polls within a
second, sets the damaged files aside with their bytes, and the city ends with every reading that was
readable, once, and a signed gap for the rest. A technician sees it."""
import glob
import http.client
import json
import os
import random
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, City, Gateway, Https, Proc, csv_rows, free_port, main, run, until, write  # noqa: E402,E501
from fp_slave import COUNTER_PROFILE, Counter, Slave  # noqa: E402

GAPS = "series,from_ms,to_ms,cause,chain,seq"
FIRST_POLL_S = 1.0


def read(path):
    with open(path, "rb") as f:
        return f.read()


def patch(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at)
        f.write(data)


def rename_a_table(path):
    """One bit of the text that names the table of chains, also where it stood before it changed."""
    data = read(path)
    patch(path, 0, data.replace(b"CREATE TABLE chain", b"CREATE TABLE ciain"))


def flip(path, rng, low=0.0, high=1.0):
    size = os.path.getsize(path)
    at = rng.randrange(int(size * low), int(size * high))
    patch(path, at, bytes([read(path)[at] ^ 1 << rng.randrange(8)]))


def zero(path, at, n):
    patch(path, at, bytes(n))


class Damage(Case):
    def site(self):
        self.rng = random.Random(self.args.seed)
        self.units = {n: Counter(100 * n) for n in (1, 2)}
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
                            f"every: 200ms}}" for n in self.units)
        self.web = free_port()
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 500ms}}
devices:
{devices}
uplinks:
  city: {{type: city, url: "{self.city.url}", ca: {self.city.ca},
    receipt_keys: [{self.city.pub_path}], required: true}}""", every="1s", journal="300ms",
                       listen=f"127.0.0.1:{self.web}")

    def sealed(self):
        return [tuple(r) for r in self.gw.export() if r[4]]

    def held(self):
        return {tuple(r[5:7]) for r in self.city.rows()}

    def told(self):
        """No time that was lost waits for its window: the next one that is sealed tells it."""
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True)
        try:
            return not db.execute("SELECT 1 FROM meta WHERE key LIKE 'hole:%'").fetchall()
        finally:
            db.close()

    def drained(self):
        rows = {r[4:6] for r in self.sealed()}
        return rows and rows <= self.held()

    def life(self, clean):
        """Some windows that the city has, some that it has not, and a rest in the journal."""
        self.gw.start()
        until(lambda: len(self.held()) >= 3, 60, "three windows at the city", 0.2)
        self.city.stop()
        sealed = len({r[5] for r in self.sealed()})
        until(lambda: len({r[5] for r in self.sealed()}) >= sealed + 4, 60, "a backlog", 0.2)
        if clean:
            self.assertEqual(self.gw.stop(), 0)
        else:
            self.gw.kill()
        # what a reader can read of it, before it is harmed
        return {tuple(r[:4]) for r in self.gw.export()}

    def polls_soon(self):
        """Seconds from the program's start to its first poll."""
        before = {n: u.n for n, u in self.units.items()}
        begin = time.monotonic()
        self.gw.proc = Proc([self.gw.exe, "run", "--config", self.gw.conf])
        until(lambda: any(u.n > before[n] for n, u in self.units.items()), 30, "a poll", 0.002)
        took = time.monotonic() - begin
        self.gw.proc.wait_line(r"page https://")
        return took

    def get(self, path):
        return self.gw.get(path)

    def ended(self):
        """The events, once the rescue has ended; the page may say no while it starts over."""
        try:
            events = self.events()
        except (AssertionError, OSError, http.client.HTTPException):
            return None
        return events if "rescue.end" in events else None

    def events(self):
        return {e["code"]: e for e in reversed(self.get("/api/v1/events?limit=200")["events"])}

    def gaps(self):
        https = Https(self.city.port, self.city.ca)
        answer = https.request("GET", f"/v1/gateways/{self.gw.gw}/gaps?limit=10000")
        https.close()
        self.assertEqual(answer[0], 200)
        return csv_rows(answer[2].decode(), GAPS)

    def judge(self, truth, most):
        """All that was readable is at the city, once; what is not lies in a gap for the storage."""
        rows = [r for r in self.city.rows() if r[1].startswith("dev-")]
        have = {tuple(r[1:5]) for r in rows}
        self.assertEqual(len(have), len(rows), "a reading is at the city twice")
        gone = {r for r in truth if r[0].startswith("dev-")} - have
        gaps = [(int(g[1]), int(g[2])) for g in self.gaps() if g[3] == "storage"]
        for series, t_ms, *_ in gone:
            self.assertTrue(any(a <= int(t_ms) < z for a, z in gaps),
                            f"{series} at {t_ms} is neither at the city nor in a gap")
        self.assertLessEqual(len(gone), most)
        return len(gone)

    def seen_by_a_technician(self, sets):
        status = json.loads(run([self.gw.exe, "status", "--config", self.gw.conf,
                                 "--json"]).stdout)
        self.assertEqual(status["store"]["damaged_files"], sets)
        self.assertGreaterEqual(status["store"]["damaged_bytes"], 0)
        events = self.events()
        self.assertEqual(events["store.damaged"]["severity"], "error")
        self.assertIn("rescue.end", events)
        return events

    def case(self, name, clean, harm, most):
        self.site()
        truth = self.life(clean)
        harm(self.gw.db)
        bytes_were = {s: read(self.gw.db + s) for s in ("", "-wal", ".journal")
                      if os.path.exists(self.gw.db + s)}
        self.city.start()
        took = self.polls_soon()
        events = until(self.ended, 30,
                       "the end of the rescue", 0.1)
        self.assertIn("store.damaged", events)
        sealed = len(self.sealed())
        until(lambda: len(self.sealed()) > sealed + 20 and self.told() and self.drained(), 60,
              "the city to hold all that is sealed, and what is lost", 0.3)
        self.seen_by_a_technician(1)
        sets = [p for p in glob.glob(self.gw.db + ".damaged-*Z")]
        self.assertEqual(len(sets), 1, sets)
        for suffix, was in bytes_were.items():
            self.assertEqual(read(sets[0] + suffix), was, suffix)
        self.assertEqual(self.gw.stop(), 0)
        lost = self.judge(truth, most)
        print(f"{name}: first poll after {took:.2f} s, {len(truth)} readings before, "
              f"{lost} lost and told; {events['rescue.end']['text']}", flush=True)
        self.assertLess(took, FIRST_POLL_S)

    WINDOW = 5 * 2 * 3 + 30  # readings of a window, and what may come late

    def test_the_head_of_the_database_is_zeroed(self):
        self.case("head zeroed", True, lambda db: zero(db, 0, 100), 0)

    def test_a_flipped_byte_in_the_tables_that_name_everything(self):
        self.case("schema flipped", True, rename_a_table, 0)

    def test_a_flipped_byte_of_the_wal(self):
        self.case("WAL flipped", False, lambda db: flip(db + "-wal", self.rng, 0.3, 0.8),
                  3 * self.WINDOW)

    def test_the_wal_is_gone(self):
        # what the city had not got yet and the WAL alone had is lost
        self.case("WAL gone", False, lambda db: os.unlink(db + "-wal"), 10 ** 6)

    def test_the_database_is_cut_in_half(self):
        self.case("database cut", True,
                  lambda db: os.truncate(db, os.path.getsize(db) // 2), 10 ** 6)

    def test_the_database_is_other_bytes(self):
        self.case("no database", True, lambda db: patch(db, 0, os.urandom(os.path.getsize(db))),
                  10 ** 6)

    def test_what_no_look_at_the_start_sees_is_found_while_it_runs_without_a_restart(self):
        self.site()
        truth = self.life(True)
        zero(self.gw.db, read(self.gw.db).index(b"\x28\xb5\x2f\xfd") // 512 * 512, 512)
        self.city.start()
        self.gw.start()
        pid = self.gw.proc.p.pid
        events = until(self.ended, 60,
                       "the damage to be found and the rescue to end", 0.2)
        self.assertEqual(self.gw.proc.p.pid, pid)
        self.assertIsNone(self.gw.proc.p.poll())
        until(self.drained, 60, "the city to hold all that is sealed", 0.3)
        self.seen_by_a_technician(1)
        self.assertEqual(self.gw.stop(), 0)
        lost = self.judge(truth, 3 * self.WINDOW)
        print(f"while it runs: {lost} lost and told; {events['rescue.end']['text']}", flush=True)


if __name__ == "__main__":
    main()
