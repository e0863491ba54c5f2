"""What a technician asks of a bus: `fieldpost read` and `fieldpost scan`, while the gateway runs and without
it, on fieldpost-sim over a pty and over TCP; mbpoll (Debian) reads the same registers."""
import json
import os
import re
import signal
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_tied  # noqa: E402
from fp_proc import Gateway, main, run, until, write  # noqa: E402
from fp_site import PROFILE, Sim, SiteCase  # noqa: E402

STILL = ("points: {level: {value: 4711}, volts: {value: 230.25}, power: {value: -1234}, "
         "poll: {value: 70000}}")


class Asked(SiteCase):
    names = ("a",)

    def site(self, devices, buses="  line: {type: modbus-rtu}\n  plant: {type: modbus-tcp}\n"):
        write(os.path.join(self.folder, "fault.yaml"), PROFILE)
        text = f"buses:\n{buses}devices:\n" + "".join(f"  {k}: {{{v}}}\n" for k, v in devices.items())
        self.sim = Sim(self.args.bin, write(os.path.join(self.folder, "site.yaml"), text),
                       os.path.join(self.folder, "served.csv"))
        self.stack.callback(self.sim.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)

    def serial(self, more=""):
        return f"type: modbus-rtu, port: {self.sim.where['line']}, timeout: 200ms{more}"

    def fieldpost(self, command, *what):
        return run([self.gw.exe, command, "--config", self.gw.conf, *what], ok=None)

    def read(self, *what):
        r = self.fieldpost("read", "--json", *map(str, what))
        self.assertEqual(r.returncode, 0, r.stderr)
        return json.loads(r.stdout)

    def mbpoll(self, bus, unit, table, address, count):
        """The registers as mbpoll sees them: table 3 is input registers, 4 holding registers."""
        where = self.sim.where[bus]
        to = ["-m", "rtu", "-b", "9600", "-P", "none", where]
        if bus == "plant":
            host, port = where.rsplit(":", 1)
            to = ["-m", "tcp", "-p", port, host]
        r = run(["mbpoll", "-1", "-q", "-0", "-a", str(unit), "-t", f"{table}:hex", "-r",
                 str(address), "-c", str(count), *to])
        return [m.lower() for m in re.findall(r"0x([0-9A-Fa-f]{4})", r.stdout)]


class Read(Asked):
    def test_read_beside_polls_and_alone_is_what_mbpoll_reads(self):
        self.site({"a": f"bus: line, unit: 1, profile: ./fault.yaml, {STILL}",
                   "b": f"bus: plant, unit: 7, profile: ./fault.yaml, {STILL}"})
        self.configure({"line": self.serial(", baud: 9600"), "plant": self.tcp("plant")},
                       {"a": ("line", 1), "b": ("plant", 7)}, "300ms")
        want = {"line": self.mbpoll("line", 1, 4, 10, 12), "plant": self.mbpoll("plant", 7, 4, 10, 12)}
        self.assertEqual(want["line"][0], f"{4711:04x}")
        self.assertEqual("".join(want["line"][2:4]), struct.pack(">f", 230.25).hex())
        for running in (False, True):
            if running:
                self.start()
                until(lambda: self.device("a")["polls"] > 2, 20, "polls")
            for bus, unit in (("line", 1), ("plant", 7)):
                got = self.read(bus, unit, 3, 10, 12)
                self.assertEqual(got["words"], want[bus], (bus, running))
                values = {(v["address"], v["type"], v["order"]): v for v in got["values"]}
                self.assertEqual(values[12, "f32", "ABCD"]["value"], 230.25)
                self.assertTrue(values[12, "f32", "ABCD"]["plausible"])
                self.assertEqual(values[16, "s32", "ABCD"]["value"], -1234)
                self.assertEqual(values[20, "u32", "ABCD"]["value"], 70000)
            r = self.fieldpost("read", "line", "1", "3", "10", "4")
            self.assertEqual(r.returncode, 0, r.stderr)
            self.assertIn("40011", r.stdout)
            self.assertRegex(r.stdout, r"f32 +230\.25\*")
            for what, words in ((("line", "1", "3", "500", "1"), "it has no such registers"),
                                (("line", "9", "3", "10", "1"), "does not answer"),
                                (("plant", "9", "3", "10", "1"), "gets no answer")):
                r = self.fieldpost("read", *what)
                self.assertEqual((r.returncode, r.stdout), (1, ""), what)
                self.assertIn(words, r.stderr)
        self.assertEqual(self.device("a")["failures"], 0)
        self.assertEqual(self.device("a")["overruns"], 0)
        for bad in (("line", "1", "5", "0", "1"), ("line", "1", "3", "65535", "2"), ("line", "1"),
                    ("nowhere", "1", "3", "0", "1"), ("line", "x", "3", "0", "1")):
            self.assertEqual(self.fieldpost("read", *bad).returncode, 2, bad)


METER = ("profile: eastron-sdm120, points: {voltage: {value: 229.5}, current: {value: 1.25}, "
         "active_power: {value: 286}, frequency: {value: 50}}")
AIR = "profile: xy-md02, points: {temperature: {value: 31.5}, humidity: {value: 74.2}}"
WATER = ("profile: yosemitech-y4000, points: {ph: {value: 7.2}, dissolved_oxygen: {value: 0.006}, "
         "water_temperature: {value: 28}}")


class Scan(Asked):
    names = ("air",)

    def scan(self, *what, code=0):
        r = self.fieldpost("scan", "--json", "--bus", *what)
        self.assertEqual(r.returncode, code, r.stderr)
        return {x["unit"]: x for x in json.loads(r.stdout)["found"]}

    def best(self, found):
        return [f["profile"] for f in found["fits"] if f["fits"]]

    def test_N1_scan_finds_three_devices_one_at_another_speed(self):
        """First as delivered; then, with --all, whoever is there."""
        self.site({"meter": f"bus: line, unit: 1, baud: 2400, {METER}",
                   "air": f"bus: line, unit: 3, baud: 9600, {AIR}",
                   "water": f"bus: line, unit: 4, baud: 9600, {WATER}",
                   "far": f"bus: plant, unit: 5, {AIR}"})
        self.gw.config("buses:\n  line: {" + self.serial(", baud: 9600") + "}\n  plant: {" +
                       self.tcp("plant") + ", timeout: 200ms}\ndevices:\n"
                       "  air: {bus: line, unit: 3, profile: xy-md02, every: 500ms}\n")
        # without a gateway, at the configured speed, stopping at the first
        found = self.scan("line", "--units", "2-5")
        self.assertEqual(list(found), [3])
        self.assertEqual((found[3]["baud"], found[3]["parity"]), (9600, "N"))
        self.assertIn("xy-md02", self.best(found[3]))
        self.start()
        until(lambda: self.device("air")["polls"] > 2, 20, "polls")
        # the gateway runs: its polls go on, and its speed stays
        found = self.scan("line", "--all", "--units", "2-4")
        self.assertEqual(sorted(found), [3, 4])
        self.assertIn("yosemitech-y4000", self.best(found[4]))
        self.assertEqual(self.device("air")["failures"], 0)
        found = self.scan("plant", "--all", "--units", "3-6")
        self.assertEqual(list(found), [5])
        r = self.fieldpost("scan", "--bus", "line", "--baud", "auto")
        self.assertEqual(r.returncode, 1)
        self.assertIn("--pause", r.stderr)
        # a pause: the meter is found as its profile says that it is delivered, the gaps say so, and all is as before
        found = self.scan("line", "--baud", "auto", "--pause", "--units", "1-1")
        self.assertEqual((found[1]["baud"], found[1]["parity"]), (2400, "N"))
        self.assertIn("eastron-sdm120", self.best(found[1])[:3])
        until(lambda: self.events("bus.resumed"), 10, "the end is told")
        self.assertEqual(len(self.events("bus.paused")), 1)
        before = self.device("air")["polls"]
        until(lambda: self.device("air")["polls"] > before + 2, 10, "polls again")
        # a scan that is killed ends its pause
        p = fp_tied.popen([self.gw.exe, "scan", "--config", self.gw.conf, "--bus", "line",
                           "--baud", "auto", "--pause", "--all"], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
        until(lambda: len(self.events("bus.paused")) == 2, 10, "a pause")
        p.send_signal(signal.SIGKILL)
        p.wait()
        until(lambda: len(self.events("bus.resumed")) == 2, 10, "it ends")
        before = self.device("air")["polls"]
        until(lambda: self.device("air")["polls"] > before + 2, 10, "polls again")
        self.assertEqual(self.device("air")["state"], "good")


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
