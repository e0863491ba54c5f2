"""`fieldpost setup` on a serial line: three new meters that all answer as unit 1, set up one at a time,
read by the gateway then, and recorded in its chain. The simulator plays them, with code of its own."""
import glob
import os
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
import fp_tied  # noqa: E402
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from fp_sim import Sim  # noqa: E402

PROFILE = """model: a meter
serial: {baud: 2400, parity: none}
setup:
  unit: {address: 0x14, type: f32}
  baud: {address: 0x1c, type: f32, speeds: [{code: 0, baud: 2400}, {code: 2, baud: 9600}]}
  unlock: {address: 0x18, type: f32, value: 1000}
  save: {address: 0x30, value: 90}
  power_cycle: true
  identity: {function: 3, address: 0x40, values: [0x20]}
points:
  - {name: energy, quantity: number, function: 4, address: 0, type: u16}
  - {name: serial, identity: serial, function: 3, address: 0x50, type: u32}
"""
PROBE = """model: a probe
serial: {baud: 9600, parity: none}
setup:
  unit: {address: 0x3000, order: BADC, write: 16}
  start: {function: 3, address: 0x2500, count: 0}
points:
  - {name: oxygen, quantity: number, function: 3, address: 0x2600, type: u16}
"""
METERS = ("a", "b", "c")


class Setup(Case):
    def setUp(self):
        super().setUp()
        site = os.path.join(self.folder, "site")
        os.makedirs(site)
        devices = "".join(
            f"  {name}: {{bus: line, unit: 1, settings: true, profile: ./meter.yaml, points: {{energy: "
            f"{{value: {100 + i}}}, serial: {{value: {7000 + i}}}}}}}\n"
            for i, name in enumerate(METERS))
        write(os.path.join(site, "meter.yaml"), PROFILE)
        write(os.path.join(site, "probe.yaml"), PROBE)
        write(os.path.join(site, "site.yaml"), f"""buses:
  line: {{type: modbus-rtu, link: tty}}
  wet: {{type: modbus-rtu, link: wet}}
  net: {{type: modbus-tcp, listen: "127.0.0.1:0"}}
devices:
{devices}  p: {{bus: wet, unit: 1, settings: true, profile: ./probe.yaml, points: {{oxygen: {{value: 8}}}}}}
  t: {{bus: net, unit: 1, settings: true, profile: ./probe.yaml, points: {{oxygen: {{value: 7}}}}}}
""")
        self.sim = Sim(os.path.join(self.args.bin, "fieldpost-sim"), site)
        self.stack.callback(self.sim.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "meter.yaml"), PROFILE)
        write(os.path.join(self.gw.folder, "probe.yaml"), PROBE)
        host, port = self.sim.bus["net"].rsplit(":", 1)
        self.gw.config(f"""buses:
  line: {{type: modbus-rtu, port: {self.sim.bus['line']}, baud: 9600, timeout: 500ms}}
  wet: {{type: modbus-rtu, port: {self.sim.bus['wet']}, baud: 9600, timeout: 500ms}}
  net: {{type: modbus-tcp, host: {host}, port: {port}, timeout: 500ms}}
devices:
  ma: {{bus: line, unit: 11, profile: ./meter.yaml, every: 500ms}}
  mb: {{bus: line, unit: 12, profile: ./meter.yaml, every: 500ms}}
  mc: {{bus: line, unit: 13, profile: ./meter.yaml, every: 500ms}}
  pt: {{bus: net, unit: 8, profile: ./probe.yaml, every: 500ms}}
""", every="1s")
        self.gw.start()  # makes the store, in which all of it is recorded

    def args_of(self, *options, bus="line", profile="./meter.yaml"):
        return [self.gw.exe, "setup", "--config", self.gw.conf, bus, profile, "--by", "Minh", *options]

    def refused(self, word, *options, code=1, **which):
        r = run(self.args_of(*options, **which), 60, ok=(code,))
        self.assertIn(word, r.stderr)
        return r

    def client(self, *options, **which):
        p = fp_tied.popen(self.args_of(*options, **which), stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.stack.callback(p.kill)
        return p

    def hands(self, options, act):
        """Runs it to its end; act(line) for each line that asks, before its Enter. (code, output)."""
        p = self.client(*options)
        said = []
        with p:
            for line in p.stdout:
                said.append(line.rstrip("\n"))
                if "press Enter" in line:
                    act(line)
                    p.stdin.write("\n")
                    p.stdin.flush()
        return p.returncode, said

    def plugged(self, *names):
        for name in METERS:
            self.assertEqual(self.sim.say(f"{'plug' if name in names else 'unplug'} {name}"), "ok")

    def test_setup_gives_three_new_devices_their_numbers_one_at_a_time(self):
        os.unlink(self.gw.db + ".control")  # a gateway runs, and cannot be asked
        self.refused("the gateway runs, but cannot be asked", "--to-unit", "11", "--yes")
        self.assertEqual(self.gw.stop(), 0)
        shown = run(self.args_of("--to-unit", "11", "--to-baud", "9600")).stdout
        for word in ("write unlock: function 16, address 0x0018 = 447a0000 (1000)",
                     "write baud: function 16, address 0x001c = 40000000 (2)",
                     "write unit: function 16, address 0x0014 = 41300000 (11)",
                     "write save: function 6, address 0x0030 = 005a (90)", "nothing was written"):
            self.assertIn(word, shown)
        self.refused("two devices or more", "--to-unit", "11", "--yes")
        self.plugged()
        self.refused("nobody answers at unit 1 at 9600 8N1, nor at unit 1 at 2400 8N1", "--to-unit",
                     "11", "--yes")
        self.plugged("a")
        here = ["a"]

        def act(line):
            if "Connect the next" in line:  # those that are done stay
                here.append(METERS[len(here)])
                self.plugged(*here)
            else:
                self.assertIn("Switch the device off and on", line)
                self.assertEqual(self.sim.say(f"power {here[-1]}"), "ok")

        code, said = self.hands(("--to-unit", "11-13", "--to-baud", "9600", "--yes"), act)
        self.assertEqual(code, 0, said)
        self.assertEqual(sum(line.startswith("done: ") for line in said), 3, said)
        self.assertEqual(here, list(METERS))
        # a number that is taken is not given again
        self.refused("unit 12 at 9600 8N1 answers already", "--unit", "11", "--to-unit", "12", "--yes")
        # another model is not touched
        write(os.path.join(self.gw.folder, "other.yaml"), PROFILE.replace("0x20]", "0x21]"))
        self.refused("it is no a meter", "--unit", "11", "--to-unit", "20", "--yes",
                     profile="./other.yaml")
        # one that confirms a write and does not do it
        self.assertEqual(self.sim.say("stubborn a"), "ok")
        self.refused("unit was written, and reads back neither", "--unit", "11", "--to-unit", "21", "--yes")
        self.assertEqual(self.sim.say("stubborn a"), "ok")
        # where nobody switches it off and on, it is told and recorded, and it stays where it is
        self.refused("nobody switched it off and on", "--unit", "11", "--to-unit", "21", "--yes")
        # the gateway reads all three, and has signed what was done
        self.gw.start()
        for series, value in (("ma/energy", "100"), ("mb/energy", "101"), ("mc/energy", "102")):
            until(lambda s=series, v=value: [r[2] for r in self.gw.export("--series", s)][-1:] == [v],
                  30, series, 0.2)
        until(lambda: len(self.setups()) == 5, 30, "what was done in the chain", 0.5)
        done = [e[2] for e in self.setups()]
        self.assertEqual(done[:3], [f"a meter on line: unit 1 at 2400 8N1 -> unit {u} at 9600 8N1"
                                    for u in (11, 12, 13)])
        self.assertIn("failed: unit was written, and reads back neither", done[3])
        self.assertIn("failed: it was written, but nobody switched it off and on", done[4])
        self.assertEqual({e[3] for e in self.setups()}, {"Minh"})

    def batches(self):
        """What the gateway sealed."""
        out, found = os.path.join(self.folder, "stick"), []
        os.makedirs(out, exist_ok=True)
        run([self.gw.exe, "export", "--config", self.gw.conf, "--sealed", out])
        for path in sorted(glob.glob(os.path.join(out, "*", "*", "*.zst")),
                           key=lambda p: int(os.path.basename(p).split(".")[0])):
            with open(path, "rb") as f:
                found.append(fp.Batch(fp.decompress(f.read()), self.gw.pub))
        return found

    def setups(self):
        return [e for b in self.batches() for e in b.entries if e[0] == "setup"]

    def value_of(self, series):
        return [r[2] for r in self.gw.export("--series", series)][-1:]

    def is_polled(self, series, value):
        """Readings come that were not there when this was called."""
        before = len(self.gw.export("--series", series))
        until(lambda: len(self.gw.export("--series", series)) > before and
              self.value_of(series) == [value], 90, series, 0.2)  # who was silent is tried seldom

    def entry(self, n):
        """The n-th entry; no more than these ever come: the gateway starts once more in between."""
        until(lambda: len(self.setups()) >= n, 20, "what was done in the chain", 0.3)
        self.assertEqual(len(self.setups()), n)
        return self.setups()[-1]

    def until_said(self, p, word):
        for line in p.stdout:
            if word in line:
                return
        self.fail(f"never said: {word}")

    def test_beside_a_gateway_setup_pauses_the_bus_and_the_others_are_polled_again(self):
        for name in METERS[1:]:  # one that is set up already is polled all the time
            self.assertEqual(self.sim.say(f"unplug {name}"), "ok")
        quick = ("--to-baud", "9600", "--yes")
        code, said = self.hands(("--to-unit", "11", *quick),
                                lambda line: self.assertEqual(self.sim.say("power a"), "ok"))
        self.assertEqual(code, 0, said)
        self.is_polled("ma/energy", "100")
        self.assertEqual(self.sim.say("plug b"), "ok")
        p = self.client("--to-unit", "12", *quick)
        self.until_said(p, "press Enter")
        # its bus is nobody else's now, another bus is polled, and one is set up at a time
        r = run([self.gw.exe, "read", "--config", self.gw.conf, "line", "11", "4", "0", "1"], ok=(1,))
        self.assertIn("a device is being set up on this bus", r.stderr)
        self.refused("another device is being set up", "--to-unit", "5", "--yes", bus="wet",
                     profile="./probe.yaml")
        self.assertEqual(self.sim.say("power b"), "ok")
        p.stdin.write("\n")
        p.stdin.flush()
        self.assertIn("polls this bus again, and signs", p.communicate(timeout=60)[0])
        self.assertEqual(p.returncode, 0)
        self.is_polled("ma/energy", "100")
        self.is_polled("mb/energy", "101")
        self.assertEqual(self.entry(2)[2:], ["a meter on line: unit 1 at 2400 8N1 -> unit 12 at 9600 8N1",
                                             "Minh"])
        until(lambda: "ma/energy" in {g[0] for b in self.batches() for g in b.gaps if g[3] == "paused"}, 20,
              "a signed gap `paused` of who was polled before", 0.3)
        # what the profile lacks, and another's unit, is told through the gateway as without it
        self.refused("does not say how it is set to 2400 baud", "--to-unit", "6", "--to-baud", "2400",
                     "--yes", code=2, bus="wet", profile="./probe.yaml")
        self.refused("there is no profile nix", "--to-unit", "6", "--yes", profile="nix")
        run(self.args_of("--to-unit", "5", "--yes", bus="wet", profile="./probe.yaml"))
        self.assertIn("unit 1 at 9600 8N1 -> unit 5 at 9600 8N1", self.entry(3)[2])
        # over TCP the gateway leaves its connection for the time
        run(self.args_of("--to-unit", "8", "--yes", bus="net", profile="./probe.yaml"))
        self.assertEqual(self.entry(4)[2], "a probe on net: unit 1 -> unit 8")
        self.is_polled("pt/oxygen", "7")

    def test_beside_a_gateway_a_killed_command_leaves_no_device_half_set_up(self):
        self.plugged("a")
        options = ("--to-unit", "11", "--to-baud", "9600", "--yes")
        # before the first write it has done nothing, and nothing is told
        p = self.client(*options)
        self.until_said(p, "becomes")
        p.kill()
        p.wait(10)
        # in the middle of the writes: they go on to the end, and that nobody was there is recorded
        for n, (end, name) in enumerate(((signal.SIGKILL, "a"), (signal.SIGHUP, "b")), 1):
            self.plugged(*METERS[:n])
            unit = str(10 + n)
            p = until(lambda u=unit: self.not_busy(u, *options[2:]), 20, "the one before has ended", 0.3)
            self.until_said(p, "write unit")
            p.send_signal(end)
            self.assertNotEqual(p.wait(10), 0)
            self.assertIn(f"-> unit {unit} at 9600 8N1; failed: it was written, but nobody switched it off "
                          "and on", self.entry(n)[2])
            self.assertEqual(self.sim.say(f"power {name}"), "ok")
            self.is_polled(f"m{name}/energy", str(99 + n))
        # of a device that follows at once the whole is done, the start command too
        p = self.client("--to-unit", "5", "--yes", bus="wet", profile="./probe.yaml")
        self.until_said(p, "write unit")
        p.send_signal(signal.SIGINT)
        self.assertNotEqual(p.wait(10), 0)
        self.assertEqual(self.entry(3)[2], "a probe on wet: unit 1 at 9600 8N1 -> unit 5 at 9600 8N1")
        # a start in between seals nothing twice
        self.assertEqual(self.gw.stop(), 0)
        self.gw.start()
        self.is_polled("ma/energy", "100")
        self.assertEqual(len(self.setups()), 3)

    def not_busy(self, unit, *more):
        """A client whose device is found; the one before may still be at its end."""
        p = self.client("--to-unit", unit, *more)
        line = p.stdout.readline()
        if "becomes" in line:
            return p
        p.communicate(timeout=30)
        return None

    def test_beside_a_gateway_a_stop_ends_a_setup_and_what_was_written_is_signed_later(self):
        self.plugged("a")
        p = self.client("--to-unit", "11", "--to-baud", "9600", "--yes")
        self.until_said(p, "press Enter")
        began = time.monotonic()
        self.assertEqual(self.gw.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)
        self.assertIn("nobody switched it off and on", p.communicate("\n", timeout=10)[0])
        self.assertEqual(self.setups(), [])
        self.gw.start()
        self.assertIn("nobody switched it off and on", self.entry(1)[2])

    def test_setup_of_a_probe_follows_at_once_and_starts_it(self):
        self.assertEqual(self.gw.stop(), 0)
        r = run(self.args_of("--to-unit", "5", "--yes", bus="wet", profile="./probe.yaml"))
        self.assertIn("write unit: function 16, address 0x3000 = 0500 (5)", r.stdout)
        self.assertIn("start: function 3, address 0x2500", r.stdout)
        self.assertIn("done: a probe on wet: unit 1 at 9600 8N1 -> unit 5 at 9600 8N1", r.stdout)
        self.refused("nobody answers", "--to-unit", "6", "--yes", bus="wet", profile="./probe.yaml")
        run(self.args_of("--unit", "5", "--start", "--yes", bus="wet", profile="./probe.yaml"))
        self.refused("does not say how it is set to 2400 baud", "--to-unit", "6", "--to-baud", "2400",
                     code=2, bus="wet", profile="./probe.yaml")


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
