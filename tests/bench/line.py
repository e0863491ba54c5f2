#!/usr/bin/python3
"""The whole line under load: 50 Modbus TCP devices of 100 registers, each polled every second.

Measures the gateway process alone (user and system time, memory, write_bytes), the uplink's bytes
by an nft counter, and divides by the readings that `fieldpost-city dump` returns for the window.
"""
import argparse
import csv
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

DEVICES, REGISTERS = 50, 100

# Series of the traces -> (quantity, register type, profile scale, factor on the trace).
KIND = {
    'p_active': ('active_power', 'u16', '1', 1000), 'p_reactive': ('reactive_power', 'u16', '1', 1000),
    'voltage': ('voltage', 'u16', '0.01', 1), 'current': ('current', 'u16', '0.1', 1),
    'sub1': ('number', 'u16', '1', 1), 'sub2': ('number', 'u16', '1', 1),
    'sub3': ('number', 'u16', '1', 1), 'co': ('co', 'u16', '1', 1),
    'dewp': ('temperature', 's16', '0.1', 1), 'temp': ('temperature', 's16', '0.1', 1),
    'no2': ('no2', 'u16', '1', 1), 'o3': ('o3', 'u16', '1', 1), 'so2': ('so2', 'u16', '1', 1),
    'pm10': ('pm10', 'u16', '1', 1), 'pm25': ('pm25', 'u16', '1', 1),
    'press': ('pressure', 'u16', '0.1', 1), 'rain': ('rain', 'u16', '0.1', 1),
    'wspd': ('wind_speed', 'u16', '0.1', 1), 'light': ('illuminance', 'u16', '1', 1),
    'hum': ('humidity', 'u16', '0.1', 1), 'co2': ('co2', 'u16', '1', 1),
    'batt': ('voltage', 'u16', '0.1', 1), 'wdir': ('number', 'u16', '1', 1),
    'level': ('water_level', 's16', '0.001', 1), 'weight': ('weight', 'u16', '0.01', 1),
    'volume': ('volume', 'u16', '0.01', 1), 'fill': ('fill', 'u16', '1', 1),
}
TRACES = ['energy', 'airquality', 'indoorair', 'weather', 'river', 'bins']


def trace_series(data, wanted=REGISTERS - 1):
    """The first series of the traces that fit a register, the long ones first."""
    found = []
    for trace in TRACES:
        text = subprocess.run(['xz', '-dc', data / f'{trace}.csv.xz'], check=True,
                              capture_output=True, text=True).stdout
        count = {}
        for line in text.splitlines()[1:]:
            name = line.split(',', 1)[0]
            count[name] = count.get(name, 0) + 1
        names = [n for n in count if n.rsplit('/', 1)[1] in KIND]
        found += [(trace, n) for n in sorted(names, key=lambda n: (-count[n] if trace == 'bins' else 0, n))]
    return found[:wanted]


def write_site(work, series):
    points, sim = [], []
    for i, (trace, name) in enumerate(series):
        quantity, kind, scale, factor = KIND[name.rsplit('/', 1)[1]]
        points.append(f'  - {{name: r{i:02d}, quantity: {quantity}, function: 3, address: {i}, '
                      f'type: {kind}, scale: {scale}}}')
        sim.append(f'    r{i:02d}: {{trace: {trace}, series: {name}, scale: {factor}}}')
    points.append(f'  - {{name: poll, quantity: number, function: 3, address: {REGISTERS - 1}, type: u16}}')
    (work / 'bench.yaml').write_text('model: bench\npoints:\n' + '\n'.join(points) + '\n')
    (work / 'site.yaml').write_text(
        f'traces: {{dir: {work / "data"}}}\ngenerate:\n  count: {DEVICES}\n  prefix: dev\n'
        f'  profile: {work / "bench.yaml"}\n  bus_each: modbus-tcp\n  offset_rows_step: 37\n'
        '  counter: poll\n  points:\n' + '\n'.join(sim) + '\n')


def make_keys(work, binaries):
    def openssl(*args):
        subprocess.run(['openssl', *args], check=True, capture_output=True)
    c = work / 'city'
    c.mkdir()
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30',
            '-subj', '/CN=bench city', '-addext', 'subjectAltName=IP:127.0.0.1',
            '-keyout', c / 'tls.key', '-out', c / 'tls.pem')
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', c / 'sign.key')
    os.chmod(c / 'sign.key', 0o600)
    openssl('pkey', '-in', c / 'sign.key', '-pubout', '-out', c / 'sign.pub')
    pub = subprocess.run([binaries / 'fieldpost', 'keygen', '--out', work / 'device.key'], check=True,
                         capture_output=True).stdout
    (work / 'device.pub').write_bytes(pub)
    (c / 'city.yaml').write_text(f'listen: "127.0.0.1:0"\ncert: {c}/tls.pem\nkey: {c}/tls.key\n'
                                 f'sign_key: {c}/sign.key\ndb: {c}/city.db\n')


def start(cmd, wanted, log, stream='stderr', env=None):
    """Starts a program and returns it with the first line that holds `wanted`; the rest goes to log."""
    p = subprocess.Popen([str(c) for c in cmd], text=True, stdin=subprocess.DEVNULL,
                         env={**os.environ, **(env or {})},
                         stdout=subprocess.PIPE if stream == 'stdout' else subprocess.DEVNULL,
                         stderr=subprocess.PIPE if stream == 'stderr' else None)
    lines, pipe = [], getattr(p, stream)
    for line in pipe:
        lines.append(line.rstrip('\n'))
        if wanted in line:
            break
    else:
        sys.exit(f'{cmd[0]} ended before it was ready:\n' + '\n'.join(lines))

    def drain():
        with open(log, 'w') as f:
            for line in pipe:
                f.write(line)
    p.drain = threading.Thread(target=drain, daemon=True)
    p.drain.start()
    return p, lines


def gateway_config(work, city_port, buses, a):
    lines = ['gateway: {id: bench-01}', f'store: {{path: {work}/fieldpost.db}}',
             f'seal: {{key: {work}/device.key, every: {a.seal_every}, max_readings: {a.max_readings}}}', 'buses:']
    for name, host in buses:
        ip, port = host.rsplit(':', 1)
        lines.append(f'  {name}: {{type: modbus-tcp, host: {ip}, port: {port}}}')
    lines.append('devices:')
    for i, (name, _) in enumerate(buses):
        lines.append(f'  d{i:02d}: {{bus: {name}, unit: 1, profile: {work}/bench.yaml, every: 1s}}')
    lines += ['uplinks:', f'  city: {{type: city, url: "https://127.0.0.1:{city_port}", ca: {work}/city/tls.pem, '
              f'receipt_keys: [{work}/city/sign.pub], required: true}}', 'web: {listen: "127.0.0.1:0"}']
    (work / 'fieldpost.yaml').write_text('\n'.join(lines) + '\n')


class Wire:
    """Bytes of the city's port on loopback, both ways, counted by nft."""
    def __init__(self, port):
        self.table = f'fieldpost_bench_{os.getpid()}'
        rules = (f'add table inet {self.table}\n'
                 f'add chain inet {self.table} out {{ type filter hook output priority 0; }}\n'
                 f'add rule inet {self.table} out oif lo tcp dport {port} counter comment "up"\n'
                 f'add rule inet {self.table} out oif lo tcp sport {port} counter comment "down"\n')
        subprocess.run(['nft', '-f', '-'], input=rules, text=True, check=True)

    def read(self):
        text = subprocess.run(['nft', 'list', 'table', 'inet', self.table], check=True,
                              capture_output=True, text=True).stdout
        words = text.split()
        return sum(int(words[i + 1]) for i, w in enumerate(words) if w == 'bytes')

    def close(self):
        subprocess.run(['nft', 'delete', 'table', 'inet', self.table], check=False)


def cpu(pid):
    fields = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    tick = os.sysconf('SC_CLK_TCK')
    return int(fields[11]) / tick, int(fields[12]) / tick


def below(pid):
    """The processes that pid has started, and theirs: the keeper of the signing process, and that."""
    parent = {}
    for stat in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            parent[int(stat.parent.name)] = int(stat.read_text().rsplit(')', 1)[1].split()[1])
        except (OSError, IndexError):
            continue
    found = [p for p, up in parent.items() if up == pid]
    return found + [q for p in found for q, up in parent.items() if up == p]


def proc_value(pid, file, key):
    for line in pathlib.Path(f'/proc/{pid}/{file}').read_text().splitlines():
        if line.startswith(key + ':'):
            return int(line.split()[1])
    raise KeyError(key)


def snapshot(pid, wire):
    user, system = cpu(pid)
    return {'t': time.time(), 'user': user, 'system': system, 'wire': wire.read(),
            'signer': sum(sum(cpu(p)) for p in below(pid)),
            'disk': proc_value(pid, 'io', 'write_bytes')}


def requests_taken(sim, log):
    """Ends the simulator; what it says of the Modbus requests that came in all."""
    os.kill(sim.pid, signal.SIGTERM)
    sim.wait(10)
    sim.drain.join(10)
    return next(int(line.split()[1]) for line in open(log) if line.startswith('requests '))


def readings_held(binaries, work):
    """Readings of the whole run, sealed or not."""
    export = subprocess.Popen([binaries / 'fieldpost', 'export', '--config', work / 'fieldpost.yaml',
                               '--format', 'csv'], stdout=subprocess.PIPE)
    held = sum(1 for _ in export.stdout) - 1
    if export.wait() != 0:
        sys.exit('fieldpost export failed')
    return held


def city_rows(binaries, work):
    dump = subprocess.Popen([binaries / 'fieldpost-city', 'dump', '--config', work / 'city/city.yaml', '--format',
                             'csv'], stdout=subprocess.PIPE, text=True)
    rows = csv.reader(dump.stdout)
    next(rows)
    for row in rows:
        yield row
    if dump.wait() != 0:
        sys.exit('fieldpost-city dump failed')


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f'gave up waiting: {what}')
        time.sleep(0.1)


def held(work):
    """Batches and journal rows that the city has not acknowledged, read from the store."""
    import sqlite3
    db = sqlite3.connect(f'file:{work}/fieldpost.db?mode=ro', uri=True)
    last = db.execute('SELECT coalesce(max(last_seq), 0) FROM chain').fetchone()[0]
    ack = db.execute('SELECT coalesce(max(z), 0) FROM ack WHERE a = 1').fetchone()[0]
    db.close()
    return last, ack


def at_acknowledgement(pid, wire, work, seq):
    wait_for(lambda: held(work)[1] >= seq, 90, f'acknowledgement of batch {seq}')
    return held(work)[1], snapshot(pid, wire)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--bin', type=pathlib.Path, required=True)
    p.add_argument('--seconds', type=int, default=120)
    p.add_argument('--max-readings', type=int, default=20000)
    p.add_argument('--seal-every', default='5min')
    p.add_argument('--smaps', help='copy the memory map of the gateway to this file')
    p.add_argument('--keep', action='store_true', help='leave the work folder')
    a = p.parse_args()
    a.bin = a.bin.resolve()
    root = pathlib.Path(__file__).resolve().parents[2]
    work = root / 'build' / 'bench-line'
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / 'data').symlink_to(root / 'tests/data')
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))

    write_site(work, trace_series(root / 'tests/data'))
    make_keys(work, a.bin)
    subprocess.run([a.bin / 'fieldpost-city', 'enroll', '--config', work / 'city/city.yaml', '--id', 'bench-01',
                    '--key', work / 'device.pub'], check=True, stdout=subprocess.DEVNULL)
    procs, wire = [], None
    try:
        city, lines = start([a.bin / 'fieldpost-city', 'serve', '--config', work / 'city/city.yaml'], 'listening on',
                            work / 'city.log')
        procs.append(city)
        port = int(lines[-1].rsplit(':', 1)[1].split('/')[0])
        sim, lines = start([a.bin / 'fieldpost-sim', '--config', work / 'site.yaml', '--log', work / 'served.csv'],
                           'ready', work / 'sim.log', 'stdout')
        procs.append(sim)
        buses = [tuple(x.split()[1:3]) for x in lines if x.startswith('bus ')]
        gateway_config(work, port, buses, a)
        wire = Wire(port)
        gw, _ = start([a.bin / 'fieldpost', 'run', '--config', work / 'fieldpost.yaml'], 'page http',
                      work / 'gateway.log')
        procs.append(gw)
        # Steady state: the first batches are at the city. The window begins and ends with an
        # acknowledgement, so that it holds whole batches.
        first, before = at_acknowledgement(gw.pid, wire, work, 3)
        start_peak = proc_value(gw.pid, 'status', 'VmHWM')
        pathlib.Path(f'/proc/{gw.pid}/clear_refs').write_text('5')  # the peak begins anew
        time.sleep(a.seconds)
        last, after = at_acknowledgement(gw.pid, wire, work, held(work)[1] + 1)
        if a.smaps:
            shutil.copy(f'/proc/{gw.pid}/smaps', a.smaps)
        rss, peak = proc_value(gw.pid, 'status', 'VmRSS'), proc_value(gw.pid, 'status', 'VmHWM')
        requests = requests_taken(sim, work / 'sim.log')
        os.kill(gw.pid, signal.SIGTERM)
        gw.wait(10)
        in_all = readings_held(a.bin, work)
        # Readings of the window at the far side: rows whose batch was acknowledged inside it.
        readings = 0
        for row in city_rows(a.bin, work):
            if first < int(row[6]) <= last:
                readings += 1
    finally:
        for q in procs:
            if q.poll() is None:
                q.terminate()
        if wire:
            wire.close()
    if readings == 0:
        sys.exit('no reading arrived in the window')

    user, system = after['user'] - before['user'], after['system'] - before['system']
    disk, net = after['disk'] - before['disk'], after['wire'] - before['wire']
    seconds = after['t'] - before['t']
    raw = [('window', f'{seconds:.1f}', 's'), ('readings_at_city', readings, 'count'),
           ('readings_offered', round(DEVICES * REGISTERS * seconds), 'count'),
           ('requests_in_all', requests, 'count'), ('readings_in_all', in_all, 'count'),
           ('user_time', f'{user:.2f}', 's'), ('system_time', f'{system:.2f}', 's'),
           ('signer_time', f'{after["signer"] - before["signer"]:.2f}', 's'),
           ('write_bytes', disk, 'B'), ('wire_bytes', net, 'B'), ('rss_peak', f'{peak / 1024:.1f}', 'MiB'),
           ('rss_peak_of_start', f'{start_peak / 1024:.1f}', 'MiB')]
    for name, value, unit in raw:
        print(f'line.raw.{name} {value} {unit}')
    print(f'line.cpu_s_per_1m {(user + system) * 1e6 / readings:.3f} s')
    print(f'line.requests_per_reading {requests / in_all:.4f} 1')
    print(f'line.rss_mib {rss / 1024:.1f} MiB')
    print(f'line.disk_b_per_reading {disk / readings:.2f} B')
    print(f'line.wire_b_per_reading {net / readings:.2f} B')
    if not a.keep:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == '__main__':
    main()
