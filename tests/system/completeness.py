"""How complete a series is, as the real fieldpost-city reckons it, against the traces that the batches
here were made of. Judged instant by instant from the definition (decision 0019), without a line of
the city's."""
import bisect
import collections
import csv
import io
import json
import os
import sys
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_citycase import GW, CityCase  # noqa: E402
from fp_proc import main, run  # noqa: E402

HOUR, DAY = 3_600_000, 86_400_000
H0 = 1_790_000_000_000 // HOUR * HOUR  # the first hour
WINDOW = 300_000
CAUSES = ["off", "bus", "device", "overrun", "queue", "paused", "storage", "thinned"]
BOOT = b"boot-no1"


class Trace:
    """One series as it lived: what was due, what was read, what was said to be missing."""

    def __init__(self, name, period):
        self.name, self.period = name, period
        self.due = []        # (from, to, period)
        self.readings = {}   # t -> q
        self.taken = []      # (from, to): taken back
        self.gaps = []       # (from, to, cause), as signed
        self.thinned = collections.Counter()  # t -> count


def edges(trace, held, holes):
    """The instants where something of the series begins or ends, readings included."""
    good = sorted(t for t in trace.readings
                  if not any(a <= t < z for a, z in trace.taken))
    out = {x for a, z, _ in trace.gaps for x in (a, z)} | set(good)
    out |= {x for a, z in trace.taken + held for x in (a, z)}
    out |= {x for a, z, _ in holes for x in (a, z)}
    out |= {x for a, z, _ in trace.due for x in (a, z)}
    return good, sorted(out)


def kind(trace, period, x, held, holes, good, at):
    """What the due instant x was; `at` are the edges."""
    starts = [a for a, _, _ in trace.gaps] + [a for a, _ in trace.taken]
    i = bisect.bisect_right(good, x)
    if period and i:
        t = good[i - 1]
        if x < t + period and not any(t < s <= x for s in starts):
            return "read"
    for cause in CAUSES:
        if any(a <= x < z and c == cause for a, z, c in trace.gaps):
            return cause
    if any(a <= x < z for a, z in trace.taken):
        return "invalid"
    if any(a <= x < z for a, z in held):
        k = bisect.bisect_right(at, x)
        long = period and at[k] - at[k - 1] > 2 * period
        return "unexplained" if long else "read"
    for cause in ("void", "clock"):
        if any(a <= x < z and c == cause for a, z, c in holes):
            return cause
    return "not_received"


def reckon(trace, held, holes, until):
    """{hour: Counter of the columns}, instant by instant."""
    rows = collections.defaultdict(collections.Counter)
    good, at = edges(trace, held, holes)
    for start, end, period in trace.due:
        end = min(end, until)
        cuts = sorted({x for x in at if start < x < end} | {start, end} |
                      {t + period for t in good if start < t + period < end} |
                      set(range(start // HOUR * HOUR + HOUR, end, HOUR)))
        for x, y in zip(cuts, cuts[1:]):
            row = rows[x // HOUR * HOUR]
            row["due_ms"] += y - x
            row[kind(trace, period, x, held, holes, good, at) + "_ms"] += y - x
            row["period_ms"] = period
            if period:  # multiples of it
                row["due"] += -(-y // period) + (-x // period)
        for t, q in trace.readings.items():
            if start <= t < end:
                count(rows[t // HOUR * HOUR], q, any(a <= t < z for a, z in trace.taken))
        for t, n in trace.thinned.items():
            if start <= t < end:
                rows[t // HOUR * HOUR]["thinned"] += n
    return {h: +r for h, r in rows.items()}


def count(row, q, taken):
    row["invalid" if taken else "flagged" if q else "good"] += 1
    for k in range(8):
        if q >> k & 1 and not taken:
            row[f"q{1 << k}"] += 1


class Maker:
    """Seals traces into batches of one chain, window by window."""

    def __init__(self, case, chain=None, boot=BOOT, key=None):
        self.case, self.chain, self.boot = case, chain or case.chain_id(), boot
        self.key, self.seq, self.prev, self.at = key or case.key, 0, None, None
        self.made = {}  # seq -> (whole, from, to)

    def seal(self, a, z, body, control=False, after=None, send=True, gaps=(), **more):
        self.seq += 1
        h = fp.header(self.key, GW, self.chain, self.seq, a, z, prev=self.prev, control=control,
                      boot=self.boot, gaps=gaps, **({"after": after} if self.seq == 1 else {}),
                      **more)
        whole = fp.build(self.key, h, body)
        self.prev = fp.sha256(whole)
        self.made[self.seq] = (whole, a, z)
        if send:
            self.case.stored(self.chain, self.seq, whole)
        return self.seq

    def control(self, a, entries, **more):
        return self.seal(a, a, entries, control=True, **more)

    def data(self, a, z, traces, send=True, only=lambda s, t: True, **more):
        """The window [a, z) with what the traces have in it."""
        polls = collections.defaultdict(list)
        for tr in traces:
            device, point = tr.name.split("/")
            for t, q in tr.readings.items():
                if a <= t < z and only(tr, t):
                    polls[t, device].append((point, None, Decimal(t % 1000) / 10, q))
        body = fp.senml(GW, [(d, t, v) for (t, d), v in sorted(polls.items())])
        gaps = [[tr.name, max(a, g), min(z, e), c] for tr in traces for g, e, c in tr.gaps
                if g < z and e > a]
        return self.seal(a, z, body, gaps=gaps, send=send, **more)


class Completeness(CityCase):
    def report(self, *options, fmt="csv"):
        text = run([self.city.exe, "report", "--config", self.city.conf, *options, "--format",
                    fmt], 120).stdout
        return json.loads(text) if fmt == "json" else list(csv.DictReader(io.StringIO(text)))

    def poll(self, trace, a, z, period=None, out=(), jitter=True):
        """Due from a to z; read but in the outages (from, to, cause); cause None: in silence."""
        period = trace.period if period is None else period
        trace.due.append((a, z, period))
        if not period:
            return
        missed = None
        for t in range(-(-a // period) * period, z, period):
            cause = next((c for o, e, c in out if o <= t < e), "read")
            at = t + (self.rng.randrange(1, 160) if jitter else 0)
            if cause == "read" and at < z:
                if missed and missed[1]:
                    trace.gaps.append((missed[0], at, missed[1]))
                missed = None
                trace.readings[at] = self.rng.choice([0] * 9 + [1, 5, 32])
            elif cause != "read" and not missed:
                missed = (t, cause)
        if missed and missed[1]:
            trace.gaps.append((missed[0], z, missed[1]))

    def plan(self, traces, at):
        return [["plan", t.name, "number", None, t.period, at] for t in traces]

    def matches(self, traces, held, holes, until, *options):
        """Every row of the report is what the traces say, and none is too many."""
        rows = self.report("--to", str(until), *options)
        got = {(r["series"], int(r["from_ms"]) // HOUR * HOUR): r for r in rows}
        want = {(t.name, h): r for t in traces
                for h, r in reckon(t, held, holes, until).items()}
        wrong = []
        for at in sorted(got.keys() | want.keys()):
            g = {k: int(v) for k, v in got.get(at, {}).items()
                 if k not in ("gateway", "series", "from_ms", "to_ms", "complete") and int(v)}
            w = dict(want.get(at, {}))
            if g != w:
                diff = {k: (g.get(k, 0), w.get(k, 0)) for k in g.keys() | w.keys()
                        if g.get(k, 0) != w.get(k, 0)}
                wrong.append(f"{at}: (got, want) {diff}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong[:20]))
        for r in rows:
            parts = sum(int(v) for k, v in r.items() if k.endswith("_ms") and k not in (
                "from_ms", "to_ms", "period_ms", "due_ms"))
            self.assertEqual(parts, int(r["due_ms"]), r)
            part = int(r["read_ms"]) * 10_000 // int(r["due_ms"])
            self.assertEqual(r["complete"], f"{part // 100}.{part % 100:02}")
        return rows

    def windows(self, a, z):
        return range(a, z, WINDOW)

    def test_every_due_minute_is_a_reading_or_has_its_cause(self):
        """Five hours of a site with outages of every cause over the edges of hours and windows, a
        silence that no gap tells, a slow series, events, and batches that never came."""
        a, z = H0 + 1_000_000, H0 + 5 * HOUR
        fast, slow = Trace("dev-1/fast", 10_000), Trace("dev-1/slow", 1_800_000)
        minute, event = Trace("dev-2/minute", 60_000), Trace("ev-1/door", 0)
        silent = Trace("dev-3/silent", 60_000)
        self.poll(fast, a, z, out=[(H0 + HOUR - 95_000, H0 + HOUR + 400_000, "bus"),
                                   (H0 + 2 * HOUR + 60_000, H0 + 2 * HOUR + 61_000, "overrun"),
                                   (H0 + 3 * HOUR - 1, H0 + 4 * HOUR + 1, "off")])
        self.poll(slow, a, z, out=[(H0 + 2 * HOUR, H0 + 2 * HOUR + 1, "device")])
        self.poll(minute, a, z, out=[(a, a + 700_000, "queue"),
                                     (H0 + 2 * HOUR, H0 + 3 * HOUR, "paused"),
                                     (H0 + 3 * HOUR, H0 + 3 * HOUR + 600_000, "storage")])
        self.poll(silent, a, z, out=[(H0 + HOUR + 100_000, H0 + HOUR + 900_000, None)])
        self.poll(event, a, z)
        event.readings = {a + 77: 0, H0 + HOUR: 1, H0 + 2 * HOUR - 1: 0}
        event.gaps = [(H0 + HOUR + 5, H0 + 2 * HOUR + 7, "off")]
        traces = [fast, slow, minute, event, silent]
        m, lost = Maker(self), []
        m.control(a, self.plan(traces, a))
        edges_ = [a, *range(-(-a // WINDOW) * WINDOW, z + 1, WINDOW)]
        for x, y in zip(edges_, edges_[1:]):
            seq = m.data(x, y, traces, send=False)
            if H0 + 2 * HOUR + 1_500_000 <= x < H0 + 2 * HOUR + 2_100_000 or y > z - 2 * WINDOW:
                lost.append((x, y))
            else:
                self.stored(m.chain, seq, m.made[seq][0])
        everything = [dict(t.readings) for t in traces], [list(t.gaps) for t in traces]
        for t in traces:  # what did not come is neither read nor told
            t.readings = {k: q for k, q in t.readings.items()
                          if not any(x <= k < y for x, y in lost)}
            for x, y in lost:
                t.gaps = [p for g, e, c in t.gaps for p in ((g, min(e, x), c), (max(g, y), e, c))
                          if p[0] < p[1]]
        held = [(a, H0 + 2 * HOUR + 1_500_000), (H0 + 2 * HOUR + 2_100_000, z - 2 * WINDOW)]
        rows = self.matches(traces, held, [], z)
        self.assertGreater(sum(int(r["unexplained_ms"]) for r in rows), 0)
        self.assertGreater(sum(int(r["not_received_ms"]) for r in rows), 0)
        for seq, (whole, x, y) in m.made.items():  # now it comes
            if (x, y) in lost:
                self.stored(m.chain, seq, whole)
        for t, readings, gaps in zip(traces, *everything):
            t.readings, t.gaps = readings, gaps
        rows = self.matches(traces, [(a, z)], [], z)
        self.assertEqual({r["series"] for r in rows if int(r["unexplained_ms"])}, {"dev-3/silent"})
        self.assertEqual({int(r["not_received_ms"]) for r in rows}, {0})
        self.sums(rows, z)

    def sums(self, rows, z):
        """Days (of Viet Nam) and the whole are sums of the hours; JSON and GET say the same."""
        for by, bucket in (("day", lambda t: (t + 7 * HOUR) // DAY), ("total", lambda t: 0)):
            want = collections.defaultdict(collections.Counter)
            for r in rows:
                key = r["series"], bucket(int(r["from_ms"]))
                want[key].update({k: int(v) for k, v in r.items() if k not in (
                    "gateway", "series", "from_ms", "to_ms", "complete", "period_ms")})
            got = {(r["series"], bucket(int(r["from_ms"]))): r
                   for r in self.report("--to", str(z), "--by", by)}
            self.assertEqual(got.keys(), want.keys())
            for k, w in want.items():
                self.assertEqual({c: int(got[k][c]) for c in w}, dict(w), (by, k))
        for r, j in zip(rows, self.report("--to", str(z), fmt="json"), strict=True):
            self.assertEqual((r["series"], int(r["good"]), float(r["complete"])),
                             (j["series"], j["good"], j["complete"]))
            self.assertEqual({k[:-3]: int(v) for k, v in r.items() if k.endswith("_ms") and int(
                v) and k not in ("from_ms", "to_ms", "period_ms", "due_ms", "read_ms")},
                j["missing_ms"])
        paged, after = [], ""
        while True:
            status, headers, body = self.https.request(
                "GET", f"/v1/gateways/{GW}/completeness?to={z}&limit=7{after}")
            self.assertEqual(status, 200, body)
            paged += list(csv.DictReader(io.StringIO(body.decode())))
            if "fieldpost-next" not in headers:
                break
            after = "&after=" + headers["fieldpost-next"]
        self.assertEqual(paged, rows)

    def test_the_plan_follows_the_chains_and_a_deleted_series_stays_due(self):
        """Periods that change, a retirement with its reason, a device that is deleted without one,
        and a second chain that says again what the first has said."""
        a, mid, z = H0, H0 + HOUR + 1_200_000, H0 + 2 * HOUR
        end = z + HOUR
        kept, quick = Trace("dev-1/kept", 60_000), Trace("dev-1/quick", 60_000)
        gone, old = Trace("dev-2/gone", 60_000), Trace("dev-3/old", 60_000)
        traces = [kept, quick, gone, old]
        self.poll(kept, a, end)
        self.poll(quick, a, mid)
        self.poll(quick, mid, end, period=10_000)
        self.poll(gone, a, end, out=[(z, end, None)])
        self.poll(old, a, mid)
        one = Maker(self)
        one.control(a, self.plan(traces, a))
        for x in self.windows(a, mid):
            one.data(x, x + WINDOW, traces)
        reason = 'sold, "as seen"\nby the ward'
        one.control(mid, [["plan", quick.name, "number", None, 10_000, mid],
                          ["retire", old.name, mid, reason]])
        for x in self.windows(mid, z):
            one.data(x, x + WINDOW, traces)
        two = Maker(self)
        two.control(z, self.plan([kept], z) + [["plan", quick.name, "number", None, 10_000, z]],
                    after=[one.chain, one.seq, one.prev])
        again = Trace(kept.name, 60_000)  # the last window of the first chain, once more
        again.readings = {t: q for t, q in kept.readings.items() if t >= z - WINDOW}
        polls = [("dev-1", t, [("kept", None, Decimal(t % 1000) / 10, q)])
                 for t, q in sorted(again.readings.items()) if t < z + WINDOW]
        two.seal(z, z + WINDOW, fp.senml(GW, polls + [
            ("dev-1", t, [("quick", None, Decimal(t % 1000) / 10, q)])
            for t, q in sorted(quick.readings.items()) if z <= t < z + WINDOW]))
        for x in self.windows(z + WINDOW, end):
            two.data(x, x + WINDOW, traces)
        rows = self.matches(traces, [(a, end)], [], end)
        last = {r["series"]: r for r in rows if int(r["from_ms"]) == z}
        self.assertEqual(last["dev-2/gone"]["complete"], "0.00")
        self.assertNotIn("dev-3/old", last)
        for fmt in ("csv", "json"):
            text = run([self.city.exe, "retired", "--config", self.city.conf, "--format",
                        fmt]).stdout
            r = (json.loads(text) if fmt == "json" else list(csv.DictReader(io.StringIO(text))))[0]
            self.assertEqual((r["gateway"], r["series"], int(r["at_ms"]), r["reason"], r["chain"]),
                             (GW, old.name, mid, reason, one.chain.hex()))

    def test_what_was_given_up_moved_or_taken_back_is_told_apart(self):
        """Thinned values with their counts, a batch given up for ever, a step of the clock, a time
        that was found later, readings taken back."""
        a, z = H0, H0 + 3 * HOUR
        x, y = Trace("dev-1/x", 10_000), Trace("dev-1/y", 60_000)
        thin = (H0 + HOUR - 2 * WINDOW, H0 + HOUR + 2 * WINDOW)
        void = (H0 + HOUR + 4 * WINDOW, H0 + HOUR + 5 * WINDOW)
        clock = (H0 + 2 * HOUR - WINDOW, H0 + 2 * HOUR + 250_000)
        blind = (H0 + 2 * HOUR + 6 * WINDOW, H0 + 2 * HOUR + 9 * WINDOW)
        for t in (x, y):
            self.poll(t, a, z)
        x.taken = [(H0 + 1_000_003, H0 + 1_200_000)]
        traces, m, given_up = [x, y], Maker(self), {}
        m.control(a, self.plan(traces, a))
        base = fp.UNKNOWN_TIME_S * 1000
        shift = base + 90_000 - blind[0]
        at = a
        while at < z:
            if at == clock[0]:
                at = clock[1]
                m.data(at, H0 + 2 * HOUR + WINDOW, traces, step=True)
                at = H0 + 2 * HOUR + WINDOW
            elif at == blind[0]:
                first = m.seq + 1
                while at < blind[1]:
                    moved = [Trace(t.name, t.period) for t in traces]
                    for t, u in zip(traces, moved):
                        u.readings = {k + shift: q | 64 for k, q in t.readings.items()}
                    m.data(at + shift, at + shift + WINDOW, moved, clk=3)
                    at += WINDOW
                m.control(at + shift, [["time", m.boot, first, m.seq, -shift - 5, 100],
                                       ["time", m.boot, first, m.seq, -shift, 10]], clk=3)
            else:
                w = (at, at + WINDOW)
                kept = not (thin[0] <= at < thin[1] or w == void)
                seq = m.data(*w, traces, send=kept, **(
                    {"step": True} if at == blind[1] else {}))
                if not kept:
                    given_up[seq] = w
                at += WINDOW
        hashes = {s: fp.sha256(m.made[s][0]) for s in given_up}
        thinned = sorted(s for s, w in given_up.items() if w != void)
        (refused,) = given_up.keys() - set(thinned)
        m.control(z, [["void", thinned[0], thinned[-1], [hashes[s] for s in thinned], "thinned"],
                      ["void", refused, refused, [hashes[refused]], "refused"],
                      ["correct", "c1", x.name, *x.taken[0], "invalidate", None, "test", "author"]])
        counts = collections.Counter(t // 60_000 * 60_000 for t in x.readings
                                     if thin[0] <= t < thin[1])
        polls = [("dev-1", t, [("x:count", None, n, 32), ("x:mean", None, Decimal(15) / 10, 32)])
                 for t, n in sorted(counts.items())]
        polls += [("dev-1", t, [("y", None, Decimal(t % 1000) / 10, q)])
                  for t, q in sorted(y.readings.items()) if thin[0] <= t < thin[1]]
        x.gaps.append((*thin, "thinned"))
        m.seal(*thin, fp.senml(GW, polls), gaps=[["dev-1/x", *thin, "thinned"]],
               **{"for": [thinned[0], thinned[-1]]})
        x.thinned = counts
        for t in traces:
            t.readings = {k: (q | 128 if blind[0] <= k < blind[1] else q)
                          for k, q in t.readings.items()
                          if not void[0] <= k < void[1] and not clock[0] <= k < clock[1] and
                          not (t is x and thin[0] <= k < thin[1])}
        held = [(a, void[0]), (void[1], clock[0]), (clock[1], z)]
        rows = self.matches(traces, held, [(*void, "void"), (*clock, "clock")], z)
        self.assertEqual({r["unexplained_ms"] for r in rows}, {"0"})
        self.assertEqual({r["not_received_ms"] for r in rows}, {"0"})
        # When the raw batches arrive after all, they count, and what stands for them does not.
        for s in given_up:
            self.stored(m.chain, s, m.made[s][0])
        r = self.report("--to", str(z), "--by", "total")
        self.assertEqual({(i["thinned"], i["thinned_ms"], i["void_ms"]) for i in r}, {("0",) * 3})

    def test_what_was_calibrated_or_given_to_another_series_counts_where_it_belongs(self):
        """A device that was calibrated, one whose calibration was ended later, one that never was; two
        cables that were changed about, a part of it taken back for good, and a mistake undone."""
        a, z = H0, H0 + 3 * HOUR
        x, y, other = Trace("dev-1/x", 10_000), Trace("dev-1/y", 60_000), Trace("dev-2/x", 10_000)
        lent = (H0 + HOUR - 400_003, H0 + HOUR + 700_000)
        bad = (lent[0] + 100_000, lent[0] + 200_000)
        tuned, later = (H0 + 2 * HOUR + 1, H0 + 2 * HOUR + 900_000), (H0 + 9_000_000, H0 + 9_600_000)
        for t in (x, y):
            self.poll(t, a, z)
        self.poll(other, a, z, out=[(lent[0] - 50_000, lent[1] + 30_000, "device")])
        traces, m = [x, y, other], Maker(self)
        m.control(a, self.plan(traces, a))
        for at in self.windows(a, z):
            m.data(at, at + WINDOW, traces)
        self.matches(traces, [(a, z)], [], z)  # before anybody says a word
        m.control(z, [["maintain", "dev-1/*", *tuned, "calibration", {"by": "ward"}],
                      ["maintain", other.name, later[0], None, "calibration", {}],
                      ["maintain", y.name, a, None, "calibration", {}],
                      ["correct", "cables", x.name, *lent, "reassign", other.name, "changed about", "ward"],
                      ["correct", "wrong", y.name, a, z, "reassign", other.name, "a mistake", "ward"],
                      ["correct", "spray", x.name, *bad, "invalidate", None, "wet", "ward"]])
        m.control(z, [["maintain", other.name, *later, "calibration", {}],
                      ["maintain", y.name, a, a, "calibration", {}],
                      ["correct", "wrong", y.name, a, z, "rescale", [1, 0], "undone", "ward"]])
        moved = {t: q for t, q in x.readings.items()
                 if lent[0] <= t < lent[1] and not bad[0] <= t < bad[1]}
        x.readings = {t: q for t, q in x.readings.items() if t not in moved}
        x.taken = [lent]  # of time that others have, and of what was taken back
        other.readings |= moved
        for t, (start, end) in ((x, tuned), (y, tuned), (other, later)):
            t.readings = {k: q | 8 if start <= k < end else q for k, q in t.readings.items()}
        rows = self.matches(traces, [(a, z)], [], z)
        total = {r["series"]: r for r in self.report("--to", str(z), "--by", "total")}
        self.assertGreater(int(total[x.name]["invalid_ms"]), lent[1] - lent[0] - 20_000)
        self.assertEqual(int(total[x.name]["invalid"]), 10)
        self.assertLess(int(total[other.name]["device_ms"]), 200_000)
        self.assertEqual(total[y.name]["complete"], "100.00")
        self.assertGreater(int(total[y.name]["q8"]), 10)
        self.assertEqual({r["unexplained_ms"] for r in rows}, {"0"})

    def test_a_plan_of_before_the_clock_was_set_is_due_from_the_first_known_window(self):
        a, z = H0 + 300_000, H0 + HOUR + 600_000
        x = Trace("dev-1/x", 60_000)
        self.poll(x, a, z)
        shift, m = fp.UNKNOWN_TIME_S * 1000 + 17_000 - a, Maker(self)
        m.control(a + shift, self.plan([x], a + shift - 9_000), clk=3)
        blind = Trace(x.name, x.period)
        blind.readings = {k + shift: q | 64 for k, q in x.readings.items()}
        end = a + 3 * WINDOW
        for t in self.windows(a, end):
            m.data(t + shift, t + shift + WINDOW, [blind], clk=3)
        self.assertEqual(self.report("--to", str(z)), [])  # no time of it is known
        m.control(end + shift, [["time", m.boot, 2, m.seq, -shift, 10]], clk=3)
        for t in self.windows(end, z):
            m.data(t, t + WINDOW, [x], **({"step": True} if t == end else {}))
        x.readings = {k: q | 128 if k < end else q for k, q in x.readings.items()}
        rows = self.matches([x], [(a, z)], [], z)
        self.assertEqual({r["complete"] for r in rows}, {"100.00"})

    def test_a_report_of_more_than_fits_at_once_is_the_same(self):
        """A series of 1 ms: pieces of less than an hour; two chains that hold the same readings."""
        a, z = H0 + 123_456, H0 + HOUR + 900_000
        fast, slow = Trace("dev-1/fast", 1), Trace("dev-1/slow", 30_000)
        fast.due, slow.due = [(a, z, 1)], [(a, z, 30_000)]
        for t in sorted(self.rng.sample(range(a, z), 60)):
            fast.readings |= {t + i * self.rng.randrange(1, 3): 0 for i in range(4) if t + 9 < z}
        fast.gaps = [(H0 + 1_000_000, H0 + HOUR + 1, "bus")]
        self.poll(slow, a, z)
        slow.due = [(a, z, 30_000)]
        traces, m = [fast, slow], Maker(self)
        m.control(a, self.plan(traces, a))
        cuts = [a, *range(-(-a // WINDOW) * WINDOW, z + 1, WINDOW)]
        for x, y in zip(cuts, cuts[1:]):
            m.data(x, y, traces)
        again = Maker(self)
        again.data(a, cuts[3], traces)
        self.matches(traces, [(a, z)], [], z)


if __name__ == "__main__":
    main(needs=("fieldpost-city",))
