"""A copy of the city's database is put back: the signed head says what is gone, and once the gateway has
sent it again the city holds and reckons what it did before. The real gateway, the real city."""
import csv
import io
import os
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_gatewaycase import RealCityCase  # noqa: E402
from fp_proc import Https, main, run, until  # noqa: E402


class CityRestored(RealCityCase):
    def setUp(self):
        super().setUp()
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}
uplinks:
  city: {{url: "{self.real.url}", ca: {self.real.ca}, receipt_keys: [{self.real.pub_path}]}}
""", every="1s")

    def sql(self, text):
        db = sqlite3.connect(f"file:{self.real.db}?mode=ro", uri=True)
        try:
            return db.execute(text).fetchall()
        finally:
            db.close()

    def batches(self):
        return {x[0]: x[1:] for x in self.sql(
            "SELECT seq, sha256, received_ms, r.cose FROM batch b JOIN receipt r ON r.batch = b.id")}

    def head(self):
        https = Https(self.real.port, self.real.ca)
        try:
            status, _, body = https.request("GET", f"/v1/gateways/{self.gw.gw}/head?nonce=n1")
        finally:
            https.close()
        self.assertEqual(status, 200, body)
        (chain,) = fp.open_head(body, self.real.pub)["chains"].values()
        return chain

    def report(self, to_ms):
        rows = list(csv.DictReader(io.StringIO(run([
            self.real.exe, "report", "--config", self.real.conf, "--by", "total", "--to",
            str(to_ms)]).stdout)))
        self.assertEqual(len(rows), 3)
        return {r["series"]: r for r in rows}

    def backup(self, path):
        """As an operator makes it: beside the running city."""
        src, dst = sqlite3.connect(self.real.db), sqlite3.connect(path)
        with dst:
            src.backup(dst)
        dst.close()
        src.close()

    def restore(self, path):
        self.assertEqual(self.real.stop(), 0)
        for tail in ("-wal", "-shm"):
            if os.path.exists(self.real.db + tail):
                os.remove(self.real.db + tail)
        os.replace(path, self.real.db)
        self.real.start()

    def test_what_a_restored_city_lost_comes_back_and_counts_once(self):
        self.gw.start()
        until(lambda: len(self.batches()) > 4, 60, "batches at the city")
        copy = os.path.join(self.folder, "city.copy")
        self.backup(copy)
        (had,) = sqlite3.connect(copy).execute("SELECT max(seq) FROM batch").fetchone()
        until(lambda: len(self.batches()) > had + 5, 60, "more of them")
        self.assertEqual(self.gw.stop(), 0)
        before, dump, to_ms = self.batches(), self.real.dump("--raw"), time.time_ns() // 10 ** 6
        whole = self.report(to_ms)
        self.restore(copy)
        head = self.head()
        self.assertEqual((head["through"], head["missing"]), ([had, before[had][0]], []))
        less = self.report(to_ms)
        for series, r in less.items():
            lost = int(r["not_received_ms"]) - int(whole[series]["not_received_ms"])
            self.assertGreater(lost, 3000, r)
            self.assertEqual(int(r["unexplained_ms"]), 0, r)
        self.gw.start()  # it asks for the head, and finds what it must send again
        until(lambda: before.keys() <= self.batches().keys(), 90, "all that was lost to come again")
        self.assertEqual(self.gw.stop(), 0)
        now = self.batches()
        self.assertEqual({s: b[0] for s, b in now.items() if s in before},
                         {s: b[0] for s, b in before.items()})
        for seq, (digest, received, whole_receipt) in now.items():
            r = fp.open_receipt(whole_receipt, self.real.pub)
            self.assertEqual((r["seq"], r["sha256"], r["received"]), (seq, digest, received))
            if seq <= had:
                self.assertEqual((digest, received, whole_receipt), before[seq])
        self.assertEqual(self.head()["through"][0], max(now))
        rows = self.real.dump("--raw").splitlines()
        self.assertLessEqual(set(dump.splitlines()), set(rows))
        self.assertEqual([r for r in rows[1:] if int(r.split(",")[6]) in before],
                         dump.splitlines()[1:])
        for series, r in self.report(to_ms).items():
            for column in ("good", "read_ms"):
                self.assertGreaterEqual(int(r[column]), int(whole[series][column]), column)
            self.assertEqual(int(r["unexplained_ms"]), 0, r)
        self.assertEqual(self.sql("SELECT count(*) FROM evidence"), [(0,)])


if __name__ == "__main__":
    main()
