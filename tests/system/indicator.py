"""A month (two days of one, without --full) of a ward's devices, on a clock that the test moves, through the
real gateway and the real city: every figure that it computes is recomputed by recompute.py from
`fieldpost export`: no difference. Readings that come late, a correction, a meter's change, two devices
swapped and corrected later, kills, and a configuration that says otherwise what a device was on a day that is
over give new revisions, which are equal again; the city has them all."""
import csv
import io
import json
import lzma
import os
import random
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
sys.path.insert(0, HERE)
import recompute  # noqa: E402
from fp_clock import Clock  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_proc import main, run, until, write  # noqa: E402

EVERY_MS, STEP_MS, DAY = 600_000, 1_800_000, 86_400_000
DATA = os.path.join(HERE, "..", "data")
# id: (role, stream, place, points)
DEVICES = {
    "air": (None, None, "market", ("pm25", "pm10", "o3", "no2", "so2", "co")),
    "sky": (None, None, "market", ("rain", "wind_speed", "noise_laeq")),
    "river": (None, None, "bridge", ("water_level",)),
    "main": ("grid", None, None, ("energy_import", "energy_export", "active_power")),
    "roof": ("solar", None, None, ("energy_import",)),
    "bin-1": ("collection-point", "food", "gate", ("fill", "weight")),
    "bin-2": ("collection-point", "recyclable", "gate", ("fill", "weight")),
    "bin-3": ("collection-point", "other", "gate", ("fill", "weight")),
    "bin-4": ("collection-point", "industrial", "gate", ("weight",)),
    "sim": (None, None, None, ("registration", "radio_technology", "nr_rsrp")),
    "sim-2": ("industrial-cluster", None, None, ("radio_technology", "nr_rsrp")),
    "way": (None, None, None, ("path_state",)),
    "speed": (None, None, None, ("download", "download_result")),
    "eth": (None, None, None, ("rate",)),
    "stack": (None, None, "plant", ("h2s", "nh3", "tsp")),
    "post": ("charging", None, None, ("energy_import",)),
    "sea": ("sea", None, "beach", ("dissolved_oxygen", "ph", "salinity", "water_temperature", "turbidity")),
    "lake": (None, None, "lake", ("ph", "dissolved_oxygen", "water_temperature", "bod5", "cod", "ammonium", "nitrate",
                                  "turbidity", "suspended_solids")),
}
QUANTITY = {"nr_rsrp": "rsrp", "download": "download_rate", "download_result": "throughput_result",
            "rate": "link_rate"}  # where it has another name
LITRES = {"bin-1": 240, "bin-2": 660, "bin-3": 240}
BETWEEN = {"h2s": (0, 60), "nh3": (0, 300), "tsp": (50, 450), "download": (300, 1500), "dissolved_oxygen": (3, 11),
           "ph": (5, 9.5), "salinity": (20, 34), "water_temperature": (18, 32), "turbidity": (2, 120), "bod5": (2, 60),
           "cod": (5, 180), "ammonium": (0.1, 6), "nitrate": (1, 18), "suspended_solids": (10, 130)}


def air():
    """gas: the values of one station of tests/data, hour by hour."""
    out = {}
    with lzma.open(os.path.join(DATA, "airquality.csv.xz"), "rt") as f:
        for r in csv.DictReader(f):
            station, gas = r["series"].split("/")
            if station == "aq_dongsi":
                out.setdefault(gas, []).append(float(r["value"]))
    return out


class World:
    """What each point measures at a tick, from the shared traces and a seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.air = air()
        self.sum = {"rain": 0.0, "energy_import": 100.0, "energy_export": 50.0, "roof": 20.0, "post": 5.0}
        self.fill = {"bin-1": 10.0, "bin-2": 30.0, "bin-3": 50.0, "bin-4": 70.0}

    def value(self, device, point, t_ms):
        rng, hour = self.rng, (t_ms + recompute.ZONE) // 3600000
        if device == "air":
            values = self.air[point]
            return round(values[hour % len(values)] * (0.9 + 0.2 * rng.random()), 1)
        if device in self.fill:
            if point == "fill":
                self.fill[device] += rng.random() * 2
                if self.fill[device] > 90:
                    self.fill[device] = 5.0
                return round(self.fill[device])
            return round(self.fill[device] * 1.3, 1)
        if point in ("rain", "energy_import", "energy_export"):
            key = device if device in self.sum else point
            self.sum[key] += round(rng.random() * (0.5 if point == "rain" else 2), 2)
            return round(self.sum[key], 2)
        if point in BETWEEN:
            return round(rng.uniform(*BETWEEN[point]), 1)
        return {"rate": lambda: rng.choice((1000, 2500)), "download_result": lambda: rng.choice((1, 2)),
                "wind_speed": lambda: round(rng.random() * 12, 1), "noise_laeq": lambda: round(45 + rng.random() * 30, 1),
                "water_level": lambda: round(1 + rng.random(), 3), "active_power": lambda: rng.randint(100, 9000),
                "registration": lambda: rng.choice((1, 1, 1, 5, 2, 0)), "radio_technology": lambda: rng.choice((7, 11, 13)),
                "nr_rsrp": lambda: -rng.randint(90, 125), "path_state": lambda: rng.choice((0, 0, 0, 1))}[point]()


class Indicator(LineCase):
    UNITS = (1,)

    def setUp(self):
        super().setUp()
        self.clock = Clock(self.args.bin, os.path.join(self.folder, "clock"))
        self.gw.env = self.clock.env
        self.ahead_ms = 0

    def now_ms(self):
        return time.time_ns() // 10 ** 6 + self.ahead_ms

    def to(self, t_ms):
        """It is so late then."""
        self.ahead_ms = max(t_ms - time.time_ns() // 10 ** 6, self.ahead_ms)
        self.clock.jump(self.ahead_ms)

    def site_of(self):
        listed = []
        for name, (role, stream, place, points) in DEVICES.items():
            write(os.path.join(self.gw.folder, f"{name}.yaml"), "points:\n" + "".join(
                f"  - {{name: {p}, quantity: {QUANTITY.get(p, p)}}}\n" for p in points))
            litres = f"{LITRES[name]}l" if name in LITRES else None
            more = "".join(f", {k}: {v}" for k, v in (
                ("role", role), ("stream", stream), ("place", place), ("capacity", litres)) if v)
            listed.append(f"  {name}: {{bus: here, format: senml, base: '{name}:', profile: ./{name}.yaml, "
                          f"every: {EVERY_MS // 1000}s{more}{self.was.get(name, '')}}}")
        self.gw.config(f"""buses:
  here: {{type: http}}
indicator: {{use: [{", ".join(recompute.FIGURES)}]}}
devices:
{chr(10).join(listed)}
uplinks:
  city: {{type: city, url: "https://127.0.0.1:{self.line.port}", ca: {self.city.ca},
    receipt_keys: [{self.city.pub_path}], required: true}}""", every="10min", journal="5min")

    def post(self, pack):
        head = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/senml+json"}
        body = json.dumps(pack)

        def taken():
            try:
                self.page = self.page or self.gw.page()
                status, _, answer = self.page.request("POST", "/api/v1/readings", body, head)
            except OSError:
                self.leave()
                return False
            self.said = f"{status} {answer!r}"
            return status == 200
        try:
            until(taken, 30, "readings to be taken", 0.05)
        except AssertionError as e:
            raise AssertionError(f"{e}: {self.said}") from None

    def leave(self):
        if self.page:
            self.page.close()
        self.page = None

    def packs(self, devices, t_ms):
        out = []
        for name in devices:
            for i, p in enumerate(DEVICES[name][3]):
                row = {"n": p, "v": self.world.value(name, p, t_ms)}
                out.append({"bn": f"{name}:", "bt": t_ms / 1000, **row} if i == 0 else row)
        return out

    def plays(self, until_ms, but=()):
        """All ticks up to then, each half hour; those of devices in `but` are kept."""
        kept = []
        while self.tick < until_ms:
            now, pack = min(self.tick + STEP_MS, until_ms), []
            self.to(now)
            while self.tick < now:
                pack += self.packs([d for d in DEVICES if d not in but], self.tick)
                kept.append(self.packs(but, self.tick))
                self.tick += EVERY_MS
            self.post(pack)
        return kept

    def cli(self, *args):
        env = [f"{k}={v}" for k, v in self.clock.env.items()]
        return run(["env", *env, self.gw.exe, args[0], "--config", self.gw.conf, *args[1:]])

    def description(self, first, end):
        devices = [{"id": "fieldpost", "every_ms": 300_000, "points": {"unsent_age": "data_age"}}]
        devices = [{"id": n, "role": r, "stream": s, "place": p, "every_ms": EVERY_MS, "litres": LITRES.get(n),
                    "points": {x: QUANTITY.get(x, x) for x in points}, "was": self.was_told.get(n, [])}
                   for n, (r, s, p, points) in DEVICES.items()] + devices
        return {"devices": devices, "meters": self.meters, "from_ms": first, "until_ms": end}

    def compare(self, what):
        """Until what is exported and what is recomputed agree; meanwhile windows end: on a busy machine one may
        have swallowed several steps of the clock, and a period waits for one that begins behind it."""
        seen = {}

        def equal():
            if seen:
                self.to(self.now_ms() + EVERY_MS)
            rows = list(csv.DictReader(io.StringIO(run([self.gw.exe, "export", "--config", self.gw.conf, "--format",
                                                        "csv"], 120).stdout)))
            t = [int(r["ts_ms"]) for r in rows if r["series"].split("/")[0] in DEVICES]
            first = (min(t) + recompute.ZONE) // DAY * DAY - recompute.ZONE
            site = recompute.Site(self.description(first, self.settled), rows)
            seen["differ"], *seen["counts"] = site.compare(first, self.settled)
            self.site = site
            return not seen["differ"]
        try:
            until(equal, 60, "the figures", 1)
        except AssertionError:
            self.fail(f"{what}: {len(seen['differ'])} differ: {seen['differ'][:12]}")
        print(f"{what}: {seen['counts'][0]} figures are equal, {seen['counts'][1]} with a value, "
              f"{seen['counts'][2]} revised; 0 differ", flush=True)
        return seen["counts"]

    def every_entry_was_fed(self):
        """The table of the catalogue: which series fed each entry that has a formula."""
        listed = json.loads(run([self.gw.exe, "indicators", "--json"]).stdout)
        self.assertGreater(len(listed), 60)
        for about in listed:
            if about["inputs"]:
                self.assertIn(about["id"], self.site.fed, "no series of this test feeds it")
                print(f"{about['id']}: {', '.join(sorted(self.site.fed[about['id']]))}")
            else:
                self.assertTrue(about["reason"]["vi"], about["id"])

    def reports(self, first, end):
        """A sheet of the whole days, made from what this gateway computed."""
        how = {a["id"]: a.get("longer") for a in json.loads(run([self.gw.exe, "indicators", "--json"]).stdout)}
        a, b = (time.strftime("%Y-%m-%d", time.gmtime((t + recompute.ZONE) // 1000)) for t in (first, end - DAY))
        text = self.cli("report", "--period", f"{a}..{b}", "--territory", "21451", "--format", "json").stdout
        rows, same = json.loads(text, parse_float=recompute.F)["content"]["rows"], set()
        for row in rows:
            if row["id"] in recompute.FIGURES and row["instance"]:
                mine = self.site.longer(row["instance"], how[row["id"]], first, end)
                if mine is not None:
                    self.assertEqual((row["reason"], recompute.F(row["value"])), ("", mine), row)
                    same.add(row["id"])
        print(f"report {a}..{b}: {len(rows)} rows, those of {len(same)} entries recomputed from their days, 0 differ")
        self.assertGreater(len(same), 40)

    def says_otherwise(self, day_ms):
        """Up to and with that day some devices were something else, as their owner finds out later."""
        for name, days, was in (("bin-3", 0, {"stream": "food"}), ("sky", 0, {"place": "yard"}),
                                ("post", 0, {"role": "workshop"}), ("air", 1, {"place": "gate"})):
            until_day = (day_ms + recompute.ZONE) // DAY - days
            self.was_told[name] = [{"until_day": until_day, **was}]
            said = ", ".join(f"{k}: {v}" for k, v in was.items())
            self.was[name] = f", was: [{{until: {time.strftime('%Y-%m-%d', time.gmtime(until_day * DAY // 1000))}, {said}}}]"
        self.leave()
        self.assertEqual(self.gw.stop(), 0)
        self.site_of()
        self.gw.start()
        self.plays(self.tick + 2 * 3600000)

    def test_every_figure_is_recomputed(self):
        days = 30 if self.args.full or os.environ.get("FP_FULL") else 2
        self.was, self.was_told, self.meters, self.page = {}, {}, [], None
        self.world = World(self.args.seed)
        self.site_of()
        self.token = run([self.gw.exe, "token", "add", "--config", self.gw.conf, "--name", "push", "--scope",
                          "push"]).stdout.strip().split()[-1]
        self.gw.start()
        now = self.now_ms()
        self.tick = now - now % EVERY_MS + EVERY_MS
        midnight = (now + recompute.ZONE) // DAY * DAY - recompute.ZONE + DAY
        end = midnight + (days - 1) * DAY
        self.plays(midnight - 2 * 3600000)
        late = self.plays(midnight + 3 * 3600000, but=("river", "main"))
        self.leave()
        self.gw.kill()
        self.gw.start()
        self.plays(midnight + 8 * 3600000)
        self.post([row for pack in reversed(late) for row in pack])
        self.plays(end)
        self.settled = end
        self.plays(end + 2 * 3600000)
        figures, valued, revised = self.compare("as it came, with two devices late over midnight")
        self.assertGreater(valued, figures // 4)
        self.assertGreater(revised, 0)
        self.every_entry_was_fed()
        self.reports(midnight, end)
        a, b = str(midnight - 6 * 3600000), str(midnight)
        self.cli("correct", "air/pm25", "--from", a, "--to", b, "--rescale", "1.5,0", "--reason", "test")
        for x, y, points in (("bin-1", "bin-2", ("fill", "weight")), ("bin-2", "bin-1", ("fill", "weight")),
                             ("main", "roof", ("energy_import",)), ("roof", "main", ("energy_import",))):
            for point in points:  # they were swapped for those hours
                self.cli("correct", f"{x}/{point}", "--from", a, "--to", b, "--reassign", f"{y}/{point}", "--reason",
                         "swapped")
        at = midnight + 30_000  # between two readings
        self.cli("maintain", "main/energy_export", "meter", "--from", str(at), "last=1000", "first=0")
        self.meters.append({"series": "main/energy_export", "at_ms": at, "last": 1000, "first": 0})
        self.plays(self.tick + 3 * 3600000)
        more = self.compare("after corrections")
        self.assertGreater(more[2], revised)
        self.says_otherwise(midnight)
        last = self.compare("after the configuration said otherwise of the first days")
        self.assertGreater(last[2], more[2])
        shown = [d for d in self.gw.get("/api/v1/status")["devices"] if d["bus"] == "indicator"]
        self.assertGreater(len(shown), 30)
        self.assertEqual({d["state"] for d in shown}, {"good"})
        self.leave()
        self.assertEqual(self.gw.stop(), 0)


if __name__ == "__main__":
    main(extra=lambda p: p.add_argument("--full", action="store_true", help="thirty days"))
