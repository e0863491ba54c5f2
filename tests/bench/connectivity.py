#!/usr/bin/python3
"""Connectivity: what its probes take and how well they measure; each part is a program parts/connectivity_*.py."""
import argparse
import pathlib
import subprocess
import sys

PARTS, PREFIX = pathlib.Path(__file__).resolve().parent / 'parts', 'connectivity_'


def main():
    names = sorted(p.stem.removeprefix(PREFIX) for p in PARTS.glob(PREFIX + '*.py'))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--bin', type=pathlib.Path, required=True)
    parser.add_argument('--only', choices=names, action='append', help='this part alone')
    options = parser.parse_args()
    for name in options.only or names:
        subprocess.run([sys.executable, PARTS / f'{PREFIX}{name}.py', '--bin', options.bin.resolve()], check=True)


if __name__ == '__main__':
    main()
