"""A test with the real gateway on two counters, without a network, and the real city on what could be
another machine."""
import json
import os
import random
import sqlite3

import fp_contract as fp
from fp_proc import Case, City, Gateway, free_port, run, until, write
from fp_slave import COUNTER_PROFILE, Counter, Slave


class ToolsCase(Case):
    """A gateway with two counters, no network to its city, and that city on another machine."""

    def setUp(self):
        super().setUp()
        self.rng = random.Random(f"{self.args.seed} {self.id()}")
        self.slave = Slave({1: Counter(11), 2: Counter(-22)})
        self.stack.callback(self.slave.stop)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.stack.callback(self.city.stop)
        write(os.path.join(self.gw.folder, "counter.yaml"), COUNTER_PROFILE)
        self.site(self.gw)
        self.usb = os.path.join(self.folder, "usb")
        self.receipts = os.path.join(self.folder, "receipts.bin")

    def site(self, gw, every="1s", **more):
        gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}
  dev-2: {{bus: plant, unit: 2, profile: ./counter.yaml, every: 200ms}}
uplinks:
  city: {{url: "https://127.0.0.1:{free_port()}", ca: {self.city.ca},
    receipt_keys: [{self.city.pub_path}]}}""", every=every, **more)

    def cli(self, *args, codes=(0,), gw=None, seconds=120):
        gw = gw or self.gw
        return run([gw.exe, *args, "--config", gw.conf], seconds, ok=codes)

    def sql(self, text, *args, path=None):
        db = sqlite3.connect(f"file:{path or self.gw.db}?mode=ro", uri=True)
        try:
            return db.execute(text, args).fetchall()
        finally:
            db.close()

    def batches(self):
        return self.sql("SELECT lower(hex(c.chain)), b.id & 1099511627775, y.bytes, b.kind FROM "
                        "batch b JOIN batch_bytes y ON y.id = b.id JOIN chain c ON c.id = b.id >> 40"
                        " ORDER BY b.id")

    def collect(self, n=5):
        """Runs until n batches are sealed; the gateway goes on."""
        self.gw.start()
        until(lambda: os.path.exists(self.gw.db) and len(self.batches()) >= n, 60, f"{n} batches")

    def unsent(self):
        return self.sql("SELECT count(*) FROM batch b WHERE NOT EXISTS (SELECT 1 FROM ack WHERE chain = "
                        "b.id >> 40 AND a <= b.id & 1099511627775 AND z >= b.id & 1099511627775)")[0][0]

    def sealed(self, *options, codes=(0,), gw=None, usb=None):
        return self.cli("export", "--sealed", usb or self.usb, *options, codes=codes, gw=gw)

    def enroll(self, gw=None):
        gw = gw or self.gw
        self.city.enroll(gw.gw, gw.pub_path)

    def take(self, *options, codes=(0,), usb=None):
        """fieldpost-city import; (stored, there already, refused, stderr)."""
        r = run([self.city.exe, "import", "--config", self.city.conf, *options, usb or self.usb],
                120, ok=codes)
        words = r.stdout.split()
        return (*[int(words[i]) for i in ((0, 3, 7) if words else ())], r.stderr)

    def files(self, usb=None):
        return sorted(os.path.relpath(os.path.join(d, f), usb or self.usb)
                      for d, _, names in os.walk(usb or self.usb) for f in names)

    def manifest(self, gw=None):
        with open(os.path.join(self.usb, (gw or self.gw).gw, "manifest.json"),
                  encoding="ascii") as f:
            return json.load(f)

    def big_store(self, n):
        """Adds n data batches of 2,000 random readings, about 30 kB each, to the store: a chain of
        their own behind the newest, which says all that the product looks at."""
        key = fp.load_private(self.gw.key_path)
        db = sqlite3.connect(self.gw.db)
        chain, prev, boot = self.rng.randbytes(8), None, self.rng.randbytes(8)
        last, t = db.execute("SELECT id, last_to_ms FROM chain ORDER BY id DESC").fetchone()
        for seq in range(1, n + 1):
            polls = [(f"dev-{d}", t, [(f"p{i}", None, self.rng.random(), 0) for i in range(100)])
                     for d in range(20)]
            h = fp.header(key, "gw-1", chain, seq, t, t + 1, prev=prev, boot=boot)
            whole = fp.build(key, h, fp.senml("gw-1", polls))
            prev, t, row = fp.sha256(whole), t + 1, (last + 1 << 40) + seq
            db.execute("INSERT INTO batch (id, kind, from_ms, to_ms, n, hash) VALUES (?, 0, ?, ?, ?, "
                       "?)", (row, t - 1, t, 2000, prev))
            db.execute("INSERT INTO batch_bytes VALUES (?, ?)", (row, fp.compress(whole)))
        db.execute("INSERT INTO chain (id, chain, kid, last_seq, last_hash, last_to_ms, window_to_ms, "
                   "last_boot, epoch) SELECT id + 1, ?, kid, ?, ?, ?, ?, ?, epoch FROM chain "
                   "WHERE id = ?", (chain, n, prev, t, t, boot, last))
        db.commit()
        db.close()
