"""Alarms end to end: from the register of a slave to the city, ahead of what waits, kept over a restart, and
acknowledged."""
import contextlib
import os
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_city import FakeCity  # noqa: E402
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from fp_slave import SILENT, Bank, Slave  # noqa: E402
from fp_warp import Warp  # noqa: E402

PROFILE = """model: a gauge
points:
  - {name: level, quantity: water_level, function: 3, address: 0, type: s16, scale: 0.001}
  - {name: rain, quantity: rain, function: 3, address: 1, type: u16, scale: 0.1}
"""
QUIET, RAISED, ACKNOWLEDGED, UNKNOWN, BLIND = range(5)


class Gauge(Bank):
    def __init__(self):
        super().__init__()
        self.silent = False
        self.set(1.0, 100)

    def set(self, level=None, rain=None):
        if level is not None:
            self.regs[3][0] = round(level * 1000) & 0xffff
        if rain is not None:
            self.regs[3][1] = round(rain * 10)

    def read(self, function, address, count):
        return SILENT if self.silent else super().read(function, address, count)


class WeatherAlarms(Case):
    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.gauge, self.other = Gauge(), Gauge()
        self.slave = Slave({1: self.gauge, 2: self.other})
        self.stack.callback(self.slave.stop)
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "gauge.yaml"), PROFILE)
        self.city = FakeCity(os.path.join(self.folder, "city"))
        self.city.device = self.gw.pub
        self.city.start()
        self.stack.callback(self.city.stop)

    def site(self, alarms, every="5min", period="1s", more=""):
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 500ms}}
devices:
  river: {{bus: plant, unit: 1, profile: ./gauge.yaml, every: {period}}}
  pond: {{bus: plant, unit: 2, profile: ./gauge.yaml, every: {period}}}
uplinks:
  city: {{type: city, url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}], required: true}}
alarms:
{alarms}""", every=every, more=more)

    FLOOD = """  flood: {series: river/level, when: {above: 2.5}, clear: 2.2, severity: error,
    text: {vi: "Nước sông vượt mức", en: "The river is over its mark"}}
"""
    STORM = """  storm: {series: river/rain, when: {rain_1h: 0.5}, clear: 0.1, text: {vi: "Mưa to"}}
"""

    DRY = """  dry: {series: river/level, when: {below: -5}, clear: -4, text: {vi: "Cạn nước"}}
"""

    def told(self, name="flood"):
        """What the city has of it: (state, ms)."""
        return [(int(r.x), r.t_ms) for r in self.city.readings() if r.device == "alarm" and r.point == name]

    def at_city(self, state, seconds=30, name="flood"):
        """Seconds until it is there."""
        start = time.monotonic()
        until(lambda: [s for s, _ in self.told(name)][-1:] == [state], seconds,
              f"state {state} at the city; it has {self.told(name)}")
        return time.monotonic() - start

    def rains(self, total):
        """As fast as rain can be."""
        while self.gauge.regs[3][1] < round(total * 10):
            self.gauge.regs[3][1] += 2
            until(lambda: round((self.gw.get("/api/v1/devices/river")["points"][1]["value"] or 0) * 10) ==
                  self.gauge.regs[3][1], 20, "the rain")

    def stands(self, name="flood"):
        text = run([self.gw.exe, "alarm", "--config", self.gw.conf]).stdout
        return next(line.split()[1] for line in text.splitlines() if line.startswith(name))

    def codes(self):
        return [e["code"] for e in self.gw.get("/api/v1/events?limit=200")["events"] if e["code"].startswith("alarm.")]

    def quiet(self, name="flood"):
        until(lambda: self.stands(name) == "quiet", 30, "it to be watched")

    def test_an_alarm_is_at_the_city_within_seconds_and_not_with_the_window(self):
        self.site(self.FLOOD + self.STORM + self.DRY)
        self.gw.start()
        self.quiet()
        self.quiet("storm")
        self.gauge.set(level=2.6)
        raised = self.at_city(RAISED)
        print(f"alarm.raised_at_city_s {raised:.2f} s")
        # and what it was raised by
        b = next(b for b in self.city.held() for r in b.readings if r.device == "alarm" and r.point == "flood"
                 and int(r.x) == RAISED)
        here = {(r.device, r.point): r for r in b.readings}
        self.assertEqual(float(here["alarm", "flood.value"].x), 2.6)
        self.assertEqual((here["alarm", "flood"].q, here["alarm", "flood.value"].q), (32, 32))
        self.assertIn(2.6, [float(r.x) for r in b.readings if (r.device, r.point) == ("river", "level")])
        self.assertEqual(self.stands(), "raised")
        run([self.gw.exe, "alarm", "ack", "flood", "--by", "Nguyễn Văn An", "--config", self.gw.conf])
        until(lambda: self.stands() == "acknowledged", 10, "it to be acknowledged")
        self.assertIn("known to Nguyễn Văn An", run([self.gw.exe, "alarm", "--config", self.gw.conf]).stdout)
        # nobody says so twice
        self.assertIn("already", run([self.gw.exe, "alarm", "ack", "flood", "--by", "x", "--config", self.gw.conf],
                                     ok=(1,)).stderr)
        self.gauge.set(level=2.3)
        self.gauge.set(rain=160)  # more than any rain within a second: no rain
        until(lambda: self.gw.get("/api/v1/devices/river")["points"][0]["value"] == 2.3, 20, "the fall")
        self.assertEqual(self.stands(), "acknowledged")
        self.gauge.set(level=2.2)
        self.at_city(QUIET)
        self.assertEqual([s for s, _ in self.told()], [QUIET, RAISED, ACKNOWLEDGED, QUIET])
        self.assertEqual(self.codes()[::-1], ["alarm.raised", "alarm.acknowledged", "alarm.cleared"])
        self.assertEqual(self.stands("storm"), "quiet")
        # what is beyond all limits raises nothing; the next one does
        self.gauge.set(level=-21)
        until(lambda: self.gw.get("/api/v1/devices/river")["points"][0]["value"] == -21, 20, "the fault")
        polls = self.gw.get("/api/v1/devices/river")["device"]["polls"]
        until(lambda: self.gw.get("/api/v1/devices/river")["device"]["polls"] > polls + 1, 20, "it to be looked at")
        self.gauge.set(level=-6)
        self.at_city(RAISED, name="dry")
        value = [float(r.x) for r in self.city.readings() if (r.device, r.point) == ("alarm", "dry.value")]
        self.assertEqual(value[-1], -6)
        # no early window says that something is missing
        first = min(r.t_ms for r in self.city.readings())
        self.assertEqual([g for b in self.city.held() for g in b.gaps if g[2] > first], [])
        self.assertEqual(self.city.refused, [])
        self.assertEqual(self.gw.stop(), 0)

    def test_mistakes_are_told_with_their_place(self):
        self.site("""  a: {series: river/none, when: {above: 2}, clear: 1, text: {vi: x}}
  b: {series: river/level, when: {rain_1h: 2}, clear: 1, text: {vi: x}}
  c: {series: river/rain, when: {above: 2}, clear: 1, text: {vi: x}}
  d: {series: river/level, when: {above: 2}, clear: 2, text: {vi: x}}
  e: {series: river/level, when: {below: 2}, clear: 1, text: {vi: x}}
  f: {series: river/level, when: {above: 2, below: 1}, clear: 1, text: {vi: x}}
  g: {series: river/rain, when: {rain_3h: 0}, clear: -1, text: {vi: x}}
  h: {series: river/level, when: {rise_per_h: 1}, clear: -1, text: {vi: %s}}
  i: {series: river/level, when: {over: 1}, clear: 0, text: {vi: x}}
  j: {series: river/level, when: {above: 1}, clear: 0, text: {vi: x}, sms: true}
""" % ("x" * 81))
        with open(self.gw.conf, encoding="utf-8") as f:
            first = next(i for i, line in enumerate(f, 1) if line.startswith("  a:"))
        said = run([self.gw.exe, "check", "--config", self.gw.conf], ok=(2,)).stderr.splitlines()
        want = {"a": "there is no series river/none", "b": "that is none: river/level", "c": "a counter only grows",
                "d": "clear lies below", "e": "clear lies above", "f": "one of rain_1h", "g": "a number above 0",
                "h": "80 characters", "i": 'unknown key "over"', "j": "sms needs connectivity.sms"}
        for i, part in enumerate(want.values()):
            self.assertTrue(any(f"{self.gw.conf}:{first + i}:" in line and part in line for line in said), (part, said))

    def test_whoever_is_signed_in_acknowledges(self):
        self.site(self.FLOOD)
        self.gw.start()
        self.quiet()
        cookie = self.gw.sign_in()
        csrf = self.gw.get_as(cookie, "/api/v1/session")[1]["csrf"]
        def post(name, **head):
            with contextlib.closing(self.gw.page()) as page:
                return page.request("POST", f"/api/v1/alarms/{name}/acknowledgement", headers={"Cookie": cookie, **head})[0]
        by = {"X-CSRF-Token": csrf}
        self.assertEqual((post("flood", **by), post("none", **by), post("flood")), (409, 404, 403))
        self.gauge.set(level=2.6)
        one = until(lambda: next((a for a in self.gw.get("/api/v1/alarms")["alarms"] if a["state"] == "raised"), None), 20,
                    "it to be raised")
        self.assertEqual((one["value"], one["limit"], one["unit"], one["when"]), (2.6, 2.5, "m", "above"))
        self.assertEqual((post("flood", **by), post("flood", **by)), (202, 409))
        one = until(lambda: next((a for a in self.gw.get("/api/v1/alarms")["alarms"] if a["acknowledged_by"]), None), 20,
                    "it to be acknowledged")
        self.assertEqual((one["state"], one["acknowledged_by"]), ("acknowledged", "lan"))
        self.assertEqual(self.gw.stop(), 0)

    def test_it_goes_ahead_of_hundreds_of_batches_that_wait(self):
        self.site(self.FLOOD, every="1s", period="200ms", more=", max_readings: 2")
        held, go = threading.Event(), threading.Event()

        def slow(_):  # a slow line: more is sealed than goes; and at times nothing goes
            time.sleep(0.3)
            if held.is_set():
                go.wait(55)

        def waits():
            return self.gw.get("/api/v1/status")["store"]["batches_unsent"]
        held.set()
        self.city.hook = slow
        self.gw.start()
        self.quiet()
        until(lambda: waits() >= 200, 50, "200 batches to wait", 0.2)
        held.clear()
        go.set()
        until(lambda: len(self.city.held()) >= 5, 60, "the backlog to go out")
        go.clear()
        held.set()
        begun = time.monotonic()
        self.gauge.set(level=2.6)
        until(lambda: self.stands() == "raised", 30, "it to be raised")
        sealed = waits()
        until(lambda: waits() > sealed + 8, 30, "more to be sealed behind it")  # so it is not the newest
        before, asked = waits(), len(self.city.requests)
        held.clear()
        go.set()
        self.at_city(RAISED)
        print(f"alarm.ahead_of_backlog_s {time.monotonic() - begun:.2f} s, {before} batches waited, {waits()} still do")
        self.assertGreater(waits(), 150)
        # its batch was put as what is new, and before all others
        batches = {(b.chain, b.seq): b for b in self.city.held()}
        n, r = next((n, r) for n, r in enumerate(self.city.requests) if (r.chain, r.seq) in batches and any(
            x.device == "alarm" and x.point == "flood" and int(x.x) == RAISED for x in batches[r.chain, r.seq].readings))
        self.assertLessEqual(n - asked, 1)
        self.assertNotIn("fieldpost-backfill", r.headers)
        self.city.hook = None
        self.assertEqual(self.city.refused, [])

    def test_a_restart_and_a_silence_clear_nothing(self):
        # ten times as fast: a minute is the shortest silence
        warp = Warp(self.args.bin, os.path.join(self.folder, "warp"), 10)
        self.gw.env = warp.env
        self.site(self.FLOOD + self.STORM, every="10s", period="5s")
        self.gw.start()
        self.quiet()
        self.quiet("storm")
        self.gauge.set(level=2.6)
        self.rains(100.4)
        self.at_city(RAISED)
        self.assertEqual(self.gw.stop(), 0)
        self.gw.start()
        self.assertEqual((self.stands(), self.stands("storm")), ("raised", "quiet"))
        self.rains(100.6)  # what fell before the start is known from the store
        self.at_city(RAISED, name="storm")
        self.assertEqual(self.gw.stop(), 0)
        self.gauge.silent = True
        self.gw.start()
        self.at_city(UNKNOWN)
        self.at_city(UNKNOWN, name="storm")
        self.gauge.silent = False
        self.gauge.set(level=2.0)
        self.at_city(QUIET)
        self.at_city(RAISED, name="storm")  # the hour is not over
        self.assertEqual([s for s, _ in self.told()], [QUIET, RAISED, UNKNOWN, QUIET])
        self.assertEqual(self.gw.stop(), 0)


if __name__ == "__main__":
    main(needs=("fieldpost",))
