"""The played sensors send what the data sheets and the makers' examples say, byte by byte."""
import unittest

from fp_chips import Sps30, pms5003, shdlc, ultrasonic


def hex_(data):
    return data.hex(" ").upper()


class Chips(unittest.TestCase):
    def test_a_pms5003(self):
        frame = pms5003(5, 14, 23)
        self.assertEqual(len(frame), 32)
        self.assertEqual(hex_(frame[:16]), "42 4D 00 1C 00 05 00 0E 00 17 00 05 00 0E 00 17")
        self.assertEqual(int.from_bytes(frame[-2:]), sum(frame[:-2]))
        self.assertEqual(pms5003(5, 14, 23, error=4)[29], 4)

    def test_an_ultrasonic_distance(self):
        self.assertEqual(hex_(ultrasonic(1953)), "FF 07 A1 A7")
        self.assertEqual(hex_(ultrasonic(0)), "FF 00 00 FF")

    def test_shdlc_stuffs_what_has_a_meaning(self):
        self.assertEqual(hex_(shdlc(b"\x00\x11\x00")), "7E 00 7D 31 00 EE 7E")
        self.assertEqual(hex_(shdlc(b"\x00\x03\x00")), "7E 00 03 00 FC 7E")

    def test_an_sps30_from_reset_to_a_fault(self):
        chip = Sps30(12.5, 24.75, 33.0625)
        read = bytes.fromhex("7E 00 03 00 FC 7E")
        self.assertEqual(hex_(chip.hears(read)), "7E 00 03 43 00 B9 7E")  # it does not measure yet
        self.assertEqual(hex_(chip.hears(bytes.fromhex("7E 00 D3 00 2C 7E"))), "7E 00 D3 00 00 2C 7E")
        start = bytes.fromhex("7E 00 00 02 01 03 F9 7E")
        self.assertEqual(chip.hears(start[:3]), b"")
        self.assertEqual(hex_(chip.hears(start[3:])), "7E 00 00 00 00 FF 7E")
        self.assertEqual(hex_(chip.hears(start)), "7E 00 00 43 00 BC 7E")
        answer = chip.hears(b"\x55" + read)
        self.assertTrue(hex_(answer).startswith("7E 00 03 00 28 41 48 00 00 41 C6 00 00 41 E7 40 00 42 04 40 00"))
        chip.fault = True
        self.assertEqual(chip.hears(read)[3], 0x80)
        self.assertEqual(chip.hears(bytes.fromhex("7E 00 03 00 FD 7E")), b"")


if __name__ == "__main__":
    unittest.main()
