"""`fieldpost run` seen from its city: what it seals is held against the batch rules, and a city that
refuses, lies, drops and stays away must cost no reading."""
import os
import signal
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_city import DROP, FakeCity, problem, relay  # noqa: E402
from fp_proc import Case, City, Gateway, main, until, write  # noqa: E402
from fp_rules import Plans, chain_faults  # noqa: E402
from fp_slave import COUNTER_PROFILE, SILENT, Counter, Slave  # noqa: E402

EVERY_MS, PERIOD_MS = 2000, 200


class GatewayCase(Case):
    """A slave with two counters (units 1 and 2), a gateway, and a city of our own."""

    def setUp(self):
        super().setUp()
        self.units = {1: Counter(11), 2: Counter(-22)}
        self.slave = Slave(self.units)
        self.stack.callback(self.slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "counter.yaml"), COUNTER_PROFILE)
        self.city = FakeCity(os.path.join(self.folder, "city"))
        self.city.device = self.gw.pub
        self.city.start()
        self.stack.callback(self.city.stop)

    def site(self, devices=(1, 2), city=None, every="2s", **more):
        city = city or self.city
        lines = [f"  dev-{n}: {{bus: plant, unit: {n}, profile: ./counter.yaml, every: 200ms}}"
                 for n in devices]
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 100ms}}
devices:
{chr(10).join(lines)}
uplinks:
  city: {{type: city, url: "{self.city.url}", ca: {self.city.ca},
    receipt_keys: [{city.pub_path}], required: true}}""", every=every, **more)

    def wait_for(self, n, seconds=60):
        """Until the city holds n data batches."""
        until(lambda: len(self.data()) >= n, seconds, f"{n} data batches at the city; "
              f"{len(self.city.requests)} requests, refused {self.city.refused[:3]}")

    def data(self):
        return [b for b in self.city.held() if not b.control]

    def chains(self):
        out = {}
        for b in self.city.held():
            out.setdefault(b.chain, []).append(b)
        return list(out.values())

    def exported(self):
        """The gateway's own rows that are sealed, as (series, ts, value, quality, chain, seq)."""
        return [tuple(r) for r in self.gw.export() if r[4]]

    def drain(self, seconds=60):
        """Until the city holds every sealed batch, then stops; what city and export hold must be
        the same readings, and each must be what the slave served."""
        def all_there():
            held = {(b.chain.hex(), b.seq) for b in self.city.held()}
            return {r[4:6] for r in self.exported()} <= {(c, str(s)) for c, s in held}
        until(all_there, seconds, "the city to hold all that is sealed", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        until(all_there, 5, "the city to hold all that is sealed") if self.gw.proc else None
        self.compare()

    def compare(self):
        held = {(b.chain.hex(), b.seq) for b in self.city.held()}
        at_city = [(r.series, str(r.t_ms), fp.text(r.v), str(r.q), b.chain.hex(), str(b.seq))
                   for b in self.city.held() for r in b.readings]
        here = [r for r in self.exported() if (r[4], int(r[5])) in held]
        self.assertEqual(sorted(at_city), sorted(here))
        self.assertEqual(self.city.refused, [])
        self.truth(self.city.readings())

    def truth(self, readings):
        """Each poll at the city is one that the slave served, whole, and none is there twice."""
        polls = {}
        for r in readings:
            polls.setdefault((r.device, r.t_ms), {})[r.point] = r
        seen = set()
        for (device, t_ms), points in polls.items():
            unit = self.units[int(device[-1])]
            self.assertEqual(set(points), {"n", "d", "f"}, (device, t_ms))
            n = int(points["n"].x)
            self.assertNotIn((device, n), seen, "a poll is there twice")
            seen.add((device, n))
            self.assertIn(n, unit.served())
            self.assertEqual(int(points["d"].x), unit.derived(n))
            self.assertEqual(float(points["f"].x), unit.real(n))
            self.assertLess(abs(unit.served()[n] - t_ms), 1000)
        return seen

    def rules(self, faults_of=chain_faults):
        faults = []
        for chain in self.chains():
            faults += faults_of(sorted(chain, key=lambda b: b.seq), EVERY_MS)
        self.assertEqual(faults, [], "\n" + "\n".join(faults[:20]))
        self.assertEqual(self.city.refused, [])


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
        self.site()
        self.gw.start()
        self.wait_for(2)
        how()
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
        stopped = self.restart(lambda: self.assertEqual(self.gw.stop(), 0))
        for k, unit in self.units.items():
            before = {n for n, t in unit.log if t < stopped - 300}
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

    def test_changed_devices_give_plan_and_retire_and_touch_no_backlog(self):
        self.site(devices=(1,))
        self.gw.start()
        self.wait_for(1)
        self.city.stop()                               # a backlog that the change must not touch
        sealed = len({r[5] for r in self.exported()})
        until(lambda: len({r[5] for r in self.exported()}) > sealed + 1, 30, "a backlog", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        backlog = self.exported()
        self.city.start()
        self.site(devices=(2,))
        self.gw.start()
        until(lambda: any(r.device == "dev-2" for r in self.city.readings()), 60, "the new device")
        self.wait_for(len(self.data()) + 2)
        self.drain()
        self.rules()
        entries = [e for b in self.city.held() for e in b.entries]
        self.assertEqual({e[1] for e in entries if e[0] == "retire"}, {f"dev-1/{p}" for p in "ndf"})
        plans = Plans()
        for e in entries:
            plans.apply(e, self.fail)
        self.assertTrue(all(plans.current(f"dev-2/{p}") for p in "ndf"))
        self.assertFalse(any(plans.current(f"dev-1/{p}") for p in "ndf"))
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


class Uploads(GatewayCase):
    def bytes_of(self):
        """Every request's bytes by (chain, seq): retries must be byte-identical."""
        sent = {}
        for r in self.city.requests:
            sent.setdefault((r.chain, r.seq), set()).add((r.raw, r.hash))
        self.assertEqual([k for k, v in sent.items() if len(v) != 1], [],
                         "a retry sent other bytes")
        return sent

    def refused_then_well(self, name, answer):
        """Two requests get this answer, then the city is well: what was sent must come again."""
        hit = []

        def hook(r):
            if len(hit) == 2:
                return None
            hit.append((r.chain, r.seq))
            return answer(r)
        with self.subTest(name):
            n, self.city.hook = len(self.data()), hook
            until(lambda: len(hit) == 2, 60, f"{name}: two uploads")
            until(lambda: set(hit) <= {(b.chain, b.seq) for b in self.city.held()}, 60,
                  f"{name}: the batch to be sent again")
            self.wait_for(n + 2, 60)
            self.assertEqual([e for b in self.city.held() for e in b.entries if e[0] == "void"],
                             [], f"{name} gave a batch up")
            self.bytes_of()

    def test_answers_that_are_not_final_lose_nothing(self):
        self.site()
        self.gw.start()
        self.wait_for(1)
        html = {"Content-Type": "text/html"}
        for name, answer in (
                ("401", lambda r: problem(401, "unauthorized", r.hash)),
                ("403", lambda r: problem(403, "unknown_key", r.hash)),
                ("404", lambda r: problem(404, "unknown_gateway", r.hash)),
                ("413", lambda r: problem(413, "too_large", r.hash)),
                ("415", lambda r: problem(415, "unsupported_type", r.hash)),
                ("429", lambda r: problem(429, "rate", r.hash)),
                ("500", lambda r: (500, {}, b"")), ("503", lambda r: problem(
                    503, "unavailable", r.hash)),
                ("HTML 200", lambda r: (200, html, b"<html>sign in to the network</html>")),
                ("HTML 400", lambda r: (400, html, b"<html>bad_cbor</html>")),
                ("HTML with our hash", lambda r: (400, html, problem(400, "bad_cbor", r.hash)[2])),
                ("redirect", lambda r: (302, {"Location": self.city.url + "/login"}, b"")),
                ("201 without a receipt", lambda r: (201, self.city.type(), b"")),
                ("garbage for a receipt", lambda r: (201, self.city.type(), b"\xd2\x84garbage")),
                ("bad_cbor about other bytes", lambda r: problem(400, "bad_cbor", bytes(32))),
                ("bad_cbor without a hash", lambda r: (
                    400, {"Content-Type": "application/problem+json"},
                    b'{"status": 400, "code": "bad_cbor"}')),
                ("204", lambda r: (204, {}, b"")), ("dropped", lambda r: DROP),
                ("1 MB of junk", lambda r: (500, html, bytes(1 << 20)))):
            self.refused_then_well(name, answer)
        self.drain()
        self.rules()

    def test_a_receipt_that_is_not_right_is_not_applied(self):
        """Wrong signature, wrong hash, wrong gateway, another batch's receipt, `through` with a
        wrong hash: the batch is sent again until a right receipt comes."""
        stranger = fp.new_key()
        self.site()
        self.gw.start()
        self.wait_for(1)

        def forged(key=None, **change):
            def answer(r):
                b = fp.Batch(r.whole)
                body = {"v": 1, "gw": b.gw, "chain": b.chain, "seq": b.seq, "sha256": b.hash,
                        "n": len(b.readings), "received": time.time_ns() // 1_000_000,
                        "through": [b.seq, b.hash], **change}
                k = key or self.city.key
                return 201, self.city.type(), fp.sign(
                    fp.encode({1: -7, 3: fp.CT_RECEIPT, 4: fp.kid_of(self.city.key.public_key())}),
                    fp.encode(body), k)
            return answer
        for name, answer in (("sha256", forged(sha256=bytes(32))),
                            ("gw", forged(gw="gw-2")), ("seq", forged(seq=10 ** 6)),
                            ("chain", forged(chain=bytes(8)))):
            with self.subTest(name):
                lied = []

                def once(r, answer=answer, lied=lied):
                    if lied:
                        return None
                    lied.append((r.chain, r.seq))
                    return answer(r)  # and the batch is not stored
                self.city.hook = once
                until(lambda lied=lied: lied, 60, "an upload")
                until(lambda lied=lied: lied[0] in {(b.chain, b.seq) for b in self.city.held()},
                      60, f"{name}: the batch with a forged receipt to be sent again")
                self.wait_for(len(self.data()) + 2)
        self.bytes_of()
        self.drain()
        self.rules()

    def test_a_through_with_a_wrong_hash_acknowledges_nothing(self):
        self.site()
        self.city.hook = lambda r: problem(503, "unavailable", r.hash)
        self.gw.start()
        until(lambda: len({r[5] for r in self.exported()}) >= 3, 60, "a backlog", 0.3)
        lied = []

        def hook(r):
            b = fp.Batch(r.whole)
            if lied:
                return None
            lied.append((b.chain, b.seq))
            return 201, self.city.type(), fp.receipt(self.city.key, b, 1, b.seq + 50, bytes(32))
        self.city.hook = hook
        self.wait_for(3, 90)
        self.city.hook = None
        want = {(b, int(s)) for b, s in {r[4:6] for r in self.exported()}}
        until(lambda: want - {(c.hex(), s) for c, s in lied} <= {
            (b.chain.hex(), b.seq) for b in self.city.held()}, 90, "all the others to arrive")
        self.gw.stop()

    def test_a_reply_lost_after_the_commit_is_a_harmless_repeat(self):
        self.site()
        tries = {}

        def after(r):
            tries[r.chain, r.seq] = tries.get((r.chain, r.seq), 0) + 1
            return DROP if tries[r.chain, r.seq] == 1 else None
        self.city.after = after
        self.gw.start()
        self.wait_for(4, 90)
        self.city.after = None
        self.drain(90)
        self.rules()
        self.bytes_of()
        self.assertIn(200, {r.status for r in self.city.requests})

    def test_after_an_outage_the_newest_goes_first_then_the_backlog_oldest_first(self):
        self.site()
        self.gw.start()
        self.wait_for(1)
        self.city.stop()
        before = len(self.city.requests)
        seqs = {r[5] for r in self.exported()}
        until(lambda: len({r[5] for r in self.exported()} - seqs) >= 6, 60, "a backlog of 6", 0.3)
        self.city.start()
        self.wait_for(8, 120)
        late = [r for r in self.city.requests[before:] if r.status in (200, 201)]
        said = [(r.seq, "backfill" if r.backfill else "live", r.status)
                for r in self.city.requests[before:]]
        first = next(r for r in late if not fp.Batch(r.whole).control)
        backlog = [r for r in late if r.backfill]
        self.assertFalse(first.backfill, "the newest batch is no backfill")
        self.assertGreater(len(backlog), 3, said)
        self.assertTrue(all(first.seq > r.seq for r in backlog[:3]), "newest first")
        self.assertEqual([r.seq for r in backlog], sorted(r.seq for r in backlog))
        self.drain(90)
        self.rules()

    def test_a_final_refusal_is_voided_and_the_rest_flows(self):
        for code in ("bad_cbor", "bad_signature"):
            with self.subTest(code):
                poison = []

                def hook(r, poison=poison, code=code):
                    b = fp.Batch(r.whole)
                    if not poison and not b.control:
                        poison.append(b)
                    if poison and poison[0].hash == b.hash:
                        return problem(400, code, r.hash)
                    return None
                if self.gw.proc is None:
                    self.site()
                    self.gw.start()
                    self.wait_for(1)
                self.city.hook = hook
                until(lambda p=poison: p, 30, "a batch to poison")
                bad = poison[0]

                def voided(bad=bad):
                    return [e for b in self.city.held() if b.chain == bad.chain for e in b.entries
                            if e[0] == "void" and e[1] <= bad.seq <= e[2] and
                            bad.hash in e[3]]
                until(voided, 90, "a void entry that names the refused batch and its hash")
                self.wait_for(len(self.data()) + 2)
                self.assertEqual(len(voided()), 1)
        self.assertEqual(self.gw.stop(), 0)

    def test_tls_is_always_verified(self):
        other = FakeCity(os.path.join(self.folder, "other"))
        self.site()
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        other.start()
        other.stop()
        write(self.gw.conf, text.replace(self.city.ca, other.ca))
        self.gw.start()
        until(lambda: len({r[5] for r in self.exported()}) >= 3, 60, "sealed batches", 0.3)
        self.assertEqual(self.city.requests, [], "sent to a city whose certificate is not trusted")
        self.assertEqual(self.gw.stop(), 0)
        write(self.gw.conf, text)
        self.gw.start()
        self.wait_for(3)
        self.drain()
        self.rules()


if __name__ == "__main__":
    main()
