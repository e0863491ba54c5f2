#!/usr/bin/python3
"""Connectivity: what its probes take and how well they measure; each part is a file parts/connectivity_*.py."""
import argparse
import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE / 'parts'), str(HERE.parent / 'support/python')]
PREFIX = 'connectivity_'


def main():
    names = sorted(p.stem.removeprefix(PREFIX) for p in (HERE / 'parts').glob(PREFIX + '*.py'))
    parser = argparse.ArgumentParser()
    parser.add_argument('--bin', type=pathlib.Path, required=True)
    parser.add_argument('--only', choices=names, action='append', help='this part alone')
    options = parser.parse_args()
    for name in options.only or names:
        importlib.import_module(PREFIX + name).bench(options.bin.resolve())


if __name__ == '__main__':
    main()
