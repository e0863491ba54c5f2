#!/usr/bin/env python3
"""board/host/demo --check passes on a sound line, and exits 1 after one value in the city's database
was altered."""
import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../board/host/demo")
# A SenML record of the air station as the city has it: n "pm25", u "ug/m3", v a number >= 24.
RECORD = b"\x00\x64pm25\x01\x65ug/m3\x02\x18"


def unpack(frame):
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=frame, stdout=subprocess.PIPE,
                          check=True).stdout


def pack(data, folder):
    """A frame that states its content size: from a file, not from a pipe."""
    path = os.path.join(folder, "batch")
    with open(path, "wb") as f:
        f.write(data)
    return subprocess.run(["zstd", "-q", "-c", path], stdout=subprocess.PIPE, check=True).stdout


def alter(folder):
    """Adds 1 to, or takes 1 from, one value. Returns how to undo it."""
    with sqlite3.connect(os.path.join(folder, "city.db")) as db:
        for number, frame in db.execute("SELECT id, cose FROM batch").fetchall():
            cose = bytearray(unpack(frame))
            at = cose.find(RECORD)
            if at < 0:
                continue
            cose[at + len(RECORD)] ^= 1
            db.execute("UPDATE batch SET cose = ? WHERE id = ?", (pack(cose, folder), number))
            return number, frame
    raise SystemExit("no batch at the city holds a value of air-1/pm25")


def demo(*args):
    p = subprocess.run([DEMO, *args], stdout=subprocess.PIPE, text=True, check=False)
    print(p.stdout, end="", flush=True)
    return p


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--bin", required=True)
    binaries = a.parse_args().bin
    with tempfile.TemporaryDirectory() as folder:
        p = demo("--check", "--for", "12s", "--bin", binaries, "--state", folder)
        assert p.returncode == 0, f"--check exits {p.returncode}"
        assert "differ 0" in p.stdout and "acknowledged" in p.stdout
        number, frame = alter(folder)
        p = demo("--recheck", "--bin", binaries, "--state", folder)
        assert p.returncode == 1, f"an altered value passes: {p.returncode}"
        with sqlite3.connect(os.path.join(folder, "city.db")) as db:
            db.execute("UPDATE batch SET cose = ? WHERE id = ?", (frame, number))
        p = demo("--recheck", "--bin", binaries, "--state", folder)
        assert p.returncode == 0, f"--recheck exits {p.returncode}"
    return 0


if __name__ == "__main__":
    sys.exit(main())
