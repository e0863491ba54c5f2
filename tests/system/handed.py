"""What the real city takes of a box that was replaced, where the box's clock was not set: all that is
dated by what stands behind it in its chain, and no more; what it refuses it names (decision 0021)."""
import os
import sqlite3
import sys
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_citycase import GW, T0, CityCase  # noqa: E402
from fp_proc import main, run, write  # noqa: E402

WINDOW = 60_000
BLIND = fp.UNKNOWN_TIME_S * 1000


class Box:
    """The chain of the old box: windows of a minute, on a known clock or in time since boot."""

    def __init__(self, case, after=None):
        self.case, self.after, self.boot, self.chain = case, after, b"boot-old", case.chain_id()
        self.seq, self.prev, self.made, self.at, self.blind = 0, None, {}, T0, BLIND + 5000

    def seal(self, a, z, body, **more):
        self.seq += 1
        h = fp.header(self.case.key, GW, self.chain, self.seq, a, z, prev=self.prev, after=self.after,
                      boot=self.boot, **more)
        whole = fp.build(self.case.key, h, body)
        self.prev = fp.sha256(whole)
        self.made[self.seq] = (whole, a, z, more.get("control", False), len(body))
        return self.seq

    def plan(self):
        return self.seal(self.at, self.at, [["plan", "dev-1/a", "number", None, 10_000, T0]], control=True)

    def known(self, n=1):
        for _ in range(n):
            self.at += WINDOW
            self.seal(self.at - WINDOW, self.at, fp.senml(GW, [("dev-1", self.at - 30_000, [
                ("a", None, Decimal(self.seq) / 10, 0)])]), step=True)
        return self.seq

    def unknown(self, n=1):
        for _ in range(n):
            a, self.blind = self.blind, self.blind + WINDOW
            self.seal(a, self.blind, fp.senml(GW, [("dev-1", a + 1000, [
                ("a", None, Decimal(self.seq) / 10, 64)])]), clk=3)
        return self.seq

    def time(self, a, z, add_ms):
        return self.seal(self.blind, self.blind, [["time", self.boot, a, z, add_ms, 10]], control=True, clk=3)

    def send(self, *numbers, codes=None):
        for seq in numbers:
            if codes:
                self.case.refusal(self.case.put(self.chain, seq, self.made[seq][0]), codes)
            else:
                self.case.stored(self.chain, seq, self.made[seq][0])

    @staticmethod
    def stick(folder, *boxes):
        """As `fieldpost export --sealed` leaves it."""
        lines = []
        for box in boxes:
            c = box.chain.hex()
            os.makedirs(os.path.join(folder, GW, c))
            for seq, (whole, a, z, control, n) in box.made.items():
                with open(os.path.join(folder, GW, c, f"{seq}.cose.zst"), "wb") as f:
                    f.write(fp.compress(whole))
                lines.append(f'{{"chain":"{c}","seq":{seq},"sha256":"{fp.sha256(whole).hex()}","kind":'
                             f'"{"control" if control else "data"}","n":{0 if control else n},"from":{a},"to":{z}}}')
        write(os.path.join(folder, GW, "manifest.json"),
              f'{{"format":"fieldpost sealed export","version":1,"gateway":"{GW}","made":{T0},"batches":[\n' +
              "\n,".join(lines) + f'\n],"count":{len(lines)},"complete":true}}\n')


class Handed(CityCase):
    def sql(self, text, *args):
        db = sqlite3.connect(self.city.db, timeout=20)
        with db:
            rows = db.execute(text, args).fetchall()
        db.close()
        return rows

    def hand_over(self, at_ms):
        """Another box has taken over: the key that is known ends."""
        self.sql("INSERT INTO handed(key, at_ms) SELECT id, ? FROM key", at_ms)

    def held(self, box):
        return [s for s, in self.sql("SELECT b.seq FROM batch b JOIN chain c ON c.id = b.chain WHERE "
                                     "c.chain = ? ORDER BY b.seq", box.chain)]

    def old_card(self):
        """1 is the plan; 2 and 3 without a clock, then 4 with one; 5 and 6 without one again."""
        box = Box(self)
        box.plan()
        box.unknown(2)
        box.known()
        box.unknown(2)
        return box

    def test_what_stands_before_a_window_of_before_is_of_before(self):
        box = self.old_card()
        box.send(1)
        self.hand_over(box.at)
        box.send(2, 3, codes=["unauthorized"])
        box.send(4, 2, 3)
        box.send(5, 6, codes=["unauthorized"])
        later = box.known()  # ends behind the hand-over: it dates nothing
        box.send(later, 5, codes=["unauthorized"])
        self.assertEqual(self.held(box), [1, 2, 3, 4])

    def test_a_time_entry_that_came_before_dates_what_comes_late(self):
        box = Box(self)
        box.plan()
        box.unknown(3)
        box.time(2, 3, T0 - BLIND)
        box.send(1)
        box.send(5)
        self.hand_over(T0 + 5000 + WINDOW)  # the second of them ended a window later
        box.send(2)
        box.send(3, 4, codes=["unauthorized"])
        box.boot = b"boot-two"  # of another start it says nothing
        box.send(box.unknown(), codes=["unauthorized"])

    def test_a_chain_that_followed_dates_the_one_before(self):
        box = Box(self)
        box.plan()
        last = box.unknown(2)
        beyond = box.unknown()
        follows = Box(self, after=[box.chain, last, fp.sha256(box.made[last][0])])
        follows.plan()
        follows.known()
        follows.send(1, 2)
        self.hand_over(follows.at)
        box.send(1, 2, 3)
        box.send(beyond, codes=["unauthorized"])

    def test_the_stick_of_the_old_card_is_taken_as_far_as_it_can_be_dated(self):
        box = self.old_card()
        box.send(1)
        self.hand_over(box.at)
        stick = os.path.join(self.folder, "stick")
        Box.stick(stick, box)
        for stored, known in ((3, 1), (0, 4)):
            r = run([self.city.exe, "import", "--config", self.city.conf, stick], ok=(1,))
            self.assertIn(f"{stored} batches stored, {known} were there already, 2 refused", r.stdout)
            for seq in (5, 6):
                self.assertIn(f"{box.chain.hex()}/{seq}.cose.zst: unauthorized: batch {seq}: ", r.stderr)
            self.assertIn("the clock was not set", r.stderr)
        self.assertEqual(self.held(box), [1, 2, 3, 4])
        # and who looks at the city later finds it there
        r = run([self.city.exe, "alarms", "--config", self.city.conf])
        self.assertRegex(r.stdout, r"refused.*unauthorized: batch 6: another box has taken over")
        rows = [x.split(",") for x in self.city.dump("--raw").splitlines()[1:]]
        self.assertEqual(sorted(int(x[6]) for x in rows), [2, 3, 4])

    def test_a_long_time_without_a_clock_costs_none_of_it(self):
        """What waits for a date is looked for again in the manifest: places from end to end of it, and
        of two chains, the first of which only the second dates."""
        box = Box(self)
        box.plan()
        last = box.unknown(70)
        follows = Box(self, after=[box.chain, last, fp.sha256(box.made[last][0])])
        follows.plan()
        follows.unknown(70)
        follows.known()
        lost = follows.unknown()
        box.send(1)
        self.hand_over(follows.at)
        stick = os.path.join(self.folder, "stick")
        Box.stick(stick, box, follows)
        r = run([self.city.exe, "import", "--config", self.city.conf, stick], ok=(1,))
        self.assertIn("142 batches stored, 1 were there already, 1 refused", r.stdout)
        self.assertEqual(r.stderr.count(": unauthorized: "), 1)  # each is said once
        self.assertIn(f"{follows.chain.hex()}/{lost}.cose.zst: unauthorized", r.stderr)
        self.assertEqual(self.held(box), list(range(1, last + 1)))
        self.assertEqual(self.held(follows), list(range(1, lost)))


if __name__ == "__main__":
    main(needs=("fieldpost-city",))
