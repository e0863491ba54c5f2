#!/usr/bin/env python3
"""recompute.py SITE.json < export.csv: every figure of a site once more, from `fieldpost export` and the
rules of gateway/doc/indicator.md and of Decision 1459/QĐ-TCMT alone, with fractions; none of the gateway's
own files of formulas is read. SITE.json says what the configuration says of the devices. Prints what
differs from the results in the export."""
import csv
import json
import sys
from bisect import bisect_left
from fractions import Fraction as F

HOUR, DAY, ZONE = 3600000, 86400000, 7 * 3600000
NOT_GOOD = 1 | 2 | 4 | 8 | 64 | 32
REASONS = {"incomplete": 1, "missing": 2, "division": 3, "counter": 4, "norm": 6, "no_hours": 7}
DECIMALS = {"aqi": 0, "occurrences": 0, "no2": 1, "pm10": 1, "pm25": 1, "so2": 1, "share": 1, "energy": 2,
            "active_power": 1, "water_level": 3, "rainfall": 1, "wind_gust": 1, "noise_laeq": 1, "data_age": 0,
            "mass": 1, "weekly_rate": 2, "tsp": 1, "download_rate": 2, "dissolved_oxygen": 2, "ph": 2, "salinity": 2,
            "water_temperature": 1, "turbidity": 1, "oxygen_saturation": 1, "wqi": 0}
MOST = {"energy_import": F(5000), "energy_export": F(5000), "rain": F(500)}  # in an hour


def rounded(v, decimals):
    """Half away from zero."""
    scale = 10 ** decimals
    n = abs(v) * scale
    n = (2 * n.numerator + n.denominator) // (2 * n.denominator)
    return F(n if v >= 0 else -n, scale)


class NoValue(Exception):
    pass


class Series:
    def __init__(self, key, device, quantity, period):
        self.key, self.device, self.quantity, self.period, self.rows = key, device, quantity, period, []

    def sort(self):
        self.rows.sort(key=lambda r: r[0])  # stable: as they were sealed
        self.times = [r[0] for r in self.rows]
        self.good = []
        for t, v, q in self.rows:
            if not q & NOT_GOOD and not (self.good and self.good[-1][0] == t):  # the first of a time counts
                self.good.append((t, v))
        self.good_times = [t for t, _ in self.good]

    def within(self, a, b):
        return self.good[bisect_left(self.good_times, a):bisect_left(self.good_times, b)]

    def before(self, a):
        i = bisect_left(self.good_times, a)
        return self.good[i - 1] if i else None

    def due(self, a, b):
        return max((b - a) // self.period, 1) if self.period else 0


class Period:
    """One instance in one period: what the functions of section 6 say."""

    def __init__(self, site, inputs, before, a, b, completeness):
        """before: the inputs of the day before, for hours that are looked back to."""
        self.site, self.x, self.before, self.a, self.b, self.complete = site, inputs, before, a, b, completeness
        self.day = (a + ZONE) // DAY * DAY - ZONE

    def good(self, x):
        return [r for s in self.x[x] for r in s.within(self.a, self.b)]

    def count(self, x, holds=lambda v: True):
        return F(sum(1 for _, v in self.good(x) if holds(v)))

    def count_both(self, x, y, holds):
        n = 0
        for s in self.x[x]:
            other = {t: v for o in self.x[y] if o.device == s.device for t, v in o.within(self.a, self.b)}
            n += sum(1 for t, v in s.within(self.a, self.b) if t in other and holds(v, other[t]))
        return F(n)

    def mean(self, x):
        rows = self.good(x)
        return sum(v for _, v in rows) / len(rows) if rows else None

    def max(self, x):
        return max((v for _, v in self.good(x)), default=None)

    def hour(self, x, h):
        """The mean of the hour that begins at h."""
        total, n = F(0), 0
        for s in self.x[x]:
            if h < self.day and s not in self.before[x]:
                continue
            rows = s.within(h, h + HOUR)
            if rows and len(rows) * 100 >= self.complete * s.due(h, h + HOUR):
                total += sum(v for _, v in rows)
                n += len(rows)
        return total / n if n else None

    def hours(self, x):
        return [self.hour(x, h) for h in range(self.a, self.b, HOUR)]

    def hour_mean(self, x):
        there = [m for m in self.hours(x) if m is not None]
        return sum(there) / len(there) if there else None

    def hour_max(self, x):
        return max((m for m in self.hours(x) if m is not None), default=None)

    def windows(self, x, hours):
        means = self.hours(x)
        if hours == 1:
            return [m for m in means if m is not None]
        out = []
        for i in range(hours, len(means) + 1):
            there = [m for m in means[i - hours:i] if m is not None]
            if len(there) >= hours * 3 // 4:
                out.append(sum(there) / len(there))
        return out

    def exceed(self, x, limit, hours):
        return F(sum(1 for m in self.windows(x, hours) if m > limit))

    def nowcast(self, x):
        c = [self.hour(x, self.a - i * HOUR) for i in range(12)]  # c[0]: this hour
        if sum(1 for m in c[:3] if m is not None) < 2:
            return None
        there = [m for m in c if m is not None]
        w = min(there) / max(there) if max(there) > 0 else F(0)
        if w <= F(1, 2):
            return sum(F(1, 2) ** (i + 1) * m for i, m in enumerate(c) if m is not None)
        return sum(w ** i * m for i, m in enumerate(c) if m is not None) / sum(
            w ** i for i, m in enumerate(c) if m is not None)

    def growth(self, x):
        total, any_step = F(0), False
        for s in self.x[x]:
            last = s.before(self.a)
            by_hour = {}
            for t, v in s.within(self.a, self.b):
                if last:
                    any_step = True
                    step = self.site.step(s, last, (t, v))
                    total += step
                    by_hour[t // HOUR] = by_hour.get(t // HOUR, 0) + step
                last = (t, v)
            if any(g > MOST[s.quantity] for g in by_hour.values()):
                raise NoValue("counter")
        return total if any_step else None

    def falls(self, x, least):
        out = []
        for s in self.x[x]:
            last = (s.before(self.a) or (0, None))[1]
            run = F(0)
            for _, v in s.within(self.a, self.b):
                if last is not None and v < last:
                    run += last - v
                elif run:
                    out.append((s, run))
                    run = F(0)
                last = v
            if run:
                out.append((s, run))
        return [(s, f) for s, f in out if f >= least]

    def drops(self, x, least):
        return sum((f for _, f in self.falls(x, least)), F(0)) if self.good(x) else None

    def time(self, x, holds=lambda v: True):
        total = 0
        for s in self.x[x]:
            for i in range(bisect_left(s.times, self.a), bisect_left(s.times, self.b)):
                t, v, q = s.rows[i]
                if q & NOT_GOOD or not holds(v):
                    continue
                end = min(t + 2 * s.period, self.b)
                if i + 1 < len(s.rows):
                    end = min(end, s.rows[i + 1][0])
                total += end - t
        return F(total, HOUR)

    def emptied(self, x, least):
        """m3: falls of a fill level in percent, of containers of so many litres."""
        if not self.good(x):
            return None
        return sum((f * self.site.litres[s.device] / 100000 for s, f in self.falls(x, least)), F(0))

    def peak(self, x, minutes):
        best = None
        for w in range(self.a, self.b, minutes * 60000):
            means = []
            for s in self.x[x]:
                rows = s.within(w, w + minutes * 60000)
                if rows:
                    means.append(sum(v for _, v in rows) / len(rows))
            if means and (best is None or sum(means) > best):
                best = sum(means)
        return best


# Decision 1459: breakpoints of the index.
INDEX = [0, 50, 100, 150, 200, 300, 400, 500]
POINTS = {"o3_1h": [0, 160, 200, 300, 400, 800, 1000, 1200], "o3_8h": [0, 100, 120, 170, 210, 400],
          "co": [0, 10000, 30000, 45000, 60000, 90000, 120000, 150000],
          "so2": [0, 125, 350, 550, 800, 1600, 2100, 2630], "no2": [0, 100, 200, 700, 1200, 2350, 3100, 3850],
          "pm10": [0, 50, 150, 250, 350, 420, 500, 600], "pm25": [0, 25, 50, 80, 150, 250, 350, 500]}


def index(column, c):
    if c is None:
        return None
    bp = POINTS[column]
    for i in range(len(bp) - 1):
        if c <= bp[i + 1]:
            return F(INDEX[i + 1] - INDEX[i], bp[i + 1] - bp[i]) * (c - bp[i]) + INDEX[i]
    return F(INDEX[len(bp) - 1])


def most(*values):
    return max((v for v in values if v is not None), default=None)


def aqi_day(p):
    if p.hour_mean("pm25") is None and p.hour_mean("pm10") is None:
        raise NoValue("missing")
    eight = max(p.windows("o3", 8), default=None)
    third = index("o3_8h", eight) if eight is not None and eight <= 400 else (
        index("o3_1h", p.hour_max("o3")) if eight is not None else None)
    return most(index("pm25", p.hour_mean("pm25")), index("pm10", p.hour_mean("pm10")),
                index("o3_1h", p.hour_max("o3")), third,
                *(index(g, p.hour_max(g)) for g in ("co", "so2", "no2")))


def aqi_hour(p):
    if p.nowcast("pm25") is None and p.nowcast("pm10") is None:
        raise NoValue("missing")
    return most(index("pm25", p.nowcast("pm25")), index("pm10", p.nowcast("pm10")),
                index("o3_1h", p.hour_mean("o3")), *(index(g, p.hour_mean(g)) for g in ("co", "so2", "no2")))


# Decision 1460, form b as the ministry's software has it: (breakpoints, q values) of each parameter.
Q5 = [100, 75, 50, 25, 10]
WATER = {"bod5": ([4, 6, 15, 25, 50], Q5), "cod": ([10, 15, 30, 50, 150], Q5), "no3": ([2, 5, 10, 15], Q5[:4]),
         "turbidity": ([5, 20, 30, 70, 100], Q5), "tss": ([20, 30, 50, 100], Q5[:4]),
         "nh4": ([F("0.3"), F("0.6"), F("0.9"), 5], Q5[1:]), "ph": ([F("5.5"), 6, F("8.5"), 9], [50, 100, 100, 50]),
         "oxygen": ([20, 50, 75, 88, 112, 125, 150, 200], [25, 50, 75, 100, 100, 75, 50, 25])}
BEYOND = {"ph": (10, 10), "oxygen": (10, 10), "no3": (None, 10), "tss": (None, 10), "nh4": (100, None)}


def q(parameter, c):
    """Its value between breakpoints; below the first and above the last that of the end, or BEYOND."""
    if c is None:
        return None
    at, value = WATER[parameter]
    below, above = BEYOND.get(parameter, (None, None))
    if c < at[0]:
        return F(value[0] if below is None else below)
    if c > at[-1]:
        return F(value[-1] if above is None else above)
    for i in range(len(at) - 1):
        if c <= at[i + 1]:
            return F(value[i + 1] - value[i]) * (c - at[i]) / F(at[i + 1] - at[i]) + value[i]
    raise AssertionError(parameter)


def root3(v):
    """The largest number with 12 decimals whose cube is not above."""
    n = v.numerator * 10 ** 36 // v.denominator
    low, high = 0, 1 << (n.bit_length() // 3 + 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle ** 3 <= n else (low, middle)
    return F(low, 10 ** 12)


def mean_there(*values):
    there = [v for v in values if v is not None]
    return sum(there) / len(there) if there else None


def oxygen(p):
    """Percent of what the water can hold at its temperature."""
    if p.count("sat"):
        return p.mean("sat")
    t, o2 = p.mean("t"), p.mean("o2")
    if t is None or o2 is None:
        raise NoValue("missing")
    full = F("14.652") - F("0.41022") * t + F("0.007991") * t ** 2 - F("0.000077774") * t ** 3
    if full == 0:
        raise NoValue("division")
    return o2 / full * 100


def wqi(p):
    organic = mean_there(*(q(k, p.mean(k)) for k in ("oxygen", "bod5", "cod", "nh4", "no3")))
    solids = mean_there(*(q(k, p.mean(k)) for k in ("turbidity", "tss")))
    acid = q("ph", p.mean("ph"))
    if organic is None or (solids is None and acid is None):
        raise NoValue("missing")
    return (organic if solids is None else root3(organic ** 2 * solids)) * (1 if acid is None else acid / 100)


AIR = {k: {"quantity": [k], "optional": True} for k in ("pm25", "pm10", "o3", "co", "so2", "no2")}
GRID, GIVEN, PV = ({"quantity": ["energy_import"], "role": ["grid"]}, {"quantity": ["energy_export"], "role": ["grid"]},
                   {"quantity": ["energy_import", "energy_export"], "role": ["solar"]})


def optional(x):
    return {**x, "optional": True}


def entry(quantity, by, inputs, value=None, ratio=None, period="day", complete=75, factor=100, require=()):
    return {"quantity": quantity, "by": by, "inputs": inputs, "value": value, "ratio": ratio, "period": period,
            "complete": complete, "factor": factor, "require": require}


def over(gas, limit, hours):
    return entry("occurrences", "place", {"x": {"quantity": [gas]}}, lambda p: p.exceed("x", limit, hours))


def mean_of(gas):
    return entry(gas, "place", {"x": {"quantity": [gas]}}, lambda p: p.hour_mean("x"))


def masses(streams):
    return entry("mass", "site", {"x": {"quantity": ["weight"], "stream": streams}}, lambda p: p.drops("x", 5))


def plus(*values):
    return None if None in values else sum(values)


def added(*values):
    there = [v for v in values if v is not None]
    return sum(there) if there else None


def minus(v):
    return None if v is None else -v


STREAMS = ["recyclable", "food", "other", "hazardous", "bulky", "industrial"]


def samples(roles):
    role = {"role": roles} if roles else {}
    return entry("share", "site", {
        "tech": {"quantity": ["radio_technology"], **role}, "rsrp": {"quantity": ["rsrp"], "point": ["nr_rsrp"], **role}},
        complete=40, ratio=(lambda p: p.count_both("tech", "rsrp", lambda t, r: t in (11, 12, 13) and r >= -110),
                            lambda p: p.count("tech")))


def sea(quantity):
    return entry(quantity, "place", {"x": {"quantity": [quantity], "role": ["sea"]}}, lambda p: p.mean("x"))


def sorted_share(quantity, emptied):
    return entry("share", "site", {"sorted": {"quantity": [quantity], "stream": STREAMS[:2]},
                                   "rest": {"quantity": [quantity], "stream": STREAMS[2:]}}, ratio=(
        lambda p: emptied(p, "sorted"), lambda p: plus(emptied(p, "sorted"), emptied(p, "rest"))))


FIGURES = {
    "air-aqi-hour": entry("aqi", "place", AIR, aqi_hour, period="hour", require=(("pm25", "pm10"),)),
    "air-aqi-day": entry("aqi", "place", AIR, aqi_day, require=(("pm25", "pm10"),)),
    "air-aqi-days-above-100": entry("occurrences", "place", {"aqi": {"indicator": "air-aqi-day"}},
                                    lambda p: p.count("aqi", lambda v: v > 100)),
    "air-co-over-1h": over("co", 30000, 1), "air-co-over-8h": over("co", 10000, 8),
    "air-no2-over-1h": over("no2", 200, 1), "air-no2-over-24h": over("no2", 100, 24),
    "air-o3-over-1h": over("o3", 200, 1), "air-o3-over-8h": over("o3", 120, 8),
    "air-pm10-over-24h": over("pm10", 100, 24), "air-pm25-over-24h": over("pm25", 45, 24),
    "air-so2-over-1h": over("so2", 350, 1), "air-so2-over-24h": over("so2", 125, 24),
    "air-no2-mean": mean_of("no2"), "air-pm10-mean": mean_of("pm10"), "air-pm25-mean": mean_of("pm25"),
    "air-so2-mean": mean_of("so2"),
    "con-availability": entry("share", "device", {"s": {"quantity": ["path_state"]}}, complete=50, ratio=(
        lambda p: p.time("s", lambda v: v == 0), lambda p: p.time("s"))),
    "con-no-service": entry("share", "device", {"r": {"quantity": ["registration"]}}, ratio=(
        lambda p: p.count("r", lambda v: v in (0, 2, 3, 4, 8)), lambda p: p.count("r"))),
    "con-5g-samples": samples(None),
    "dat-age": entry("data_age", "site", {"age": {"quantity": ["data_age"]}}, lambda p: p.max("age"), complete=0),
    "dat-completeness": entry("share", "site", {"all": {"quantity": ["any"]}}, complete=0, ratio=(
        lambda p: min(p.count("all"), F(p.due)), lambda p: F(p.due))),
    "ene-consumption": entry("energy", "site", {"grid": GRID, "given": optional(GIVEN), "pv": optional(PV)},
                             lambda p: added(p.growth("grid"), p.growth("pv"), minus(p.growth("given")))),
    "ene-grid-export": entry("energy", "site", {"grid": GIVEN}, lambda p: p.growth("grid")),
    "ene-grid-import": entry("energy", "site", {"grid": GRID}, lambda p: p.growth("grid")),
    "ene-peak": entry("active_power", "site", {"grid": {"quantity": ["active_power"], "role": ["grid"]}},
                      lambda p: p.peak("grid", 30)),
    "ene-renewable-site": entry("share", "site", {"grid": GRID, "given": GIVEN, "pv": PV}, ratio=(
        lambda p: plus(p.growth("pv"), minus(p.growth("given"))),
        lambda p: plus(p.growth("grid"), p.growth("pv"), minus(p.growth("given"))))),
    "ene-solar": entry("energy", "site", {"pv": PV}, lambda p: p.growth("pv")),
    "env-level-max": entry("water_level", "device", {"x": {"quantity": ["water_level"]}}, lambda p: p.max("x")),
    "env-rain-1h": entry("rainfall", "place", {"x": {"quantity": ["rain"]}}, lambda p: p.growth("x"), period="hour"),
    "env-rain-24h": entry("rainfall", "place", {"x": {"quantity": ["rain"]}}, lambda p: p.growth("x")),
    "env-wind-max": entry("wind_gust", "place", {
        "gust": {"quantity": ["wind_gust"], "optional": True}, "wind": {"quantity": ["wind_speed"], "optional": True}},
        lambda p: most(p.max("gust"), p.max("wind")), require=(("gust", "wind"),)),
    "noi-laeq-max": entry("noise_laeq", "place", {"x": {"quantity": ["noise_laeq"]}}, lambda p: p.max("x")),
    "wst-collections": entry("occurrences", "device", {"x": {"quantity": ["fill"]}},
                             lambda p: F(len(p.falls("x", 30)))),
    "wst-mass-food": masses(["food"]), "wst-mass-recyclable": masses(["recyclable"]),
    "wst-mass-other": masses(["other"]),
    "wst-mass-industrial": masses(["industrial"]), "wst-mass-all": masses(STREAMS),
    "air-h2s-over-1h": over("h2s", 42, 1), "air-nh3-over-1h": over("nh3", 200, 1),
    "air-tsp-over-1h": over("tsp", 300, 1), "air-tsp-over-24h": over("tsp", 200, 24), "air-tsp-mean": mean_of("tsp"),
    "con-5g-cluster": samples(["industrial-cluster"]),
    "con-5g-priority": samples(["industrial-cluster", "office", "school", "hospital"]),
    "con-download": entry("download_rate", "device", {"rate": {"quantity": ["download_rate"]}},
                          lambda p: p.mean("rate"), complete=0),
    "con-fixed-link": entry("share", "device", {"rate": {"quantity": ["link_rate"]}}, ratio=(
        lambda p: p.count("rate", lambda v: v > 1000), lambda p: p.count("rate"))),
    "con-fixed-rate": entry("share", "device", {
        "rate": {"quantity": ["download_rate"]}, "result": {"quantity": ["throughput_result"]}}, complete=0, ratio=(
            lambda p: p.count("rate", lambda v: v > 1000), lambda p: p.count("rate", lambda v: v > 1000) +
            p.count_both("rate", "result", lambda v, r: v <= 1000 and r == 1))),
    "ene-charging": entry("energy", "site", {"x": {"quantity": ["energy_import"], "role": ["charging"]}},
                          lambda p: p.growth("x")),
    "sea-oxygen": sea("dissolved_oxygen"), "sea-ph": sea("ph"), "sea-salinity": sea("salinity"),
    "sea-temperature": sea("water_temperature"), "sea-turbidity": sea("turbidity"),
    "wat-oxygen": entry("oxygen_saturation", "place", {
        k: {"quantity": [v], "optional": True} for k, v in (
            ("sat", "oxygen_saturation"), ("o2", "dissolved_oxygen"), ("t", "water_temperature"))}, oxygen,
        period="hour", require=(("sat", "o2"), ("sat", "t"))),
    "wat-wqi": entry("wqi", "place", {"oxygen": {"indicator": "wat-oxygen", "optional": True}, **{
        k: {"quantity": [v], "optional": True} for k, v in (
            ("ph", "ph"), ("bod5", "bod5"), ("cod", "cod"), ("nh4", "ammonium"), ("no3", "nitrate"),
            ("turbidity", "turbidity"), ("tss", "suspended_solids"))}}, wqi, period="hour",
        require=(("oxygen", "bod5", "cod", "nh4", "no3"), ("ph", "turbidity", "tss"))),
    "wst-collections-week": entry("weekly_rate", "device", {"x": {"quantity": ["fill"]}}, factor=7, ratio=(
        lambda p: F(len(p.falls("x", 30))), lambda p: F(1))),
    "wst-over-threshold": entry("share", "device", {"x": {"quantity": ["fill"]}}, ratio=(
        lambda p: p.time("x", lambda v: v > 80), lambda p: p.time("x"))),
    "wst-sorted-mass": sorted_share("weight", lambda p, x: p.drops(x, 5)),
    "wst-sorted-volume": sorted_share("fill", lambda p, x: p.emptied(x, 20)),
}


class Site:
    def __init__(self, description, rows):
        self.devices, self.meters = description["devices"], description.get("meters", [])
        self.series, self.results, self.fed, self.parts = {}, {}, {}, {}
        self.litres = {d["id"]: d.get("litres") for d in self.devices}
        for d in self.devices:
            for point, quantity in d["points"].items():
                key = f"{d['id']}/{point}"
                self.series[key] = Series(key, d["id"], quantity, d["every_ms"])
        for row in rows:
            device = row["series"].split("/")[0]
            if row["series"] in self.series:
                v = rounded(F(row["value"]), 6)
                self.series[row["series"]].rows.append((int(row["ts_ms"]), v, int(row["quality"] or 0)))
            elif device.split(".")[0] in FIGURES or device.split("-")[0] in ("wst", "air", "con", "ene", "env"):
                self.results.setdefault(device, {}).setdefault(int(row["ts_ms"]), []).append(
                    (row["series"].split("/")[1], F(row["value"])))
        for s in self.series.values():
            s.sort()
        self.values, self.known = {}, set()

    def step(self, s, last, now):
        """How far a counter grew: over a change of the meter what both showed."""
        for m in self.meters:
            if m["series"] == s.key and last[0] < m["at_ms"] <= now[0]:
                return max(F(m["last"]) - last[1], 0) + max(now[1] - F(m["first"]), 0)
        return max(now[1] - last[1], F(0))

    def stays(self, d, day):
        """What is said of a device on that day."""
        for was in d.get("was", []):
            if day <= was["until_day"]:
                return {**d, **was}
        return d

    def places(self):
        """Each place, and what it is called: the first device that had it, behind a device's first place ID.2, …"""
        out = {}
        for d in self.devices:
            n = 0
            for stay in [*d.get("was", []), d]:
                place = stay.get("place", d.get("place"))
                if place and place not in out:
                    n += 1
                    out[place] = d["id"] if n == 1 else f"{d['id']}.{n}"
        return out

    def inputs(self, e, day, place, device):
        out = {}
        for name, want in e["inputs"].items():
            out[name] = []
            for d in self.devices if "quantity" in want else []:
                stay = self.stays(d, day)
                if (place and stay.get("place") != place) or (device and d["id"] != device) or any(
                        k in want and stay.get(k) not in want[k] for k in ("role", "stream")):
                    continue
                for point, quantity in d["points"].items():
                    if (quantity in want["quantity"] or want["quantity"] == ["any"]) and point in want.get(
                            "point", [point]):
                        out[name].append(self.series[f"{d['id']}/{point}"])
        return out

    def figure(self, ident, name, a, b, place, device):
        """(reason, value, numerator, denominator, due, good); None: not computed on that day."""
        e = FIGURES[ident]
        x, before = (self.inputs(e, (a + ZONE) // DAY - i, place, device) for i in (0, 1))
        for k, want in e["inputs"].items():
            if "indicator" in want:
                s = Series(k, name, "x", b - a)
                if (name.replace(ident, want["indicator"], 1), b) not in self.known:
                    if want.get("optional"):
                        continue
                    return None
                got = self.values.get((name.replace(ident, want["indicator"], 1), b))
                s.rows = [(b - 1, got, 0)] if got is not None else []
                s.sort()
                x[k] = [s]
        if not any(x.values()) or any(not x[k] and not want.get("optional") for k, want in e["inputs"].items()):
            return None
        self.known.add((name, b))
        p = Period(self, x, before, a, b, e["complete"])
        p.due = sum(s.due(a, b) for k in x for s in x[k])
        good = sum(len(s.within(a, b)) for k in x for s in x[k])
        num = den = None
        try:
            if good * 100 < e["complete"] * p.due:
                raise NoValue("incomplete")
            if any(not want.get("optional") and not p.good(k) for k, want in e["inputs"].items()) or (
                    any(not any(p.good(k) for k in group) for group in e["require"])):
                raise NoValue("missing")
            if e["ratio"]:
                num, den = e["ratio"][0](p), e["ratio"][1](p)
                if num is None or den is None:
                    raise NoValue("missing")
                if den == 0:
                    raise NoValue("division")
                v = num / den * e["factor"]
            else:
                v = num = e["value"](p)
                den = F(1)
                if v is None:
                    raise NoValue("missing")
        except NoValue as why:
            return REASONS[str(why)], None, None, None, p.due, good
        v = rounded(v, DECIMALS[e["quantity"]])
        self.values[name, b] = v
        self.parts[name, b] = num, den
        self.fed.setdefault(ident, set()).update(
            s.key if "quantity" in e["inputs"][k] else e["inputs"][k]["indicator"] for k in x for s in x[k] if s.within(a, b))
        return 0, v, rounded(num, 6), rounded(den, 6), p.due, good

    def longer(self, name, how, first_ms, until_ms):
        """Section 5: the figure of days that all have a value; None where one has not, or nothing to say."""
        e, days = FIGURES[name.split(".")[0]], range(first_ms + DAY, until_ms + 1, DAY)
        if e["period"] != "day" or how == "none" or any(self.values.get((name, b)) is None for b in days):
            return None
        values = [self.values[name, b] for b in days]
        if how == "ratio":
            num, den = (sum(self.parts[name, b][i] for b in days) for i in (0, 1))
            v = num / den * (e["factor"] if e["ratio"] else 1)
        else:
            v = {"sum": sum, "mean": lambda x: sum(x) / len(x), "max": max, "min": min}[how](values)
        return rounded(v, DECIMALS[e["quantity"]])

    def result(self, name, b):
        """The latest revision in the export: (reason, value, numerator, denominator, due, good)."""
        polls = []
        for point, v in self.results.get(name, {}).get(b - 1, []):
            if point == "revision":
                polls.append({})
            polls[-1][point] = v
        if not polls:
            return None, 0
        assert [p["revision"] for p in polls] == list(range(len(polls))), (name, b, polls)
        p = polls[-1]
        return (int(p.get("reason", 0)), p.get("value"), p.get("numerator"), p.get("denominator"), int(p["due"]),
                int(p["good"])), len(polls) - 1

    def compare(self, first_ms, until_ms):
        """(differences, figures that are equal, of these with a value, revisions)."""
        differ, same, valued, revisions, seen = [], 0, 0, 0, set()
        for ident, e in FIGURES.items():
            whom = {"site": [(ident, None, None)],
                    "place": [(f"{ident}.{d}", p, None) for p, d in self.places().items()],
                    "device": [(f"{ident}.{d['id']}", None, d["id"]) for d in self.devices]}[e["by"]]
            length = HOUR if e["period"] == "hour" else DAY
            for name, place, device in whom:
                for a in range(first_ms, until_ms - length + 1, length):
                    mine = self.figure(ident, name, a, a + length, place, device)
                    theirs, n = self.result(name, a + length)
                    seen.add((name, a + length - 1))
                    if mine and theirs and mine[0] and theirs[0] == mine[0]:  # no value: no parts to compare
                        theirs = (*theirs[:2], None, None, *theirs[4:])
                    if mine is None and n > 0 and theirs == (REASONS["missing"], None, None, None, 0, 0):
                        revisions += 1  # taken back: nothing feeds it then
                        continue
                    if mine != theirs:
                        differ.append((name, a, mine, theirs))
                    elif mine:
                        same += 1
                        valued += mine[0] == 0
                        revisions += n > 0
        for name, at in self.results.items():
            differ += [(name, t, None, "not recomputed") for t in at if (name, t) not in seen and t < until_ms and
                       name.split(".")[0] in FIGURES]
        return differ, same, valued, revisions


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        description = json.load(f)
    site = Site(description, csv.DictReader(sys.stdin))
    differ, same, valued, revisions = site.compare(description["from_ms"], description["until_ms"])
    for d in differ:
        print(*d)
    print(f"{same} figures are equal, {valued} with a value, {revisions} revised; {len(differ)} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
