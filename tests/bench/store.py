#!/usr/bin/python3
"""The store: bytes to flash and per reading held, start and memory on a backlog, the drain.

Each part prints its raw counts and then the figures that follow from them; README.md beside this
says what each means. The gateway, the simulator and the city are the real programs."""
import argparse
import decimal
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'support' / 'python'))
import line as bench  # noqa: E402
from fp_slave import Bank, Slave  # noqa: E402
from fp_warp import Warp  # noqa: E402

DEVICES, POINTS = 3, 34  # 102 series, as a ward office has them
SPEED = 600
FLUSH_S = 30  # the kernel writes dirty pages back after that time
GATEWAY = 'bench-01'
PARTS = ['floor', 'ward', 'busy', 'held', 'start', 'drain', 'chart']


def show(name, value, unit):
    print(f'store.{name} {value} {unit}', flush=True)


# ---- the site --------------------------------------------------------------------------------


class Site:
    """A folder with keys, a city, three profiles of 34 points and the traces behind them."""

    def __init__(self, binaries, work, data):
        self.bin, self.work, self.procs = binaries, work, []
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        (work / 'data').symlink_to(data)
        self.series = bench.trace_series(data, DEVICES * POINTS)
        bench.make_keys(work, binaries)
        for d in range(DEVICES):
            points = []
            for i, (_, name) in enumerate(self.of(d)):
                quantity, kind, scale, _ = bench.KIND[name.rsplit('/', 1)[1]]
                points.append(f'  - {{name: r{i}, quantity: {quantity}, function: 3, address: {i}, '
                              f'type: {kind}, scale: {scale}}}')
            (work / f'dev-{d}.yaml').write_text(f'model: ward {d}\npoints:\n' + '\n'.join(points) + '\n')
        self.enroll()

    def of(self, device):
        return self.series[device * POINTS:(device + 1) * POINTS]

    def enroll(self):
        """An empty city that knows the gateway."""
        for f in (self.work / 'city').glob('city.db*'):
            f.unlink()
        subprocess.run([self.bin / 'fieldpost-city', 'enroll', '--config', self.work / 'city/city.yaml',
                        '--id', GATEWAY, '--key', self.work / 'device.pub'], check=True,
                       stdout=subprocess.DEVNULL)

    def start(self, cmd, wanted, log, stream='stderr', env=None):
        p, lines = bench.start(cmd, wanted, self.work / log, stream, env)
        self.procs.append(p)
        return p, lines

    def city(self):
        p, lines = self.start([self.bin / 'fieldpost-city', 'serve', '--config',
                               self.work / 'city/city.yaml'], 'listening on', 'city.log')
        self.city_pid = p.pid
        return int(lines[-1].rsplit(':', 1)[1].split('/')[0])

    def simulator(self):
        """The addresses of the three devices."""
        text = f'traces: {{dir: {self.work / "data"}}}\nbuses:\n'
        for d in range(DEVICES):
            text += f'  bus-{d}: {{type: modbus-tcp, listen: "127.0.0.1:0"}}\n'
        text += 'devices:\n'
        for d in range(DEVICES):
            text += (f'  dev-{d}:\n    bus: bus-{d}\n    unit: 1\n    profile: {self.work}/dev-{d}.yaml\n'
                     '    points:\n')
            for i, (trace, name) in enumerate(self.of(d)):
                factor = bench.KIND[name.rsplit('/', 1)[1]][3]
                text += f'      r{i}: {{trace: {trace}, series: {name}, scale: {factor}}}\n'
        (self.work / 'site.yaml').write_text(text)
        _, lines = self.start([self.bin / 'fieldpost-sim', '--config', self.work / 'site.yaml'], 'ready',
                              'sim.log', 'stdout')
        return [x.split()[2] for x in lines if x.startswith('bus ')]

    def configure(self, store, city_port, hosts, every='60s'):
        """fieldpost.yaml for a store in the folder `store`; all else but journal_every is default."""
        lines = [f'gateway: {{id: {GATEWAY}}}',
                 f'store: {{path: {store}/fieldpost.db, journal_every: 60s, max_size: 64GiB}}',
                 f'seal: {{key: {self.work}/device.key}}', 'buses:']
        for d, host in enumerate(hosts):
            ip, port = host.rsplit(':', 1)
            lines.append(f'  bus-{d}: {{type: modbus-tcp, host: {ip}, port: {port}, timeout: 3s}}')
        lines.append('devices:')
        for d in range(DEVICES):
            lines.append(f'  dev-{d}: {{bus: bus-{d}, unit: 1, profile: {self.work}/dev-{d}.yaml, '
                         f'every: {every}}}')
        lines += ['uplinks:', f'  city: {{type: city, url: "https://127.0.0.1:{city_port}", '
                  f'ca: {self.work}/city/tls.pem, receipt_keys: [{self.work}/city/sign.pub], '
                  'required: true}', 'web: {listen: "127.0.0.1:0"}']
        (self.work / 'fieldpost.yaml').write_text('\n'.join(lines) + '\n')

    def gateway(self, env=None):
        return self.start([self.bin / 'fieldpost', 'run', '--config', self.work / 'fieldpost.yaml'],
                          'page http', 'gateway.log', env=env)[0]

    def stop(self, p):
        if p.poll() is None:
            p.send_signal(signal.SIGTERM)
        p.wait(20)
        p.drain.join(20)
        (p.stderr or p.stdout).close()
        self.procs.remove(p)

    def close(self):
        for p in list(self.procs):
            self.stop(p)

    # -- backlogs --

    def values(self):
        """The traces as lines for tests/bench/backlog: quantity, decimal places, raw values."""
        rows = {}
        for trace in {t for t, _ in self.series}:
            text = subprocess.run(['xz', '-dc', self.work / 'data' / f'{trace}.csv.xz'], check=True,
                                  capture_output=True, text=True).stdout
            for x in text.splitlines()[1:]:
                name, _, value = x.split(',')
                rows.setdefault((trace, name), []).append(value)
        out = []
        for key in self.series:
            quantity, _, scale, factor = bench.KIND[key[1].rsplit('/', 1)[1]]
            raw = [str(round(float(v) * factor / float(scale))) for v in rows[key][:10000]]
            places = max(0, -decimal.Decimal(scale).as_tuple().exponent)
            out.append(' '.join([quantity, str(places), *raw]))
        return '\n'.join(out) + '\n'

    def backlog(self, folder, days):
        """A store with that many days of 102 series a minute; what the maker printed."""
        fast = pathlib.Path('/dev/shm' if os.access('/dev/shm', os.W_OK) else self.work)
        made = fast / f'fieldpost-bench-{os.getpid()}'
        made.mkdir()
        try:
            said = subprocess.run(
                [self.bin / 'backlog', made, GATEWAY, self.work / 'device.key', machine_id(),
                 str(DEVICES), str(POINTS), '60', '300', '5000', str(days)], input=self.values(),
                check=True, capture_output=True, text=True).stdout
            shutil.copytree(made, folder)
        finally:
            shutil.rmtree(made)
        words = said.split()
        return {k: float(v) for k, v in zip(words[::2], words[1::2])}


def machine_id():
    """As gateway/main.c finds it: a store of another machine would begin a new chain."""
    for path in ('/etc/machine-id', '/sys/class/dmi/id/product_uuid',
                 '/proc/device-tree/serial-number'):
        try:
            text = pathlib.Path(path).read_text().split('\n')[0]
        except OSError:
            continue
        if text:
            return text
    return 'none'


def store_files(folder):
    return [f for f in pathlib.Path(folder).glob('fieldpost.db*') if f.is_file()]


# ---- bytes to flash --------------------------------------------------------------------------


def written(work, body):
    """write_bytes of a process that runs `body` (Python) in folder work."""
    code = ('import os, sqlite3\n' + body + '\nfor line in open("/proc/self/io"):\n'
            '    if line.startswith("write_bytes"):\n        print(line.split()[1])\n')
    return int(subprocess.run([sys.executable, '-c', code], cwd=work, check=True, capture_output=True,
                              text=True).stdout)


FLOOR = {
    'append_b': (1000, 'fd = os.open("a", os.O_CREAT | os.O_WRONLY)\nfor i in range(1000):\n'
                       '    os.write(fd, bytes(500)); os.fdatasync(fd)'),
    'page_b': (1000, 'fd = os.open("p", os.O_CREAT | os.O_WRONLY)\nfor i in range(1000):\n'
                     '    os.write(fd, bytes(4096)); os.fdatasync(fd)'),
    'sqlite_commit_b': (1000, 'd = sqlite3.connect("s", isolation_level=None)\n'
                              'd.execute("PRAGMA journal_mode=WAL"); d.execute("PRAGMA synchronous=FULL")\n'
                              'd.execute("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")\n'
                              'for i in range(1000):\n'
                              '    d.execute("INSERT OR REPLACE INTO t VALUES(1, ?)", (bytes(500),))'),
}


def floor(site, a):
    """What one synced append and one SQLite commit of a page cost on this disk."""
    work = site.work / 'floor'
    work.mkdir()
    cost = {}
    for name, (n, body) in FLOOR.items():
        cost[name] = written(work, body) / n
        show(f'floor.{name}', f'{cost[name]:.0f}', 'B')
    readings = DEVICES * POINTS * 5
    show('floor.ward_disk_b_per_reading', f'{(2.5 * cost["append_b"] + cost["sqlite_commit_b"]) / readings:.1f}',
         'B')


class Flusher(threading.Thread):
    """What the kernel does every 30 s of the world's time: writes the dirty pages of these files."""

    def __init__(self, folder, every_s):
        super().__init__(daemon=True)
        self.folder, self.every_s, self.done = folder, every_s, threading.Event()

    def run(self):
        while not self.done.wait(self.every_s):
            for f in store_files(self.folder):
                try:
                    fd = os.open(f, os.O_RDONLY)
                except OSError:
                    continue
                os.fsync(fd)
                os.close(fd)


def acknowledged(work):
    """The last number that the city holds without a hole."""
    db = sqlite3.connect(f'file:{work}/city/city.db?mode=ro', uri=True)
    n = db.execute('SELECT coalesce(max(through_seq), 0) FROM chain').fetchone()[0]
    db.close()
    return n


def at_acknowledgement(pid, work, seq):
    bench.wait_for(lambda: acknowledged(work) >= seq, 900, f'acknowledgement of batch {seq}')
    user, system = bench.cpu(pid)
    return {'seq': acknowledged(work), 'disk': bench.proc_value(pid, 'io', 'write_bytes'),
            'cpu': user + system, 't': time.monotonic()}


def readings_between(work, first, last):
    db = sqlite3.connect(f'file:{work}/city/city.db?mode=ro', uri=True)
    n = db.execute('SELECT coalesce(sum(n), 0) FROM batch WHERE kind = 0 AND seq > ? AND seq <= ?',
                   (first, last)).fetchone()[0]
    db.close()
    return n


def ward(site, a):
    """(a): 102 series each minute, journal_every 60 s, the clock SPEED times as fast."""
    store = site.work / 'ward'
    store.mkdir()
    site.configure(store, site.city(), site.simulator())
    warp = None if a.real else Warp(site.bin, store / 'warp', SPEED)
    flusher = Flusher(store, FLUSH_S / SPEED)
    gw = site.gateway(env=warp.env if warp else None)
    before = at_acknowledgement(gw.pid, site.work, 4 if warp else 2)
    if warp:
        flusher.start()
    if a.wait:
        print(f'gateway {gw.pid}', file=sys.stderr, flush=True)
    time.sleep(a.hours * 3600 / (SPEED if warp else 1))
    after = at_acknowledgement(gw.pid, site.work, acknowledged(site.work) + 1)
    flusher.done.set()
    files = sum(f.stat().st_size for f in store_files(store))
    site.stop(gw)
    readings = readings_between(site.work, before['seq'], after['seq'])
    disk, cpu = after['disk'] - before['disk'], after['cpu'] - before['cpu']
    show('ward.raw.window', f'{(after["t"] - before["t"]) * (SPEED if warp else 1) / 3600:.1f}', 'h')
    show('ward.raw.batches', after['seq'] - before['seq'], 'count')
    show('ward.raw.readings', readings, 'count')
    show('ward.raw.write_bytes', disk, 'B')
    show('ward.raw.file_bytes', files, 'B')
    show('ward.raw.cpu', f'{cpu:.2f}', 's')
    show('ward_disk_b_per_reading', f'{disk / readings:.1f}', 'B')
    show('ward_disk_mib_per_day', f'{disk / readings * DEVICES * POINTS * 1440 / 2 ** 20:.1f}', 'MiB')
    hours = (after['t'] - before['t']) * (SPEED if warp else 1) / 3600
    show('ward_cpu_s_per_day', f'{cpu * 24 / hours:.1f}', 's')
    return disk / readings


def busy(site, a):
    """(b): 5,000 readings a second, journal_every 10 s: the line bench's own site."""
    said = subprocess.run([sys.executable, HERE / 'line.py', '--bin', site.bin, '--seconds', str(a.busy)],
                          check=True, capture_output=True, text=True).stdout
    value = dict(x.split()[:2] for x in said.splitlines())
    for name in ('window', 'readings_at_city', 'write_bytes', 'user_time', 'system_time'):
        show(f'busy.raw.{name}', value[f'line.raw.{name}'],
             {'write_bytes': 'B', 'readings_at_city': 'count'}.get(name, 's'))
    show('busy_disk_b_per_reading', value['line.disk_b_per_reading'], 'B')
    show('busy_cpu_s_per_1m', value['line.cpu_s_per_1m'], 's')


# ---- on a backlog ----------------------------------------------------------------------------


def held(site, a):
    """Makes the backlog of 60 days that the parts below use; file bytes per reading in it."""
    made = site.backlog(site.work / 'backlog', a.days)
    files = sum(f.stat().st_size for f in store_files(site.work / 'backlog'))
    show('held.raw.days', a.days, 'days')
    show('held.raw.readings', int(made['readings']), 'count')
    show('held.raw.batches', int(made['batches']), 'count')
    show('held.raw.file_bytes', files, 'B')
    show('file_b_per_reading', f'{files / made["readings"]:.2f}', 'B')
    show('seal_cpu_s_per_1m', f'{made["cpu_s"] * 1e6 / made["readings"]:.2f}', 's')


class FirstPoll(Slave):
    """Three units of 34 registers on one port; when the first request came."""

    def __init__(self):
        bank, self.at = Bank(), None
        bank.put(3, 0, bytes(2 * POINTS))
        super().__init__({1: bank})

    def _answer(self, unit, pdu):
        self.at = self.at or time.monotonic()
        return super()._answer(unit, pdu)


def start_once(site, store, city_port, seconds):
    """Milliseconds from the start of the program to its first poll; then its memory, KiB."""
    slave = FirstPoll()
    site.configure(store, city_port, [f'127.0.0.1:{slave.port}'] * DEVICES, every='100ms')
    began = time.monotonic()
    gw = site.gateway()
    bench.wait_for(lambda: slave.at, 60, 'the first poll')
    first_ms = (slave.at - began) * 1000
    end = time.monotonic() + seconds
    highest = 0
    while time.monotonic() < end:
        highest = max(highest, bench.proc_value(gw.pid, 'status', 'VmRSS'))
        time.sleep(0.05)
    rss = bench.proc_value(gw.pid, 'status', 'VmRSS')
    site.stop(gw)
    slave.stop()
    return first_ms, rss, highest


def start(site, a):
    """Start-up to the first poll, and memory, on nothing, on the backlog and on 20 million."""
    empty = site.work / 'empty'
    empty.mkdir()
    big = site.work / 'big'
    made = site.backlog(big, a.big / (DEVICES * POINTS * 1440))
    show('start.raw.big_readings', int(made['readings']), 'count')
    stores = [('empty', empty), ('backlog', site.work / 'backlog'), ('big', big)]
    dead_port = 1  # refuses: the city is down
    found = {}
    for name, store in stores:
        runs = [start_once(site, store, dead_port, a.settle) for _ in range(a.repeat)]
        found[name] = [min(x[i] for x in runs) for i in range(3)]
        show(f'start.raw.{name}_ms', f'{found[name][0]:.0f}', 'ms')
        show(f'start.raw.{name}_rss', found[name][1], 'KiB')
        show(f'start.raw.{name}_rss_peak', found[name][2], 'KiB')
    show('start_ms_empty', f'{found["empty"][0]:.0f}', 'ms')
    show('start_ms_backlog', f'{max(found["backlog"][0], found["big"][0]):.0f}', 'ms')
    growth = max(found[n][1] for n in ('backlog', 'big')) - found['empty'][1]
    show('rss_growth_mib', f'{growth / 1024:.2f}', 'MiB')
    shutil.rmtree(big)


def sent(work, since):
    db = sqlite3.connect(f'file:{work}/city/city.db?mode=ro', uri=True)
    n = db.execute('SELECT count(*), coalesce(sum(n), 0) FROM batch WHERE id > ?', (since,)).fetchone()
    db.close()
    return n


def drain(site, a):
    """The backlog to a city over TLS that verifies each batch on the other core."""
    best = None
    for i in range(a.repeat):
        site.enroll()
        store = site.work / 'drain'
        shutil.rmtree(store, ignore_errors=True)
        shutil.copytree(site.work / 'backlog', store)
        slave = FirstPoll()
        site.configure(store, site.city(), [f'127.0.0.1:{slave.port}'] * DEVICES)
        gw = site.gateway()
        if hasattr(os, 'sched_setaffinity') and os.cpu_count() > 1:
            affinity(gw.pid, {0})
            affinity(site.city_pid, {1})
        bench.wait_for(lambda: sent(site.work, 0)[0] > 200, 60, 'the first 200 batches')
        t0, n0 = time.monotonic(), sent(site.work, 0)
        c0, s0 = sum(bench.cpu(gw.pid)), sum(bench.cpu(site.city_pid))
        time.sleep(a.drain)
        n1, t1 = sent(site.work, 0), time.monotonic()
        c1, s1 = sum(bench.cpu(gw.pid)), sum(bench.cpu(site.city_pid))
        rss = bench.proc_value(gw.pid, 'status', 'VmRSS')
        if a.wait:
            print(f'gateway {gw.pid} city {site.city_pid}', file=sys.stderr, flush=True)
            time.sleep(a.wait)
        site.close()
        slave.stop()
        batches, readings, seconds = n1[0] - n0[0], n1[1] - n0[1], t1 - t0
        if best is None or readings / seconds > best[0]:
            best = (readings / seconds, batches, readings, seconds, c1 - c0, s1 - s0, rss)
    rate, batches, readings, seconds, gateway_s, city_s, rss = best
    show('drain.raw.runs', a.repeat, 'count')
    show('drain.raw.batches', batches, 'count')
    show('drain.raw.readings', readings, 'count')
    show('drain.raw.window', f'{seconds:.1f}', 's')
    show('drain.raw.gateway_cpu', f'{gateway_s:.2f}', 's')
    show('drain.raw.city_cpu', f'{city_s:.2f}', 's')
    show('drain.raw.rss', rss, 'KiB')
    show('drain_gateway_cpu_s_per_1m', f'{gateway_s * 1e6 / readings:.2f}', 's')
    show('drain_per_s', f'{rate:.0f}', '1/s')


def affinity(pid, cpus):
    for task in os.listdir(f'/proc/{pid}/task'):
        os.sched_setaffinity(int(task), cpus)


def chart(site, a):
    """Charts over the backlog, where the build has the program for it."""
    program = site.bin / 'chart'
    if not program.exists():
        print('store.chart: this build has no program `chart`: not measured', file=sys.stderr)
        return
    said = subprocess.run([program, site.work / 'backlog' / 'fieldpost.db'], check=True, capture_output=True,
                          text=True).stdout
    print(said, end='', flush=True)


def options(args=None):
    p = argparse.ArgumentParser()
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--work', type=pathlib.Path, help='the work folder; the default is build/bench-store')
    p.add_argument('--only', action='append', choices=PARTS, help='these parts; the default is all')
    p.add_argument('--hours', type=float, default=24, help='of the ward, on its own clock')
    p.add_argument('--real', action='store_true', help='the ward without the warped clock')
    p.add_argument('--busy', type=int, default=60, help='seconds of 5,000 readings a second')
    p.add_argument('--days', type=float, default=60, help='of backlog')
    p.add_argument('--big', type=float, default=20e6, help='readings of the large backlog')
    p.add_argument('--settle', type=float, default=10, help='seconds before memory is read')
    p.add_argument('--drain', type=float, default=15, help='seconds of drain')
    p.add_argument('--repeat', type=int, default=5, help='wall times are the best of so many')
    p.add_argument('--wait', type=float, default=0, help='keep the drain running, to profile it')
    p.add_argument('--keep', action='store_true', help='leave the work folder')
    a = p.parse_args(args)
    a.bin = a.bin.resolve()
    return a


def main():
    a = options()
    root = HERE.parents[1]
    site = Site(a.bin, a.work or root / 'build' / 'bench-store', root / 'tests/data')
    wanted = a.only or PARTS
    if {'start', 'drain', 'chart'} & set(wanted) and 'held' not in wanted:
        wanted.append('held')
    try:
        for part in PARTS:
            if part in wanted:
                globals()[part](site, a)
                site.close()
    finally:
        site.close()
    if not a.keep:
        shutil.rmtree(site.work, ignore_errors=True)


if __name__ == '__main__':
    main()
