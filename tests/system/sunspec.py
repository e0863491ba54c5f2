"""SunSpec devices on fieldpost-sim: registers typed here by hand at each of the three bases, found by the
real gateway, and found again when new firmware moves them and changes a scale factor."""
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Gateway, main, run, until, write  # noqa: E402
from fp_site import SiteCase, Sim  # noqa: E402

MARK = "5375 6E53"


def common(length):
    """Model 1: maker "Acme", type "X1", version "1.0", serial number "SN4711"; length 65 or 66."""
    words = ["0001", f"{length:04X}"] + ["0000"] * length
    for at, text in ((2, "4163 6D65"), (18, "5831"), (42, "312E 3000"), (50, "534E 3437 3131")):
        words[at:at + len(text.split())] = text.split()
    return " ".join(words)


VENDOR = "FA6E 0003 DEAD BEEF DEAD"  # model 64110, which nobody knows here
END = "FFFF 0000"


def inverter(power, factor, energy="0085 AB3B"):
    """Model 103, of which AC power and lifetime energy are there."""
    words = ["0067", "0032"] + ["FFFF"] * 12 + [power, factor] + ["8000"] * 8 + energy.split() + ["0000"]
    return " ".join(words + ["8000"] * (52 - len(words)))


def strings():
    """Model 160 with two strings of 3915 and 4012 tenths of a volt."""
    words = "00A0 0030 FFFE FFFF 0000 0000 0000 0000 0002 FFFF".split() + ["FFFF"] * 40
    words[20], words[40] = "0FAC", "0F4B"
    return " ".join(words)


def meter():
    """Model 203: -2400 W, 12345678 Wh imported."""
    words = ["00CB", "0069"] + ["8000"] * 105
    words[18], words[22] = "F6A0", "0000"
    words[46:48], words[54] = ["00BC", "614E"], "0000"
    return " ".join(words)


class SunSpec(SiteCase):
    def chain(self, name, base, *parts):
        write(os.path.join(self.folder, name), f"# by hand\n{base}: {' '.join((MARK,) + parts + (END,))}\n")

    def test_devices_are_found_at_each_base_and_again_when_they_move(self):
        usual = (VENDOR, inverter("3039", "FFFF"), strings())
        self.chain("a.txt", 40000, common(65), *usual)
        self.chain("z.txt", 0, common(66), *usual)
        self.chain("m.txt", 50000, common(66), VENDOR, meter())
        self.chain("moved.txt", 40000, common(66), VENDOR, VENDOR, inverter("0040", "0001"), strings())
        self.chain("bad.txt", 40000, common(65), "0067 FFFF")
        site = write(os.path.join(self.folder, "site.yaml"),
                     "buses:\n  net: {type: modbus-tcp}\n  line: {type: modbus-rtu}\ndevices:\n"
                     "  a: {bus: net, unit: 1, words: a.txt}\n"
                     "  z: {bus: line, unit: 1, words: z.txt}\n  m: {bus: line, unit: 2, words: m.txt}\n")
        self.sim = Sim(self.args.bin, site, os.path.join(self.folder, "served.csv"))
        self.stack.callback(self.sim.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        points = "points: [active_power, energy_export, string2_voltage]"
        self.gw.config(f"buses:\n  net: {{{self.tcp('net')}}}\n"
                       f"  line: {{type: modbus-rtu, port: {self.sim.where['line']}}}\ndevices:\n"
                       f"  a: {{bus: net, unit: 1, profile: sunspec-inverter, every: 200ms, {points}}}\n"
                       f"  z: {{bus: line, unit: 1, profile: sunspec-inverter, every: 1s, {points}}}\n"
                       "  m: {bus: line, unit: 2, profile: sunspec-meter, every: 1s, points: "
                       "[active_power, energy_import]}\n")
        self.plan_is_told_before_anybody_was_asked()
        self.start()
        until(lambda: all(self.value(d, "active_power") is not None for d in "azm"), 20, "all are read")
        for device in "az":
            self.assertEqual([self.value(device, p) for p in ("active_power", "energy_export",
                                                              "string2_voltage")], [1234.5, 8760.123, 391.5])
        self.assertEqual([self.value("m", p) for p in ("active_power", "energy_import")], [-2400, 12345.678])
        until(lambda: len(self.events("device.models")) == 3, 10, "what was found is told")
        found = {e["subject"]: e["text"] for e in self.events("device.models")}
        self.assertEqual(found, {"a": "SunSpec at 40000, models 1, 64110, 103, 160",
                                 "z": "SunSpec at 0, models 1, 64110, 103, 160",
                                 "m": "SunSpec at 50000, models 1, 64110, 203"})
        until(lambda: "it says X1" in {e["text"] for e in self.events("device.text") if e["subject"] == "a/type"},
              10, "who they are is told")
        self.sim.say("words a moved.txt")
        until(lambda: self.value("a", "active_power") == 640, 20, "the moved are found again")
        until(lambda: self.device("a")["state"] == "good", 5, "it is good again")
        self.sim.say("words a bad.txt")
        until(lambda: self.device("a")["state"] == "faulty" and
              "cannot be 65535 registers long" in self.device("a")["text"], 20, "it is refused in words")
        self.assertEqual(self.gw.stop(), 0)
        read = {}
        for series, _, value, quality, *_ in self.gw.export():
            read.setdefault(series, set()).add((value, quality))
        self.assertEqual(read.pop("a/active_power"), {("1234.5", "0"), ("640", "0")})
        self.assertEqual(read, {"a/energy_export": {("8760.123", "0")}, "a/string2_voltage": {("391.5", "0")},
                                "z/active_power": {("1234.5", "0")}, "z/energy_export": {("8760.123", "0")},
                                "z/string2_voltage": {("391.5", "0")}, "m/active_power": {("-2400", "0")},
                                "m/energy_import": {("12345.678", "0")}})

    def plan_is_told_before_anybody_was_asked(self):
        done = run([self.gw.exe, "check", "--config", self.gw.conf, "--plan", "--json"])
        devices = {d["id"]: d for b in json.loads(done.stdout)["buses"] for d in b["devices"]}
        self.assertTrue(devices["a"]["assumed"])
        self.assertEqual((devices["a"]["points"], len(devices["a"]["requests"])), (3, 1))
        text = run([self.gw.exe, "check", "--config", self.gw.conf, "--plan"]).stdout
        self.assertIn("where its SunSpec models are is found by asking it", text)


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
