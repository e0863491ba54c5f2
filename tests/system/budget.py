"""What an uplink may take in a month: counted from the wire, held at 80 and at 100 %, kept across restarts.
Runs in a network namespace of its own, where an nft counter is the judge."""
import os
import shutil
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_gatewaycase import RealCityCase  # noqa: E402
from fp_proc import main, run, skipped, until  # noqa: E402

INSIDE = "FP_BUDGET_INSIDE"
OFF_BY = 0.03  # of what nft counts, at most


class Nft:
    """Bytes of IP packets to and from a port."""

    def __init__(self, port):
        rules = "add table inet fp\nadd chain inet fp out { type filter hook output priority 0; }\n" + \
            "".join(f"add rule inet fp out tcp {way} {port} counter\n" for way in ("dport", "sport"))
        subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)

    @staticmethod
    def read():
        words = subprocess.run(["nft", "list", "table", "inet", "fp"], check=True, text=True,
                               capture_output=True).stdout.split()
        return sum(int(words[i + 1]) for i, w in enumerate(words) if w == "bytes")

    @staticmethod
    def close():
        subprocess.run(["nft", "delete", "table", "inet", "fp"], check=False)


class Budget(RealCityCase):
    def site(self, more, every="1s"):
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}
uplinks:
  city: {{url: "{self.real.url}", ca: {self.real.ca}, receipt_keys: [{self.real.pub_path}]{more}}}
""", every=every)

    def status(self):
        return self.gw.get("/api/v1/status")["uplinks"][0]

    def data(self):
        return self.status()["data"]

    def sql(self, text, *args, path=None):
        db = sqlite3.connect(path or self.gw.db, timeout=10)
        try:
            with db:
                return db.execute(text, args).fetchall()
        finally:
            db.close()

    def saved(self):
        text = self.sql("SELECT value FROM meta WHERE key = 'budget:city'")[0][0]
        return [int(x) for x in (text.decode() if isinstance(text, bytes) else text).split()]

    def set_used(self, used):
        month = self.saved()[0]
        self.sql("UPDATE meta SET value = ? WHERE key = 'budget:city'", f"{month} {used} 0 0".encode())

    def at_city(self):
        return {s for s, in self.sql("SELECT seq FROM batch", path=self.real.db)}

    def sealed(self):
        return {s for s, in self.sql("SELECT id & 1099511627775 FROM batch")}

    def said(self):
        return [t for t, in self.sql("SELECT text FROM event WHERE code = 'uplink.budget' ORDER BY id")]

    def test_the_count_is_that_of_the_wire_and_outlives_a_restart(self):
        nft = Nft(self.real.port)
        self.stack.callback(nft.close)
        self.site(", metered: always, budget: 500MB")
        self.gw.start()
        until(lambda: len(self.at_city()) > 12, 60, "batches at the city")
        self.assertTrue(self.data()["metered"])
        self.real.stop()  # a call that fails costs too
        until(lambda: not self.status()["online"], 60, "the outage to be seen")
        self.real.start()
        until(lambda: len(self.at_city()) > 18, 60, "more of them")
        self.assertEqual(self.gw.stop(), 0)
        first, wire = self.saved(), nft.read()
        said = run([self.gw.exe, "status", "--config", self.gw.conf]).stdout
        self.assertIn(f"uplinks[0].month_bytes: {first[1]}", said)
        off = first[1] / wire - 1
        print(f"counted {first[1]}, nft {wire}: off by {100 * off:.2f} %", flush=True)
        self.assertLess(abs(off), OFF_BY)
        now = time.gmtime(time.time() + 7 * 3600)
        self.assertEqual(first[0], now.tm_year * 12 + now.tm_mon - 1)
        self.gw.start()
        until(lambda: self.data()["month_bytes"] > first[1], 60, "the count to go on")
        d = self.data()
        self.assertEqual(d["budget_bytes"], 500_000_000)
        self.assertEqual(d["left_bytes"], d["budget_bytes"] - d["month_bytes"])
        until(lambda: len(self.at_city()) > 24, 60, "more of them")
        self.assertEqual(self.gw.stop(), 0)
        off = self.saved()[1] / nft.read() - 1
        print(f"over both runs off by {100 * off:.2f} %", flush=True)
        self.assertLess(abs(off), OFF_BY)

    def test_at_80_percent_the_backlog_waits_and_at_100_all_but_nothing_is_lost(self):
        self.site(", metered: always, budget: 1MB")
        self.gw.start()
        until(lambda: len(self.at_city()) > 2, 60, "batches at the city")
        self.real.stop()
        before = len(self.sealed())
        until(lambda: len(self.sealed()) > before + 5, 60, "a backlog")
        self.assertEqual(self.gw.stop(), 0)
        backlog = self.sealed() - self.at_city()
        self.set_used(810_000)
        self.real.start()
        self.gw.start()
        until(lambda: len(self.at_city() - backlog) > 6, 60, "the newest at the city")
        self.assertGreater(len(backlog - self.at_city()), 3, "the backlog did not wait")
        self.assertTrue(self.status()["online"])
        self.assertEqual(self.gw.stop(), 0)
        self.assertEqual(len(self.said()), 1)
        self.assertIn("little of the data budget is left until 1 ", self.said()[0])
        self.assertIn("the newest go out, the backlog waits", self.said()[0])

        self.set_used(999_500)
        self.gw.start()
        until(lambda: "data budget used up until 1 " in self.status()["text"], 60, "it to be used up")
        self.assertEqual(self.data()["left_bytes"], 0)
        there, here = self.at_city(), len(self.sealed())
        until(lambda: len(self.sealed()) > here + 5, 60, "collection to go on")
        self.assertEqual(self.at_city(), there, "sent beyond the budget")
        self.assertLess(self.data()["month_bytes"], 1_020_000)
        self.assertIn("or raise uplinks.city.budget", self.said()[-1])
        self.assertEqual(self.gw.stop(), 0)

        # over a link that costs nothing all of it goes out, and counts nothing
        self.site(", metered: auto, budget: 1MB")
        used = self.saved()[1]
        self.gw.start()
        want = self.sealed()
        until(lambda: want <= self.at_city(), 60, "all that waited")
        self.assertFalse(self.data()["metered"])
        self.assertEqual(self.status()["text"], "")
        self.assertEqual(self.gw.stop(), 0)
        self.assertEqual(self.saved()[1], used)
        rows = [tuple(r) for r in self.real.rows()]
        self.assertEqual(len(rows), len(set(rows)))


if __name__ == "__main__":
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        main()
    elif not shutil.which("nft") or subprocess.run(
            ["unshare", "--user", "--map-root-user", "--net", "nft", "list", "ruleset"],
            capture_output=True, check=False).returncode != 0:
        skipped("budget", "no network namespace with an nft counter can be had")
        sys.exit(77)
    else:
        os.execvpe("unshare", ["unshare", "--user", "--map-root-user", "--net", "--", sys.executable,
                               *sys.argv], {**os.environ, INSIDE: "1"})
