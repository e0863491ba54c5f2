#!/usr/bin/env python3
"""All indicators over 100 series of minutes: a month, a minute, a day folded anew, memory."""
import argparse
import pathlib
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument('--bin', required=True, type=pathlib.Path)
program = parser.parse_args().bin / 'indicator'
if not program.exists():
    sys.exit('this build has no program `indicator`')
sys.exit(subprocess.run([program]).returncode)
