"""Values that must not be believed: another meter on the cable. A slave of our own, the real
gateway, `fieldpost maintain` and its export."""
import json
import os
import sys
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from fp_slave import SILENT, Slave  # noqa: E402

FAULT = 4

PROFILE = """model: a meter
points:
  - {name: energy, quantity: energy_import, function: 3, address: 0, type: u16, scale: 0.1}
  - {name: power, quantity: active_power, function: 3, address: 1, type: u16}
  - {name: serial, identity: serial, function: 3, address: 10, type: string, count: 4}
"""


class Meter:
    """Its registers; `away`: it does not answer."""

    def __init__(self, serial, energy=1000):
        self.serial, self.energy, self.away = serial, energy, False

    def read(self, function, address, count):
        if self.away:
            return SILENT
        text = self.serial.encode().ljust(8, b"\0")
        regs = {0: self.energy, 1: 500}
        regs.update({10 + i: int.from_bytes(text[2 * i:2 * i + 2], "big") for i in range(4)})
        if function != 3 or any(address + i not in regs for i in range(count)):
            return 2
        return [regs[address + i] for i in range(count)]


class Values(Case):
    def setUp(self):
        super().setUp()
        self.meter = Meter("A-100")
        self.slave = Slave({1: self.meter})
        self.stack.callback(self.slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "meter.yaml"), PROFILE)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 100ms}}
devices:
  m: {{bus: plant, unit: 1, profile: ./meter.yaml, every: 200ms}}
""", every="1s")

    def start(self):
        self.gw.start()
        self.page = self.gw.proc.wait_line(r"page (http://\S+?)/?(\s|$)").group(1)

    def events(self):
        with urllib.request.urlopen(self.page + "/api/v1/events?limit=200", timeout=10) as a:
            return [(e["code"], e["text"]) for e in json.load(a)["events"]]

    def wait_event(self, code):
        until(lambda: any(c == code for c, _ in self.events()), 30, code)
        return next(t for c, t in self.events() if c == code)

    def newest(self, point):
        """(value, quality) of the newest reading of the store."""
        rows = [r for r in self.gw.export("--series", f"m/{point}")]
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


if __name__ == "__main__":
    main(needs=("fieldpost",))
