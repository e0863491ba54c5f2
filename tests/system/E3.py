"""A device that rejects joined reads is found and split automatically: on one serial line of 9600 Bd one
device refuses them, one is silent to them, and one is well and keeps its period."""
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, Gateway, main, until, write  # noqa: E402
from fp_sim import Sim  # noqa: E402

POINTS = 6
PERIOD_MS = 1000
FAULT = {"odd": "refuse_joined", "mute": "silent_joined", "well": None}
PROFILE = "points:\n" + "".join(
    f"  - {{name: p{i}, quantity: number, function: 3, address: {100 + i + 3 * (i > 2)}, type: u16}}\n"
    for i in range(POINTS))


class Joined(Case):
    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        write(os.path.join(self.folder, "p.yaml"), PROFILE)
        devices = ""
        for unit, (name, fault) in enumerate(FAULT.items(), 1):
            points = ", ".join(f"p{i}: {{value: {100 * unit + i}}}" for i in range(POINTS))
            rule = f", faults: [{{at: 1-1000000, do: {fault}}}]" if fault else ""
            devices += f"  {name}: {{bus: line, unit: {unit}, profile: ./p.yaml, points: {{{points}}}{rule}}}\n"
        write(os.path.join(self.folder, "site.yaml"),
              f"buses: {{line: {{type: modbus-rtu, link: tty, baud: 9600}}}}\ndevices:\n{devices}")
        self.sim = Sim(os.path.join(self.args.bin, "fieldpost-sim"), self.folder)
        self.stack.callback(self.sim.stop)
        self.stack.callback(self.gw.kill)
        listed = "\n".join(f"  {name}: {{bus: line, unit: {unit}, profile: {self.folder}/p.yaml, "
                           f"every: {PERIOD_MS}ms}}" for unit, name in enumerate(FAULT, 1))
        self.gw.config(f"buses:\n  line: {{type: modbus-rtu, port: {self.sim.bus['line']}, baud: 9600, "
                       f"timeout: 100ms}}\ndevices:\n{listed}")

    def events(self, subject):
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True, timeout=10)
        try:
            return db.execute("SELECT code, text FROM event WHERE subject = ? ORDER BY id",
                              (subject,)).fetchall()
        finally:
            db.close()

    def readings(self):
        """(device, point) -> [(ms, value)]"""
        found = {}
        for series, ms, value, *_ in self.gw.export():
            if series.split("/")[0] in FAULT:
                found.setdefault(tuple(series.split("/")), []).append((int(ms), value))
        return found

    def test_E3_refused_joins_are_split_and_the_others_keep_their_period(self):
        self.gw.start()
        for name in ("odd", "mute"):
            until(lambda n=name: "device.split" in [c for c, _ in self.events(n)], 60,
                  f"{name} to be split")
        # the last proof ends in silence, and the fence behind it costs the poll
        since = max(ms for rows in self.readings().values() for ms, _ in rows) + 2 * PERIOD_MS
        until(lambda: min(rows[-1][0] for rows in self.readings().values()) > since + 3 * PERIOD_MS, 30,
              "polls of all that are whole")
        self.assertEqual(self.gw.stop(), 0)
        got = self.readings()
        for unit, (name, fault) in enumerate(FAULT.items(), 1):
            told = [c for c, _ in self.events(name) if c == "device.split"]
            self.assertEqual(len(told), 1 if fault else 0, self.events(name))
            for i in range(POINTS):
                self.assertEqual({v for _, v in got[name, f"p{i}"]}, {str(100 * unit + i)})
                # one of each tick, though the machine stamped it late
                first = since // PERIOD_MS + 1
                ticks = [ms // PERIOD_MS for ms, _ in got[name, f"p{i}"]]
                self.assertEqual([t for t in ticks if first <= t < first + 3], list(range(first, first + 3)), (name, i))
        self.assertEqual([c for c, _ in self.events("odd")], ["device.split"])
        self.assertIn("6 requests instead of 1", dict(self.events("odd"))["device.split"])
        well = [ms for ms, _ in got["well", "p0"]]
        # the machine itself may take one
        lost = [b - a for a, b in zip(well, well[1:]) if b - a >= 2 * PERIOD_MS]
        self.assertLessEqual(len(lost), 1, f"the healthy device lost periods: {lost}")


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
