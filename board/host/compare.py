#!/usr/bin/env python3
"""Compares, value by value, what the simulator served, what the gateway holds and what the city
holds, and prints the three counts and how many differ. Exit 0 only when none differs and none of
the three is empty.

Served rows are device,counter,point,value. The rows of a device that share a ts_ms are one poll,
and its counter point says which. Values are compared as they are printed. What the simulator did
not serve (ping, link) has no truth to be compared with: there the city's rows must be the
gateway's, all of them up to the last batch that the city has of that chain."""
import argparse
import collections
import csv
import sys

SHOWN = 10


def rows_of(path, columns):
    """The rows of a CSV file that must have exactly these columns."""
    with open(path, encoding="utf-8", newline="") as f:
        reader = csv.reader(f)
        head = next(reader, None)
        if head != columns:
            raise SystemExit(f"{path}: columns are {head}, expected {columns}")
        for row in reader:
            if len(row) != len(columns):
                raise SystemExit(f"{path}:{reader.line_num}: {len(row)} columns")
            yield row


class Side:
    """One of the three: values by (device, counter, point), and what cannot be placed."""

    def __init__(self, name):
        self.name, self.values, self.count, self.wrong = name, {}, 0, []

    def add(self, key, value):
        self.count += 1
        if key in self.values:
            self.wrong.append(f"{self.name}: {key} twice")
        self.values[key] = value


def served(path):
    side = Side("served")
    for device, counter, point, value in rows_of(path, ["device", "counter", "point", "value"]):
        side.add((device, counter, point), value)
    return side


def held(name, rows, devices, counter):
    """rows: (series, ts_ms, value) of the devices that the simulator plays."""
    side = Side(name)
    polls = collections.defaultdict(list)
    for series, ts_ms, value in rows:
        device, point = series.split("/", 1)
        if device in devices:
            polls[device, ts_ms].append((point, value))
    for (device, ts_ms), points in polls.items():
        number = next((v for p, v in points if p == counter), None)
        for point, value in points:
            if number is None:
                side.count += 1
                side.wrong.append(f"{name}: {device}/{point} at {ts_ms} belongs to no poll")
            else:
                side.add((device, number, point), value)
    return side


def differences(truth, side):
    for key in truth.values.keys() | side.values.keys():
        a, b = truth.values.get(key), side.values.get(key)
        if a != b:
            yield f"{key}: {truth.name} {a}, {side.name} {b}"


def same_rows(exported, dumped):
    """The city's rows against the gateway's, every column: of all series."""
    last = {}
    for row in dumped:
        chain, seq = row[4], int(row[5])
        last[chain] = max(seq, last.get(chain, 0))
    due = collections.Counter(r for r in exported if r[4] and int(r[5]) <= last.get(r[4], 0))
    there = collections.Counter(dumped)
    for row in (due - there).elements():
        yield f"the city lacks {','.join(row)}"
    for row in (there - due).elements():
        yield f"the gateway lacks {','.join(row)}"


def main():
    a = argparse.ArgumentParser(description=__doc__)
    a.add_argument("--served", required=True)
    a.add_argument("--exported", help="left out: only ask whether the city has all that was served")
    a.add_argument("--dumped", required=True)
    a.add_argument("--gateway", required=True)
    a.add_argument("--counter", default="poll", help="point that numbers the polls")
    o = a.parse_args()

    truth = served(o.served)
    devices = {key[0] for key in truth.values}
    dump = ["gateway", "series", "ts_ms", "value", "quality", "chain", "seq"]
    dumped = [tuple(r[1:]) for r in rows_of(o.dumped, dump) if r[0] == o.gateway]
    city = held("dumped", (r[:3] for r in dumped), devices, o.counter)
    if o.exported is None:
        return 0 if truth.values and truth.values.keys() <= city.values.keys() else 1

    exported = [tuple(r) for r in rows_of(o.exported, dump[1:])]
    gateway = held("exported", (r[:3] for r in exported), devices, o.counter)
    wrong = truth.wrong + gateway.wrong + city.wrong
    wrong += [*differences(truth, gateway), *differences(truth, city)]
    wrong += same_rows(exported, dumped)
    live = sum(1 for r in dumped if r[0].split("/", 1)[0] not in devices)
    for line in wrong[:SHOWN]:
        print(f"differs: {line}", file=sys.stderr)
    print(f"served {truth.count}, exported {gateway.count}, dumped {city.count}, "
          f"differ {len(wrong)}")
    print(f"and {live} live readings of links and pings at the city")
    return 1 if wrong or not (truth.count and gateway.count and city.count and live) else 0


if __name__ == "__main__":
    sys.exit(main())
