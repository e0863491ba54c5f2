"""Texts and states of a device: events in words, once, over restarts; no series; in `status`."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from fp_slave import Bank, Slave  # noqa: E402

PROFILE = """model: a water meter
points:
  - {name: total, quantity: counter, function: 3, address: 0, type: u16}
  - name: mode
    function: 3
    address: 1
    type: u16
    states:
      - {value: 1, name: running}
      - {value: 7, name: fault, severity: error, do: Call the maker.}
  - name: alarms
    quantity: status
    function: 3
    address: 2
    type: u16
    bits:
      - {bit: 0, name: pipe empty, severity: warning}
  - {name: firmware, function: 3, address: 10, type: string, count: 2}
"""


class Status(Case):
    def setUp(self):
        super().setUp()
        self.bank = Bank()
        self.bank.put(3, 0, bytes((0, 5, 0, 1, 0, 0)))
        self.bank.put(3, 10, b"v1.0")
        self.slave = Slave({1: self.bank})
        self.stack.callback(self.slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "water.yaml"), PROFILE)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 100ms}}
devices:
  w: {{bus: plant, unit: 1, profile: ./water.yaml, every: 200ms}}
""", every="1s")

    def start(self):
        self.gw.start()

    def said(self):
        """(severity, subject, text) of what the device said, oldest first."""
        return [(e["severity"], e["subject"], e["text"])
                for e in reversed(self.gw.get("/api/v1/events?limit=200")["events"])
                if e["code"] in ("device.status", "device.text")]

    def wait(self, n):
        until(lambda: len(self.said()) >= n, 30, f"{n} events", 0.1)
        return self.said()

    def device(self):
        got = run([self.gw.exe, "status", "--config", self.gw.conf, "--json"], 30).stdout
        return json.loads(got)["devices"][0]

    def test_what_a_device_says_of_itself_is_told_once_and_is_no_series(self):
        self.start()
        self.assertEqual(sorted(self.wait(3)), [("info", "w/alarms", "it says none"),
                                                ("info", "w/firmware", "it says v1.0"),
                                                ("info", "w/mode", "it says running")])
        self.bank.put(3, 1, bytes((0, 7)))
        self.assertEqual(self.wait(4)[3:], [("error", "w/mode", "running → fault. Call the maker.")])
        until(lambda: self.device()["state"] == "faulty", 30, "the fault")
        self.assertEqual(self.device()["says"], "mode: fault, alarms: none, firmware: v1.0")
        self.assertEqual(self.device()["text"], "It says mode: fault. Call the maker.")
        # a restart tells what changed meanwhile, and no more
        self.assertEqual(self.gw.stop(), 0)
        self.bank.put(3, 2, bytes((2, 1)))
        self.start()
        self.assertEqual(self.wait(5)[4:],
                         [("warning", "w/alarms", "none → pipe empty + bit 9")])
        until(lambda: len(self.gw.export("--series", "w/total")) > 3, 30, "readings", 0.2)
        self.assertEqual(len(self.said()), 5)
        self.assertEqual({r[0] for r in self.gw.export()}, {"w/total", "w/alarms"})


if __name__ == "__main__":
    main(needs=("fieldpost",))
