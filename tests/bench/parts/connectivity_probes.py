#!/usr/bin/python3
"""Part of the bench connectivity: what the probes of the default configuration take while nothing is wrong: processor and data.

The small internet of tests/support/python/fp_netlab.py, the real city, no uplink, so that all that goes over the
box's link is the probes'. First the default periods in real time, for the processor; then the path alone 30 times as
often, for what each probe takes of data, which does not depend on how often it is made.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / 'tests/support/python'))
import fp_netlab as lab  # noqa: E402
from fp_proc import Gateway, until  # noqa: E402

DAY_S, PATH_S, MTU_EVERY = 86400, 300, 12
THREADS = ('path', 'connectivity')
COUNTED = {'tcp': 'tcp', 'dns': 'udp', 'icmp': 'icmp'}


def say(name, value, unit):
    print(name, f'{value:.6g}' if isinstance(value, float) else value, unit, flush=True)


class Nft:
    """Bytes of IP packets over the box's link, both ways, by protocol."""

    def __init__(self):
        lab.nft(None, 'table inet fp {\n' + ''.join(
            f'chain {way} {{ type filter hook {way} priority 0;\n' + ''.join(
                f'{key}name wan0 meta l4proto {p} counter comment "{name}"\n' for name, p in COUNTED.items()) + '}\n'
            for way, key in (('input', 'iif'), ('output', 'oif'))) + '}\n')

    @staticmethod
    def read():
        text = subprocess.run(['nft', 'list', 'table', 'inet', 'fp'], check=True, text=True, capture_output=True).stdout
        got = dict.fromkeys(COUNTED, 0)
        for size, name in re.findall(r'bytes (\d+) comment "(\w+)"', text):
            got[name] += int(size)
        return got


def cpu_s(pid):
    """Of the probes' threads, and of the whole process."""
    total = mine = 0
    for task in pathlib.Path(f'/proc/{pid}/task').iterdir():
        ns = int((task / 'schedstat').read_text().split()[0])
        total += ns
        if (task / 'comm').read_text().strip() in THREADS:
            mine += ns
    return mine / 1e9, total / 1e9


class Site:
    def __init__(self, binaries, folder, city, more):
        self.gw = Gateway(str(binaries), folder)
        self.gw.config(f'connectivity:\n  path: {{city: {{url: "{city.url}", ca: {city.ca}{more}}}}}\n'
                       f'  ping: {{wan: {{host: {lab.OTHER}}}}}\n', every='5min', journal='10s')
        self.gw.start()
        self.pid = self.gw.proc.p.pid

    def polls(self, name):
        return self.gw.get(f'/api/v1/devices/{name}')['device']['polls']


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', 1)[0])
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--window', type=int, default=PATH_S, help='seconds of the default configuration')
    p.add_argument('--probes', type=int, default=24, help='probes of the second part; a multiple of 12')
    a = p.parse_args()
    if a.probes % MTU_EVERY:
        p.error('--probes must be a multiple of 12')
    lab.enter('connectivity')
    net = lab.Net()
    lab.Net.rules()
    with tempfile.TemporaryDirectory() as work:
        city = lab.LabCity(str(a.bin), work + '/city')
        city.start()
        nft = Nft()
        site = Site(a.bin, work + '/a', city, '')
        until(lambda: site.polls('wan') > 0, 130, 'the first round')
        counts, polls, bytes_, began = cpu_s(site.pid), site.polls('city'), nft.read(), time.monotonic()
        time.sleep(a.window)  # nothing is waited for: this is the window
        now, probes, icmp = cpu_s(site.pid), site.polls('city') - polls, nft.read()['icmp'] - bytes_['icmp']
        window = time.monotonic() - began
        site.gw.stop()
        mine = now[0] - counts[0]
        say('raw.connectivity_window', window, 's')
        say('raw.connectivity_probes', probes, 'probes')
        say('raw.connectivity_threads_cpu', mine, 's')
        say('raw.connectivity_process_cpu', now[1] - counts[1], 's')
        say('raw.connectivity_icmp', icmp, 'B')

        site = Site(a.bin, work + '/b', city, ', every: 10s, timeout: 3s')
        until(lambda: site.polls('city') > 0, 30, 'the first probe', 0.05)
        polls, before = site.polls('city'), nft.read()
        until(lambda: site.polls('city') >= polls + a.probes, 20 * a.probes, 'its probes', 0.05)
        done, took = site.polls('city') - polls, nft.read()
        site.gw.stop()
        city.stop()
        path = {k: took[k] - before[k] for k in ('tcp', 'dns')}
        say('raw.connectivity_path_probes', done, 'probes')
        say('raw.connectivity_path_tcp', path['tcp'], 'B')
        say('raw.connectivity_path_dns', path['dns'], 'B')
        of_path, of_ping = sum(path.values()) / done * DAY_S / PATH_S, icmp * DAY_S / window
        say('connectivity.path_mb_per_day', of_path / 1e6, 'MB')
        say('connectivity.ping_mb_per_day', of_ping / 1e6, 'MB')
        say('connectivity.mb_per_day', (of_path + of_ping) / 1e6, 'MB')
        say('connectivity.cpu_share', 100 * mine / window, '%')
    net.close()


if __name__ == '__main__':
    main()
