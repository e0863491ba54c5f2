"""What people tell the chain: retire, correct, maintain, seen from its city. Entries are decoded and
applied here by themselves, from the contract, and held against `fieldpost export` and the city's
dump."""
import json
import os
import pwd
import random
import re
import signal
import sqlite3
import stat
import sys
import time
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_cbor import Tag, encode  # noqa: E402
from fp_city import relay  # noqa: E402
from fp_gatewaycase import RealCityCase  # noqa: E402
from fp_proc import main, run, until  # noqa: E402
from fp_rules import Plans, chain_faults  # noqa: E402

CALIBRATING = 8


def exact(x):
    """An argument: an integer or tag 4, never a float."""
    if isinstance(x, Tag):
        e, m = x.value
        assert e < 0 and m % 10, x
        return Decimal(m).scaleb(e)
    assert type(x) is int, x
    return Decimal(x)


def rescaled(v, scale, offset):
    """Decimals exactly, all else in binary64."""
    if (scale, offset) == (1, 0):
        return v
    if not isinstance(v, float):
        d = Decimal(fp.text(v))
        return (d * scale + offset).normalize()
    return v * float(scale) + float(offset)


def value_text(v):
    if isinstance(v, Decimal):
        t = format(v, "f")
        return t.rstrip("0").rstrip(".") if "." in t else t
    return fp.text(v)


def applied(batches):
    """(series, ts, value, quality, chain, seq) of all readings as the entries make them."""
    fixes, windows = {}, {}
    for b in batches:
        for e in b.entries:
            if e[0] == "correct":
                fixes.pop(e[1], None)
                fixes[e[1]] = e
            elif e[0] == "maintain" and e[4] == "calibration":
                windows[e[1], e[2]] = e[3]
    rows = []
    for b in batches:
        for r in b.readings:
            series, v, q, gone = r.series, r.v, r.q, False
            for _, _, on, a, z, what, args, _, _ in fixes.values():
                if on != r.series or not a <= r.t_ms < z:
                    continue
                if what == "invalidate":
                    assert args is None
                    gone = True
                elif what == "rescale":
                    v = rescaled(v, *map(exact, args))
                else:
                    series = args
            for (on, a), z in windows.items():
                if on in (r.series, r.series.split("/")[0] + "/*") and a <= r.t_ms and \
                        (z is None or r.t_ms < z):
                    q |= CALIBRATING
            if not gone:
                rows.append((series, str(r.t_ms), value_text(v), str(q), b.chain.hex(),
                             str(b.seq)))
    return sorted(rows)


class Entries(RealCityCase):
    def setUp(self):
        super().setUp()
        self.city.hook = relay(self.city, self.real)

    def collect(self, windows=3, **more):
        self.site(city=self.real, every="1s", **more)
        self.gw.start()
        self.wait_for(windows)
        until(lambda: len(self.data()) >= windows, 60, "windows behind what is told first")

    def cli(self, *args, codes=(0,)):
        return run([self.gw.exe, args[0], "--config", self.gw.conf, *map(str, args[1:])], 90, codes)

    def entries(self, kind=None):
        return [e for b in self.city.held() for e in b.entries if kind in (None, e[0])]

    def times(self, series="dev-1/n"):
        return sorted(r.t_ms for r in self.city.readings() if r.series == series)

    def same(self):
        """The gateway stopped: its export, the city's dump and the test's own reading agree."""
        def all_there():
            held = {(b.chain.hex(), str(b.seq)) for b in self.city.held()}
            return {(r[4], r[5]) for r in self.gw.export("--raw") if r[4]} <= held
        n = len(self.entries())
        until(lambda: self.city.held() and all_there(), 60, "the city to hold all", 0.3)
        self.assertEqual(self.gw.stop(), 0)
        self.assertGreaterEqual(len(self.entries()), n)
        held = {(b.chain.hex(), str(b.seq)) for b in self.city.held()}
        ours = applied(self.city.held())
        here = sorted(tuple(r) for r in self.gw.export() if (r[4], r[5]) in held)
        there = sorted(tuple(r[1:]) for r in self.real.rows())
        self.assertEqual(here, ours)
        self.assertEqual(there, ours)
        raw = sorted(tuple(r) for r in self.gw.export("--raw") if (r[4], r[5]) in held)
        self.assertEqual(sorted(tuple(r[1:]) for r in self.real.rows("--raw")), raw)
        self.assertEqual(raw, sorted(
            (r.series, str(r.t_ms), fp.text(r.v), str(r.q), b.chain.hex(), str(b.seq))
            for b in self.city.held() for r in b.readings), "what is sealed stays")
        return ours, raw

    def test_corrections_of_each_kind_are_the_same_here_and_at_the_city(self):
        self.collect(4)
        t = self.times()
        a, b, c, d = t[0], t[len(t) // 4], t[len(t) // 2], t[-1]
        self.cli("correct", "dev-1/n", "--from", a, "--to", b, "--invalidate", "--reason", "spider",
                 "--by", "Lan")
        for series in ("dev-1/n", "dev-1/d", "dev-1/f"):
            self.cli("correct", series, "--from", b, "--to", d, "--rescale", "0.5,-1.25",
                     "--reason", "wrong transformer")
        self.cli("correct", "dev-2/n", "--from", b, "--to", c, "--reassign", "dev-1/n", "--reason",
                 "cables were swapped")
        self.cli("maintain", "dev-2/*", "calibration", "--from", c, "--to", d, "--by", "Minh",
                 "certificate=C-17")
        until(lambda: len(self.entries("correct")) == 5 and self.entries("maintain"), 60,
              "the entries at the city")
        e = self.entries("correct")
        self.assertEqual([x[2:8] for x in e[:1]], [
            ["dev-1/n", a, b, "invalidate", None, "spider"]])
        self.assertEqual(e[0][8], "Lan")
        self.assertTrue(all(isinstance(x[8], str) and x[8] for x in e))
        self.assertEqual(len({x[1] for x in e}), 5)
        self.assertEqual(e[1][6], [Tag(4, [-1, 5]), Tag(4, [-2, -125])])
        self.assertEqual(e[4][5:7], ["reassign", "dev-1/n"])
        self.assertEqual(self.entries("maintain")[0][1:], [
            "dev-2/*", c, d, "calibration", {"by": "Minh", "certificate": "C-17"}])
        ours, raw = self.same()
        self.assertEqual(len(raw) - len(ours), sum(a <= x < b for x in t))
        self.assertTrue(any(int(r[3]) & CALIBRATING for r in ours))

    def test_drawn_corrections_are_the_same_here_and_at_the_city(self):
        seed = int(os.environ.get("FP_SEED", random.randrange(10 ** 6)))
        print(f"FP_SEED={seed}", flush=True)
        rnd = random.Random(seed)
        self.collect(3)
        t = self.times()
        series = [f"dev-{d}/{p}" for d in (1, 2) for p in "ndf"]
        ids = []
        for _ in range(12):
            a, z = sorted(rnd.sample(t, 2))
            on = rnd.choice(series)
            what = rnd.choice([["--invalidate"],
                               ["--rescale", f"{rnd.randint(-50, 50) / 10},{rnd.randint(-9, 9)}"],
                               ["--rescale", "1.0"],
                               ["--reassign", rnd.choice([s for s in series if s != on])]])
            again = ["--id", rnd.choice(ids)] if ids and rnd.random() < 0.4 else []
            out = self.cli("correct", on, "--from", a, "--to", z, *what, "--reason", "drawn", *again)
            ids.append(re.search(r"correction: (\S+)", out.stdout)[1])
        self.cli("correct", "--undo", ids[-1], "--reason", "a mistake")
        until(lambda: len(self.entries("correct")) == 13, 60, "the entries at the city")
        self.same()

    def test_an_open_calibration_flags_readings_at_the_source(self):
        self.collect(2)
        now = time.time_ns() // 1_000_000
        self.cli("maintain", "dev-1/*", "calibration", "--from", now, "--by", "Minh")
        self.cli("maintain", "dev-2/n", "swap", "--from", now, "old_serial=A-1", "new_serial=A-2")

        def flagged():
            return [r for r in self.city.readings() if r.q & CALIBRATING]
        until(lambda: len(flagged()) > 10, 30, "flagged readings")
        self.assertEqual({r.device for r in flagged()}, {"dev-1"})
        self.assertTrue(all(r.t_ms >= now for r in flagged()))
        self.assertEqual(self.gw.stop(), 0)       # and behind a restart
        restarted = time.time_ns() // 1_000_000
        self.gw.start()
        until(lambda: any(r.t_ms > restarted for r in flagged()), 30, "flagged readings again")
        end = time.time_ns() // 1_000_000
        self.cli("maintain", "dev-1/*", "calibration", "--to", end)
        self.assertIn("no calibration", self.cli("maintain", "dev-1/*", "calibration", "--to", end,
                                                 codes=(2,)).stderr)
        until(lambda: any(r.device == "dev-1" and r.t_ms > end + 2000 for r in
                          self.city.readings()), 30, "readings behind it")
        after = [r.q for r in self.city.readings() if r.t_ms > end + 2000]
        self.assertEqual(set(after), {0})
        self.assertEqual([e[1:5] for e in self.entries("maintain")], [
            ["dev-1/*", now, None, "calibration"], ["dev-2/n", now, None, "swap"],
            ["dev-1/*", now, end, "calibration"]])
        self.same()

    def test_the_configuration_is_said_when_it_is_another(self):
        self.collect(2)

        def hash_now():
            with open(self.gw.conf, "rb") as f:
                return fp.sha256(f.read())
        before = time.time_ns() // 1_000_000
        first = hash_now()
        until(lambda: self.entries("config"), 30, "the entry")
        self.assertEqual(self.gw.stop(), 0)
        self.gw.start()                            # the same file: nothing to say
        n = len(self.data())
        self.wait_for(n + 1)
        with open(self.gw.conf, "a", encoding="utf-8") as f:
            f.write("# moved to the roof\n")
        self.gw.proc.p.send_signal(signal.SIGHUP)
        until(lambda: len(self.entries("config")) == 2, 30, "the second entry")
        got = self.entries("config")
        self.assertEqual([e[1] for e in got], [first, hash_now()])
        self.assertTrue(before - 60_000 < got[0][2] <= got[1][2] <= time.time_ns() // 1_000_000)
        owner = pwd.getpwuid(os.stat(self.gw.conf).st_uid).pw_name
        self.assertEqual({e[3] for e in got}, {owner})
        self.same()

    def test_retiring_ends_what_is_due(self):
        self.collect(2)
        self.cli("retire", "dev-1/*", "--reason", "sold", codes=(1,))
        out = self.cli("retire", "dev-1/n", "--reason", "sold", codes=(1,))
        self.assertIn("still configured", out.stderr)
        self.assertEqual(self.gw.stop(), 0)
        self.site(devices=(2,), city=self.real, every="1s")
        self.gw.start()
        n = len(self.data())
        until(lambda: len(self.data()) > n + 3, 30, "windows without the device")
        last = self.data()[-1]
        self.assertEqual(last.gaps, [["dev-1/*", last.from_ms, last.to_ms, "paused"]])
        status = json.loads(self.cli("status", "--json").stdout)
        self.assertEqual(status["not_configured"], ["dev-1/*"])
        out = self.cli("retire", "dev-9/*", "--reason", "sold", codes=(1,))
        self.assertIn("no such series is due", out.stderr)
        before = time.time_ns() // 1_000_000
        self.cli("retire", "dev-1/d", "--reason", "removed", "--by", "Lan")
        self.cli("retire", "dev-1/*", "--reason", "sold")
        until(lambda: len(self.entries("retire")) == 3, 30, "the retirements")
        got = self.entries("retire")
        self.assertEqual([(e[1], e[3]) for e in got],
                         [("dev-1/d", "removed"), ("dev-1/f", "sold"), ("dev-1/n", "sold")])
        self.assertTrue(all(before <= e[2] <= time.time_ns() // 1_000_000 for e in got))
        by = [e[2:] for e in self.entries("change") if e[2] == "retire"]  # whose word it was
        self.assertEqual([e[:3] for e in by], [["retire", "dev-1/d", "removed"], ["retire", "dev-1/*", "sold"]])
        self.assertEqual(by[0][3], "Lan")
        at = max(e[2] for e in got)
        until(lambda: self.data()[-1].from_ms > at, 30, "a window behind it")
        self.assertEqual(self.data()[-1].gaps, [])
        self.assertEqual(json.loads(self.cli("status", "--json").stdout)["not_configured"], [])
        self.assertIn("no such series", self.cli("retire", "dev-1/*", "--reason", "x",
                                                 codes=(1,)).stderr)
        plans = Plans()
        for e in self.entries():
            plans.apply(e, self.fail)
        self.same()
        self.rules()
        db = sqlite3.connect(f"file:{self.gw.db}?mode=ro", uri=True)
        told = db.execute("SELECT code, subject, text FROM event WHERE code LIKE 'request.%'"
                          ).fetchall()
        db.close()
        self.assertTrue(any(c == "request.sealed" and s == "dev-1/d" and "Lan asked at 20" in t
                            for c, s, t in told), told)
        self.assertEqual(sum(c == "request.refused" for c, _, _ in told), 4, told)

    def rules(self):
        for chain in self.chains():
            self.assertEqual(chain_faults(sorted(chain, key=lambda b: b.seq), 1000), [])

    def folder_of(self):
        return self.gw.db + ".requests"

    def waiting(self):
        """What is asked for there, once what the page's certificate is has been sealed."""
        folder = self.folder_of()
        if self.gw.proc and os.path.exists(folder):
            until(lambda: not os.listdir(folder), 30, "what the page has told")
        return os.listdir(folder) if os.path.exists(folder) else []

    def test_what_is_asked_while_it_is_off_is_taken_at_the_start(self):
        self.collect(2)
        self.assertEqual(self.gw.stop(), 0)
        t = self.times()
        for args, why in ((["retire", "dev-1/*", "--reason", "x"], "still configured"),
                          (["retire", "dev-9/*", "--reason", "x"], "no such series is due"),
                          (["correct", "dev-9/n", "--from", t[0], "--to", t[3], "--invalidate",
                            "--reason", "x"], "never was such a series")):
            self.assertIn(why, self.cli(*args, codes=(1,)).stderr)  # at once, and nothing waits
        self.assertEqual(self.waiting(), [])
        out = self.cli("correct", "dev-1/n", "--from", t[0], "--to", t[3], "--invalidate",
                       "--reason", "dirt")
        self.assertIn("when it starts", out.stdout)
        names = os.listdir(self.folder_of())
        self.assertEqual(len(names), 1)
        more = [os.path.join(self.folder_of(), f"{n}.request") for n in range(63)]
        for name in more:
            with open(name, "wb"):
                pass
        out = self.cli("correct", "dev-1/n", "--from", t[0], "--to", t[3], "--invalidate",
                       "--reason", "dirt", codes=(1,))
        self.assertIn("64 files wait", out.stderr)
        for name in more:
            os.remove(name)
        path = os.path.join(self.folder_of(), names[0])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.folder_of()).st_mode), 0o700)
        with open(path, "rb") as f:
            asked = f.read()
        self.gw.start()
        until(lambda: self.entries("correct"), 30, "the correction")
        until(lambda: not os.listdir(self.folder_of()), 10, "the file to go")
        # a kill between the commit and the removal: the same file is there again
        self.gw.proc.p.send_signal(signal.SIGSTOP)
        with open(path + ".new", "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(asked)
        os.rename(path + ".new", path)
        self.gw.kill()
        self.gw.start()
        until(lambda: not os.listdir(self.folder_of()), 30, "the file to go again")
        n = len(self.data())
        self.wait_for(n + 2)
        self.assertEqual(len(self.entries("correct")), 1, "sealed once")
        self.same()

    def test_bad_requests_are_set_aside_and_harm_nothing(self):
        self.collect(2)
        os.makedirs(self.folder_of(), 0o700, exist_ok=True)
        t = self.times()
        good = ["correct", "c", "dev-1/n", t[0], t[1], "invalidate", None, "r", "a"]
        made = 0

        def put(content, mode=0o600, ident=None):
            nonlocal made
            made += 1
            ident = ident or bytes([made] * 8)
            if not isinstance(content, bytes):
                content = encode([1, ident, "Lan", t[0], content])
            name = os.path.join(self.folder_of(), f"{made:016x}-{ident.hex()}")
            with open(name + ".part", "wb", opener=lambda p, f: os.open(p, f, mode)) as f:
                f.write(content)
            os.chmod(name + ".part", mode)
            os.rename(name + ".part", name + ".request")
        bad = [b"", b"\x00", b"x" * 20000, encode([1]), encode([2, b"i" * 8, "a", 0, good]),
               ["plan", "dev-1/x", "number", None, 1000, t[0]], ["void", 1, 1, [b"h" * 32], "x"],
               good[:-1], good[:2] + ["dev-1/none"] + good[3:], good[:3] + [t[1], t[0]] + good[5:],
               good[:3] + [5, 9] + good[5:],
               good[:5] + ["rescale", [0.5, 0], "r", "a"],
               good[:5] + ["reassign", "dev-9/n", "r", "a"],
               ["maintain", "dev-9/*", t[0], None, "swap", {}], ["retire", "dev-1/n", t[0], "r"],
               ["retire", "dev-1/n", t[0], ""]]
        for content in bad:
            put(content)
        put(good, mode=0o644)
        os.symlink(self.gw.key_path, os.path.join(
            self.folder_of(), "00000000000000ff-" + "ab" * 8 + ".request"))
        made = 0x100
        put(good, ident=b"realone!")
        until(lambda: self.entries("correct"), 30, "the good one behind the bad")
        self.assertEqual([e[1] for e in self.entries("correct")], ["c"])
        self.assertEqual(self.entries("retire") + self.entries("maintain"), [])
        names = os.listdir(self.folder_of())
        self.assertTrue(all(n.endswith(".refused") for n in names), names)
        self.assertLessEqual(len(names), 16)
        # a folder that others can write says nothing, and the sealing goes on
        os.chmod(self.folder_of(), 0o777)
        put(good[:1] + ["c2"] + good[2:], ident=b"second!!")
        n = len(self.data())
        self.wait_for(n + 3)
        self.assertEqual(len(self.entries("correct")), 1)
        os.chmod(self.folder_of(), 0o700)
        until(lambda: len(self.entries("correct")) == 2, 40, "the request once the folder is ours")
        self.same()

    def test_wrong_use_is_told(self):
        self.collect(1)
        for args in (["retire", "dev-1/*"], ["retire", "--reason", "x"],
                     ["correct", "dev-1/n", "--from", "1", "--to", "2", "--reason", "x"],
                     ["correct", "dev-1/n", "--from", "y", "--to", "2", "--reason", "x",
                      "--invalidate"],
                     ["correct", "dev-1/n", "--from", "1", "--to", "2", "--reason", "x",
                      "--rescale", "1e5"],
                     ["correct", "dev-1/n", "--from", "1", "--to", "2", "--reason", "x",
                      "--invalidate", "--rescale", "1"],
                     ["correct", "nonsense", "--from", "1", "--to", "2", "--reason", "x",
                      "--invalidate"],
                     ["maintain", "dev-1/n", "holiday", "--from", "1"],
                     ["maintain", "dev-1/*", "meter", "--from", "1", "last=1", "first=2"],
                     ["maintain", "dev-1/n", "meter", "--from", "1", "last=1"],
                     ["maintain", "dev-1/n", "meter", "--from", "1", "last=x", "first=2"],
                     ["maintain", "dev-1/n", "swap", "--from", "1", "old_serial=1"]):
            self.assertTrue(self.cli(*args, codes=(2,)).stderr)
        self.assertIn("no correction", self.cli("correct", "--undo", "nope", "--reason", "x",
                                                codes=(1,)).stderr)
        self.assertEqual(self.waiting(), [])
        self.wait_for(len(self.data()) + 2)  # what was asked all the same would be sealed by now
        self.assertEqual([e for e in self.entries() if e[0] in ("correct", "maintain", "retire")], [])


if __name__ == "__main__":
    main()
