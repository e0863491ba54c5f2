"""H1 to H4: the gateway on machines whose clock is wrong, unknown, found, stepped; the real city over
TLS. What each poll really was is known from the slave, so that every time can be judged."""
import copy
import os
import socket
import sqlite3
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_clock import Clock  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_proc import Case, City, Gateway, Https, main, until, write  # noqa: E402
from fp_rules import links_and_windows, series_and_gaps  # noqa: E402
from fp_slave import COUNTER_PROFILE, Counter, Slave  # noqa: E402

EVERY_MS, PERIOD_MS, DAY_MS, UNKNOWN_END = 2000, 200, 86_400_000, 2 * 268435456000
NEAR_MS = 1000  # served and stamped are the same poll


def now_ms():
    return time.time_ns() // 10 ** 6


class Door:
    """A TCP relay before the city that counts who knocks."""

    def __init__(self, port):
        self.to, self.knocks = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                a, _ = self.listener.accept()
            except OSError:
                return
            self.knocks.append(time.monotonic())
            b = socket.create_connection(("127.0.0.1", self.to))
            for x, y in ((a, b), (b, a)):
                threading.Thread(target=self._copy, args=(x, y), daemon=True).start()

    @staticmethod
    def _copy(x, y):
        try:
            while data := x.recv(65536):
                y.sendall(data)
            y.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        finally:
            x.close()

    def close(self):
        self.listener.close()


class ClockCase(Case):
    def setUp(self):
        super().setUp()
        self.units = {1: Counter(11), 2: Counter(-22)}
        self.slave = Slave(self.units)
        self.stack.callback(self.slave.stop)
        self.clock = Clock(self.args.bin, os.path.join(self.folder, "clock"))
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.gw.env = self.clock.env
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "counter.yaml"), COUNTER_PROFILE)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.begin_city()

    def begin_city(self):
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        self.door = Door(self.city.port)
        self.stack.callback(self.door.close)
        devices = "\n".join(f"  dev-{n}: {{bus: plant, unit: {n}, profile: ./counter.yaml, "
                            f"every: {PERIOD_MS}ms}}" for n in self.units)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.slave.port}, timeout: 1s}}
devices:
{devices}
uplinks:
  city: {{type: city, url: "https://127.0.0.1:{self.door.port}", ca: {self.city.ca},
    receipt_keys: [{self.city.pub_path}], required: true}}""")

    # What there is.

    def batches(self):
        """All that the city holds, in order."""
        db = sqlite3.connect(f"file:{self.city.db}?mode=ro", uri=True)
        try:
            rows = db.execute("SELECT cose FROM batch ORDER BY chain, seq").fetchall()
        finally:
            db.close()
        return [fp.Batch(fp.decompress(c), self.gw.pub) for c, in rows]

    def sealed(self):
        return {r[4:6] for r in map(tuple, self.gw.export("--raw")) if r[4]}

    def seals_more(self, n=2, seconds=30):
        """Until n more batches with readings are sealed here."""
        before = len(self.sealed())
        until(lambda: len(self.sealed()) >= before + n, seconds, f"{n} more batches", 0.2)

    def at_city(self):
        return {(b.chain.hex(), str(b.seq)) for b in self.batches()}

    def drain(self, seconds=60):
        """Until the city holds all that is sealed; then the gateway stops."""
        until(lambda: self.sealed() <= self.at_city(), seconds, "the city to hold what is sealed: " +
              self.gw.proc.text()[-2000:], 0.5)
        self.assertEqual(self.gw.stop(), 0)

    def applied(self):
        """The batches as readers see them: `time` entries moved what they name (rules 16, 19)."""
        moved = [copy.copy(b) for b in self.batches()]
        for by in moved:
            for e in by.entries:
                if e[0] != "time":
                    continue
                _, boot, first, last, add, err = e
                self.assertGreater(err, 0)
                for b in moved:
                    if b.chain == by.chain and b.boot == boot and first <= b.seq <= last:
                        b.add = add
        for b in moved:
            add = getattr(b, "add", 0)
            b.from_ms, b.to_ms = b.from_ms + add, b.to_ms + add
            b.gaps = [[g[0], g[1] + add, g[2] + add, g[3]] for g in b.gaps]
            b.readings = [copy.copy(r) for r in b.readings]
            for r in b.readings:
                r.t_ms += add
                if add and r.q & 64:
                    r.q ^= 64 | 128
            b.entries = [[*e[:5], e[5] + add] if e[0] == "plan" else e for e in b.entries]
        return moved

    # What must hold.

    def agree(self):
        """The city's dump, the gateway's export and our own reading of the entries are the same, and
        so are the two raw ones. Returns the dumped rows (series, ts, value, quality, chain, seq)."""
        rows = sorted(tuple(r[1:]) for r in self.city.rows())
        held = {r[4:6] for r in rows}
        self.assertEqual(rows, sorted(r for r in map(tuple, self.gw.export()) if r[4:6] in held))
        ours = [(r.series, str(r.t_ms), fp.text(r.v), str(r.q), b.chain.hex(), str(b.seq))
                for b in self.applied() for r in b.readings]
        self.assertEqual(rows, sorted(ours))
        raw = sorted(tuple(r[1:]) for r in self.city.rows("--raw"))
        self.assertEqual(raw, sorted(r for r in map(tuple, self.gw.export("--raw")) if r[4:6] in held))
        answered = sorted(self.answers())
        self.assertEqual(rows, [r[:6] for r in answered])
        add = {(b.chain.hex(), str(b.seq)): getattr(b, "add", 0) for b in self.applied()}
        self.assertEqual([int(r[6]) for r in answered], [add[r[4:6]] for r in answered])
        return rows

    def answers(self):
        """All that GET /readings brings, page by page."""
        out, after = [], "0"
        client = Https(self.city.port, self.city.ca)
        while after:
            status, head, body = client.request(
                "GET", f"/v1/gateways/{self.gw.gw}/readings?limit=500&after={after}")
            self.assertEqual(status, 200, body)
            out += [tuple(x.split(",")) for x in body.decode().splitlines()[1:]]
            after = head.get("fieldpost-next")
        client.close()
        return out

    def judge(self, rows, shift=lambda t: 0):
        """Every reading whose time is told is told right: (n, true ms, quality) of dev-1/n and
        dev-2/n. `shift`: by how much the clock was wrong when it was t."""
        out = []
        for series, ts, value, q, *_ in rows:
            if not series.endswith("/n"):
                continue
            unit = self.units[int(series[4])]
            true = unit.served()[int(value)]
            if not int(q) & 64:
                self.assertLess(abs(int(ts) - true - shift(true)), NEAR_MS, (series, ts, value, q))
            out.append((series, int(value), true, int(q)))
        self.assertEqual(len({x[:2] for x in out}), len(out), "a poll is there twice")
        return out

    def judge_corrected(self, cut, boot, sync):
        """The same of what both hold: polls from `boot` to `sync` got their time later, those before
        `cut` and behind the sync had it."""
        rows = self.agree()
        self.assertEqual([r for r in rows if int(r[1]) < UNKNOWN_END], [])
        judged = self.judge(rows)
        for series, n, true, q in judged:
            if boot < true < sync - NEAR_MS:
                self.assertEqual(q, 128, (series, n))
            elif true < cut or true > sync + 2 * NEAR_MS:
                self.assertEqual(q, 0, (series, n))
        return judged

    def in_order(self):
        """In order of sequence the numbers of the polls only grow, whatever their times say."""
        last = {}
        for b in self.batches():
            for r in b.readings:
                if r.point == "n":
                    self.assertGreater(int(r.x), last.get(r.series, 0), f"seq {b.seq}: {r}")
                    last[r.series] = int(r.x)

    def rules(self):
        faults = links_and_windows(self.batches(), EVERY_MS) + series_and_gaps(self.applied())
        self.assertEqual(faults, [], "\n" + "\n".join(faults[:20]))

    def off(self):
        """The spans of gaps with cause off, joined."""
        spans = sorted((g[1], g[2]) for b in self.applied() for g in b.gaps if g[3] == "off")
        out = []
        for a, z in spans:
            if out and a <= out[-1][1] + 1:
                out[-1] = (out[-1][0], max(z, out[-1][1]))
            else:
                out.append((a, z))
        return out

    def a_life_before(self):
        """A run with a good clock, and a power cut."""
        self.gw.start()
        self.seals_more(2)
        self.gw.kill()
        cut = now_ms()
        until(lambda: now_ms() > cut + 2 * EVERY_MS, 30, "a downtime")
        return cut


class H1(ClockCase):
    def test_H1_boot_at_1970_then_sync(self):
        cut = self.a_life_before()
        self.clock.boot(20_000)
        boot = now_ms()
        self.gw.start()
        self.seals_more(3)
        self.assertTrue(any(int(r[1]) < UNKNOWN_END for r in self.gw.export()))
        self.clock.set(synced=True)
        sync = now_ms()
        self.seals_more(3)
        self.drain()
        judged = self.judge_corrected(cut, boot, sync)
        blind = [x for x in judged if boot < x[2] < sync]
        self.assertGreater(len(blind), 3 * EVERY_MS // PERIOD_MS)
        for k, unit in self.units.items():  # none is missing
            there = {n for s, n, *_ in judged if s == f"dev-{k}/n"}
            want = {n for n, t in unit.log if boot < t < sync}
            self.assertEqual(want - there, set())
        self.rules()
        self.in_order()
        off = self.off()
        self.assertEqual(len(off), 1, off)
        self.assertLess(abs(off[0][1] - boot), 3 * NEAR_MS, "off ends where this boot begins")
        self.assertGreater(off[0][1], off[0][0] + EVERY_MS)
        self.assertLess(off[0][0], cut)
        entries = [e for b in self.batches() for e in b.entries if e[0] == "time"]
        self.assertEqual(len(entries), 1)
        self.assertIn(3, {b.clk for b in self.batches()}, "what was sealed stays as it was")

    def kills_before_sync(self, off):
        """Two starts within one boot of the machine are killed, and the clock is found by the third,
        or (off) while none runs. All that they polled has its time, and each downtime its gap."""
        cut = self.a_life_before()
        self.clock.boot(20_000)
        boot = now_ms()
        downs = []
        for _ in range(2):
            self.gw.start()
            self.seals_more(2)
            self.gw.kill()
            downs.append(now_ms())
            until(lambda: now_ms() > downs[-1] + 2 * EVERY_MS, 30, "a downtime")
        if off:
            self.clock.set(synced=True)
            self.gw.start()
        else:
            self.gw.start()
            self.seals_more(1)
            self.clock.set(synced=True)
        sync = now_ms()
        self.seals_more(3)
        self.drain()
        judged = self.judge_corrected(cut, boot, sync)
        self.assertGreater(len([x for x in judged if x[3] == 128]), 4 * EVERY_MS // PERIOD_MS)
        self.rules()
        self.in_order()
        off = self.off()
        for down in downs:
            middle = down + EVERY_MS
            self.assertTrue(any(a < middle < z for a, z in off), (down, off))
        self.assertTrue(any(a < boot - NEAR_MS < z and z < boot + 3 * NEAR_MS for a, z in off), off)

    def test_H1_killed_twice_before_the_sync(self):
        self.kills_before_sync(False)

    def test_H1_synced_while_the_program_was_off(self):
        self.kills_before_sync(True)

    def test_H1_a_new_store_at_1970(self):
        self.clock.boot(20_000)
        self.gw.start()
        self.seals_more(2)
        self.clock.set(synced=True)
        self.seals_more(2)
        self.drain()
        rows = self.agree()
        self.assertEqual({int(r[3]) & 64 for r in rows}, {0})
        self.judge(rows)
        self.rules()
        self.assertEqual(self.off(), [])

    def test_H1_a_saved_date_is_no_time(self):
        """fake-hwclock: the date of the last shutdown, plausible, and hours behind."""
        self.a_life_before()
        self.clock.boot(now_ms() - 3 * 3600_000)
        self.gw.start()
        self.seals_more(2)
        self.clock.set(synced=True)
        self.seals_more(2)
        self.drain()
        rows = self.agree()
        self.judge(rows)
        self.rules()
        self.in_order()


class H1TwoHours(LineCase):
    """600 times as fast as the world; a poll may be off by what a busy machine takes: a second of the
    world's. What could be mistaken here is larger: 20 minutes off, hours at 1970."""
    SPEED, PERIOD_S, NEAR_MS = 600, 20, 600_000

    def setUp(self):
        super().setUp()
        utc_ms = self.warp.utc // 10 ** 6
        self.true_ms = lambda: utc_ms + int(self.warp.elapsed_s() * 1000)
        for unit in self.units.values():
            unit.now_ms = self.true_ms
        self.clock = Clock(self.args.bin, os.path.join(self.folder, "clock"))
        self.gw.env = {**self.clock.env, **self.warp.env, "LD_PRELOAD":
                       f"{self.warp.env['LD_PRELOAD']}:{self.clock.env['LD_PRELOAD']}"}

    def boot_at_1970(self):
        self.clock.boots += 1
        self.clock.set(20_000)
        self.warp.step(-self.warp.now_ms() // 1000 + 20)

    def sync(self):
        self.warp.step((self.true_ms() - self.warp.now_ms()) // 1000)
        self.clock.set(synced=True)

    def test_H1_two_hours_at_1970_and_a_kill(self):
        began = time.monotonic()
        self.site(period=lambda k: f"{self.PERIOD_S}s", every="5min")
        self.gw.start()
        self.lives(900)
        self.gw.kill()
        cut = self.true_ms()
        self.sleeps(1200)
        self.boot_at_1970()
        boot = self.true_ms()
        self.gw.start()
        self.lives(3600)
        self.gw.kill()
        self.gw.start()
        self.lives(3600)
        self.sync()
        sync = self.true_ms()
        self.lives(900)
        rows = self.compare_at_the_end()
        print(f"wall {time.monotonic() - began:.0f} s", flush=True)
        q = {0: 0, 64: 0, 128: 0}
        for series, ts, value, quality, *_ in rows:
            if not series.endswith("/n"):
                continue
            true = self.units[int(series[4])].served()[int(value)]
            self.assertLess(abs(int(ts) - true), self.NEAR_MS, (series, ts, value, quality))
            q[int(quality)] += 1
            if boot < true < sync - self.NEAR_MS:
                self.assertEqual(quality, "128", (series, value))
            elif true < cut:
                self.assertEqual(quality, "0", (series, value))
        print(f"synced {q[0]}, unknown {q[64]}, corrected {q[128]} polls", flush=True)
        # two starts of the program cost minutes of a clock that runs so fast
        self.assertGreater(q[128], len(self.units) * 7200 // self.PERIOD_S * 0.6)


class H2(ClockCase):
    def jump(self, ms):
        """At least 3 s of polls behind it: no more than the periods that have passed, and half of
        them soon, however busy the machine is; a stall would last as long as the jump."""
        before = {k: u.n for k, u in self.units.items()}
        start, usual = time.monotonic(), 3000 // PERIOD_MS
        self.clock.jump(ms)

        def polls():
            return min(u.n - before[k] for k, u in self.units.items())
        until(lambda: time.monotonic() > start + 3 and polls() > usual // 2, 30,
              f"polls after {ms} ms")
        due = (time.monotonic() - start) * 1000 / PERIOD_MS
        for k, u in self.units.items():
            self.assertLess(u.n - before[k], due * 1.5 + 2, f"unit {k}: a burst after {ms} ms")
        self.seals_more(2, 20)

    def test_H2_jumps_neither_burst_nor_stall(self):
        self.gw.start()
        self.seals_more(2)
        held = len(self.at_city())
        for ms in (DAY_MS, 0, -DAY_MS, 0, -14 * DAY_MS):
            before = len(self.batches())
            self.jump(ms)
            if ms > 0:
                until(lambda: len(self.batches()) > before + 1, 30, "uploads after a jump")
        self.clock.set(synced=True)
        self.seals_more(2)
        self.drain(90)
        self.assertGreater(len(self.at_city()), held)
        self.in_order()
        data = [b for b in self.batches() if not b.control]
        self.assertGreaterEqual(sum("step" in b.header for b in data), 5)
        self.assertLess(len(data), 90, "a burst of windows")
        rows = self.agree()
        ours = {(r[0], r[2]) for r in rows if r[0].endswith("/n")}
        self.assertEqual(len(ours), len([r for r in rows if r[0].endswith("/n")]), "a poll twice")
        for k, unit in self.units.items():
            there = {int(n) for s, n in ours if s == f"dev-{k}/n"}
            missing = [n for n, t in unit.log if t < now_ms() - 6 * EVERY_MS and n not in there]
            self.assertLess(len(missing), 3, "polls were lost")  # one may be cut off by the end


class H3(ClockCase):
    def test_H3_reboot_before_sync(self):
        cut = self.a_life_before()
        self.clock.boot(20_000)
        first = now_ms()
        self.gw.start()
        self.seals_more(3)
        self.gw.kill()
        second = now_ms()
        self.clock.boot(20_000)
        self.gw.start()
        self.seals_more(2)
        self.clock.set(synced=True)
        sync = now_ms()
        self.seals_more(2)
        self.drain()
        rows = self.agree()
        judged = self.judge(rows)
        self.in_order()
        for series, n, true, q in judged:
            if first < true < second:
                self.assertEqual(q, 64, "never invented")
            elif second < true < sync - NEAR_MS:
                self.assertEqual(q, 128, (series, n))
            elif true < cut:
                self.assertEqual(q, 0, (series, n))
        self.assertGreater(len([x for x in judged if x[3] == 64]), 3 * EVERY_MS // PERIOD_MS)
        for series, ts, _, q, *_ in rows:
            self.assertEqual(int(q) == 64, int(ts) < UNKNOWN_END, (series, ts, q))


class H4(ClockCase):
    def test_H4_tls_refused_because_of_the_clock_here(self):
        self.clock.boot(20_000)
        self.gw.start()
        self.gw.proc.wait_line(r"uplink city: by the clock here \(1970-01-01T00:0\d.*Z\) the city's "
                               r"certificate \(20\d\d-\d\d-\d\d to 20\d\d-\d\d-\d\d\) is not valid "
                               r"yet, and the time is not known here: bring NTP up, or replace the RTC")
        knocks = len(self.door.knocks)
        self.seals_more(4)
        self.assertLessEqual(len(self.door.knocks) - knocks, 1, "it loops")
        self.assertEqual(self.batches(), [])
        self.clock.set(synced=True)
        began = time.monotonic()
        until(lambda: len(self.batches()) > 1, 30, "uploads once the clock is right")
        self.assertLess(time.monotonic() - began, 15)
        self.seals_more(1)
        self.drain()
        self.judge(self.agree())

    def test_H4_tls_refused_because_of_the_certificate_there(self):
        """The clock here is right: then the city's certificate is what must be renewed."""
        self.clock.set(now_ms() + 400 * DAY_MS, synced=True)
        self.gw.start()
        self.gw.proc.wait_line(r"uplink city: by the clock here \(.*\) the city's certificate \(.*\) "
                               r"has expired, though it is synchronised: renew the certificate at "
                               r"the city")

    def test_H4_a_clock_that_nobody_steers(self):
        self.gw.start()
        self.seals_more(1)
        self.gw.kill()
        self.clock.set(now_ms() + 400 * DAY_MS)  # by hand, and wrong
        self.gw.start()
        self.gw.proc.wait_line(r"has expired, and it is not synchronised: check NTP and the RTC "
                               r"battery here, then the city's certificate")


if __name__ == "__main__":
    main()
