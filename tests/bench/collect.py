#!/usr/bin/python3
"""Collect: the line time of the read plan against the least, and a poll cycle against its line time.

plan: every profile of the tree on four lines, with all of its points and with some; `fieldpost check
--plan --json` says what would be asked. The least line time is recomputed here from the profile's
file, in exact fractions and by another method. cycle: a serial line of 9600 baud whose hub takes the
time that the wire takes; what its byte log says is compared with what the line needs for it.
"""
import argparse
import fractions
import heapq
import json
import os
import pathlib
import random
import select
import subprocess
import sys
import tempfile
import time
import tty

import yaml

ROOT = pathlib.Path(__file__).parents[2]
PROFILES = ROOT / 'sensors/profile'
sys.path.insert(0, str(ROOT / 'tests/support/python'))
from fp_sim import Sim  # noqa: E402

F = fractions.Fraction
WIDTH = {'u16': 1, 's16': 1, 'bcd16': 1, 'u32': 2, 's32': 2, 'f32': 2, 'bcd32': 2, 'u64': 4, 's64': 4, 'f64': 4,
         'bit': 1}
TURNAROUND_MS, DRAWS = 10, 10


def say(name, value, unit):
    print(name, f'{value:.6g}' if isinstance(value, float) else value, unit)


# ---- the least line time, from the profile alone -------------------------------------------------

def ms(text):
    """A profile's time in ms."""
    number = text.rstrip('ms')
    return F(number) * (1 if text.endswith('ms') else 1000)


def profile(path):
    """The file with what it extends: {limits…, points by name}."""
    own = yaml.safe_load(path.read_text())
    base = profile(PROFILES / f"{own['extends']}.yaml") if 'extends' in own else {
        'points': {}, 'most': {1: 2000, 2: 2000, 3: 125, 4: 125}, 'forbidden': []}

    def many(key):
        x = own.get(key, [])
        return x if isinstance(x, list) else [x]
    for f in (1, 2):
        base['most'][f] = own.get('max_bits', base['most'][f])
    for f in (3, 4):
        base['most'][f] = own.get('max_registers', base['most'][f])
    base['most'] |= {x['function']: x['max'] for x in many('limits')}
    base['forbidden'] += many('forbidden')
    base['points'] |= {p['name']: p for p in many('points')}
    return {**base, **{k: v for k, v in own.items() if k not in ('points', 'limits', 'forbidden', 'extends')}}


class Line:
    """What a request takes, in ms, on one line to one device."""

    def __init__(self, of, serial=None):
        turn, pause = ms(str(of.get('turnaround', f'{TURNAROUND_MS}ms'))), ms(str(of.get('pause', '0ms')))
        if not serial:  # TCP: a round trip, 10 Mbit/s
            self.byte = F(8, 10_000)
            self.request = 1 + turn + pause + 21 * self.byte
            return
        baud, parity, stop = serial
        bits = 1 + 8 + (parity != 'none') + stop
        self.byte = F(bits * 1000, baud)
        gap = F(7, 4) if baud > 19200 else F(7, 2) * self.byte
        self.request = 13 * self.byte + 2 * gap + turn + max(F(0), pause - gap)

    def of(self, function, count):
        return self.request + self.byte * (-(-count // 8) if function <= 2 else 2 * count)


def reach(of, function, start, end):
    """The request that brings [start, end): (address, count), or None."""
    if of.get('even_addresses'):
        start, end = start // 2 * 2, -(-end // 2) * 2
    if end - start > of['most'][function]:
        return None
    if any(x['function'] == function and start <= x['to'] and x['from'] < end for x in of['forbidden']):
        return None
    return start, end - start


def least(of, line, points):
    """From the far end: some request ends where the last point ends; wherever it starts, what starts before
    that is left."""
    total = F(0)
    for function in {p['function'] for p in points}:
        spans = [(p['address'], p['address'] + WIDTH[p['type']]) for p in points if p['function'] == function]
        cost = {}

        def best(before):
            left = [s for s in spans if s[0] < before]
            if not left:
                return F(0)
            if before not in cost:
                end, found = max(e for _, e in left), []
                for start in {s for s, _ in left}:
                    if any(s < start and e == end for s, e in left):
                        continue  # the last one must be in it
                    r = reach(of, function, start, end)
                    one = (start, end) in left
                    if r and (of.get('joined', True) or one):
                        found.append(line.of(function, r[1]) + best(start))
                cost[before] = min(found)
            return cost[before]
        total += best(65537)
    return total


def singles(of, line, points):
    return sum(line.of(p['function'], reach(of, p['function'], p['address'],
                                            p['address'] + WIDTH[p['type']])[1]) for p in points)


# ---- part plan -----------------------------------------------------------------------------------

def plan_part(a):
    rng = random.Random(a.seed)
    devices, buses, asked, planned = [], [], [], 0
    for path in sorted(PROFILES.glob('*.yaml')):
        of = profile(path)
        if any('models' in p for p in of['points'].values()):
            continue  # SunSpec: where its points are the device says
        planned += 1
        if of.get('split'):
            sys.exit(f'{path}: split is not recomputed here yet')
        numbers = [p for p in of['points'].values() if p['type'] != 'string' and 'identity' not in p]
        serial = of.get('serial', {})
        own = (serial.get('baud', 9600), serial.get('parity', 'none'), serial.get('stop_bits', 1))
        for k, line in enumerate([own, (9600, 'none', 1), (115200, 'even', 1), None]):
            bus = f'{path.stem}-{k}'
            buses.append(f'  {bus}: ' + (
                f'{{type: modbus-rtu, port: /dev/none-{bus}, baud: {line[0]}, parity: {line[1]}, '
                f'stop_bits: {line[2]}}}' if line else '{type: modbus-tcp, host: 127.0.0.1}'))
            for unit in range(1, DRAWS + 2):
                some = numbers if unit == 1 else rng.sample(numbers, rng.randint(1, len(numbers)))
                names = ', '.join(p['name'] for p in some)
                devices.append(f'  {bus}.{unit}: {{bus: {bus}, unit: {unit}, profile: {path.stem}, '
                               f'points: [{names}]}}')
                asked.append((of, Line(of, line), some))
    with tempfile.TemporaryDirectory() as work:
        config = pathlib.Path(work) / 'fieldpost.yaml'
        config.write_text(f'gateway: {{id: bench}}\nstore: {{path: {work}/s.db}}\nseal: {{key: {work}/k}}\nbuses:\n' +
                          '\n'.join(buses) + '\ndevices:\n' + '\n'.join(devices) + '\n')
        done = subprocess.run([a.bin / 'fieldpost', 'check', '--config', config, '--plan', '--json'],
                              capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    shown = [d for b in json.loads(done.stdout)['buses'] for d in b['devices']]
    ours = theirs = one_each = F(0)
    worst, requests, points = F(0), 0, 0
    for (of, line, some), device in zip(asked, shown, strict=True):
        brought = [p for r in device['requests'] for p in r['points']]
        if sorted(brought) != sorted(p['name'] for p in some):
            sys.exit(f"{device['id']}: reads {brought}")
        for r in device['requests']:
            for p in map(of['points'].get, r['points']):
                if not (p['function'] == r['function'] and r['address'] <= p['address'] and
                        p['address'] + WIDTH[p['type']] <= r['address'] + r['count']):
                    sys.exit(f"{device['id']}: {r} does not hold {p}")
            if reach(of, r['function'], r['address'], r['address'] + r['count']) is None:
                sys.exit(f"{device['id']}: {r} is beyond the device's limits")
        took = sum(line.of(r['function'], r['count']) for r in device['requests'])
        if abs(float(took) - device['line_ms']) > 0.01:
            sys.exit(f"{device['id']}: {device['line_ms']} ms, recomputed {float(took)} ms")
        limit = least(of, line, some)
        worst = max(worst, took / limit)
        ours, theirs, one_each = ours + took, theirs + limit, one_each + singles(of, line, some)
        requests, points = requests + len(device['requests']), points + len(some)
    say('raw.plan_seed', a.seed, '')
    say('raw.plan_profiles', planned, 'files')
    say('raw.plan_plans', len(asked), 'plans')
    say('raw.plan_points', points, 'points')
    say('raw.plan_requests', requests, 'requests')
    say('raw.plan_line_ms', float(ours), 'ms')
    say('raw.plan_least_ms', float(theirs), 'ms')
    say('raw.plan_singles_ms', float(one_each), 'ms')
    say('collect.plan_ratio', float(worst), 'x')
    say('collect.plan_of_singles', float(ours / one_each), 'x')


# ---- part cycle ----------------------------------------------------------------------------------

BAUD, SILENCE = 9600, 3.5
BYTE_S = 10 / BAUD
UNITS = {1: 'eastron-sdm630', 2: 'renke-weather', 3: 'laumas-loadcell'}


class Hub:
    """Between the gateway's pty and the simulator's: bytes arrive when the wire has carried the last of
    them, one after the other, and a device takes a request for ended after 3.5 characters, then thinks.
    Log: (from the gateway?, time of the first byte, time behind the last, bytes)."""

    def __init__(self, device, think_s):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = os.open(device, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.device)
        self.name, self.think_s, self.free, self.log, self.due = os.ttyname(self.slave), think_s, 0.0, [], []

    def run(self, seconds):
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            while self.due and self.due[0][0] <= now:
                _, _, fd, data = heapq.heappop(self.due)
                os.write(fd, data)
            wait = (self.due[0][0] if self.due else end) - time.monotonic()
            for fd in select.select([self.master, self.device], [], [], max(0, min(wait, 0.5)))[0]:
                self.take(fd, time.monotonic())

    def take(self, fd, now):
        data = os.read(fd, 512)
        out = fd == self.master
        begin = max(now, self.free)
        self.free = begin + len(data) * BYTE_S
        if self.log and self.log[-1][0] == out and begin - self.log[-1][2] < BYTE_S / 2:
            self.log[-1] = (out, self.log[-1][1], self.free, self.log[-1][3] + data)
        else:
            self.log.append((out, begin, self.free, data))
        when = self.free + (SILENCE * BYTE_S + self.think_s if out else 0)
        heapq.heappush(self.due, (when, len(self.log), self.device if out else self.master, data))


def needed_s(log, think_s):
    """(requests, registers, line time, wall time) of whole requests with their answers, from the bytes."""
    pairs = [(q, r) for q, r in zip(log, log[1:]) if q[0] and not r[0]]
    line = registers = 0
    for q, r in pairs:
        if len(q[3]) != 8 or len(r[3]) != 5 + r[3][2]:
            sys.exit(f'no request and its answer: {q[3].hex()} {r[3].hex()}')
        registers += r[3][2] // 2
        line += (len(q[3]) + len(r[3]) + 2 * SILENCE) * BYTE_S + think_s
    # the silence before the first request is not in the wall time
    return len(pairs), registers, line, pairs[-1][1][2] - pairs[0][0][1] + SILENCE * BYTE_S


def cycle_part(a):
    think_s = a.think_ms / 1000
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / 'site.yaml').write_text('buses: {line: {type: modbus-rtu, link: tty}}\ndevices:\n' + ''.join(
            f'  d{u}: {{bus: line, unit: {u}, profile: {p}}}\n' for u, p in UNITS.items()))
        sim = Sim(str(a.bin / 'fieldpost-sim'), str(work))
        hub = Hub(sim.bus['line'], think_s)
        subprocess.run([a.bin / 'fieldpost', 'keygen', '--out', work / 'k'], check=True, capture_output=True)
        # periods that the line cannot hold: it is never idle; the profiles' pauses are for real devices
        for p in UNITS.values():
            (work / f'{p}.yaml').write_text(f'extends: {PROFILES}/{p}.yaml\npause: 0ms\n')
        (work / 'fieldpost.yaml').write_text(
            f'gateway: {{id: bench}}\nstore: {{path: {work}/s.db}}\nseal: {{key: {work}/k}}\n'
            f'web: {{listen: "off"}}\nbuses: {{line: {{type: modbus-rtu, port: {hub.name}, baud: {BAUD}}}}}\ndevices:\n' +
            ''.join(f'  d{u}: {{bus: line, unit: {u}, profile: {work}/{p}.yaml, every: 200ms}}\n'
                    for u, p in UNITS.items()))
        gateway = subprocess.Popen([a.bin / 'fieldpost', 'run', '--config', work / 'fieldpost.yaml'],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            hub.run(a.seconds)
        finally:
            gateway.terminate()
            said = gateway.communicate(timeout=20)[1]
            sim.stop()
    if len(hub.log) < 10:
        sys.exit(f'the gateway asked for little: {said.decode()}')
    requests, registers, line, wall = needed_s(hub.log, think_s)
    say('raw.cycle_requests', requests, 'requests')
    say('raw.cycle_registers', registers, 'registers')
    say('raw.cycle_line_s', line, 's')
    say('raw.cycle_wall_s', wall, 's')
    say('collect.cycle_ratio', wall / line, 'x')


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--only', choices=('plan', 'cycle', 'sick', 'punctual', 'many'))
    p.add_argument('--seed', type=int, default=1, help='draws the points of the plans')
    p.add_argument('--seconds', type=float, default=30, help='of the cycle')
    p.add_argument('--window', type=float, default=60, help='seconds of the parts sick, punctual and many')
    p.add_argument('--think-ms', type=float, default=10, help='turn-around of the devices of the cycle')
    p.add_argument('--smaps', type=pathlib.Path, help='copy the memory map of the gateway of many to this file')
    a = p.parse_args()
    sys.path.insert(0, str(ROOT / 'tests/bench/parts'))
    from collect_bus import PARTS  # it takes the line from here
    for name, part in {'plan': plan_part, 'cycle': cycle_part, **PARTS}.items():
        if a.only in (None, name):
            part(a)


if __name__ == '__main__':
    main()
