"""The line doctor: the real gateway on lines of fieldpost-sim that have one fault after the other, and
what `fieldpost doctor` says of each. What is well is not spoken of."""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import main, run, until, write  # noqa: E402
from fp_site import SiteCase  # noqa: E402

EVER = "1000000"
# Short answers and long ones: two points of 7 and 9 bytes, and a block of 125.
PROFILE = "model: long and short\nmax_registers: 60\npoints:\n" + "".join(
    f"  - {{name: p{i:02}, quantity: number, function: 3, address: {100 + i}, type: u16}}\n"
    for i in range(60)) + """  - {name: level, quantity: number, function: 4, address: 10, type: u16}
  - {name: poll, quantity: number, function: 4, address: 5000, type: u32}
"""


# bus: its devices; the fault that begins later, and whose it is; what is found then
LINES = {"well": ("ab", None, "", None),
         "twice": ("cd", "clash", "d", "twice"),
         "slow": ("ef", "late", "f", "slow"),
         "lost": ("gh", "silent", "gh", "lost"),
         "noise": ("ij", "worn", "ij", "noise"),
         "echo": ("k", "echo", "k", "echo"),
         "dead": ("lm", "silent", "", "wires"),  # these two from the start
         "fast": ("no", "speed", "", "speed")}


class Doctor(SiteCase):
    def site(self):
        sim = {n: (bus, i + 1, "late: 250ms") for bus, (names, *_) in LINES.items()
               for i, n in enumerate(names)}
        self.play({b: "type: modbus-rtu" for b in LINES}, sim, PROFILE, "points: {}")
        for bus in ("dead", "fast"):
            self.ail(bus, LINES[bus][0])
        self.configure({**{b: f"type: modbus-rtu, port: {self.sim.where[b]}, baud: 115200, timeout: 150ms"
                           for b in LINES},
                        "away": f"type: modbus-rtu, port: {self.folder}/no-such-line"},
                       {**{n: v[:2] for n, v in sim.items()}, "x": ("away", 1)}, "100ms")
        self.start()

    def ail(self, bus, names):
        for n in names:
            self.sim.say(f"fault {n} {LINES[bus][1]} {EVER}")

    def doctor(self, *args):
        return run([self.gw.exe, "doctor", "--config", self.gw.conf, *args], ok=None)

    def findings(self):
        """{bus: {code: finding}}"""
        r = self.doctor("--json")
        buses = json.loads(r.stdout)
        self.assertEqual(r.returncode, int(any(b["wrong"] for b in buses)))
        return {b["id"]: {f["code"]: f for f in b["findings"]} for b in buses}

    def found(self, wanted, what):
        """Until each bus has its finding, and no other. Nobody waits for a back-off."""
        def are():
            got = {b: set(f) for b, f in self.findings().items()}
            for b in wanted:
                if got[b] != wanted[b]:  # as `fieldpost probe --bus` asks, which waits to be heard
                    write(os.path.join(self.gw.db + ".probe", b), "")
            return got == wanted
        os.makedirs(self.gw.db + ".probe", 0o700, exist_ok=True)
        try:
            until(are, 60, what, 0.3)
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.doctor().stdout}") from None
        return self.findings()

    def test_each_fault_of_a_line_is_named_and_taken_back(self):
        self.site()
        always = {"dead": {"wires"}, "fast": {"speed"}, "away": {"port"}}
        quiet = {b: set() for b in LINES} | always
        until(lambda: all((self.device(n)["heard"] or {}).get("asked", 0) >= 60 for n in "abcdefghijk"),
              30, "evidence")
        said = self.found(quiet, "of healthy lines nothing is said")
        self.assertIn("A and B swapped", said["dead"]["wires"]["fault"])
        self.assertIn("speed", said["fast"]["speed"]["fault"])
        self.assertIn("no-such-line", said["away"]["port"]["seen"])

        for bus, (_, _, sick, _) in LINES.items():
            self.ail(bus, sick)
        said = self.found({b: {v[3]} - {None} for b, v in LINES.items()} | always, "each fault is named")
        self.assertEqual(said["twice"]["twice"]["devices"], "d (unit 2)")
        self.assertEqual(said["slow"]["slow"]["devices"], "f (unit 2)")
        self.assertRegex(said["slow"]["slow"]["also"], r"`timeout: [34]00ms` at bus slow")
        self.assertEqual(said["lost"]["lost"]["devices"], "all")
        self.assertIn("no terminator", said["noise"]["noise"]["fault"])
        self.assertIs(said["echo"]["echo"]["note"], True)
        until(lambda: "The longer the answer the worse" in self.findings()["noise"]["noise"]["also"], 30,
              "long answers fare worse")
        self.words()
        told = {"line." + v[3]: b for b, v in LINES.items() if v[3] not in (None, "echo")}
        until(lambda: all(self.events(code) for code in told), 20, "an event for each that begins")
        for code, bus in told.items():
            self.assertEqual([(e["subject"], e["severity"]) for e in self.events(code)],
                             [(bus, "warning")])

        for bus, (_, _, sick, _) in LINES.items():
            for n in sick:
                self.sim.say(f"heal {n}")
        self.found(quiet | {"echo": {"echo"}}, "what is well again is not spoken of")
        until(lambda: {e["subject"] for e in self.events("line.over")} ==
              {"twice", "slow", "lost", "noise"}, 10, "an event for each that ends")
        self.assertEqual(self.gw.stop(), 0)
        r = self.doctor()
        self.assertEqual(r.returncode, 1)
        self.assertIn("the gateway does not answer", r.stderr)

    def words(self):
        r = self.doctor("--bus", "twice")
        self.assertEqual(r.returncode, 1)
        for part in ("bus twice: something is wrong\n",
                     "  twice: Two devices have the same unit number.\n",
                     "    devices: d (unit 2), since 2", "    seen:    of ", "    do:      Switch one off"):
            self.assertIn(part, r.stdout)
        healthy = re.compile(r"\n  c +\d+ +\d+ +0 +0 +0 +0 +0 +0 +0 +\d+ +\d+\n")
        # of its last requests: what a busy machine made late goes, what a fault does comes again
        until(lambda: healthy.search(self.doctor("--bus", "twice").stdout), 60, "the healthy one has no fault", 0.5)
        r = self.doctor("--bus", "well")
        self.assertEqual(r.returncode, 0)
        self.assertTrue(r.stdout.startswith("bus well: well\n"), r.stdout)
        self.assertEqual(self.doctor("--bus", "echo").returncode, 0, "a note is nothing wrong")
        self.assertEqual(self.doctor("--bus", "nowhere").returncode, 2)


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
