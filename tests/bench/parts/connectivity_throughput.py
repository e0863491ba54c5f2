"""Part of the bench connectivity: throughput of the gateway's probe beside iperf3, over the same veth in one run.

Each runs in turn, both ways, with four connections for as long: over a link that the kernel holds to 1 Gbit/s, as
boards' ports have it, and over one that nothing holds, where the processors are the limit of both."""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / 'support/python')]
NEAR, FAR, CONNECTIONS, RAMP_S, WINDOW_S, ROUNDS = '10.9.0.1', '10.9.0.2', 4, 2, 6, 3
SHAPE = {'1g': 'rate 1gbit burst 256kb latency 20ms', 'free': None}
WAYS = {'download': ['-R'], 'upload': []}


def say(name, value, unit):
    print(name, f'{value:.6g}' if isinstance(value, float) else value, unit, flush=True)


def sh(*words):
    subprocess.run(words, check=True)


class Far:
    """The other end, in a network namespace of its own: the speed server and iperf3's."""

    def __init__(self):
        code = ('import subprocess, sys; print(flush=True); sys.stdin.readline(); '
                f'i = subprocess.Popen(["iperf3", "-s", "-B", "{FAR}"], stdout=subprocess.DEVNULL); '
                f'subprocess.call([sys.executable, {str(HERE.parents[1] / "support/python/fp_speed.py")!r}, '
                f'"--listen", "{FAR}"]); i.terminate(); i.wait()')
        self.p = subprocess.Popen(['unshare', '--net', '--', sys.executable, '-c', code], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.p.stdout.readline()
        self.inside = ['nsenter', '-t', str(self.p.pid), '-n']
        sh('ip', 'link', 'add', 'near', 'type', 'veth', 'peer', 'name', 'far', 'netns', str(self.p.pid))
        sh('ip', 'addr', 'add', NEAR + '/24', 'dev', 'near')
        sh('ip', 'link', 'set', 'near', 'up')
        sh(*self.inside, 'ip', 'addr', 'add', FAR + '/24', 'dev', 'far')
        sh(*self.inside, 'ip', 'link', 'set', 'far', 'up')
        self.p.stdin.write('\n')
        self.p.stdin.flush()
        self.port = int(self.p.stdout.readline())

    def shape(self, how):
        for where, name in (([], 'near'), (self.inside, 'far')):
            subprocess.run([*where, 'tc', 'qdisc', 'del', 'dev', name, 'root'], check=False, stderr=subprocess.DEVNULL)
            if how:
                sh(*where, 'tc', 'qdisc', 'add', 'dev', name, 'root', 'tbf', *how.split())

    def stop(self):
        self.p.stdin.close()
        self.p.wait(20)


def iperf(way):
    words = ['iperf3', '-c', FAR, '-t', str(WINDOW_S), '-O', str(RAMP_S), '-P', str(CONNECTIONS), '-J', *WAYS[way]]
    end = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)['end']
    return end['sum_received']['bytes'], end['sum_received']['bits_per_second'] / 1e6


def probe(gateway, way):
    r = subprocess.run([gateway.exe, 'throughput', '--config', gateway.conf, '--yes', '--json', way],
                       capture_output=True, text=True, check=False)
    x = json.loads(r.stdout)[way]
    if 'mbit' not in x:
        sys.exit(f'{way}: {x["result"]}: {x["text"]}')
    return x['bytes'], x['mbit'], x['code'], x['load_percent']


def inside(binaries):
    from fp_proc import Gateway  # pylint: disable=import-outside-toplevel
    sh('ip', 'link', 'set', 'lo', 'up')
    far, ratios = Far(), {}
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(binaries, folder)
        usual = f'every: 31d, size: 100GB, budget: 1000GB, ramp: {RAMP_S}s, duration: {WINDOW_S}s'
        gateway.config(f'''connectivity:
  throughput:
    download: {{down: "http://{FAR}:{far.port}/endless", interface: near, {usual}}}
    upload: {{up: "http://{FAR}:{far.port}/sink", interface: near, {usual}}}
''')
        gateway.start()
        for shape, how in SHAPE.items():
            far.shape(how)
            for way in WAYS:
                pairs = []
                for k in range(ROUNDS):
                    theirs, ours = iperf(way), probe(gateway, way)
                    name = f'raw.{shape}_{way}_{k}'
                    say(name + '_iperf3_bytes', theirs[0], 'B')
                    say(name + '_iperf3', theirs[1], 'Mbit/s')
                    say(name + '_probe_bytes', ours[0], 'B')
                    say(name + '_probe', ours[1], 'Mbit/s')
                    say(name + '_result', ours[2], 'code')
                    say(name + '_load', ours[3], '%')
                    pairs.append(ours[1] / theirs[1])
                ratios[shape, way] = statistics.median(pairs)
                say(f'connectivity.vs_iperf3_{shape}_{way}', ratios[shape, way], 'ratio')
        gateway.stop()
    far.stop()
    say('connectivity.vs_iperf3', min(r for (shape, _), r in ratios.items() if shape == '1g'), 'ratio')


def bench(binaries):
    """In namespaces of its own, so that nothing of the machine's network is touched."""
    sys.stdout.flush()
    r = subprocess.run(['unshare', '--user', '--map-root-user', '--net', '--mount', '--', sys.executable, __file__,
                        str(binaries)], check=False)
    if r.returncode:
        sys.exit('connectivity throughput: no figure; it takes a network namespace, tc and iperf3')


if __name__ == '__main__':
    if sys.argv[1] == '--bin':
        bench(os.path.abspath(sys.argv[2]))
    else:
        sh('mount', '-t', 'sysfs', 'sysfs', '/sys')
        inside(os.path.abspath(sys.argv[1]))
