#!/usr/bin/python3
"""The sensor node: flash and RAM by board, instructions of an answer, a whole node's poll against the line's time.
"""
import argparse
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / 'tests/support/python'))
BAUD, BITS, POLLS = 9600, 10, 30
REST_S = 0.3  # of the line, between two polls
# The first is the whole node, whose figures have goals.
BOARDS = (('mps2-an385', 'cmsdk'), ('stm32vldiscovery', 'stm32f1'))


def sizes(images):
    for i, (board, family) in enumerate(BOARDS):
        said = subprocess.run([ROOT / 'tests/board/node/size', images / f'{board}.elf', family], check=True,
                              capture_output=True, text=True).stdout
        flash, ram = (int(re.search(rf'^{what} (\d+)', said, re.M)[1]) for what in ('flash', 'ram'))
        stack = int(re.search(r'worst stack (\d+)', said)[1])
        name = '' if i == 0 else f'{board}_'
        print(f'node.{name}flash_b {flash} B\nnode.{name}ram_b {ram} B\nnode.{name}stack_b {stack} B', flush=True)


def instructions(program):
    """What callgrind counts in a function, for each call of it, on this machine's processor."""
    if not shutil.which('valgrind'):
        print('skipped: node.answer_instructions: no valgrind: board/host/install', file=sys.stderr)
        return
    n = 1000

    def counted(function, *args):
        r = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null',
                            f'--toggle-collect={function}', program, str(n), *args], check=True, capture_output=True,
                           text=True)
        return int(re.search(r'Collected : (\d+)', r.stderr)[1]) / n
    for name, registers in (('answer', '109'), ('short_answer', '3')):
        print(f'node.{name}_instructions {counted("slave_answer", registers):.0f} 1', flush=True)
    print(f'node.request_heard_instructions {counted("frame_put", "3", "bytes"):.0f} 1', flush=True)


class Watched:
    """What goes over the line, as pieces (name, begin, bytes)."""

    def __init__(self, hub):
        self.pieces = []
        hub.heard = lambda name, data, begin: self.pieces.append((name, begin, len(data)))

    def polls(self):
        """(bytes, seconds from the first bit to the last) of each whole poll: the line rests between them."""
        polls = []
        for name, begin, n in list(self.pieces):
            if not polls or (name == 'pty' and begin - polls[-1][2] > REST_S):
                polls.append([0, begin, begin])
            polls[-1][0] += n
            polls[-1][2] = begin + n * BITS / BAUD
        return [(n, end - begin) for n, begin, end in polls]


def line(binaries, images):
    from fp_node import Hub, Node
    from fp_proc import Gateway, until
    work = tempfile.mkdtemp(prefix='fp-bench-node-')
    hub = Hub(f'{work}/port', [f'{work}/node.line'], BAUD, 1).start()
    node = Node(str(images / 'mps2-an385.elf'), work, 'node', f'{work}/node.line').start()
    gateway = Gateway(str(binaries), f'{work}/gw')
    try:
        gateway.config(f'buses:\n  line: {{type: modbus-rtu, port: {work}/port, baud: {BAUD}}}\n'
                       'devices:\n  node: {bus: line, unit: 1, profile: node, every: 2s}')
        gateway.start()

        def learned():
            try:
                return any(p['point'] == 'temperature' for p in gateway.get('/api/v1/series')['series'])
            except (OSError, AssertionError):
                return False
        until(learned, 60, 'the gateway knows the node')
        time.sleep(5)  # what it asks besides at first: serial number, the walk
        watched = Watched(hub)
        until(lambda: len(watched.polls()) > POLLS + 1, 4 * POLLS, f'{POLLS} polls', 0.5)
        polls = watched.polls()[1:POLLS + 1]
    finally:
        gateway.kill()
        node.close()
        hub.stop()
        shutil.rmtree(work)
    size = statistics.mode(n for n, _ in polls)
    whole = [s for n, s in polls if n == size]  # without those that asked for more
    ideal = size * BITS / BAUD
    print(f'raw.node_polls {len(whole)} 1\nraw.node_poll_bytes {size} B\nraw.node_line_ms {1000 * ideal:.1f} ms\n'
          f'raw.node_poll_ms {1000 * statistics.median(whole):.1f} ms\n'
          f'raw.node_poll_worst_ms {1000 * max(whole):.1f} ms\n'
          f'node.line_ratio {statistics.median(whole) / ideal:.3f} 1', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--only', choices=('sizes', 'instructions', 'line'))
    a = p.parse_args()
    for step in (('cmake', '--preset', 'node'), ('cmake', '--build', '--preset', 'node')):
        subprocess.run(step, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    images = ROOT / 'build/node'
    parts = {'sizes': lambda: sizes(images), 'instructions': lambda: instructions(a.bin.resolve() / 'node-bench'),
             'line': lambda: line(a.bin.resolve(), images)}
    for name, part in parts.items():
        if a.only in (None, name):
            part()


if __name__ == '__main__':
    main()
