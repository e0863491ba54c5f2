"""The checker of whole chains passes a chain that keeps the rules and finds each planted fault."""
import unittest

import fp_contract as fp
from fp_rules import chain_faults

T0, EVERY, PERIOD = 1_790_000_000_000, 10_000, 1000
KEY = fp.new_key()


def chain(windows=4, edit=lambda seq, h, polls: (h, polls), plan=None, edit_plan=lambda h: h):
    """A control batch and some windows of one series; edit() plants the fault of a window."""
    out, prev = [], None
    for seq in range(1, windows + 2):
        control = seq == 1
        a = T0 if control else T0 + (seq - 2) * EVERY
        h = fp.header(KEY, "gw-1", b"c" * 8, seq, a, a if control else a + EVERY, prev=prev,
                      control=control)
        if control:
            h = edit_plan(h)
            body = plan or [["plan", "d/a", "voltage", "V", PERIOD, T0]]
        else:
            polls = [("d", t, [("a", "V", 5, 0)]) for t in range(a, a + EVERY, PERIOD)]
            h, polls = edit(seq, h, polls)
            body = fp.senml("gw-1", polls)
        whole = fp.build(KEY, h, body)
        out.append(fp.Batch(whole, KEY.public_key()))
        prev = out[-1].hash
    return out


def at(n, change):
    return lambda seq, h, polls: change(h, polls) if seq == n else (h, polls)


class Rules(unittest.TestCase):
    def fault(self, word, **kw):
        faults = chain_faults(chain(**kw), EVERY)
        self.assertTrue(any(word in f for f in faults), f"'{word}' not among {faults}")

    def test_a_good_chain_has_no_faults(self):
        self.assertEqual(chain_faults(chain(), EVERY), [])

    def test_a_gap_covers_what_is_missing(self):
        gap = ["d/a", T0 + EVERY, T0 + 2 * EVERY, "device"]
        ok = chain(edit=at(3, lambda h, p: ({**h, "gaps": [gap]}, [])))
        self.assertEqual(chain_faults(ok, EVERY), [])
        for name in ("d/*", "*"):
            ok = chain(edit=at(3, lambda h, p, n=name: ({**h, "gaps": [[n] + gap[1:]]}, [])))
            self.assertEqual(chain_faults(ok, EVERY), [])
        self.fault("rule 17", edit=at(3, lambda h, p: (h, [])))
        self.fault("rule 17", edit=at(3, lambda h, p: ({**h, "gaps": [["d/b"] + gap[1:]]}, [])))
        self.fault("rule 17", edit=at(3, lambda h, p: (h, p[:3] + p[6:])))
        self.fault("rule 17", edit=at(5, lambda h, p: (h, p[:5])))
        for name in ("d/a", "d/*", "*"):
            self.fault("rule 18", edit=at(3, lambda h, p, n=name: (
                {**h, "gaps": [[n] + gap[1:]]}, p)))

    def test_windows(self):
        self.fault("rule 8", edit=at(3, lambda h, p: ({**h, "from": h["from"] + 1}, p)))
        self.fault("rule 6", edit=at(3, lambda h, p: ({**h, "to": h["to"] - 1}, p)))
        self.fault("is not before", edit=at(3, lambda h, p: (h, p + [("d", h["to"], [
            ("a", "V", 1, 0)])])))
        self.fault("rule 9", edit_plan=lambda h: {**h, "from": T0 - 5, "to": T0 - 5})

    def test_series(self):
        self.fault("without plan", plan=[["plan", "d/b", "voltage", "V", PERIOD, T0]])
        self.fault("unit", plan=[["plan", "d/a", "voltage", "kV", PERIOD, T0]])
        self.fault("not after", edit=at(3, lambda h, p: (h, p + p[:1])))
        self.fault("plan entry", plan=[["plan", "d/a", "voltage", "V", "1", T0]])
        self.fault("retire", plan=[["retire", "d/a", T0, "gone"]])
        self.fault("void", plan=[["void", 2, 3, [b"h" * 32], "lost"]])

    def test_links(self):
        self.fault("prev", edit=at(4, lambda h, p: ({**h, "prev": bytes(32)}, p)))
        good = chain()
        self.assertTrue(chain_faults(good[:2] + good[3:], EVERY))
        self.assertTrue(chain_faults(good[1:], EVERY))


if __name__ == "__main__":
    unittest.main()
