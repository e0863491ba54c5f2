"""The judge of an RS-485 line's direction passes a line that is driven as it should be and finds each planted
fault."""
import unittest

from fp_rs485 import crc, exchanges, faults

REST, DRIVEN = 0xB01, 0x301  # RTS asserted at rest: level 0 while sending


def frame(*body):
    c = crc(body)
    return [*body, c & 0xFF, c >> 8]


ASK, ANSWER = frame(1, 3, 0, 10, 0, 1), frame(1, 3, 2, 0x12, 0x67)
SAY = [("out", b) for b in ASK]
HEAR = [("in", b) for b in ANSWER]
ON, OFF = [("cr", DRIVEN)], [("cr", REST)]
GOOD = ON + SAY + OFF + HEAR


def trace(events, step=0.001):
    lines = ["7@1.000000:pl011_write addr 0x030 value 0x00000b01", "7@1.000000:pl011_write addr 0x038 value 0x0"]
    for n, (what, value) in enumerate(events):
        at = f"7@{2 + n * step:.6f}:pl011_"
        lines.append({"out": f"{at}write addr 0x000 value {value:#010x}",
                      "cr": f"{at}write addr 0x030 value {value:#010x}",
                      "in": f"{at}put_fifo new char {value:#x} read_count now 1"}[what])
    return "\n".join(lines)


class Direction(unittest.TestCase):
    def judge(self, events, level=0, **more):
        return [f for x in exchanges(trace(events)) for f in faults(x, level, **more)]

    def fault(self, word, events, level=0, **more):
        found = self.judge(events, level, **more)
        self.assertTrue(any(word in f for f in found), f"'{word}' not among {found}")

    def test_a_line_that_is_driven_for_the_request_alone_passes(self):
        self.assertEqual(self.judge(GOOD * 3), [])
        x = exchanges(trace(GOOD * 3))
        self.assertEqual(len(x), 3)
        self.assertEqual((x[1].request(), x[1].answer()), (bytes(ASK), bytes(ANSWER)))
        self.assertAlmostEqual(x[2].lead_s(), 0.001)
        self.assertAlmostEqual(x[2].hold_s(), 0.001)

    def test_the_other_polarity(self):
        other = [("cr", REST if v == DRIVEN else DRIVEN) if k == "cr" else (k, v) for k, v in GOOD]
        start = [("cr", DRIVEN)]
        self.assertEqual(self.judge(start + other * 2, 1), [])
        self.fault("not driven", start + other, 0)
        self.fault("not driven", GOOD, 1)

    def test_nobody_turns(self):
        self.assertEqual(self.judge((SAY + HEAR) * 2, None), [])
        self.fault("RTS turned", GOOD, None)
        self.fault("not driven", SAY + HEAR)
        self.fault("not turned on", SAY + HEAR)

    def test_driven_all_the_time(self):
        self.fault("driven while the answer comes", ON + SAY + HEAR)
        self.fault("driven while the answer comes", (ON + SAY + HEAR) * 2)

    def test_let_go_too_early_or_too_late(self):
        self.fault("bytes [7] of the request", ON + SAY[:7] + OFF + SAY[7:] + HEAR)
        self.fault("driven while the answer comes", ON + SAY + HEAR[:1] + OFF + HEAR[1:])
        self.fault("not once behind", ON + SAY + HEAR + OFF)
        self.fault("behind the last byte", GOOD, bound_s=0.0005)

    def test_nobody_answers(self):
        silence = ON + SAY + OFF
        self.assertEqual(self.judge(silence * 2 + GOOD + silence), [])
        self.assertEqual([len(x.heard) for x in exchanges(trace(silence + GOOD))], [0, len(ANSWER)])
        self.fault("not turned on", silence + SAY + HEAR)
        self.fault("turned 0 times", ON + SAY + GOOD)

    def test_driven_too_late(self):
        self.fault("bytes [0] of the request", SAY[:1] + ON + SAY[1:] + OFF + HEAR)

    def test_driven_again_during_the_answer(self):
        self.fault("turned 3 times", ON + SAY + OFF + HEAR[:2] + ON + OFF + HEAR[2:])

    def test_frames_that_are_not_whole(self):
        self.fault("answer", ON + SAY + OFF + HEAR[:-1])
        self.fault("request", ON + SAY[:5] + OFF)
        self.fault("answer", ON + SAY + OFF + [("in", b) for b in frame(2, 3, 2, 0x12, 0x67)])


if __name__ == "__main__":
    unittest.main()
