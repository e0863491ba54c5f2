#!/usr/bin/env python3
"""board/host/compare.py must see every single difference."""
import os
import subprocess
import sys
import tempfile
import unittest

COMPARE = os.path.join(os.path.dirname(__file__), "../../../board/host/compare.py")

SERVED = ["device,counter,point,value", "d,1,level,7.5", "d,1,poll,1", "d,2,level,8", "d,2,poll,2"]
EXPORTED = ["series,ts_ms,value,quality,chain,seq",
            "d/level,1000,7.5,0,aa,2", "d/poll,1000,1,0,aa,2", "wan/latency,1500,0.05,0,aa,2",
            "d/level,2000,8,0,aa,3", "d/poll,2000,2,0,aa,3", "wan/latency,2500,0.06,0,,"]
DUMPED = ["gateway,series,ts_ms,value,quality,chain,seq"] + ["g," + r for r in EXPORTED[1:6]]


class Compare(unittest.TestCase):
    def run_on(self, served=None, exported=None, dumped=None, whole=True):
        with tempfile.TemporaryDirectory() as folder:
            args = [sys.executable, COMPARE, "--gateway", "g"]
            for name, rows in (("served", served or SERVED), ("exported", exported or EXPORTED),
                               ("dumped", dumped or DUMPED)):
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as f:
                    f.write("".join(r + "\n" for r in rows))
                if whole or name != "exported":
                    args += ["--" + name, path]
            return subprocess.run(args, capture_output=True, text=True, check=False)

    def differs(self, **files):
        p = self.run_on(**files)
        self.assertEqual(p.returncode, 1, p.stdout + p.stderr)
        return p

    def test_equal_sides_pass_and_are_counted(self):
        p = self.run_on()
        self.assertEqual(p.returncode, 0, p.stderr)
        self.assertIn("served 4, exported 4, dumped 4, differ 0", p.stdout)

    def test_one_value_at_the_city(self):
        p = self.differs(dumped=[r.replace("8,0,aa,3", "9,0,aa,3") for r in DUMPED])
        self.assertIn("served 4, exported 4, dumped 4, differ", p.stdout)

    def test_one_value_at_both(self):
        self.differs(dumped=[r.replace("8,0,aa,3", "9,0,aa,3") for r in DUMPED],
                     exported=[r.replace("8,0,aa,3", "9,0,aa,3") for r in EXPORTED])

    def test_one_value_in_the_export(self):
        self.differs(exported=[r.replace("1000,7.5", "1000,7.50") for r in EXPORTED])

    def test_a_row_missing(self):
        for i in range(1, 6):
            self.differs(dumped=DUMPED[:i] + DUMPED[i + 1:])
            self.differs(exported=EXPORTED[:i] + EXPORTED[i + 1:])

    def test_a_row_doubled(self):
        for i in range(1, 6):
            self.differs(dumped=DUMPED + [DUMPED[i]])
            self.differs(exported=EXPORTED + [EXPORTED[i]])

    def test_a_poll_doubled_under_another_time(self):
        again = [r.replace(",2000,", ",2001,") for r in DUMPED[4:6]]
        self.differs(dumped=DUMPED + again)

    def test_a_poll_missing_on_both_sides(self):
        self.differs(dumped=DUMPED[:4], exported=EXPORTED[:4] + EXPORTED[6:])

    def test_quality_or_place_in_the_chain(self):
        self.differs(dumped=[r.replace("8,0,aa,3", "8,1,aa,3") for r in DUMPED])
        self.differs(dumped=[r.replace("8,0,aa,3", "8,0,aa,4") for r in DUMPED])

    def test_two_values_swapped(self):
        self.differs(dumped=[r.replace("1000,7.5", "1000,x").replace("2000,8", "2000,7.5")
                             .replace("1000,x", "1000,8") for r in DUMPED])

    def test_nothing_at_all(self):
        self.differs(served=SERVED[:1], exported=EXPORTED[:1], dumped=DUMPED[:1])

    def test_other_gateways_do_not_count(self):
        self.differs(dumped=[r.replace("g,", "h,", 1) if r.startswith("g,") else r for r in DUMPED])

    def test_asking_whether_the_city_has_all(self):
        self.assertEqual(self.run_on(whole=False).returncode, 0)
        self.assertEqual(self.run_on(whole=False, dumped=DUMPED[:4]).returncode, 1)


if __name__ == "__main__":
    unittest.main()
