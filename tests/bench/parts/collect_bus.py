"""Parts of the bench collect: what dead devices cost a serial line, and 500 TCP devices: CPU, memory, and how punctual polls are.

sick: eight devices, three of them dead, on a line of 9600 baud that takes the time that the wire takes.
many: 500 TCP devices of 20 registers, each polled every second. punctual: one device, polled every 100 ms.
"""
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from collect import Hub, say

BAUD, SILENCE_S = 9600, 3.5 * 10 / 9600
ALIVE, DEAD, EVERY_MS, TIMEOUT_S = (1, 2, 3, 4, 5), (101, 102, 103), 2000, 0.5
DEVICES, REGISTERS = 500, 20
PROFILE = 'model: bench\npoints:\n' + ''.join(
    f'  - {{name: r{i:02d}, quantity: number, function: 3, address: {i}, type: u16}}\n'
    for i in range(REGISTERS - 1)) + \
    f'  - {{name: poll, quantity: number, function: 3, address: {REGISTERS - 1}, type: u16}}\n'


class Sim:
    def __init__(self, binaries, site):
        self.bus = {}
        self.p = subprocess.Popen([binaries / 'fieldpost-sim', '--config', site], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True)
        while (line := self.p.stdout.readline().split()) != ['ready']:
            if not line:
                sys.exit('the simulator ended')
            self.bus[line[1]] = line[2]

    def stop(self):
        self.p.terminate()
        self.p.communicate(timeout=20)


class Gateway:
    def __init__(self, binaries, work, body):
        self.binaries, self.conf = binaries, work / 'fieldpost.yaml'
        subprocess.run([binaries / 'fieldpost', 'keygen', '--out', work / 'k'], check=True, capture_output=True)
        self.conf.write_text(f'gateway: {{id: bench}}\nstore: {{path: {work}/s.db}}\nseal: {{key: {work}/k, '
                             f'max_readings: 20000}}\nweb: {{listen: "off"}}\n{body}')
        self.p = subprocess.Popen([binaries / 'fieldpost', 'run', '--config', self.conf],
                                  stdout=subprocess.DEVNULL)

    def stop(self):
        self.p.terminate()
        if self.p.wait(30) != 0:
            sys.exit('the gateway ended with a failure')

    def rows(self, series):
        """(device, time) of what is held of a point."""
        text = subprocess.run([self.binaries / 'fieldpost', 'export', '--config', self.conf, '--format', 'csv',
                               '--series', series], check=True, capture_output=True, text=True).stdout
        return [(f[0].split('/')[0], int(f[1])) for f in (x.split(',') for x in text.splitlines()[1:])]

    def cpu_s(self):
        fields = pathlib.Path(f'/proc/{self.p.pid}/stat').read_text().rsplit(')', 1)[1].split()
        return sum(int(x) for x in fields[11:13]) / os.sysconf('SC_CLK_TCK')

    def rss_kib(self, key='VmRSS'):
        text = pathlib.Path(f'/proc/{self.p.pid}/status').read_text()
        return next(int(x.split()[1]) for x in text.splitlines() if x.startswith(key + ':'))


# ---- sick ----------------------------------------------------------------------------------------

def dead_s(log):
    """Line time of requests to the dead: from the first byte of each until somebody else speaks, at most the
    time-out behind its end. (requests, seconds)"""
    out = [x for x in log if x[0]]
    spent = [min(b[1], a[2] + TIMEOUT_S + SILENCE_S) - a[1] for a, b in zip(out, out[1:]) if a[3][0] in DEAD]
    return len(spent), sum(spent)


def carry(hub, seconds):
    try:
        hub.run(seconds)
    except OSError:
        pass  # the simulator has ended


def sick_part(a):
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / 'bench.yaml').write_text(PROFILE)
        (work / 'site.yaml').write_text('buses: {line: {type: modbus-rtu}}\ndevices:\n' + ''.join(
            f'  d{u}: {{bus: line, unit: {u}, profile: {work}/bench.yaml}}\n' for u in ALIVE))
        sim = Sim(a.bin, work / 'site.yaml')
        hub = Hub(sim.bus['line'], 0)
        threading.Thread(target=carry, args=(hub, a.window + 90), daemon=True).start()
        gateway = Gateway(a.bin, work, 'buses: {line: {type: modbus-rtu, port: %s, baud: %d, timeout: %dms}}\n'
                          'devices:\n' % (hub.name, BAUD, TIMEOUT_S * 1000) + ''.join(
                              f'  d{u}: {{bus: line, unit: {u}, profile: {work}/bench.yaml, every: {EVERY_MS}ms}}\n'
                              for u in ALIVE + DEAD))
        try:
            begun_s = time.monotonic()
            while not {x[3][0] for x in list(hub.log) if x[0]} >= set(ALIVE + DEAD):
                if time.monotonic() > begun_s + 60 or gateway.p.poll() is not None:
                    sys.exit('not all devices were asked')
                time.sleep(0.1)
            time.sleep(2 * EVERY_MS / 1000)  # the first look at who is there is no steady state
            from_s = time.monotonic()
            time.sleep(a.window)
            window_s = time.monotonic() - from_s
            log = [x for x in list(hub.log) if x[1] >= from_s]
        finally:
            gateway.stop()
            sim.stop()
    gaps = []  # on the wire, whatever stamps say
    for u in ALIVE:
        times = [x[1] * 1000 for x in log if x[0] and x[3][0] == u]
        gaps += [y - x for x, y in zip(times, times[1:])]
    probes, dead = dead_s(log)
    busy = sum(x[2] - x[1] for x in log)
    say('raw.sick_window_s', window_s, 's')
    say('raw.sick_polls', len(gaps), 'intervals between polls of the healthy')
    say('raw.sick_longest_ms', max(gaps), 'ms')
    say('raw.sick_bytes_s', busy, 's of bytes on the wire')
    say('raw.sick_dead_requests', probes, 'requests')
    say('raw.sick_dead_s', dead, 's')
    say('collect.healthy_late_pct', 100.0 * (max(gaps) - EVERY_MS) / EVERY_MS, '%')
    say('collect.dead_bus_pct', 100 * dead / window_s, '%')


# ---- many, punctual ------------------------------------------------------------------------------

class Slave:
    """One TCP device that notes when it was asked."""

    def __init__(self):
        self.s, self.asked = socket.create_server(('127.0.0.1', 0)), []
        self.port = self.s.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            c = self.s.accept()[0]
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while data := c.recv(12):
                self.asked.append(time.time())
                tid, _, _, unit, function, _, n = struct.unpack('>HHHBBHH', data)
                c.sendall(struct.pack('>HHHBBB', tid, 0, 3 + 2 * n, unit, function, 2 * n) + bytes(2 * n))


def late_ms(asked, every_s):
    """How long behind its tick each request came, sorted."""
    return sorted((t % every_s) * 1000 for t in asked)


# Sleeps until each tick, and does nothing else: what this machine makes of a timer.
SLEEPER = """import sys, time
end = time.time() + float(sys.argv[1])
while (now := time.time()) < end:
    time.sleep(0.1 - now % 0.1)
    print(time.time())
"""


def punctual_part(a):
    slave = Slave()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / 'bench.yaml').write_text(PROFILE)
        gateway = Gateway(a.bin, work, f'buses: {{b: {{type: modbus-tcp, host: 127.0.0.1, port: {slave.port}}}}}\n'
                          f'devices: {{d: {{bus: b, unit: 1, profile: {work}/bench.yaml, every: 100ms}}}}\n')
        try:
            time.sleep(2)
            n = len(slave.asked)
            woken = subprocess.run([sys.executable, '-c', SLEEPER, str(a.window)], check=True, text=True,
                                   capture_output=True).stdout.split()
            late, machine = late_ms(slave.asked[n:], 0.1), late_ms(map(float, woken), 0.1)
        finally:
            gateway.stop()
    say('raw.punctual_polls', len(late), 'polls')
    say('raw.punctual_median_ms', late[len(late) // 2], 'ms')
    say('raw.punctual_p99_ms', late[len(late) * 99 // 100], 'ms')
    say('raw.punctual_machine_ms', machine[-1] - machine[0], 'ms')
    say('collect.jitter_ms', late[-1] - late[0], 'ms')


def many_part(a):
    slave = Slave()
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        (work / 'bench.yaml').write_text(PROFILE)
        (work / 'site.yaml').write_text(f'generate: {{count: {DEVICES}, prefix: dev, profile: {work}/bench.yaml, '
                                        'bus_each: modbus-tcp, counter: poll, points: {r00: {formula: ramp, from: 1, '
                                        'to: 60000, step: 1}, r01: {formula: walk, from: 100, to: 900, step: 3}}}\n')
        sim = Sim(a.bin, work / 'site.yaml')
        hosts = {k: v.rsplit(':', 1) for k, v in sim.bus.items()} | {'own': ('127.0.0.1', slave.port)}
        gateway = Gateway(a.bin, work, 'buses:\n' + ''.join(
            f'  {k}: {{type: modbus-tcp, host: {h}, port: {p}}}\n' for k, (h, p) in hosts.items()) + 'devices:\n' +
            ''.join(f'  d-{k}: {{bus: {k}, unit: 1, profile: {work}/bench.yaml, every: 1s}}\n' for k in hosts))
        try:
            time.sleep(10)  # connected, and a journal commit behind it
            from_s, cpu, n = time.time(), gateway.cpu_s(), len(slave.asked)
            time.sleep(a.window)
            to_s, cpu, late = time.time(), gateway.cpu_s() - cpu, late_ms(slave.asked[n:], 1)
            if a.smaps:
                a.smaps.write_text(pathlib.Path(f'/proc/{gateway.p.pid}/smaps').read_text())
            rss, peak = gateway.rss_kib(), gateway.rss_kib('VmHWM')
        finally:
            gateway.stop()
            sim.stop()
        polls = sum(1 for _, t in gateway.rows('*/poll') if from_s * 1000 <= t < to_s * 1000)
    readings = polls * REGISTERS
    say('raw.many_window_s', to_s - from_s, 's')
    say('raw.many_readings', readings, 'readings')
    say('raw.many_cpu_s', cpu, 's')
    say('raw.many_rss_peak_mib', peak / 1024, 'MiB')
    say('raw.many_late_median_ms', late[len(late) // 2], 'ms')
    say('raw.many_late_worst_ms', late[-1], 'ms')
    say('collect.readings_per_s', readings / (to_s - from_s), '1/s')
    say('collect.cpu_s_per_1m', cpu * 1e6 / readings, 's')
    say('collect.rss_mib', rss / 1024, 'MiB')


PARTS = {'sick': sick_part, 'punctual': punctual_part, 'many': many_part}
