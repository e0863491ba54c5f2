"""The real gateway on a site that fieldpost-sim plays, with faults on demand; what the gateway stored is
held against the simulator's own log of what it served."""
import csv
import os
import select
import subprocess
import threading
import tty

import fp_tied
from fp_proc import Case, Gateway, until, write

PROFILE = """model: fault counter
points:
  - {name: level, quantity: number, function: 3, address: 10, type: u16}
  - {name: volts, quantity: voltage, function: 3, address: 12, type: f32}
  - {name: power, quantity: number, function: 3, address: 16, type: s32}
  - {name: poll, quantity: number, function: 3, address: 20, type: u32}
"""
PATIENCE = 150  # a machine too busy for two answers running makes a poll wait for a minute
POINTS = ("level", "volts", "power", "poll")
VALUES = ("points: {level: {formula: ramp, from: 1, to: 999, step: 1}, "
          "volts: {formula: ramp, from: 200.3, to: 300, step: 0.7}, "
          "power: {formula: ramp, from: -5000, to: 5000, step: 7}}")


class Sim:
    """fieldpost-sim with its control input; where[bus] is a TCP address or a pty."""

    def __init__(self, bindir, site, log):
        self.log, self.where = log, {}
        self.p = fp_tied.popen([os.path.join(bindir, "fieldpost-sim"), "--config", site,
                                "--log", log], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
        while (line := self.p.stdout.readline().strip()) != "ready":
            if not line:
                raise AssertionError("the simulator ended")
            _, bus, where = line.split()
            self.where[bus] = where

    def say(self, text):
        self.p.stdin.write(text + "\n")
        self.p.stdin.flush()
        answer = self.p.stdout.readline().strip()
        if answer != "ok":
            raise AssertionError(f"{text}: {answer}")

    def stop(self):
        if self.p.poll() is None:
            self.p.terminate()
            self.p.communicate(timeout=20)

    def served(self):
        """{(device, counter): {point: value}}"""
        out = {}
        with open(self.log, encoding="ascii") as f:
            for r in csv.DictReader(f):
                out.setdefault((r["device"], int(r["counter"])), {})[r["point"]] = r["value"]
        return out


class SiteCase(Case):
    """A gateway, and a site of `buses` (id: text of the simulator's bus) and `devices` (id: (bus, unit,
    more of the simulator's device))."""

    def play(self, buses, devices, profile=PROFILE, values=VALUES):
        write(os.path.join(self.folder, "fault.yaml"), profile)
        lines = [f"  {k}: {{{v}}}" for k, v in buses.items()]
        lines += ["devices:"]
        lines += [f"  {k}: {{bus: {bus}, unit: {unit}, profile: ./fault.yaml, counter: poll, {values}"
                  f"{', ' + more if more else ''}}}" for k, (bus, unit, more) in devices.items()]
        site = write(os.path.join(self.folder, "site.yaml"), "buses:\n" + "\n".join(lines) + "\n")
        self.sim = Sim(self.args.bin, site, os.path.join(self.folder, "served.csv"))
        self.stack.callback(self.sim.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        return self.sim

    def configure(self, buses, devices, every="200ms"):
        """buses: id: text; devices: id: (bus, unit)."""
        self.gw.config("buses:\n" + "\n".join(f"  {k}: {{{v}}}" for k, v in buses.items()) +
                       "\ndevices:\n" + "\n".join(
                           f"  {k}: {{bus: {bus}, unit: {unit}, profile: ../fault.yaml, "
                           f"every: {every}}}" for k, (bus, unit) in devices.items()))

    def tcp(self, bus):
        host, port = self.sim.where[bus].rsplit(":", 1)
        return f"type: modbus-tcp, host: {host}, port: {port}"

    def start(self):
        self.gw.start()

    def ask(self, path):
        return self.gw.get(path)

    def device(self, name):
        return next(d for d in self.ask("/api/v1/status")["devices"] if d["id"] == name)

    def points(self, name):
        return {p["point"]: p for p in self.ask("/api/v1/series")["series"] if p["device"] == name}

    def value(self, name, point="poll"):
        """The last value that came in; None: none is there, or the newest poll misses it."""
        p = self.points(name)[point]
        return None if p.get("missing") else p["value"]

    def good_polls(self, name, n=3, seconds=PATIENCE):
        """Until n more good polls."""
        at = {"first": None}

        def more():
            v = self.value(name)
            if v is None:
                return False
            if at["first"] is None or v < at["first"]:
                at["first"] = v
            return v >= at["first"] + n
        until(more, seconds, f"{n} good polls of {name}: {self.device(name)}")

    def events(self, code):
        return [e for e in self.ask("/api/v1/events")["events"] if e["code"] == code]

    def truth(self, swapped=()):
        """Stops the gateway; every poll that it stored is one that the simulator served, whole, and
        none is there twice. Returns how many there were."""
        self.assertEqual(self.gw.stop(), 0)
        self.sim.stop()
        served, polls, seen = self.sim.served(), {}, set()
        for r in self.gw.export():
            device, point = r[0].split("/")
            if device in self.names:
                polls.setdefault((device, r[1]), {})[point] = r
        wrong = []
        for (device, t), rows in polls.items():
            if set(rows) != set(POINTS):
                wrong.append(f"{device} at {t}: only {sorted(rows)}")
                continue
            n = int(rows["poll"][2])
            want = served.get((device, n))
            got = {p: rows[p][2] for p in POINTS}
            if (device, n) in seen:
                wrong.append(f"{device}: poll {n} is there twice")
            seen.add((device, n))
            if want is None or {p: float(v) for p, v in got.items()} != \
                    {p: float(want[p]) for p in POINTS}:
                wrong.append(f"{device} at {t}: stored {got}, served {want}")
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong[:20]))
        return len(seen)


class Adapter:
    """A USB adapter: what the gateway opens is a pty of its own behind a link that keeps its name,
    and the line is the simulator's pty. unplug() takes both away, plug() brings another number."""

    def __init__(self, link, line):
        self.link, self.name, self.kept, self.master = link, None, [], None
        self.stopped = threading.Event()
        self.far = os.open(line, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.far)
        self.plug()

    def plug(self):
        master, slave = os.openpty()
        while os.ttyname(slave) == self.name:  # another number than before
            self.kept[:0] = master, slave
            master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self.name = os.ttyname(slave)
        self.kept.append(slave)  # holds the pty through the gateway's opening and closing
        os.symlink(self.name, self.link)
        self.master = master
        self.thread = threading.Thread(target=self._pass, args=(master,), daemon=True)
        self.thread.start()

    def unplug(self):
        os.unlink(self.link)
        master, self.master = self.master, None
        self.thread.join()  # or it would go on with whatever has these numbers next
        os.close(self.kept.pop())
        os.close(master)

    def _pass(self, master):
        try:
            while not self.stopped.is_set() and self.master == master:
                for fd in select.select([master, self.far], [], [], 0.1)[0]:
                    data = os.read(fd, 512)
                    os.write(self.far if fd == master else master, data)
        except (OSError, ValueError):
            pass

    def close(self):
        self.stopped.set()
        self.thread.join()
        for fd in self.kept + [self.far] + ([self.master] if self.master is not None else []):
            os.close(fd)
