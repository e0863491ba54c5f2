"""Three nodes in QEMU on one RS-485 line, and the real gateway at its end: a scan finds them, `profile: node` is all
that is written down, and with noise, drops, collisions, a cut wire and a node without power what the city dumps
is what was set, in the order in which it was set, and nothing else."""
import json
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support", "python"))
from fp_node import NAMES, UNITS, LineCase, Map, Sending, a02, image, pms5003  # noqa: E402
from fp_proc import City, Gateway, main, run, until  # noqa: E402

FULL = bool(os.environ.get("FP_FULL"))
FAULTS_S = 300 if FULL else 5  # and two turns at least
TROUBLE_S = 25  # of each turn, all faults at once
TIMEOUT = "1s" if FULL else "250ms"
# Noise makes a node sick, which is asked again after a minute at most.
PATIENCE = 180 if FULL else 60
COUNTERS = ("energy_import", "water_total")


class ToTheCity(LineCase):
    def setUp(self):
        super().setUp()
        self.rng = random.Random(self.args.seed)
        self.three()
        for unit in UNITS:  # quickly, so that what is set is soon there
            m = Map(self.at, unit)
            for i in range(len(m.sensors())):
                m.set("SENSORS", "period", 5, i)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.city.enroll("gw-1", self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        self.set = {}  # series: [value], as set, in turn
        self.pulses, self.began = [0] * 3, [0] * 3  # of each node's inputs: now, and when it last started
        self.base = {}  # series of a counter: what it said then
        self.draw()

    def draw(self):
        """Other values for all, what they are worth in a CSV noted."""
        feeds = []
        for i, node in enumerate(self.nodes):
            quarter = self.rng.randrange(-80, 240)  # of a degree: a step of the chip's is a sixteenth
            dust = [self.rng.randrange(500) for _ in range(3)]
            mm, grams = 300 + 17 * self.rng.randrange(100), self.rng.randrange(100000)
            self.pulses[i] += 8 * self.rng.randrange(1, 100)
            counted = self.pulses[i] - self.began[i]
            energy, water = (self.base.get(f"{NAMES[i]}/{c}", 0) for c in COUNTERS)
            supply = self.rng.randrange(3000, 3600)
            node.temperature(quarter * 250)
            node.shared.put(weight=84000 + 21 * grams, pulses_0=self.pulses[i], pulses_1=self.pulses[i],
                             supply_mv=supply)
            feeds += [Sending(node.dust, pms5003(*dust)), Sending(node.level, a02(mm))]
            for point, value in (("temperature", quarter / 4), ("pm1", dust[0]), ("pm25", dust[1]),
                                 ("pm10", dust[2]), ("fill", (2000 - mm) / 17), ("weight", grams / 1000),
                                 ("energy_import", energy + counted / 1600),
                                 ("water_total", water + counted / 1000),
                                 ("node_supply", supply / 1000)):
                self.set.setdefault(f"{NAMES[i]}/{point}", []).append(round(value, 6))
        for f in getattr(self, "feeds", []):
            f.over.set()
        self.feeds = feeds
        for f in feeds:
            self.stack.callback(f.over.set)

    def shown(self):
        """{series: the last value that the gateway has}, without those that the newest poll misses."""
        try:
            return {f"{p['device']}/{p['point']}": p["value"] for p in self.gw.get("/api/v1/series")["series"]
                    if not p.get("missing") and "value" in p}
        except (OSError, AssertionError):
            return {}  # it starts its line anew

    def arrived(self):
        """All that was set last is what the gateway shows."""
        def differ():
            shown = self.shown()
            return {s: (shown.get(s), v[-1]) for s, v in self.set.items()
                    if shown.get(s) is None or abs(shown[s] - v[-1]) > 1e-6}
        try:
            until(lambda: not differ(), PATIENCE, "what was set is shown", 0.2)
        except AssertionError as e:
            raise AssertionError(f"{e}: shown and set {differ()}") from None

    def test_what_the_city_dumps_is_what_was_set(self):
        bus = f"buses:\n  line: {{type: modbus-rtu, port: {self.port}, baud: 9600, timeout: {TIMEOUT}}}\n"
        # A node that does not answer waits for twenty times this, until it is asked again.
        self.gw.config(bus)

        def found():
            """A machine that is busy lets a node answer too late for a scan."""
            said = run([self.gw.exe, "scan", "--config", self.gw.conf, "--bus", "line", "--units", "11-13", "--all",
                        "--json"], ok=(0, 1))
            return {d["unit"]: [(f["profile"], f["fits"]) for f in d["fits"]]
                    for d in json.loads(said.stdout)["found"]} == {u: [("node", True)] for u in UNITS}
        until(found, 60, "a scan finds the three, and that they are nodes", 0.1)

        devices = "".join(f"  {n}: {{bus: line, unit: {u}, profile: node, every: 1s}}\n"
                          for n, u in zip(NAMES, UNITS, strict=True))
        self.gw.config(f"{bus}devices:\n{devices}uplinks:\n  city: {{type: city, url: \"{self.city.url}\", "
                       f"ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}], required: true}}")
        self.gw.start()
        self.arrived()

        end = time.monotonic() + FAULTS_S
        turn = 0
        while turn < 2 or time.monotonic() < end:
            self.trouble(turn)
            self.draw()
            self.arrived()
            turn += 1
        self.assertGreater(min(self.hub.count[k] for k in ("noise", "dropped", "mangled", "babbled", "cut")), 0)
        until(lambda: {s: v[-1] for s, v in self.dumped().items() if s in self.set} ==
              {s: v[-1] for s, v in self.set.items()}, 60, "the city has the newest", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        dumped = self.dumped()
        for series, values in self.set.items():
            was = iter(values)
            self.assertTrue(all(v in was for v in dumped[series]), f"{series}: {dumped[series]}, not of {values}")
        print(f"{turn} turns, {self.readings} readings of {len(self.set)} series; the line: {self.hub.count}")

    def dumped(self):
        """{series: [value]}: what the city has of each, in the order of time, a value that stays once."""
        values, self.readings = {}, 0
        for _, series, _, value, quality, *_ in self.city.rows():
            # A counter that has begun anew is flagged once.
            if series in self.set:
                self.readings += 1
                self.assertIn(quality, ("0", "1") if series.endswith(COUNTERS) else ("0",), f"{series} {value}")
            v = values.setdefault(series, [])
            if not v or v[-1] != round(float(value), 6):
                v.append(round(float(value), 6))
        return values

    def power_cut(self, i):
        """It costs the counts since they were saved last, which is each five minutes: what comes back is what they
        once were, or 0."""
        self.nodes[i].power_off()
        off = time.monotonic()
        self.nodes[i].start()
        until(lambda: self.hub.spoke(NAMES[i] + ".line") > off, PATIENCE, "it is polled again", 0.02)

        def new():
            shown = self.shown()
            return shown if shown.get(f"{NAMES[i]}/node_uptime", 1e9) < time.monotonic() - off + 2 and all(
                f"{NAMES[i]}/{c}" in shown for c in COUNTERS) else None
        shown = until(new, PATIENCE, "what it says behind the cut", 0.1)
        self.began[i] = self.pulses[i]
        for point in COUNTERS:
            series = f"{NAMES[i]}/{point}"
            self.base[series] = round(shown[series], 6)
            self.assertIn(self.base[series], [0, *self.set[series]], series)
            self.set[series].append(self.base[series])

    def trouble(self, turn):
        """Noise, a drop, somebody who talks at the same time; then a node whose power goes, in odd turns, or a wire
        that breaks in the midst of an answer. At full length all of it for a while, until a node counts as silent."""
        count, began = dict(self.hub.count), time.monotonic()
        for fault, name, p in (("noise", "noise", 0.01), ("drop", "dropped", 0.01), ("babble", "babbled", 0.5)):
            setattr(self.hub, fault, p / 10 if FULL else p)
            until(lambda n=name: self.hub.count[n] > count[n], PATIENCE, name, 0.005)
            if not FULL:  # once: a node that fails twice running is asked less often
                self.hub.well()
        if FULL:
            until(lambda: time.monotonic() > began + TROUBLE_S, 2 * TROUBLE_S, "a while", 0.5)
            self.hub.well()
        i = turn % 3
        if turn % 2:
            self.power_cut(i)
            return
        self.hub.cut(NAMES[i] + ".line", self.rng.randrange(1, 200))
        until(lambda: self.hub.count["cut"] > count["cut"], PATIENCE, "an answer that breaks off", 0.02)
        if FULL:
            until(lambda: self.gw.get("/api/v1/status")["devices"][i]["state"] == "silent", PATIENCE, "it is silent", 0.5)
        self.hub.join(NAMES[i] + ".line")


if __name__ == "__main__":
    main(extra=image)
