"""What the real fieldpost-city makes of gateways that are silent, run twice, fork, or miss batches,
and what it must not take for it (decision 0019)."""
import csv
import io
import json
import os
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_citycase import GW, T0, CityCase  # noqa: E402
from fp_linecase import LineCase  # noqa: E402
from fp_proc import Gateway, main, run, until, write  # noqa: E402

WINDOW, DAY = 300_000, 86_400_000
A0 = T0 // WINDOW * WINDOW


def alarms_of(city, *options):
    return json.loads(run([city.exe, "alarms", "--config", city.conf, "--json", *options]).stdout)


class Box:
    """One chain of one box: a window of five minutes after the other, three readings each."""

    def __init__(self, case, boot, after=None, at=A0, key=None, chain=None):
        self.case, self.boot, self.at, self.key = case, boot, at, key or case.key
        self.chain, self.seq, self.prev = chain or case.chain_id(), 0, None
        self.after, self.kept = after, []

    def link(self):
        return [self.chain, self.seq, self.prev]

    def make(self, a, z, body, control=False, **more):
        self.seq += 1
        h = fp.header(self.key, GW, self.chain, self.seq, a, z, prev=self.prev, boot=self.boot,
                      control=control, after=self.after, **more)
        whole = fp.build(self.key, h, body)
        self.prev = fp.sha256(whole)
        return self.seq, whole

    def window(self, length=WINDOW, first=0, send=True, readings=True, **more):
        """The next one; its readings begin `first` behind its start."""
        a, z = self.at, self.at + length
        self.at = z
        polls = [("dev-1", a + first + i * (length - first) // 3, [("a", None, i + self.seq, 0)])
                 for i in range(3)] if readings else []
        seq, whole = self.make(a, z, fp.senml(GW, polls), **more)
        if send:
            self.case.stored(self.chain, seq, whole)
        else:
            self.kept.append((seq, whole))
        return whole

    def run(self, n, **more):
        for _ in range(n):
            self.window(**more)
        return self

    def send_kept(self):
        for seq, whole in self.kept:
            self.case.stored(self.chain, seq, whole)
        self.kept = []


class Alarms(CityCase):
    def alarms(self, *options):
        return alarms_of(self.city, *options)

    def kinds(self, *options):
        return sorted({a["alarm"] for a in self.alarms(*options)})

    def sql(self, text):
        """The database as if time had passed."""
        db = sqlite3.connect(self.city.db, timeout=20)
        with db:
            db.executescript(text)
        db.close()

    def named(self, kind, count=None):
        found = [a for a in self.alarms() if a["alarm"] == kind]
        self.assertEqual(len(found), 1, self.alarms())
        a = found[0]
        self.assertEqual(a["gateway"], GW)
        self.assertGreater(len(a["do"]), 40)
        if count is not None:
            self.assertEqual(a["count"], count, a)
        return a

    def plan(self, box, series="dev-1/a"):
        seq, whole = box.make(box.at, box.at, [["plan", series, "number", None, 100_000, box.at]],
                              control=True)
        self.stored(box.chain, seq, whole)

    def test_a_healthy_gateway_raises_nothing(self):
        Box(self, b"boot-aaa").run(4)
        self.assertEqual(self.alarms(), [])
        self.assertEqual(run([self.city.exe, "alarms", "--config", self.city.conf]).stdout, "")

    # ---- clones ----

    def test_a_copied_card_that_runs_beside_the_first_is_a_clone(self):
        first = Box(self, b"boot-aaa").run(4)
        second = Box(self, b"boot-bbb", after=first.link(), at=first.at)
        second.run(3)
        self.assertEqual(self.kinds(), [])
        first.run(3)
        a = self.named("clone")
        self.assertIn(first.chain.hex(), a["text"])
        self.assertIn(second.chain.hex(), a["text"])
        self.city.proc.wait_line("ALARM clone gw-1: chains", 10)
        before = self.city.proc.text().count("ALARM clone")
        first.run(3)
        self.assertEqual(self.city.proc.text().count("ALARM clone"), before, "told again at once")

    def test_two_boxes_with_two_keys_and_one_id_are_a_clone(self):
        other = fp.new_key()
        pub = os.path.join(self.folder, "other.pub")
        with open(pub, "wb") as f:
            f.write(fp.public_pem(other.public_key()))
        self.city.enroll(GW, pub)
        Box(self, b"boot-aaa").run(4)
        Box(self, b"boot-bbb", key=other).run(4)
        self.named("clone")

    def test_a_backlog_of_an_ended_chain_is_no_clone(self):
        """Also: a replaced card whose unsent batches are brought in later."""
        old = Box(self, b"boot-aaa").run(3).run(9, send=False)
        new = Box(self, b"boot-bbb", after=old.link(), at=old.at).run(3)
        old.send_kept()
        new.run(2)
        unlinked = Box(self, b"boot-ccc", at=new.at)  # a new store that knows of none
        unlinked.run(3)
        self.assertEqual(self.kinds(), [])

    def test_a_rescued_store_is_no_clone(self):
        """It follows a batch that is not the last; its first window reaches back over what the city
        has, and a window of its own says what is lost."""
        old = Box(self, b"boot-aaa").run(5)
        link, at = old.link(), old.at
        old.run(5)
        end = old.at
        new = Box(self, b"boot-bbb", after=link, at=at)
        gap = ["*", at, at + WINDOW, "storage"]
        new.window(readings=False, step=True, gaps=[gap])
        new.at = at
        new.window(length=end - at + WINDOW, first=end - at + 1000, step=True,
                   gaps=[["*", at, end, "storage"]])
        new.run(4)
        self.assertEqual(self.kinds(), [])

    def test_a_restored_gateway_backup_is_no_clone(self):
        old = Box(self, b"boot-aaa").run(3)
        link, at = old.link(), old.at
        old.run(6)
        new = Box(self, b"boot-bbb", after=link, at=at)
        new.window(length=old.at - at + WINDOW, first=old.at - at + 1000,
                   gaps=[["*", at, old.at, "off"]])
        new.run(3)
        self.assertEqual(self.kinds(), [])

    def test_a_late_reading_of_before_a_restored_backup_is_no_clone(self):
        """Its time is one that the first chain lived, and the window is of now."""
        old = Box(self, b"boot-aaa").run(3)
        link, at = old.link(), old.at
        old.run(6)
        new = Box(self, b"boot-bbb", after=link, at=at)
        new.window(length=old.at - at + WINDOW, first=old.at - at + 1000,
                   gaps=[["*", at, old.at, "off"]])
        late = ("dev-1", at + 305_000, [("a", None, 7, 0)])
        a, z = new.at, new.at + WINDOW
        new.at = z
        seq, whole = new.make(a, z, fp.senml(GW, [late, ("dev-1", a + 1000, [("a", None, 8, 0)])]))
        self.stored(new.chain, seq, whole)
        new.run(2)
        self.assertEqual(self.kinds(), [])

    def test_a_new_chain_within_one_start_is_no_clone(self):
        """After 409, or a new key."""
        old = Box(self, b"boot-aaa").run(4)
        link, at = old.link(), old.at
        old.run(3)
        Box(self, b"boot-aaa", after=link, at=at).run(5)
        self.assertNotIn("clone", self.kinds())

    def test_a_clock_that_was_set_back_is_no_clone(self):
        old = Box(self, b"boot-aaa").run(8)
        new = Box(self, b"boot-bbb", after=old.link(), at=old.at - 6 * WINDOW)
        new.window(step=True)
        new.run(5)
        third = Box(self, b"boot-ccc", after=new.link(), at=new.at - 9 * WINDOW)
        third.window(step=True)
        third.run(3)
        self.assertEqual(self.kinds(), [])

    # ---- forks ----

    def test_two_chains_that_follow_one_batch_are_a_fork(self):
        old = Box(self, b"boot-aaa").run(3)
        for boot in (b"boot-bbb", b"boot-ccc"):
            Box(self, boot, after=old.link(), at=old.at + (boot[-1] - 98) * 9 * WINDOW).run(2)
        self.named("fork", 2)
        self.city.proc.wait_line("ALARM fork gw-1", 10)

    def test_other_bytes_under_a_number_are_a_conflict(self):
        box = Box(self, b"boot-aaa").run(2)
        twins = [Box(self, b"boot-bbb", chain=box.chain, at=A0 + i).window(send=False)
                 for i in (7, 8)]
        for whole in (*twins, twins[1]):
            self.refusal(self.put(box.chain, 1, whole), {"conflict"}, whole, {409})
        self.named("conflict", 2)  # the same evidence is kept once
        self.city.proc.wait_line("ALARM conflict gw-1", 10)

    def test_a_batch_that_follows_another_one_is_broken(self):
        box = Box(self, b"boot-aaa").run(2)
        box.prev = bytes(32)
        box.window()
        self.named("broken", 1)
        self.city.proc.wait_line("ALARM broken gw-1", 10)

    # ---- what is not there ----

    def test_a_hole_is_an_alarm_after_a_day(self):
        box = Box(self, b"boot-aaa").run(2).run(3, send=False).run(1)
        self.assertEqual(self.kinds(), [])
        self.sql(f"UPDATE batch SET received_ms = received_ms - {DAY + 60_000} WHERE seq = 6")
        a = self.named("missing", 3)
        self.assertIn(" 3-5", a["text"])
        box.send_kept()
        self.assertEqual(self.kinds(), [])

    def test_the_end_of_a_chain_that_another_follows_is_missing_too(self):
        old = Box(self, b"boot-aaa").run(2).run(2, send=False)
        new = Box(self, b"boot-bbb", after=old.link(), at=old.at).run(2)
        self.sql(f"UPDATE batch SET received_ms = received_ms - {DAY + 60_000} WHERE chain = "
                 f"(SELECT id FROM chain WHERE chain = x'{new.chain.hex()}')")
        self.assertIn(" 3-4", [a for a in self.alarms() if a["alarm"] == "missing"][0]["text"])
        old.send_kept()
        self.assertNotIn("missing", self.kinds())

    def test_silence_is_told_after_two_windows_by_the_time_of_arrival(self):
        box = Box(self, b"boot-aaa")
        self.plan(box)
        box.run(3)
        self.sql(f"UPDATE batch SET received_ms = received_ms - {2 * WINDOW - 30_000}")
        self.assertEqual(self.kinds(), [])
        self.sql("UPDATE batch SET received_ms = received_ms - 40000")
        a = self.named("silence")
        self.assertIn("300 s", a["text"])
        box.window()
        self.assertEqual(self.kinds(), [])
        # a site that was given up owes nothing
        seq, whole = box.make(box.at, box.at, [["retire", "dev-1/a", box.at, "closed"]],
                              control=True)
        self.stored(box.chain, seq, whole)
        self.sql(f"UPDATE batch SET received_ms = received_ms - {DAY}")
        self.assertEqual(self.kinds(), [])

    def test_silence_reaches_the_log_though_nobody_asks(self):
        """One line for each gateway when it goes silent, and one when that is over."""
        self.enroll("gw-never", fp.new_key())  # who was never heard has not gone silent

        def lines(what):
            return [x for x in self.city.proc.text().splitlines() if what in x]
        box = Box(self, b"boot-aaa").run(3, length=1000)
        key = fp.new_key()
        self.enroll("gw-quick", key)
        chain, made = self.chain(3, key=key, gw="gw-quick")
        for seq, whole in made:
            self.stored(chain, seq, whole, gw="gw-quick")
        quick = f"chain = (SELECT id FROM chain WHERE chain = x'{chain.hex()}') AND kind = 0"
        self.sql(f"UPDATE batch SET to_ms = from_ms + 5000 WHERE {quick}")
        until(lambda: lines("ALARM silence"), 30, "the silence in the log")
        self.assertIn(f"ALARM silence {GW}: nothing received for", lines("ALARM silence")[0])
        until(lambda: lines("ALARM silence gw-quick"), 30, "that of another, a look later")
        self.assertEqual(len(lines("ALARM silence")), 2)

        def heard():
            box.run(1, length=1000)
            return lines(f"silence {GW}: over")
        until(heard, 30, "its end in the log", 0.3)
        until(lambda: len(lines("ALARM silence")) > 2, 30, "the next silence in the log")
        self.assertEqual((len(lines("ALARM silence")), len(lines(": over"))), (3, 1))
        # A city that was off for long has not listened: it waits for two windows of each.
        self.https.close()
        self.city.stop()
        self.sql("UPDATE batch SET received_ms = received_ms - 700000, to_ms = from_ms + 300000 WHERE "
                 f"kind = 0; UPDATE batch SET to_ms = from_ms + 1000 WHERE {quick}")
        self.connect()
        until(lambda: lines("ALARM silence"), 30, "the quick one's silence in the log")
        self.assertEqual([x for x in lines("silence") if "gw-quick" not in x], [])

    def test_a_gateway_that_was_never_heard_is_silent(self):
        self.assertIn("nothing was ever", self.named("silence")["text"])

    # ---- refusals ----

    def test_refusals_are_counted_by_gateway_and_reason(self):
        box = Box(self, b"boot-aaa").run(1)
        whole = box.window(send=False)
        for _ in range(3):
            self.refusal(self.put(box.chain, 9, whole), {"wrong_gateway"})
        for _ in range(2):
            self.refusal(self.put(box.chain, 2, whole, gw="gw-9"), {"unknown_gateway"})
        self.refusal(self.put(box.chain, 2, whole[:-64] + bytes(63) + b"\1"), {"bad_signature"})

        def counted():
            found = {(a["gateway"], a["text"].split(":")[0]): a["count"] for a in self.alarms()
                     if a["alarm"] == "refused"}
            return len(found) == 3 and found
        self.assertEqual(until(counted, 20, "the refusals to be counted"), {
            (GW, "wrong_gateway"): 3, (GW, "bad_signature"): 1,
            ("(unknown)", "unknown_gateway"): 2})
        self.https.close()
        self.assertEqual(self.city.stop(), 0)
        self.connect()
        self.assertEqual(len(self.alarms("--gateway", GW)), 2)

    def test_get_pages_the_same(self):
        box = Box(self, b"boot-aaa").run(1)
        box.prev = bytes(32)
        box.window()
        self.refusal(self.put(box.chain, 9, box.window(send=False)), {"wrong_gateway"})
        until(lambda: len(self.alarms()) == 2, 20, "two alarms")
        found, after = [], ""
        while True:
            status, headers, body = self.https.request(
                "GET", f"/v1/gateways/{GW}/alarms?limit=1{after}")
            self.assertEqual(status, 200, body)
            found += list(csv.DictReader(io.StringIO(body.decode())))
            if "fieldpost-next" not in headers:
                break
            after = "&after=" + headers["fieldpost-next"]
        self.assertEqual([{k: str(v) for k, v in a.items()} for a in self.alarms()], found)
        status, _, body = self.https.request("GET", f"/v1/gateways/{GW}/alarms?format=json")
        self.assertEqual(json.loads(body)["alarms"], self.alarms())
        text = run([self.city.exe, "alarms", "--config", self.city.conf]).stdout
        for a in found:
            self.assertIn(a["do"], text)


class TwoBoxes(LineCase):
    """Two real gateways with one id, each with a key and a store of its own."""
    UNITS = (1,)

    def second(self):
        two = Gateway(self.args.bin, os.path.join(self.folder, "two"), self.gw.gw)
        two.env = self.warp.env
        self.stack.callback(two.kill)
        for name in ("counter.yaml", "fieldpost.yaml"):
            with open(os.path.join(self.gw.folder, name), encoding="utf-8") as f:
                write(os.path.join(two.folder, name),
                      f.read().replace(self.gw.folder, two.folder))
        self.city.enroll(two.gw, two.pub_path)
        return two

    def clones(self):
        return [a for a in alarms_of(self.city) if a["alarm"] == "clone"]

    def test_two_gateways_with_one_id_are_told_and_lose_nothing(self):
        self.site(every="60s", journal="5s")
        two = self.second()
        self.gw.start()
        self.lives(240)
        self.assertEqual(self.clones(), [])
        two.start()
        self.assertEqual(until(self.clones, 60, "the alarm", 0.5)[0]["gateway"], self.gw.gw)
        self.city.proc.wait_line("ALARM clone", 30)
        self.slave.stop()  # nothing new to read

        def all_there():
            here = [r for g in (self.gw, two) for r in g.export()]
            there = {tuple(r[1:]) for r in self.city.rows()}
            return all(r[4] for r in here) and {tuple(r) for r in here} == there
        until(all_there, 120, "the city to hold what both hold", 0.5)
        for g in (self.gw, two):
            self.assertEqual(g.stop(), 0)


if __name__ == "__main__":
    main()
