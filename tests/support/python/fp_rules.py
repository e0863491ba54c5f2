"""What a whole chain of batches must keep, rule by rule, as far as it can be seen from outside.
chain_faults() returns a list of sentences; an empty list is a chain that keeps the contract."""
import fp_contract as fp


class Plans:
    """The signed inventory as it stands after some batches."""

    def __init__(self):
        self.due = {}  # series -> [(from, until or None, period, quantity, unit)]

    def apply(self, e, say):
        if e[0] == "plan":
            if len(e) < 6 or not (isinstance(e[1], str) and isinstance(e[2], str) and
                                  (e[3] is None or isinstance(e[3], str)) and
                                  isinstance(e[4], int) and isinstance(e[5], int) and e[4] >= 0):
                say(f"plan entry {e!r}")
                return
            spans = self.due.setdefault(e[1], [])
            if spans and spans[-1][1] is None:
                spans[-1] = (spans[-1][0], e[5], *spans[-1][2:])
            spans.append((e[5], None, e[4], e[2], e[3]))
        elif e[0] == "retire":
            spans = self.due.get(e[1], []) if len(e) >= 4 else []
            if not spans or spans[-1][1] is not None or not isinstance(e[2], int):
                say(f"retire entry {e!r} of a series that has no open plan")
                return
            spans[-1] = (spans[-1][0], e[2], *spans[-1][2:])
        elif e[0] == "void":
            if len(e) < 5 or not isinstance(e[3], list) or len(e[3]) != e[2] - e[1] + 1 or any(
                    not isinstance(h, bytes) or len(h) != 32 for h in e[3]):
                say(f"void entry {e!r}")

    def current(self, series):
        spans = self.due.get(series)
        return spans[-1] if spans and spans[-1][1] is None else None


def _links(batches, say):
    first = batches[0]
    if first.seq != 1:
        say(f"the chain begins at seq {first.seq}")
    if not first.control:
        say("seq 1 is no control batch (plan comes before data)")
    for a, b in zip(batches, batches[1:]):
        if b.seq != a.seq + 1:
            say(f"seq {a.seq} is followed by {b.seq}")
        elif b.prev != a.hash:
            say(f"prev of seq {b.seq} is not the hash of seq {a.seq}")
        if b.gw != a.gw or b.chain != a.chain or b.kid != a.kid:
            say(f"seq {b.seq}: gw, chain or kid changed inside the chain")


def _windows(batches, every_ms, max_readings, say):
    data = [b for b in batches if not b.control and "for" not in b.header]
    for a, b in zip(data, data[1:]):
        if a.clk != 3 and b.clk != 3 and "step" not in b.header and b.from_ms != a.to_ms:
            say(f"rule 8: window of seq {b.seq} begins {b.from_ms - a.to_ms} ms after seq "
                f"{a.seq} ended")
        cut = b.boot != a.boot or "step" in b.header or b.clk != a.clk or \
            len(a.readings) >= max_readings or len(a.whole) > fp.MAX_WHOLE * 3 // 4
        if a.to_ms % every_ms and not cut:
            say(f"rule 6: window of seq {a.seq} ends at {a.to_ms}, no multiple of {every_ms}")
    for b in data:
        if b.from_ms >= b.to_ms:
            say(f"rule 6: window of seq {b.seq} is empty in time")
        for r in b.readings:
            if r.t_ms >= b.to_ms:
                say(f"rule 6: {r} of seq {b.seq} is not before {b.to_ms}")
    last, start = None, next((b.from_ms for b in data), None)
    for b in batches:
        if b.control:
            want = last.to_ms if last else start
            if want is not None and b.from_ms != want:
                say(f"rule 9: control seq {b.seq} has from {b.from_ms}, not {want}")
        last = b


def _series(batches, say):
    plans, times = Plans(), {}
    for b in batches:
        for e in b.entries:
            plans.apply(e, lambda s, b=b: say(f"seq {b.seq}: {s}"))
        for r in b.readings:
            plan = plans.current(r.series)
            base = r.series.split(":")[0]
            if plan is None and plans.current(base) is None:
                say(f"seq {b.seq}: {r} without plan")
            elif plan is not None and plan[4] != r.unit:
                say(f"seq {b.seq}: {r} has unit {r.unit!r}, its plan says {plan[4]!r}")
            seen = times.setdefault(r.series, [])
            if seen and r.t_ms <= seen[-1]:
                say(f"seq {b.seq}: {r} is not after the one before it ({seen[-1]})")
            seen.append(r.t_ms)
        for g in b.gaps:
            if g[0] != "*" and not g[0].endswith("/*") and g[0] not in plans.due:
                say(f"seq {b.seq}: gap of a series without plan {g!r}")
    return plans, times


def _covers(gap, series):
    return gap[0] in ("*", series, series.split("/")[0] + "/*")


def _coverage(batches, plans, times, say):
    end = max(b.to_ms for b in batches)
    gaps = [g for b in batches for g in b.gaps]
    for series, spans in plans.due.items():
        points = [(t, t) for t in times.get(series, [])]
        points += [(g[1], g[2]) for g in gaps if _covers(g, series)]
        for start, until, period, *_ in spans:
            stop = min(until or end, end)
            if not period or stop <= start:
                continue
            at = start
            for a, z in sorted(points) + [(stop, stop)]:
                if z < start:
                    continue
                if a > stop:
                    a = stop
                if a - at > 2 * period:
                    say(f"rule 17: {series} has neither reading nor gap from {at} to {a} "
                        f"({a - at} ms, period {period} ms)")
                at = max(at, min(z, stop))


def _overlap(batches, times, say):
    """A reading inside a gap that covers its series contradicts the gap (half-open, rule 18)."""
    for b in batches:
        for g in b.gaps:
            inside = [(s, t) for s, seen in times.items() if _covers(g, s)
                      for t in seen if g[1] <= t < g[2]]
            if inside:
                say(f"rule 18: seq {b.seq} has the gap {g} over {len(inside)} readings, "
                    f"{inside[0]} is one")


def chain_faults(batches, every_ms, max_readings=5000):
    return links_and_windows(batches, every_ms, max_readings) + series_and_gaps(batches)


def links_and_windows(batches, every_ms, max_readings=5000):
    """The rules of batches as they are sealed."""
    faults = []
    _links(batches, faults.append)
    _windows(batches, every_ms, max_readings, faults.append)
    return faults


def series_and_gaps(batches):
    """The rules of what they say, which may have been moved by `time` entries."""
    faults = []
    plans, times = _series(batches, faults.append)
    _coverage(batches, plans, times, faults.append)
    _overlap(batches, times, faults.append)
    return faults
