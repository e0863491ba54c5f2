"""RS-485 direction on a real serial driver: the arm64 programs in an emulated machine (fp_machine) whose PL011 is
the bus. The far end is fieldpost-sim. QEMU's trace of the PL011 says when RTS was turned and which byte went
when, and fp_rs485 judges it. Order is what is asserted, for an emulated machine keeps no milliseconds; and the
simulator answers as on a slower line, so that the order is sure."""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support", "python"))
from fp_machine import QEMU, MachineCase, arm  # noqa: E402
from fp_proc import EXPORT, csv_rows, main, run, write  # noqa: E402
from fp_rs485 import exchanges, faults  # noqa: E402
from fp_site import PROFILE, VALUES, Sim  # noqa: E402

BAUD, SIM_BAUD = 2400, 400
READS = 2  # of each mode, each on a line that is opened for it
UP, DOWN = 1, 0
FORWARD_MS, BEHIND_MS = 20, 30  # of the board whose device tree says so
BOARD = ([], "rs485-rts-active-low", []), (["-t", "i"], "rs485-rts-delay", [str(FORWARD_MS), str(BEHIND_MS)])
STILL = "points: {level: {value: 4711}, volts: {value: 230.25}, power: {value: -1234}, poll: {value: 70000}}"
WORDS = {0: "1267", 2: "4366", 3: "4000", 6: "ffff", 7: "fb2e", 10: "0001", 11: "1170"}  # from register 10
CONFIG = """gateway: {id: gw-1}
store: {path: /tmp/fieldpost.db, journal_every: 500ms}
seal: {key: /tmp/device.key, every: 2s}
buses:
  line: {type: modbus-rtu, port: /dev/ttyAMA0, baud: %d, timeout: 3s, rs485: %s}
devices:
  a: {bus: line, unit: %d, profile: /etc/fault.yaml, every: 1s}
"""
# Until it was answered often enough: on a busy machine the simulator may take a request for two halves.
READ = """
n=0 good=0
while [ $good -lt %d ] && [ $n -lt 8 ]; do
    echo @read %s
    /opt/bin/fieldpost read --config /etc/%s.yaml --json line %d 3 10 12
    code=$?
    echo @exit $code
    n=$((n + 1)) good=$((good + !code))
done
"""
# What the gateway polls, until it holds five polls.
POLLED = """
/opt/bin/fieldpost keygen --out /tmp/device.key >/dev/null
/opt/bin/fieldpost run --config /etc/%s.yaml &
held() { /opt/bin/fieldpost export --config /etc/%s.yaml --format csv 2>/dev/null; }
n=0
while [ $(held | grep -c a/poll) -lt 5 ] && [ $n -lt 60 ]; do n=$((n + 1)); done
kill -TERM $!
wait $!
echo @stopped $?
echo @held
held
echo @exit $?
"""


class Direction(MachineCase):
    def setUp(self):
        super().setUp()
        self.modes, self.script, self.polled = {}, "", None

    # ---- what the machine holds and does

    def mode(self, rs485, level):
        """A mode of the line, with a unit of its own: its requests are told by it. level: RTS while sending."""
        name = f"{len(self.modes) + 1}-{rs485}"
        self.modes[name] = (len(self.modes) + 1, level, CONFIG % (BAUD, rs485, len(self.modes) + 1))
        return name

    def read(self, rs485, level):
        name = self.mode(rs485, level)
        self.script += READ % (READS, name, name, self.modes[name][0])
        return name

    def poll(self, rs485, level):
        name = self.polled = self.mode(rs485, level)
        self.script += POLLED % (name, name)
        return name

    def board(self, properties):
        """The machine's device tree, with more said of its PL011."""
        path = os.path.join(self.folder, "board.dtb")
        run([*QEMU, "-machine", f"dumpdtb={path}"])
        for how, name, values in properties:
            run(["fdtput", *how, path, "/pl011@9000000", name, *values])
        return path

    def boot(self, properties=()):
        """Runs the machine to its end. Sets self.seen: {mode: its exchanges}."""
        write(os.path.join(self.folder, "fault.yaml"), PROFILE)
        site = "buses: {line: {type: modbus-rtu, baud: %d}}\ndevices:\n" % SIM_BAUD
        for name, (unit, _, _) in self.modes.items():
            more = f"counter: poll, {VALUES}" if name == self.polled else STILL
            site += f"  u{unit}: {{bus: line, unit: {unit}, profile: ./fault.yaml, {more}}}\n"
        self.sim = Sim(self.args.bin, write(os.path.join(self.folder, "site.yaml"), site),
                       os.path.join(self.folder, "served.csv"))
        self.stack.callback(self.sim.stop)
        trace = os.path.join(self.folder, "trace")
        etc = {"fault.yaml": PROFILE, **{f"{name}.yaml": text for name, (_, _, text) in self.modes.items()}}
        run(self.machine(self.script, etc, self.sim.where["line"], [
            *(["-dtb", self.board(properties)] if properties else []), "-serial", "chardev:line",
            "-msg", "timestamp=on", "-trace", "pl011_write", "-trace", "pl011_put_fifo", "-D", trace]), 240)
        with open(trace, encoding="ascii", errors="replace") as f:
            all_seen = exchanges(f.read())
        names = {unit: name for name, (unit, _, _) in self.modes.items()}
        self.seen = {name: [] for name in self.modes}
        for x in all_seen:
            self.assertIn(x.request()[0], names, f"no request of ours: {x.request().hex()}")
            self.seen[names[x.request()[0]]].append(x)

    # ---- what is asked of it

    def assert_turned(self, name, at_least=READS):
        """Every request of the mode went out driven, every answer came in undriven."""
        level, seen = self.modes[name][1], self.seen[name]
        if name == self.polled:
            seen = seen[:-1]  # the gateway may have been stopped in it
        answered = sum(bool(x.heard) for x in seen)
        self.assertGreaterEqual(answered, at_least, f"{name}:\n{self.said()}")
        wrong = [f"{name}, request {n}: {f}" for n, x in enumerate(seen) for f in faults(x, level)]
        if level == DOWN:  # an open line has RTS asserted until it is told otherwise
            wrong += [f"{name}, request {n}: driven between two requests" for n, x in enumerate(seen)
                      if n and [t[1] for t in x.turns if t[2] == 0] != [level]]
        self.assertEqual(wrong, [], "\n".join(wrong[:20]))

    def assert_read(self, name):
        """`fieldpost read` said what the device holds, or that it is silent."""
        said = re.findall(rf"^@read {name}\n(.*?)^@exit (\d+)$", self.said(), re.M | re.S)
        self.assertEqual(sum(code == "0" for _, code in said), READS, self.said())
        for text, code in said:
            if code == "0":
                words = json.loads(text)["words"]
                self.assertEqual({n: words[n] for n in WORDS}, WORDS)
            else:
                self.assertIn("does not answer", text)

    def assert_held(self):
        """What the gateway stored is what was served, and it stopped well."""
        said = re.search(r"^@stopped 0\n@held\n(.*?)^@exit 0$", self.said(), re.M | re.S)
        self.assertTrue(said, self.said())
        self.sim.stop()
        served, polls = self.sim.served(), {}
        for series, at, value, *_ in csv_rows(said[1], EXPORT):
            device, point = series.split("/")
            if device == "a":
                polls.setdefault(at, {})[point] = float(value)
        self.assertGreaterEqual(len(polls), 5)
        for values in polls.values():
            want = served[f"u{self.modes[self.polled][0]}", int(values["poll"])]
            self.assertEqual(values, {p: float(v) for p, v in want.items()})

    # ---- the cases

    def test_each_way_on_a_board_that_says_nothing(self):
        read = [self.read("off", None), self.read("rts-up", UP), self.read("rts-down", DOWN),
                self.read("kernel", DOWN)]  # the kernel: pin high while sending, which is RTS not asserted
        polled = self.poll("kernel", DOWN)
        read.append(self.read("rts-up", UP))  # the kernel has had it
        self.boot()
        for name in read:
            self.assert_read(name)
            self.assert_turned(name)
        self.assert_turned(polled, 5)
        self.assert_held()

    def test_a_board_s_polarity_and_delays_are_kept(self):
        name = self.read("kernel", UP)
        self.boot(BOARD)
        self.assert_read(name)
        self.assert_turned(name)
        for x in self.seen[name]:
            self.assertGreaterEqual(x.lead_s(), FORWARD_MS / 1000)
            self.assertGreaterEqual(x.hold_s(), BEHIND_MS / 1000)


if __name__ == "__main__":
    main(needs=("fieldpost-sim",), extra=arm)
