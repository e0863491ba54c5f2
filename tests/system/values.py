"""Values that must not be believed: another meter on the cable, a counter that falls or jumps. A
slave of our own, the real gateway, `fieldpost maintain`, its export and its chart."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from fp_slave import SILENT, Slave  # noqa: E402

LIMITS, FAULT = 1, 4

PROFILE = """model: a meter
points:
  - {name: energy, quantity: energy_import, function: 3, address: 0, type: u16, scale: 0.1}
  - {name: power, quantity: active_power, function: 3, address: 1, type: u16}
  - {name: serial, identity: serial, function: 3, address: 10, type: string, count: 4}
"""


class Meter:
    """Its registers; `away`: it does not answer; `once`: what the next answer alone shows."""

    def __init__(self, serial, energy=1000):
        self.serial, self.energy, self.away, self.once = serial, energy, False, None

    def read(self, function, address, count):
        if self.away:
            return SILENT
        text = self.serial.encode().ljust(8, b"\0")
        regs = {0: self.energy, 1: 500}
        if self.once is not None and address == 0:
            regs[0], self.once = self.once, None
        regs.update({10 + i: int.from_bytes(text[2 * i:2 * i + 2], "big") for i in range(4)})
        if function != 3 or any(address + i not in regs for i in range(count)):
            return 2
        return [regs[address + i] for i in range(count)]


class Values(Case):
    def setUp(self):
        super().setUp()
        self.meter = Meter("A-100")
        self.other = Meter("C-300", 65530)
        self.slave = Slave({1: self.meter, 2: self.other})
        self.stack.callback(self.slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "meter.yaml"), PROFILE)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 100ms}}
devices:
  m: {{bus: plant, unit: 1, profile: ./meter.yaml, every: 200ms}}
  n: {{bus: plant, unit: 2, profile: ./meter.yaml, every: 200ms}}
""", every="1s")

    def start(self):
        self.gw.start()

    def events(self):
        return [(e["code"], e["text"]) for e in self.gw.get("/api/v1/events?limit=200")["events"]]

    def wait_event(self, code):
        until(lambda: any(c == code for c, _ in self.events()), 30, code)
        return next(t for c, t in self.events() if c == code)

    def newest(self, point, device="m"):
        """(value, quality) of the newest reading of the store."""
        rows = self.gw.export("--series", f"{device}/{point}")
        return (rows[-1][2], int(rows[-1][3])) if rows else None

    def wait_newest(self, point, q):
        until(lambda: (self.newest(point) or (0, -1))[1] == q, 30, f"{point} with quality {q}", 0.2)

    def maintain(self, *args):
        return run([self.gw.exe, "maintain", "--config", self.gw.conf, *args], 60)

    def test_identity_of_a_meter_that_was_changed_is_asked_for_until_it_is_said(self):
        self.start()
        self.wait_newest("energy", 0)
        self.meter.away = True
        until(lambda: any(c == "device.silent" for c, _ in self.events()), 30, "silence")
        self.meter.serial, self.meter.energy, self.meter.away = "B-200", 60000, False
        text = self.wait_event("device.changed")
        self.assertIn("B-200 instead of A-100", text)
        self.assertIn("fieldpost maintain m/energy meter --from T last=N first=N old_serial=A-100 "
                      "new_serial=B-200", text)
        self.wait_newest("energy", FAULT)
        rows = [(r[2], int(r[3])) for r in self.gw.export("--series", "m/energy")]
        self.assertEqual({q for v, q in rows if v == "6000"}, {FAULT}, "the first one, too")
        self.assertEqual({q for v, q in rows if v == "100"}, {0})
        said = run([self.gw.exe, "status", "--config", self.gw.conf, "--json"], 30).stdout
        self.assertIn("Serial number B-200 instead of A-100", said)
        # a restart forgets nothing
        self.assertEqual(self.gw.stop(), 0)
        self.start()
        n = len(self.gw.export("--series", "m/energy"))
        until(lambda: len(self.gw.export("--series", "m/energy")) > n, 30, "readings", 0.2)
        self.assertEqual(self.newest("energy"), ("6000", FAULT))
        at = self.gw.export("--series", "m/energy")[n][1]
        self.maintain("m/*", "swap", "--from", at, "old_serial=A-100", "new_serial=B-200")
        self.wait_newest("power", 0)
        self.assertEqual(self.newest("energy"), ("6000", FAULT), "what it began at nobody said")
        self.maintain("m/energy", "meter", "--from", at, "last=100", "first=6000",
                      "old_serial=A-100", "new_serial=B-200")
        self.wait_newest("energy", 0)
        self.assertEqual(self.wait_event("device.known"),
                         "its serial number is B-200, as it should be: its readings count")
        self.assertEqual(self.gw.stop(), 0)
        self.start()
        n = len(self.gw.export("--series", "m/energy"))
        until(lambda: len(self.gw.export("--series", "m/energy")) > n, 30, "readings", 0.2)
        self.assertEqual(self.newest("energy"), ("6000", 0), "and it stays known")


    def becomes(self, meter, device, energy, value, q):
        meter.energy = energy
        until(lambda: self.newest("energy", device) == (value, q), 30, f"{value} with {q}", 0.2)

    def grown(self, series, begin):
        """(how far it grew, resets) since begin, in the chart."""
        chart = self.gw.get(f"/api/v1/chart?series={series}&from={begin}&to="
                            f"{int(time.time() * 1000) + 1000}&points=1")
        return round(sum(x for x in chart["grown"] if x is not None), 6), sum(chart["resets"])

    def test_E4_what_cannot_be_is_kept_flagged_and_not_counted(self):
        begin = int(time.time() * 1000)
        self.start()
        self.becomes(self.meter, "m", 1000, "100", 0)
        self.becomes(self.meter, "m", 1010, "101", 0)
        for once, text in ((60000, "6000"), (20, "2")):
            self.meter.once = once
            until(lambda: any(r[2] == text and int(r[3]) == LIMITS for r in
                              self.gw.export("--series", "m/energy")), 30, text, 0.2)
        self.becomes(self.meter, "m", 1020, "102", 0)
        self.becomes(self.other, "n", 65530, "6553", 0)
        self.becomes(self.other, "n", 5, "0.5", 0)
        # the same with what was sealed, and the rollover with its signed entry
        until(lambda: any(c == "request.sealed" for c, _ in self.events()), 30, "the entry")
        until(lambda: self.grown("n/energy", begin) == (1.1, 0), 30, "the rollover to be counted")
        self.assertEqual(self.grown("m/energy", begin), (2, 0), "neither the spike nor the fall")
        self.becomes(self.meter, "m", 30000, "3000", LIMITS)
        at = max(int(r[1]) for r in self.gw.export("--series", "m/energy") if r[2] == "102")
        self.assertIn("fieldpost maintain m/energy meter --from T last=102 first=3000",
                      self.wait_event("counter.jump"))
        self.gw.kill()  # a doubt outlives it
        self.start()
        self.becomes(self.meter, "m", 30001, "3000.1", LIMITS)
        self.assertEqual(self.grown("m/energy", begin), (2, 0))
        self.maintain("m/energy", "meter", "--from", str(at + 1), "last=102", "first=3000")
        self.becomes(self.meter, "m", 30002, "3000.2", 0)
        until(lambda: self.grown("m/energy", begin) == (2.2, 0), 30, "what was changed to count")


if __name__ == "__main__":
    main(needs=("fieldpost",))
