"""`fieldpost check --plan`: what would be asked on each bus, what it takes of the line by the numbers of
the standard, and a warning for what cannot be met."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, Gateway, main, run, write  # noqa: E402

PROFILE = """model: Two blocks
forbidden: [{function: 3, from: 4, to: 4}]
turnaround: 20ms
pause: 50ms
points:
  - {name: a, quantity: number, function: 3, address: 0, type: u16}
  - {name: b, quantity: number, function: 3, address: 2, type: u32}
  - {name: c, quantity: number, function: 3, address: 5, type: u16}
  - {name: d, quantity: state, function: 1, address: 8, type: bit}
"""
# 9600 8N1: 10 bits a byte, 3.5 characters before; after the last answer the pause of 50 ms
BYTE_MS = 10000 / 9600
REQUEST_MS = 13 * BYTE_MS + 3.5 * BYTE_MS + 50 + 20


class Plan(Case):
    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        write(os.path.join(self.gw.folder, "p.yaml"), PROFILE)

    def check(self, devices, *options, ok=(0,)):
        self.gw.config("buses:\n  line: {type: modbus-rtu, port: /dev/none, baud: 9600}\n"
                       "  net: {type: modbus-tcp, host: 127.0.0.1}\n"
                       f"devices:\n{devices}")
        return run([self.gw.exe, "check", "--config", self.gw.conf, *options], ok=ok)

    def plan(self, devices):
        done = self.check(devices, "--plan", "--json")
        return {b["id"]: b for b in json.loads(done.stdout)["buses"]}, done.stderr

    def test_requests_line_time_and_load(self):
        plan, said = self.plan("  x: {bus: line, unit: 1, profile: ./p.yaml, every: 10s}\n"
                               "  y: {bus: line, unit: 2, profile: ./p.yaml, every: 10s, points: [a],"
                               " turnaround: 0ms}\n")
        x, y = plan["line"]["devices"]
        self.assertEqual([(r["function"], r["address"], r["count"], r["points"]) for r in x["requests"]],
                         [(1, 8, 1, ["d"]), (3, 0, 4, ["a", "b"]), (3, 5, 1, ["c"])])
        for r, data in zip(x["requests"], (1, 8, 2)):
            self.assertAlmostEqual(r["line_ms"], REQUEST_MS + data * BYTE_MS, places=3)
        self.assertAlmostEqual(x["line_ms"], 3 * REQUEST_MS + 11 * BYTE_MS, places=3)
        self.assertAlmostEqual(x["line_ms_of_singles"], 4 * REQUEST_MS + 9 * BYTE_MS, places=3)
        self.assertAlmostEqual(y["line_ms"], REQUEST_MS - 20 + 2 * BYTE_MS, places=3)
        self.assertAlmostEqual(plan["line"]["load_percent"], (x["line_ms"] + y["line_ms"]) / 100, places=3)
        self.assertEqual((plan["line"]["warnings"], plan["net"]["devices"], plan["net"]["load_percent"]),
                         ([], [], 0))
        self.assertNotIn("warning", said)

    def test_text_says_the_same(self):
        text = self.check("  x: {bus: line, unit: 1, profile: ./p.yaml, every: 10s}\n", "--plan").stdout
        for words in ("line: modbus-rtu 9600 8N1, 1.042 ms a byte, busy 2.7 % of the time",
                      "x: unit 1, Two blocks, every 10 s: 4 points in 3 requests, 273.0 ms, 2.7 %",
                      "function 3  address     0  count    4      95.5 ms  a b"):
            self.assertIn(words, text)

    def test_periods_that_cannot_be_met_are_warnings(self):
        plan, said = self.plan("".join(f"  d{i}: {{bus: line, unit: {i}, profile: ./p.yaml, every: 1s}}\n"
                                       for i in range(1, 5)))
        self.assertGreater(plan["line"]["load_percent"], 100)
        self.assertEqual(len(plan["line"]["warnings"]), 1)
        self.assertIn("fieldpost.yaml: warning: bus line: its periods cannot be met: they want the line for "
                      "109 % of the time", said)
        plan, said = self.plan("  fast: {bus: line, unit: 1, profile: ./p.yaml, every: 300ms, points: [a]}\n"
                               "  slow: {bus: line, unit: 2, profile: ./p.yaml, every: 60s}\n")
        self.assertEqual(len(plan["line"]["warnings"]), 1)
        self.assertIn("device fast: its period of 300 ms cannot always be met: a poll of slow takes the line "
                      "for 273 ms", said)

    def test_wrong_use_and_mistakes_are_told(self):
        self.assertIn("usage:", self.check("  x: {bus: line, unit: 1, profile: ./p.yaml}\n", "--json",
                                           ok=(2,)).stderr)
        done = self.check("  x: {bus: lin, unit: 1, profile: ./p.yaml}\n", "--plan", ok=(2,))
        self.assertEqual(done.stdout, "")
        self.assertIn('unknown bus "lin"', done.stderr)


if __name__ == "__main__":
    main(needs=("fieldpost",))
