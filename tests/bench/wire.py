#!/usr/bin/python3
"""The wire: bytes of a reading signed and compressed, and what making and reading it takes.

The site is tests/bench/wire_series.csv: each line a series, its unit, whether its register is an
integer (dec) or a float32 (f32, one in five), and the series of the traces that it replays; where
it names several they follow one another. Every poll of a minute has the next sample. README.md
beside this says what each figure means."""
import argparse
import csv
import pathlib
import random
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / 'data'
T0 = 1767225600000  # 2026-01-01T00:00:00Z
MINUTES = 720
DEVICE_MS, JITTER_MS = 130, 15
LEVELS = [1, 2, 3, 4, 5, 6, 7, 9, 19]


def trace(name):
    text = subprocess.run(['xz', '-dc', DATA / f'{name}.csv.xz'], check=True, capture_output=True,
                          text=True).stdout
    samples = {}
    for row in csv.reader(text.splitlines()[1:]):
        samples.setdefault(row[0], []).append(row[2])
    return samples


def site():
    """{device: [its series' samples]}, in the order of the list."""
    traces, devices = {}, {}
    with open(HERE / 'wire_series.csv', newline='') as f:
        for row in csv.DictReader(f):
            samples = traces.setdefault(row['trace'], trace(row['trace'])
                                        if row['trace'] not in traces else None)
            values = [v for name in row['series'].split() for v in samples[name]]
            if len(values) < MINUTES:
                sys.exit(f'{row["device"]}/{row["point"]}: {len(values)} samples, fewer than {MINUTES}')
            devices.setdefault(row['device'], []).append(values)
    return devices


def polls(devices, seed):
    rnd = random.Random(seed)
    out = []
    for minute in range(MINUTES):
        for d, (device, series) in enumerate(devices.items()):
            t = T0 + minute * 60000 + (d + 1) * DEVICE_MS + rnd.randint(0, JITTER_MS)
            out.append((t, f'{device} {t} ' + ' '.join(values[minute] for values in series)))
    return '\n'.join(text for _, text in sorted(out)) + '\n'


def run(program, minutes, levels, text):
    out = subprocess.run([program, HERE / 'wire_series.csv', str(minutes), *map(str, levels)], input=text,
                         text=True, check=True, stdout=subprocess.PIPE).stdout
    return {name: int(value) for name, value in (line.split() for line in out.splitlines())}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--seed', type=int, default=1)
    a = p.parse_args()
    devices = site()
    text = polls(devices, a.seed)
    print(f'wire.raw.seed {a.seed} 1')
    print(f'wire.raw.series {sum(map(len, devices.values()))} count')
    print(f'wire.raw.devices {len(devices)} count')
    runs = {minutes: run(a.bin / 'wire', minutes, LEVELS, text) for minutes in (5, 15)}
    for minutes, r in runs.items():
        for name, value in r.items():
            unit = 'ns' if name.endswith('_ns') else 'B' if name.endswith('_bytes') else 'count'
            print(f'wire.raw.{minutes}min_{name} {value} {unit}')
    for minutes, r in runs.items():
        for level in LEVELS:
            print(f'wire.level_{level}_{minutes}min_b {r[f"level_{level}_bytes"] / r["readings"]:.3f} B')
            print(f'wire.level_{level}_{minutes}min_ns {r[f"level_{level}_ns"] / r["readings"]:.0f} ns')
    r = runs[5]
    print(f'wire.default_5min_b {r["default_bytes"] / r["readings"]:.3f} B')
    print(f'wire.default_15min_b {runs[15]["default_bytes"] / runs[15]["readings"]:.3f} B')
    print(f'wire.envelope_b {r["envelope_bytes"] / r["windows"]:.1f} B')
    print(f'wire.encode_ns {(r["encode_ns"] + r["default_ns"]) / r["readings"]:.0f} ns')
    print(f'wire.decode_ns {r["decode_ns"] / r["readings"]:.0f} ns')
    print(f'wire.sign_us {r["sign_ns"] / r["windows"] / 1000:.0f} us')
    print(f'wire.verify_us {r["verify_ns"] / r["windows"] / 1000:.0f} us')


if __name__ == '__main__':
    main()
