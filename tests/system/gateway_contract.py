"""`fieldpost run` seen from its city: what it seals is held against the batch rules, through restarts
and changes of its configuration."""
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_city import relay  # noqa: E402
from fp_gatewaycase import EVERY_MS, PERIOD_MS, GatewayCase  # noqa: E402
from fp_proc import City, main, until, write  # noqa: E402
from fp_rules import Plans, chain_faults  # noqa: E402
from fp_slave import SILENT  # noqa: E402


class Seals(GatewayCase):
    def test_first_batches_keep_every_rule(self):
        self.site()
        self.gw.start()
        self.wait_for(4)
        self.rules()
        first = self.chains()[0][0]
        self.assertTrue(first.control)
        self.assertIsNone(first.after)
        plans = {e[1]: e for e in first.entries if e[0] == "plan"}
        self.assertEqual({s: p[4] for s, p in plans.items() if s.startswith("dev-")},
                         {f"dev-{d}/{p}": PERIOD_MS for d in (1, 2) for p in "ndf"})
        self.assertEqual({p[2] for s, p in plans.items() if s.startswith("dev-")}, {"number"})
        for r in self.city.requests:
            self.assertEqual(r.headers["content-type"].replace(" ", ""),
                             'application/cose;cose-type="cose-sign1"')
            self.assertEqual(r.headers.get("content-encoding"), "zstd")
        self.drain()
        self.rules()

    def test_real_city_holds_what_was_exported_and_served(self):
        city = City(self.args.bin, os.path.join(self.folder, "real"))
        city.enroll(self.gw.gw, self.gw.pub_path)
        city.start()
        self.stack.callback(city.stop)
        self.city.hook = relay(self.city, city)
        self.site(city=city)
        self.gw.start()
        self.wait_for(4)
        self.drain()
        self.rules()
        dumped = sorted(tuple(r[1:]) for r in city.rows())
        held = {r[4:6] for r in dumped}
        self.assertEqual(dumped, sorted(r for r in self.exported() if r[4:6] in held))
        self.assertGreater(len(dumped), 50)

    def test_silent_device_gives_gaps_with_cause_device_and_the_other_keeps_its_period(self):
        self.site()
        self.gw.start()
        self.wait_for(2)
        self.units[1].sick = SILENT
        n = len(self.data())
        self.wait_for(n + 4)
        self.units[1].sick = None
        self.wait_for(n + 6)
        self.drain()
        self.rules()
        causes = {}
        for b in self.data():
            for g in b.gaps:
                causes.setdefault(g[0].split("/")[0], set()).add(g[3])
        self.assertEqual(causes.get("dev-1"), {"device"})
        times = sorted(r.t_ms for r in self.city.readings() if r.series == "dev-2/n")
        late = [b - a for a, b in zip(times, times[1:]) if b - a > 2 * PERIOD_MS]
        self.assertEqual([x for x in late if x > 4 * PERIOD_MS], [], "the healthy device waited")

    def test_exceptions_and_a_dead_bus_have_their_causes(self):
        self.site()
        self.gw.start()
        self.wait_for(1)
        self.units[2].sick = 4
        n = len(self.data())
        self.wait_for(n + 2)
        self.units[2].sick = None
        n = len(self.data())
        self.wait_for(n + 1)
        bus_from = time.time_ns() // 1_000_000
        self.slave.stop()
        self.wait_for(n + 4)
        bus_to = time.time_ns() // 1_000_000
        self.slave.start()
        polled = len(self.slave.requests)
        until(lambda: len(self.slave.requests) > polled + 4, 60, "polls after the bus came back")
        self.wait_for(len(self.data()) + 2)
        self.drain()
        self.rules()
        gaps = [g for b in self.data() for g in b.gaps]
        middle = (bus_from + bus_to) // 2
        over = [g for g in gaps if g[1] <= middle < g[2]]
        self.assertTrue(over and all(g[3] == "bus" for g in over), over)
        self.assertIn("device", {g[3] for g in gaps if g[1] < bus_from and g[0] != "*"})

    def test_empty_windows_are_still_sealed(self):
        self.site()
        self.slave.stop()
        self.gw.start()
        self.wait_for(3)
        for b in self.data()[1:]:
            self.assertEqual(b.readings, [])
            self.assertTrue(b.gaps)
        self.slave.start()
        until(lambda: self.city.readings(), 60, "readings after the bus came up")
        self.wait_for(len(self.data()) + 1)
        self.drain()
        self.rules()

    def test_large_windows_are_split_to_fit(self):
        self.site(more=", max_readings: 20")
        self.gw.start()
        self.wait_for(8)
        self.drain()
        faults = []
        for chain in self.chains():
            faults += chain_faults(chain, EVERY_MS, 10)
        self.assertEqual(faults, [], "\n" + "\n".join(faults[:20]))
        self.assertLessEqual(max(len(b.readings) for b in self.data()), 20)


class Restarts(GatewayCase):
    def restart(self, how):
        self.site(timeout="1s")
        self.gw.start()
        self.wait_for(2)
        how()
        self.at_stop = {k: [n for n, _ in unit.log] for k, unit in self.units.items()}
        stopped = time.time_ns() // 1_000_000
        until(lambda: time.time_ns() // 1_000_000 > stopped + 3 * EVERY_MS, 30, "a downtime")
        started = time.time_ns() // 1_000_000
        self.gw.start()
        self.wait_for(len(self.data()) + 3)
        self.drain()
        self.rules()
        self.assertEqual(len(self.chains()), 1, "a restart begins no chain")
        data = self.data()
        self.assertEqual(len({b.boot for b in data}), len({b.boot for b in self.city.held()}))
        over = [b for b in data if b.from_ms <= stopped + EVERY_MS and b.to_ms >= started - 1]
        self.assertEqual(len(over), 1, "rule 7: one batch spans the downtime: " + repr(
            [(b.seq, b.from_ms - stopped, b.to_ms - stopped) for b in data]))
        middle = (stopped + started) // 2
        gaps = [g for g in over[0].gaps if g[1] <= middle < g[2]]
        self.assertTrue(gaps and all(g[3] == "off" for g in gaps), over[0].gaps)
        return stopped

    def test_kill_9_goes_on_in_the_chain_with_a_gap_off(self):
        self.restart(self.gw.kill)

    def test_stop_goes_on_in_the_chain_with_a_gap_off_and_loses_nothing(self):
        self.restart(lambda: self.assertEqual(self.gw.stop(), 0))
        for k in self.units:
            before = set(self.at_stop[k][:-1])  # the last alone may have been on its way
            there = {int(r.x) for r in self.city.readings() if r.series == f"dev-{k}/n"}
            self.assertLessEqual(before, there, "a stop in peace lost polls that were answered")

    def test_stop_is_quick_while_the_city_hangs(self):
        self.site()
        release = threading.Event()
        self.stack.callback(release.set)
        self.city.hook = lambda r: release.wait(30) and None
        self.gw.start()
        until(lambda: self.city.requests, 30, "an upload")
        began = time.monotonic()
        self.gw.proc.p.send_signal(signal.SIGTERM)
        self.gw.proc.p.wait(20)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(self.gw.stop(), 0)

    def test_changed_devices_stay_due_and_touch_no_backlog(self):
        self.site(devices=(1,))
        self.gw.start()
        self.wait_for(1)
        self.city.stop()                               # a backlog that the change must not touch
        sealed = len({r[5] for r in self.exported()})
        until(lambda: len({r[5] for r in self.exported()}) > sealed + 1, 30, "a backlog", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        backlog = self.exported()
        self.city.start()
        self.site(devices=(2,), timeout="1s")
        self.gw.start()
        until(lambda: any(r.device == "dev-2" for r in self.city.readings()), 60, "the new device")
        self.wait_for(len(self.data()) + 2)
        self.drain()
        self.rules()
        entries = [e for b in self.city.held() for e in b.entries]
        self.assertEqual([e for e in entries if e[0] == "retire"], [], "nobody has retired it")
        plans = Plans()
        for e in entries:
            plans.apply(e, self.fail)
        self.assertTrue(all(plans.current(f"dev-2/{p}") for p in "ndf"))
        self.assertTrue(all(plans.current(f"dev-1/{p}") for p in "ndf"), "it is due still")
        last = self.data()[-1]
        self.assertEqual(last.gaps, [["dev-1/*", last.from_ms, last.to_ms, "paused"]])
        there = {(r.series, str(r.t_ms), fp.text(r.v)) for r in self.city.readings()}
        self.assertLessEqual({r[:3] for r in backlog}, there)

    def test_a_changed_point_keeps_its_history(self):
        self.site(devices=(1,))
        self.gw.start()
        self.wait_for(1)
        self.assertEqual(self.gw.stop(), 0)
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        write(self.gw.conf, text.replace("every: 200ms", 'every: 400ms, name: "Đồng hồ", '
                                         'place: "nhà kho"'))
        self.gw.start()
        self.wait_for(len(self.data()) + 3)
        self.drain()
        self.rules()
        plans = [e for b in self.city.held() for e in b.entries if e[:2] == ["plan", "dev-1/n"]]
        self.assertEqual([e[4] for e in plans], [200, 400])
        self.assertEqual([e for b in self.city.held() for e in b.entries if e[0] == "retire"], [])


if __name__ == "__main__":
    main()
