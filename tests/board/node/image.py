"""The node's image in QEMU (board mps2-an385), asked over its line by mbpoll and by a master of the tests: what it
answers, what it measures, what it keeps, and that it comes back."""
import os
import re
import struct
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "support", "python"))
from fp_node import (  # noqa: E402
    NO_VALUE, Hub, Map, NodeCase, Refused, Sending, Silence, a02, image, pms5003)
from fp_proc import Proc, main, run, until  # noqa: E402

QUANTITY = {"temperature": 60, "pm1": 20, "pm25": 21, "pm10": 22, "fill": 161, "weight": 160,
            "energy_import": 188, "water_total": 137}
MARK = [0x4650, 0x6E64, 0x0100]
POWER, WATCHDOG, COMMAND, FAULT = 1, 2, 3, 4  # reset causes
HANG, CRASH = 1, 2  # what test-hang.elf is told
TRY, KEEP, RESTART = 1, 2, 4  # commands


class Image(NodeCase):
    def setUp(self):
        super().setUp()
        self.node, = self.line("node-1")

    def map(self, unit=1):
        self.at = self.master()
        return Map(self.at, unit)

    def mbpoll(self, *args, values=(), unit=1):
        """What it prints: {address: value}."""
        r = run(["mbpoll", "-m", "rtu", "-b", "9600", "-P", "none", "-a", str(unit), "-0", "-1", "-o", "2", *args,
                 self.port, *map(str, values)], ok=None)
        self.assertEqual(r.returncode, 0, r.stdout + r.stderr)
        return {int(a): int(v) for a, v in re.findall(r"^\[(\d+)\]:\s+(-?\d+)", r.stdout, re.M)}


class Answers(Image):
    def test_a_master_of_others_reads_and_writes(self):
        for kind in ("4", "3"):  # functions 3 and 4
            read = self.mbpoll("-t", kind, "-r", "0", "-c", "3")
            self.assertEqual([read[i] for i in range(3)], MARK)
        m = self.map()
        at = m.at("SENSORS", "period", 0)[0]
        self.mbpoll("-t", "4", "-r", str(at), values=[50])  # function 6
        self.assertEqual(m.get("SENSORS", "period", 0), 50)
        gain, offset = (m.at("CALIBRATION", n, 0)[0] for n in ("gain", "offset"))
        self.assertEqual(offset, gain + 2)
        self.mbpoll("-t", "4", "-r", str(gain), values=[0, 1000, 0xFFFF, 0xFFFE])  # function 16
        self.assertEqual((m.get("CALIBRATION", "gain", 0), m.get("CALIBRATION", "offset", 0)), (1000, -2))

    def test_says_who_it_is(self):
        """Function 43/14, the basic objects at once, is what the block IDENTITY says."""
        m = self.map()
        self.assertEqual(m.get("IDENTITY", "serial"), "node-1")
        self.assertEqual(m.get("IDENTITY", "model"), "mps2-an385")
        answer = self.at.ask(1, bytes([43, 14, 1, 0]))
        self.assertEqual(answer[:3], bytes([43, 14, 1]))
        self.assertEqual(answer[6], 3)
        objects, rest = {}, answer[7:]
        while rest:
            objects[rest[0]], rest = rest[2:2 + rest[1]].decode(), rest[2 + rest[1]:]
        self.assertEqual(objects[0], m.get("IDENTITY", "vendor"))
        self.assertIn(m.get("IDENTITY", "firmware"), objects[2])

    def test_refuses_what_is_not_there(self):
        m = self.map()
        ask = self.at.ask
        for code, pdu in ((1, bytes([1, 0, 0, 0, 1])),  # a coil
                          (2, struct.pack(">BHH", 3, m.end + 1, 10)), (2, struct.pack(">BHH", 6, 0, 1)),
                          (3, struct.pack(">BHH", 3, 0, 126)), (3, struct.pack(">BHH", 3, 0, 0)),
                          (3, struct.pack(">BHH", 6, m.at("LINE", "address")[0], 248))):
            with self.assertRaises(Refused) as refused:
                ask(1, pdu)
            self.assertEqual(refused.exception.code, code, pdu.hex())
        self.assertEqual(m.get("DIAGNOSTICS", "exceptions"), 6)
        self.assertEqual(self.at.read(1, 0, 3), MARK)

    def test_hears_no_other_unit_and_nothing_broken(self):
        m = self.map()
        self.at.tries, self.at.timeout_s = 1, 0.3
        with self.assertRaises(Silence):
            self.at.read(2, 0, 3)
        frame = bytes.fromhex("010300000003")
        for noise in (frame + b"\x12\x34", frame[:4], bytes(300), b"\xff" * 40):
            self.at.raw(noise)
            self.assertEqual(self.at.drain(0.3), b"", noise.hex())
            self.at.tries, self.at.timeout_s = 4, 1.0
            self.assertEqual(self.at.read(1, 0, 3), MARK)
        self.assertGreater(m.get("DIAGNOSTICS", "crc_errors"), 0)


class Measures(Image):
    def test_what_was_set_reaches_the_registers(self):
        m = self.map()
        # The thermometer on I2C, by QEMU's monitor: each value is the median of three.
        for i in range(len(m.sensors())):
            m.set("SENSORS", "period", 5, i)
        for millidegrees, raw in ((23500, 2350), (-12500, -1250), (0, 0)):
            self.node.temperature(millidegrees)
            self.assertGreaterEqual(m.value(QUANTITY["temperature"], raw)["samples"], 1)
        # Particles on the second UART, the distance to what is in a bin on the third.
        for feed, frame in ((self.node.dust, pms5003(5, 14, 23)), (self.node.level, a02(1150))):
            self.stack.callback(Sending(feed, frame).stop)
        m.value(QUANTITY["fill"], 500)
        for name, wanted in (("pm1", 5), ("pm25", 14), ("pm10", 23)):
            m.value(QUANTITY[name], wanted)
        # A load cell and pulses, through shared memory.
        self.node.shared.put(weight=84000 + 21 * 12345, pulses_0=1600, pulses_1=17)
        m.value(QUANTITY["weight"], 12345)
        m.value(QUANTITY["energy_import"], 1000)
        m.value(QUANTITY["water_total"], 17)
        # All of this stayed within the stack that is said to be the worst (which a host's test cannot see).
        said = run([os.path.join(HERE, "size"), self.node.image, "cmsdk"]).stdout
        worst, room = map(int, re.search(r"worst stack (\d+) of (\d+)", said).groups())
        used = room - m.get("DIAGNOSTICS", "stack_free")
        self.assertTrue(worst / 3 < used <= worst, f"{used} of {worst}")
        # Supply and temperature of the processor, through shared memory.
        self.node.shared.put(supply_mv=3127, temperature_dc=-47)
        self.assertEqual((m.get("DIAGNOSTICS", "supply"), m.get("DIAGNOSTICS", "temperature")), (3127, -47))

    def test_a_stuck_bus_is_clocked_free(self):
        m = self.map()
        m.set("SENSORS", "period", 5, 0)
        self.node.temperature(31000)
        m.value(QUANTITY["temperature"], 3100)
        before = m.get("DIAGNOSTICS", "recoveries")
        self.node.shared.put(sda_low=5)  # a chip holds it for five pulses
        until(lambda: m.get("DIAGNOSTICS", "recoveries") == before + 1, 20, "one recovery", 0.1)
        self.node.temperature(32000)
        m.value(QUANTITY["temperature"], 3200)
        self.assertEqual(m.get("DIAGNOSTICS", "recoveries"), before + 1)

    def test_a_bus_that_stays_stuck_has_no_values_and_comes_back(self):
        m = self.map()
        m.set("SENSORS", "period", 5, 0)
        self.node.temperature(31000)
        m.value(QUANTITY["temperature"], 3100)
        self.node.shared.put(sda_low=0xFFFFFFFF)

        def gone():
            p = m.point(QUANTITY["temperature"])
            return p["state"] not in ("GOOD", "STALE") and p
        self.assertEqual(until(gone, 20, "no value", 0.1)["raw"], NO_VALUE)
        self.node.shared.put(sda_low=0)
        self.node.temperature(-5000)
        m.value(QUANTITY["temperature"], -500)


class Keeps(Image):
    def restart(self, m):
        """By command; its map anew."""
        boots = m.get("DIAGNOSTICS", "boots")
        m.set("LINE", "command", RESTART)
        until(lambda: m.get("DIAGNOSTICS", "boots") == boots + 1, 20, "a restart", 0.1)

    def test_settings_and_counters_outlive_a_restart_and_a_cut(self):
        m = self.map()
        m.set("CALIBRATION", "offset", 250, 0)
        m.set("SENSORS", "serial", "TMP-0815", 0)
        self.node.shared.put(pulses_0=1600)
        self.assertEqual(m.value(QUANTITY["energy_import"], 1000)["flags"], 1)
        # Another address: tried, and kept by who finds it there.
        m.set("LINE", "address", 7)
        m.set("LINE", "command", TRY)
        m.unit = 7
        until(lambda: m.get("LINE", "trial") > 0, 20, "a trial at the new address", 0.1)
        m.set("LINE", "command", KEEP)
        self.assertEqual(m.get("LINE", "trial"), 0)
        self.restart(m)
        self.assertEqual(m.get("DIAGNOSTICS", "reset_cause"), COMMAND)
        for _ in range(2):
            self.assertEqual(m.get("SENSORS", "serial", 0), "TMP-0815")
            self.assertEqual(m.get("CALIBRATION", "offset", 0), 250)
            self.assertEqual(m.point(QUANTITY["energy_import"])["raw"], 1000)
            self.node.power_off()
            self.node.start()
            until(lambda: m.get("DIAGNOSTICS", "reset_cause") == POWER, 20, "a start", 0.1)

    def test_an_address_that_was_not_kept_is_gone_after_a_cut(self):
        m = self.map()
        m.set("LINE", "address", 9)
        m.set("LINE", "command", TRY)
        m.unit = 9
        until(lambda: m.get("LINE", "trial") > 0, 20, "a trial", 0.1)
        self.node.power_off()
        self.node.start()
        m.unit = 1
        self.assertEqual(m.get("LINE", "address"), 1)

    def test_the_image_with_an_eeprom_that_is_not_there_lives(self):
        self.node.power_off()
        self.node.start(eeprom=False)
        m = self.map()
        self.node.temperature(21000)
        m.set("SENSORS", "period", 5, 0)
        m.value(QUANTITY["temperature"], 2100)


class Breaks(NodeCase):
    """test-hang.elf, which breaks when it is told."""

    def setUp(self):
        super().setUp()
        self.node, = self.line("node-1", image="test-hang.elf")
        self.m = Map(self.master(tries=30), 1)
        self.assertEqual(self.said(), (0, POWER))

    def said(self):
        return self.m.get("DIAGNOSTICS", "watchdogs"), self.m.get("DIAGNOSTICS", "reset_cause")

    def told(self, what):
        self.node.shared.put(hang=what)
        until(lambda: self.node.shared.get("hang") == 0, 20, "it has read that", 0.02)

    def test_a_node_that_hangs_is_restarted_and_says_so(self):
        self.told(HANG)
        self.m.master.tries, self.m.master.timeout_s = 1, 0.3
        with self.assertRaises(Silence):
            self.said()
        self.m.master.tries, self.m.master.timeout_s = 30, 1.0
        until(lambda: self.said() == (1, WATCHDOG), 40, "the watchdog", 0.1)
        self.node.power_off()
        self.node.start()
        until(lambda: self.said() == (1, POWER), 20, "a start, the count kept", 0.1)

    def test_a_fault_of_the_processor_restarts_it_at_once(self):
        self.told(CRASH)
        until(lambda: self.said() == (0, FAULT), 20, "a restart", 0.1)


class Stm32(NodeCase):
    """The very image of the real part, whose time counts silences: asked until one gets through."""

    def test_boots_and_answers_a_master_of_others(self):
        link = os.path.join(self.folder, "stm.line")
        self.hub = Hub(self.port, [link], 1000000, self.args.seed).start()
        self.stack.callback(self.hub.stop)
        machine = Proc(["qemu-system-arm", "-M", "stm32vldiscovery", "-nodefaults", "-display", "none",
                        "-kernel", os.path.join(self.args.image, "stm32vldiscovery.elf"),
                        "-chardev", f"socket,id=line,path={link},reconnect=1", "-serial", "chardev:line"])
        self.stack.callback(machine.kill)

        def read(*args):
            r = run(["mbpoll", "-m", "rtu", "-b", "9600", "-P", "none", "-a", "1", "-0", "-1", "-o", "1", *args,
                     self.port], ok=None)
            return [int(v) & 0xFFFF for v in re.findall(r"^\[\d+\]:\s+(-?\d+)", r.stdout, re.M)]
        self.assertEqual(until(lambda: read("-t", "4", "-r", "0", "-c", "3"), 60, "function 3"), MARK)
        m = Map(self.master(tries=20), 1)
        self.assertEqual(m.get("IDENTITY", "model"), "stm32vldiscovery")
        self.assertEqual(m.get("LINE", "speed"), 96)


if __name__ == "__main__":
    main(needs=(), extra=image)
