"""Three nodes in QEMU on one RS-485 line (tests/sim/hub.py) on which all goes wrong: what is read is what was set,
or nothing; and when the line is well again, each answers at once."""
import os
import random
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "support", "python"))
from fp_node import BLOCKS, NAMES, UNITS, LineCase, Map, image  # noqa: E402
from fp_proc import main, until  # noqa: E402

TEMPERATURE = 60
TRY = 1


class Three(LineCase):
    def setUp(self):
        super().setUp()
        self.three()
        self.maps = [Map(self.at, u) for u in UNITS]
        for m in self.maps:
            m.set("SENSORS", "period", 5, 0)

    def read(self, m):
        """(raw, state) of the first point, in one try; None: it was not heard."""
        # From the hash, before the entries, to the first one's state: short enough to get through now and then.
        answer = self.at.once(m.unit, struct.pack(">BHH", 3, m.where[BLOCKS["VALUES"]][0] + 2, 5))
        return struct.unpack(">iH", answer[6:]) if answer and answer[0] == 3 else None

    def warm(self):
        """Sets all three, and waits for it; [raw]."""
        wanted = [random.Random(self.args.seed + i).randrange(-2000, 5000) for i in range(3)]
        for node, raw in zip(self.nodes, wanted, strict=True):
            node.temperature(raw * 10)
        for m, raw in zip(self.maps, wanted, strict=True):
            # The chip has steps of 1/16 of a degree: what it says is within one of them.
            until(lambda m=m, raw=raw: (p := m.point(TEMPERATURE))["state"] == "GOOD" and abs(p["raw"] - raw) <= 7,
                  20, f"{raw} at {m.unit}", 0.1)
        return [m.point(TEMPERATURE)["raw"] for m in self.maps]

    def rounds(self, n, wanted):
        """Asks all of them n times; how often each was heard. What is heard is right."""
        heard = [0, 0, 0]
        self.at.timeout_s = 0.25
        for _ in range(n):
            for i, m in enumerate(self.maps):
                if (got := self.read(m)) is not None:
                    self.assertEqual(got, (wanted[i], 0), f"unit {m.unit}: {self.hub.count}")
                    heard[i] += 1
        self.at.timeout_s = 1.0
        return heard

    def well(self, wanted):
        self.hub.well()
        self.at.drain(0.3)
        for i, m in enumerate(self.maps):
            self.assertEqual(m.point(TEMPERATURE)["raw"], wanted[i])

    def test_noise_drops_and_collisions(self):
        wanted = self.warm()
        for fault, p in (("noise", 0.004), ("drop", 0.004), ("babble", 0.3)):
            setattr(self.hub, fault, p)
            heard = self.rounds(10, wanted)
            self.assertTrue(all(heard), f"{fault}: heard {heard}")
            self.hub.well()
        self.assertGreater(min(self.hub.count[k] for k in ("noise", "dropped", "mangled", "babbled")), 0)
        self.well(wanted)
        errors = sum(m.get("DIAGNOSTICS", "crc_errors") for m in self.maps)
        self.assertGreater(errors, 0)

    def test_a_wire_that_is_cut_in_the_midst_of_a_frame(self):
        wanted = self.warm()
        for i, name in enumerate(NAMES):
            self.hub.cut(name + ".line", 9)  # of its next answer
            self.at.timeout_s = 0.3
            self.assertIsNone(self.read(self.maps[i]))
            self.assertIsNone(self.read(self.maps[i]))
            other = (i + 1) % 3
            self.at.timeout_s = 1.0
            self.assertEqual(self.maps[other].point(TEMPERATURE)["raw"], wanted[other])
            self.hub.join(name + ".line")
        # The master's, within a request: nobody answers half of one.
        self.hub.cut("pty", 4)
        self.at.timeout_s = 0.3
        self.assertIsNone(self.read(self.maps[0]))
        self.at.timeout_s = 1.0
        self.well(wanted)
        self.assertGreater(self.hub.count["cut"], 0)

    def test_two_with_one_address_and_one_that_floods(self):
        wanted = self.warm()
        self.maps[1].set("LINE", "address", 11)
        self.maps[1].set("LINE", "command", TRY)
        self.at.timeout_s = 0.3
        clashes = self.hub.count["mangled"]
        until(lambda: self.read(self.maps[0]) is None and self.hub.count["mangled"] > clashes, 20,
              "two answers at once")
        self.assertEqual(self.read(self.maps[2]), (wanted[2], 0))
        # They are told apart as before.
        self.give(NAMES[1], 12)
        self.assertEqual([self.read(m) for m in self.maps], [(raw, 0) for raw in wanted])
        # A master that never leaves the line to anybody, for a while.
        end = time.monotonic() + 1.5
        flood = random.Random(self.args.seed)
        while time.monotonic() < end:
            self.at.raw(flood.randbytes(200))
            threading.Event().wait(0.02)
        until(lambda: not self.hub.due, 30, "the flood has gone by")
        self.at.drain(0.3)
        self.at.timeout_s = 1.0
        self.assertEqual(self.maps[2].point(TEMPERATURE)["raw"], wanted[2])
        self.assertEqual(self.maps[2].get("DIAGNOSTICS", "reset_cause"), 1)


if __name__ == "__main__":
    main(needs=(), extra=image)
