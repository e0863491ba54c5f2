"""How fast the line is: real servers, good and bad, a real gateway, its budget, and its uplink, which goes
first. What it measures against a link of known speed is in throughput_line.py."""
import json
import os
import sqlite3
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_gatewaycase import GatewayCase  # noqa: E402
from fp_proc import Case, Gateway, main, make_tls, run, until  # noqa: E402
from fp_speed import Speed  # noqa: E402

MEASURED, LINK, CPU, BUSY, BUDGET = 1, 2, 3, 10, 11
RATED = (MEASURED, CPU)  # a machine with others on it may be the limit, and then says so


class Site(Case):
    """A gateway that measures, without an uplink unless a test has one."""
    RAMP = "500ms"

    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        # freed memory that a sanitizer keeps back would look like growth
        self.gw.env = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0"}
        self.stack.callback(self.gw.kill)
        self.server = Speed()
        self.stack.callback(self.server.close)

    def site(self, devices, more="", every="2s"):
        """devices: {id: keys beside the usual ones}."""
        usual = {"every": "1h", "ramp": self.RAMP, "duration": "1s", "connections": "2"}
        self.gw.config("connectivity:\n  throughput:\n" + "".join(
            f"    {i}: {{{keys}" + "".join(f", {k}: {v}" for k, v in usual.items() if k + ":" not in keys) + "}\n"
            for i, keys in devices.items()) + more, every=every)

    def ask(self, device, ok=(0, 1)):
        r = run([self.gw.exe, "throughput", "--config", self.gw.conf, "--yes", "--json", device], 120, ok=ok)
        return json.loads(r.stdout)

    def used(self, device="line"):
        db = sqlite3.connect(self.gw.db, timeout=10)
        try:
            rows = db.execute("SELECT value FROM meta WHERE key = ?", (f"budget:throughput:{device}",)).fetchall()
        finally:
            db.close()
        return [int(x) for x in bytes(rows[0][0]).decode().split()] if rows else None

    def set_used(self, used, device="line"):
        month = self.used(device)[0]
        db = sqlite3.connect(self.gw.db, timeout=10)
        try:
            with db:
                db.execute("UPDATE meta SET value = ? WHERE key = ?",
                           (f"{month} {used} 0 0".encode(), f"budget:throughput:{device}"))
        finally:
            db.close()

    def last(self, series):
        """Of `fieldpost export --raw`-like rows: the last value, once there is one."""
        return [r[2] for r in self.gw.export("--raw") if r[0] == series]

    def said(self, code):
        db = sqlite3.connect(self.gw.db, timeout=10)
        try:
            return [t for t, in db.execute("SELECT text FROM event WHERE code = ? ORDER BY id", (code,))]
        finally:
            db.close()


class BadServers(Site):
    def test_each_bad_server_is_a_record_with_its_cause(self):
        cases = {"html": 24, "redirect": 23, "cut": 26, "longer": 27, "small": 27, "silent": 28, "mute": 28,
                 "head": 26, "garbage": 26, "refuse": 25}
        devices = {k: f"down: '{self.server.url}/{k}'" for k in cases}
        for k, code in {"refuse": 25, "redirect": 23, "mute": 28}.items():
            devices["up-" + k], cases["up-" + k] = f"up: '{self.server.url}/{k}'", code
        devices["nobody"], cases["nobody"] = "down: 'http://127.0.0.1:9/file'", 20
        devices["noif"], cases["noif"] = f"down: '{self.server.url}/file', interface: none0", 22
        devices["fast"], cases["fast"] = f"down: '{self.server.url}/endless', size: 1MB", 29
        self.site(devices)
        self.gw.start()
        rss = self.gw.rss_kib()
        for device, code in cases.items():
            answer = self.ask(device)
            way = "upload" if device.startswith("up-") else "download"
            r = answer[way]
            print(f"{device}: {r['code']} {r['result']}: {r['text']}", flush=True)
            self.assertEqual(r["code"], code, device)
            self.assertNotIn("mbit", r, device)
            self.assertTrue(r["text"], device)
            self.assertNotIn("84912345678", json.dumps(answer), "the subscriber's number")
            health = {d["id"]: d for d in self.gw.get("/api/v1/status")["devices"]}[device]
            self.assertIn(r["text"][:40], health["text"])
        self.assertLess(self.gw.rss_kib() - rss, 8192, "memory grew with what servers sent")
        self.assertEqual(self.gw.stop(), 0)
        rows = {r[0]: r[2] for r in self.gw.export("--raw")}
        for device, code in cases.items():
            way = "upload" if device.startswith("up-") else "download"
            self.assertEqual(rows[f"{device}/{way}_result"], str(code))
            self.assertNotIn(f"{device}/{way}", rows)
        self.assertNotIn("84912345678", "".join(self.said("device.faulty")))

    def test_slow_and_endless_servers_are_measured_and_the_ramp_is_not(self):
        self.site({"slow": f"down: '{self.server.url}/slow?rate=20000'",
                   "burst": f"down: '{self.server.url}/burst', duration: 2s, ramp: 1500ms",
                   "pair": f"down: '{self.server.url}/endless', up: '{self.server.url}/sink', size: 100GB, "
                           "budget: 1000GB, connections: 3"})
        self.gw.start()
        r = self.ask("slow")["download"]
        self.assertIn(r["code"], RATED)
        self.assertAlmostEqual(r["mbit"], 2 * 0.16, delta=0.06)
        # 3 MB come in the first second: with them it would be 12 Mbit/s a connection more
        r = self.ask("burst")["download"]
        self.assertAlmostEqual(r["mbit"], 2 * 4, delta=1.2)
        self.assertAlmostEqual(r["us"] / 1e6, 2, delta=0.7)
        answer = self.ask("pair")
        self.assertEqual({way: self.server.most[way] for way in ("/endless", "/sink")}, {"/endless": 3, "/sink": 3})
        for way in ("download", "upload"):
            self.assertIn(answer[way]["code"], RATED)
            self.assertGreater(answer[way]["mbit"], 50)
            self.assertEqual(answer[way]["connections"], 3)
        self.assertEqual(answer["interface"], "lo")
        self.assertEqual(answer["link_mbit"], 0)  # loopback has no rate

    def test_tls_is_verified(self):
        good, other = os.path.join(self.folder, "good"), os.path.join(self.folder, "other")
        for f in (good, other):
            os.makedirs(f)
            make_tls(f)
        tls = Speed(tls=(good + "/tls.pem", good + "/tls.key"))
        self.stack.callback(tls.close)
        self.site({"good": f"down: '{tls.url}/endless', ca: {good}/ca.pem, size: 100GB, budget: 1000GB",
                   "bad": f"down: '{tls.url}/endless', ca: {other}/ca.pem"})
        self.gw.start()
        self.assertIn(self.ask("good")["download"]["code"], RATED)
        asked = len(tls.asked)
        self.assertEqual(self.ask("bad")["download"]["code"], 21)
        self.assertEqual(len(tls.asked), asked, "something was asked of a stranger")


class Budget(Site):
    def test_the_month_is_counted_kept_and_never_exceeded(self):
        self.site({"line": f"down: '{self.server.url}/slow?rate=300000', size: 2MB, budget: 20MB"})
        self.gw.start()
        r = self.ask("line", ok=(0,))
        used = self.used()[1] + self.used()[2]
        print(f"the wire took {r['cost_bytes']}, the server sent about {2 * 300000 * 1.5:.0f}, kept {used}",
              flush=True)
        self.assertGreater(r["cost_bytes"], r["download"]["bytes"])
        self.assertLess(r["cost_bytes"], 2_500_000)
        self.assertEqual(used, r["cost_bytes"])
        # kill -9 in the middle: all that it may have taken is counted
        before = len(self.server.asked)
        p = subprocess.Popen([self.gw.exe, "throughput", "--config", self.gw.conf, "--yes", "line"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.stack.callback(p.wait)
        self.stack.callback(p.kill)
        until(lambda: len(self.server.asked) > before, 60, "the transfer to begin")
        self.gw.kill()
        p.kill()
        self.assertGreaterEqual(sum(self.used()[1:3]), used + 2_000_000)
        self.set_used(18_500_000)
        for _ in range(2):  # a restart does not make it whole again
            self.gw.start()
            asked = len(self.server.asked)
            said = run([self.gw.exe, "throughput", "--config", self.gw.conf, "--yes", "line"], ok=(1,))
            self.assertIn("takes at most 2.4 MB of data; 1.5 of the month's 20.0 MB are left", said.stderr)
            self.assertIn("budget used", said.stdout)
            self.assertEqual(len(self.server.asked), asked, "measured beyond the budget")
            self.assertEqual(self.gw.stop(), 0)
        self.assertEqual(len(self.said("throughput.budget")), 1)
        self.assertIn("raise connectivity.throughput.line.budget", self.said("throughput.budget")[0])
        self.assertEqual(self.last("line/download_result")[-1], str(BUDGET))

    def test_nobody_is_asked_who_does_not_run_or_agree(self):
        self.site({"line": f"down: '{self.server.url}/slow'", "own": "name: x"})
        self.gw.start()
        for words, code, text in ((["line"], 2, "--yes"), (["--yes", "other"], 2, "no such ID"),
                                  (["--yes"], 2, "ID is needed"), (["--yes", "own"], 2, "neither down nor up")):
            r = run([self.gw.exe, "throughput", "--config", self.gw.conf, *words], ok=(code,))
            self.assertIn(text, r.stderr)
        self.assertEqual(self.server.asked, [])
        self.assertEqual(self.gw.stop(), 0)
        r = run([self.gw.exe, "throughput", "--config", self.gw.conf, "--yes", "line"], ok=(1,))
        self.assertIn("no gateway runs", r.stderr)


class Uplink(GatewayCase):
    """Readings go first."""

    def measured(self, more="", every="4s"):
        self.server = Speed()
        self.stack.callback(self.server.close)
        self.site(every=every)
        with open(self.gw.conf, "a", encoding="ascii") as f:
            f.write(f"connectivity:\n  throughput:\n    line: {{down: '{self.server.url}/slow', every: 1h, "
                    f"duration: 20s, ramp: 0s, uploads_every: 1s{more}}}\n")
        self.gw.start()

    def ask(self):
        return json.loads(run([self.gw.exe, "throughput", "--config", self.gw.conf, "--yes", "--json", "line"],
                              120, ok=(0, 1)).stdout)["download"]

    def test_a_batch_that_goes_out_ends_it_and_none_begins_while_one_does(self):
        self.measured()
        self.wait_for(1)
        r = self.ask()  # between two batches it begins; the next ends it long before its 20 s
        self.assertEqual(r["code"], BUSY)
        begun = len(self.server.asked)
        self.assertGreater(begun, 0)
        held, inside = threading.Event(), threading.Event()
        self.stack.callback(held.set)

        def hook(_request):
            inside.set()
            held.wait(60)
        self.city.hook = hook
        self.assertTrue(inside.wait(60))
        r = self.ask()
        self.assertEqual(r["code"], BUSY)
        self.assertIn("readings go first", r["text"])
        self.assertEqual(len(self.server.asked), begun, "it began beside an upload")


if __name__ == "__main__":
    main()
