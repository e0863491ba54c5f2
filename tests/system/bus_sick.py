"""Devices that do not answer: what they cost the others, and how soon they are back. The real gateway on
fieldpost-sim."""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import main, run, until  # noqa: E402
from fp_site import SiteCase  # noqa: E402

EVER = "1000000"


class Sick(SiteCase):
    names = ("a", "b", "c", "d", "e")

    def site(self, dead=(), bus="type: modbus-rtu, baud: 9600", timeout="500ms", every="2s",
             alive=names):
        """The living on one 9600 Bd line; the dead are configured, but nobody is there."""
        self.play({"line": bus}, {n: ("line", i + 1, "") for i, n in enumerate(alive)})
        devices = {n: ("line", i + 1) for i, n in enumerate(alive)}
        devices.update({n: ("line", 100 + i) for i, n in enumerate(dead)})
        self.configure({"line": f"type: modbus-rtu, port: {self.sim.where['line']}, "
                                f"timeout: {timeout}"}, devices, every)
        self.start()

    def state(self, name):
        return self.device(name)["state"]

    def test_D1_three_dead_of_eight_at_9600_baud_leave_the_healthy_their_period(self):
        dead, every_ms = ("x", "y", "z"), 2000
        self.site(dead, every="2s")
        until(lambda: all(self.state(n) == "silent" for n in dead), 30, "three are silent")
        self.good_polls("a", 1)
        from_s, before = time.time(), sum(self.device(n)["lost_ms"] for n in dead)
        until(lambda: time.time() > from_s + 25, 60, "a while", 0.5)
        window_ms = (time.time() - from_s) * 1000
        lost = sum(self.device(n)["lost_ms"] for n in dead) - before
        self.assertLessEqual(lost, window_ms * 0.05, "bus time that the dead took")
        for n in self.names:
            self.assertEqual(self.device(n)["failures"], 0, n)
            self.assertEqual(self.device(n)["overruns"], 0, n)
        self.truth()
        late = {}
        for n in self.names:
            times = sorted(int(r[1]) for r in self.gw.export() if r[0] == f"{n}/poll")
            times = [t for t in times if t > from_s * 1000]
            self.assertGreaterEqual(len(times), 10, n)
            for a, b in zip(times, times[1:]):
                if b - a > every_ms * 1.1:
                    tick = round(b / every_ms)
                    late[tick] = max((n, b - a), late.get(tick, ("", 0)), key=lambda x: x[1])
        # beside other tests the machine itself may take a tick; probes in the way of polls would take more
        self.assertLessEqual(len(late), 0 if os.environ.get("FP_ALONE") else 1, f"the healthy waited: {late}")
        self.assertTrue(all(ms <= 2 * every_ms for _, ms in late.values()), f"the healthy waited: {late}")

    def test_D2_one_unit_number_on_two_buses_has_two_states(self):
        self.play({"p": "type: modbus-rtu", "q": "type: modbus-rtu"},
                  {"a": ("p", 7, ""), "b": ("q", 7, "")})
        self.configure({k: f"type: modbus-rtu, port: {self.sim.where[k]}, timeout: 200ms"
                        for k in "pq"}, {"a": ("p", 7), "b": ("q", 7)})
        self.start()
        self.good_polls("a")
        self.sim.say(f"fault b silent {EVER}")
        until(lambda: self.state("b") == "silent", 20, "b is silent")
        failures = self.device("a")["failures"]
        self.good_polls("a", 10)
        self.assertEqual((self.state("a"), self.device("a")["failures"]), ("good", failures))
        self.sim.say("heal b")
        self.good_polls("b", 1)

    def test_D3_revived_slave_is_back_with_the_next_probe(self):
        self.site(timeout="250ms", every="300ms", alive=("a", "b"))
        self.good_polls("a")
        self.sim.say(f"fault b silent {EVER}")
        until(lambda: self.state("b") == "silent", 20, "b is silent")
        self.assertIn("does not answer", self.device("b")["text"])
        self.sim.say("heal b")  # the first back-off: 20 times what a time-out took
        self.good_polls("b", 1, 20 * 0.5)
        until(lambda: self.state("b") == "good", 5, "b is good")
        for code in ("device.silent", "device.good"):
            until(lambda c=code: self.told(c, "b") == 1, 5, f"one {code} tells it")
        self.good_polls("b", 2)
        for code in ("device.silent", "device.good"):
            self.assertEqual(self.told(code, "b"), 1, code)

    def told(self, code, device):
        return len([e for e in self.events(code) if e["subject"] == device])

    def test_D3_slave_that_came_back_slower_is_found(self):
        """A probe waits as long as the unit took so far, then longer with each in vain."""
        self.site(timeout="500ms", every="300ms", alive=("a", "b"), bus="type: modbus-rtu")
        self.good_polls("b")
        self.sim.say(f"fault b slow {EVER}")  # 8 ms a byte
        self.good_polls("b", 3)

    def test_N2_probe_now_ends_any_back_off(self):
        self.site(timeout="300ms", every="500ms", alive=("a", "b"))
        self.good_polls("b")
        self.sim.say(f"fault b silent {EVER}")
        until(lambda: self.device("b")["failures"] >= 3, 40, "a probe in vain: the next is in 12 s")
        self.sim.say("heal b")
        from_s = time.monotonic()
        r = self.probe("b")
        self.assertEqual((r.returncode, r.stdout), (0, "b: is tried now\n"))
        self.good_polls("b", 1, 5)
        self.assertLess(time.monotonic() - from_s, 5)
        r = self.probe("--bus", "line")
        self.assertEqual((r.returncode, r.stdout), (1, "line: answers, or nobody waits for it\n"))
        self.assertEqual(self.probe("nobody").returncode, 2)
        self.assertEqual(self.probe("--bus", "nowhere").returncode, 2)
        self.assertEqual(self.probe("--bus", "line", "b").returncode, 2)
        self.truth()
        r = self.probe("b")
        self.assertEqual(r.returncode, 1)
        self.assertIn("no gateway runs", r.stderr)

    def probe(self, *what):
        return run([self.gw.exe, "probe", "--config", self.gw.conf, *what], ok=None)

    def test_N2_two_devices_of_one_unit_share_its_state(self):
        """Two profiles of one unit: when it is silent, one probe tries both."""
        self.site(timeout="150ms", every="200ms", alive=("a", "b"))
        self.assertEqual(self.gw.stop(), 0)
        with open(os.path.join(self.folder, "fault.yaml"), encoding="ascii") as f:
            half = "\n".join(line for line in f.read().split("\n") if "power" not in line)
        with open(os.path.join(self.folder, "half.yaml"), "w", encoding="ascii") as f:
            f.write(half)
        with open(self.gw.conf, "a", encoding="ascii") as f:
            f.write("  b2: {bus: line, unit: 2, profile: ../half.yaml, every: 4s}\n")
        self.start()
        self.good_polls("b2")
        self.sim.say(f"fault b silent {EVER}")
        until(lambda: self.state("b") == "silent" and self.state("b2") == "silent", 20,
              "both are silent")
        asked = self.device("b")["polls"] + self.device("b2")["polls"]
        self.good_polls("a", 8)
        more = self.device("b")["polls"] + self.device("b2")["polls"] - asked
        self.assertLessEqual(more, 2, "the unit is tried for each of its devices")
        self.sim.say("heal b")
        self.good_polls("b", 1)
        self.good_polls("b2", 1)


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
