#!/usr/bin/python3
"""The page under load: 100 devices, 5,000 readings a second, 5 live viewers, and wrk asking beside.

Overview (/api/v1/status), the values of a device and a chart of 24 hours, each asked by wrk over two
connections while the devices are polled and five viewers watch, one of them everything. Counted: the
latency as wrk says it, what memory that adds to the gateway, the processor time of the page's threads while
nobody asks, and the bytes of the first load of the page as it is served.
"""
import argparse
import gzip
import http.client
import os
import pathlib
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

import line

HERE = pathlib.Path(__file__).parent
DEVICES, POINTS, VIEWERS = 100, 50, 5
PARTS = {'status': '/api/v1/status', 'advice': '/api/v1/advice', 'values': '/api/v1/series?device=d07', 'chart': None}
OURS = re.compile(r'MHD|http-|live|passwords')  # threads


def say(name, value, unit):
    print(name, f'{value:.6g}' if isinstance(value, float) else value, unit, flush=True)


def config(work, buses):
    devices = '\n'.join(f'  d{i:02d}: {{bus: {name}, unit: 1, profile: {work}/bench.yaml, every: 1s}}'
                        for i, name in enumerate(buses))
    plants = '\n'.join('  {}: {{type: modbus-tcp, host: {}, port: {}}}'.format(n, *h.rsplit(':', 1))
                       for n, h in buses.items())
    (work / 'fieldpost.yaml').write_text(f'''gateway: {{id: bench-01}}
store: {{path: {work}/fieldpost.db}}
seal: {{key: {work}/device.key, max_readings: 20000, every: 10s}}
buses:
{plants}
devices:
{devices}
web: {{listen: "127.0.0.1:0"}}
''')


def schedstat(pid, field, threads=OURS):
    return sum(int((task / 'schedstat').read_text().split()[field])
               for task in pathlib.Path(f'/proc/{pid}/task').iterdir() if threads.match((task / 'comm').read_text()))


def web_ns(pid):
    """Processor time of the page's threads."""
    return schedstat(pid, 0)


def waited_ns(pid):
    """How long the server's thread was ready to run, and others had the processor."""
    return schedstat(pid, 1, re.compile('MHD'))


door = {}  # what is trusted, and the token


class Viewer(threading.Thread):
    def __init__(self, port, query):
        super().__init__(daemon=True)
        self.c = http.client.HTTPSConnection('127.0.0.1', port, timeout=30, context=door['trust'])
        self.c.request('GET', '/api/v1/live' + query, headers=door['token'])
        self.r = self.c.getresponse()
        if self.r.status != 200:
            sys.exit(f'live: {self.r.status}')
        self.bytes, self.lost = 0, False
        self.start()

    def run(self):
        try:
            while text := self.r.read1(65536):
                self.bytes += len(text)
            self.lost = True
        except (OSError, http.client.HTTPException, AttributeError, ValueError):
            self.lost = True


def ask(port, path, **headers):
    c = http.client.HTTPSConnection('127.0.0.1', port, timeout=30, context=door['trust'])
    c.request('GET', path, headers={**door['token'], **headers})
    r = c.getresponse()
    head = sum(len(k) + len(v) + 4 for k, v in r.getheaders()) + 19
    body = r.read()
    c.close()
    return r.status, head, body, r.getheader('Content-Encoding')


def first_load(port):
    """Bytes on the wire of the page and all that it names, as a browser asks for it."""
    wanted, done, total = ['/'], set(), 0
    while wanted:
        path = wanted.pop()
        if path in done:
            continue
        done.add(path)
        status, head, body, packed = ask(port, path, **{'Accept-Encoding': 'gzip'})
        if status != 200:
            continue
        total += head + len(body)
        text = (gzip.decompress(body) if packed == 'gzip' else body).decode('utf-8', 'replace')
        wanted += [m if m.startswith('/') else '/' + m.removeprefix('./') for m in
                   re.findall(r'(?:src=|href=|from |import\(|fetch\()\s*["\']((?:\./|/|[\w.-]+\.)[\w./-]*)["\']', text)
                   if not m.startswith(('/api', '//'))]
    return total, len(done)


def wrk(port, path, seconds):
    """(p99 ms, requests a second, bad answers)"""
    token = f"Authorization: {door['token']['Authorization']}"
    out = subprocess.run(['wrk', '-t1', '-c2', f'-d{seconds}s', '--latency', '-H', token, f'https://127.0.0.1:{port}{path}'],
                         check=True, capture_output=True, text=True).stdout
    p99 = re.search(r'99%\s+([\d.]+)(us|ms|s)', out)
    rate = re.search(r'Requests/sec:\s+([\d.]+)', out)
    bad = re.search(r'Non-2xx or 3xx responses: (\d+)', out)
    return (float(p99[1]) * {'us': 1e-3, 'ms': 1, 's': 1e3}[p99[2]], float(rate[1]), int(bad[1]) if bad else 0)


def measure(pid, port, a):
    time.sleep(a.settle)
    cpu, at = web_ns(pid), time.monotonic()
    time.sleep(a.idle)
    say('raw.idle_window', time.monotonic() - at, 's')
    idle = (web_ns(pid) - cpu) / 1e9 / (time.monotonic() - at)
    rss = line.proc_value(pid, 'status', 'VmRSS')
    total, files = first_load(port)
    viewers = [Viewer(port, '?device=all' if i == 0 else f'?device=d{i:02d}') for i in range(VIEWERS)]
    now = int(time.time() * 1000)
    PARTS['chart'] = f'/api/v1/chart?series=d07/r07&from={now - 86400000}&to={now}&points=500'
    worst, peak = 0.0, rss
    polls = ask(port, '/api/v1/status')[2].count(b'"overruns":0,')
    for name, path in PARTS.items():
        cpu, waits = web_ns(pid), waited_ns(pid)
        p99, rate, bad = wrk(port, path, a.seconds)
        cpu, waits = web_ns(pid) - cpu, waited_ns(pid) - waits
        if bad:
            sys.exit(f'{path}: {bad} bad answers')
        say(f'raw.{name}_p99', p99, 'ms')
        say(f'raw.{name}_rate', rate, '1/s')
        say(f'raw.{name}_cpu', cpu / 1e6 / (rate * a.seconds), 'ms a request')
        say(f'raw.{name}_waited', waits / 1e6 / (rate * a.seconds), 'ms a request')
        worst, peak = max(worst, p99), max(peak, line.proc_value(pid, 'status', 'VmRSS'))
    say('raw.rss_before', rss, 'KiB')
    say('raw.rss_peak', peak, 'KiB')
    say('raw.viewer_bytes', sum(v.bytes for v in viewers), 'B')
    say('raw.viewers_lost', sum(v.lost for v in viewers), '')
    say('raw.first_load_files', files, 'files')
    say('raw.without_overrun', polls, 'objects before')
    say('raw.without_overrun_after', ask(port, '/api/v1/status')[2].count(b'"overruns":0,'), 'objects')
    say('web.p99_ms', worst, 'ms')
    say('web.rss_mib', (peak - rss) / 1024, 'MiB')
    say('web.first_load_kb', total / 1000, 'kB')
    say('web.idle_cpu', idle, 's/s')


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--seconds', type=int, default=10, help='of wrk for each of the three')
    p.add_argument('--settle', type=int, default=20)
    p.add_argument('--idle', type=int, default=70)
    a = p.parse_args()
    line.DEVICES, line.REGISTERS = DEVICES, POINTS
    with tempfile.TemporaryDirectory(prefix='fieldpost-bench-') as folder:
        work = pathlib.Path(folder)
        (work / 'data').symlink_to(HERE.parent / 'data')
        line.write_site(work, line.trace_series(HERE.parent / 'data', POINTS - 1))
        subprocess.run([a.bin / 'fieldpost', 'keygen', '--out', work / 'device.key'], check=True, capture_output=True)
        sim, lines = line.start([a.bin / 'fieldpost-sim', '--config', work / 'site.yaml'], 'ready', work / 'sim.log',
                                'stdout')
        gateway = None
        try:
            config(work, dict(x.split()[1:3] for x in lines if x.startswith('bus ')))
            gateway, lines = line.start([a.bin / 'fieldpost', 'run', '--config', work / 'fieldpost.yaml'],
                                        'page https://', work / 'gateway.log')
            db = str(work / 'fieldpost.db')
            door.update(trust=ssl.create_default_context(cafile=db + '.page.crt'),
                        token={'Authorization': 'Bearer ' + pathlib.Path(db + '.console').read_text()})
            measure(gateway.pid, int(re.search(r'page https://[^ ]*:(\d+)/', lines[-1])[1]), a)
        finally:
            for child in (gateway, sim):
                if child:
                    os.kill(child.pid, signal.SIGTERM)
                    child.wait(20)


if __name__ == '__main__':
    main()
