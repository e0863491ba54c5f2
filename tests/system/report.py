"""fieldpost report on a store whose figures are known by hand: what it prints, what it refuses, and
how a sheet is approved, submitted, sealed, and told of later changes."""
import contextlib
import csv
import glob
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402

os.environ["LSAN_OPTIONS"] = f"suppressions={HERE}/../support/lsan.supp"
SHEET = ("--period", "2026-H1")


def read(path):
    with open(path, "rb") as f:
        return f.read()


def run_bytes(args):
    return subprocess.run(args, check=True, capture_output=True).stdout


class ReportCase(Case):
    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, self.folder, "tra-cau-01")
        self.stack.callback(self.gw.kill)
        self.config()
        self.store()

    def config(self, territory="21451", section="indicator: {}"):
        where = f', territory: "{territory}", name: "UBND phường"' if territory else ""
        write(self.gw.conf, f"""gateway: {{id: tra-cau-01{where}}}
store: {{path: {self.gw.db}, journal_every: 500ms}}
seal: {{key: {self.gw.key_path}, every: 2s}}
web: {{listen: "127.0.0.1:0"}}
{section}
buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: 1}}
devices:
  air-1: {{bus: plant, unit: 1, profile: renke-weather, every: 60s, points: [pm25], name: "Trạm khí cổng chợ"}}
""")

    def store(self, *late):
        done = subprocess.run([os.path.join(self.args.bin, "test-report-site"), self.gw.db,
                               self.gw.key_path,
                               *late], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def report(self, *args, codes=(0,)):
        return run([self.gw.exe, "report", *args, "--config", self.gw.conf], ok=codes)

    def doc(self, *args):
        return json.loads(self.report(*args, "--format", "json").stdout)

    def rows(self, *args):
        text = self.report(*args, "--format", "csv").stdout
        return {r["id"]: r for r in csv.DictReader(io.StringIO(text))}


class Figures(ReportCase):
    def test_figures_are_those_that_were_reckoned_by_hand(self):
        rows = self.rows(*SHEET)
        told = {k: (r["value"], r["reason"], r["numerator"], r["denominator"], r["due"], r["good"])
                for k, r in rows.items()}
        self.assertEqual(told["con-5g-samples"], ("66.7", "", "483", "724", "724", "724"))
        self.assertEqual(told["air-pm25-mean"], ("20", "", "3620", "181", "260640", "260640"))
        # March has no day: it owes what the day before it owed
        self.assertEqual(told["ene-renewable-site"],
                         ("25", "", "1500", "6000", str(181 * 288), str(150 * 280)))
        self.assertEqual(rows["ene-renewable-site"]["complete"], "80.5")
        self.assertEqual(rows["air-pm25-mean"]["about"], "Trạm khí cổng chợ")
        # a target of the next year that has one; the limit of the year 2026
        self.assertEqual([rows["con-5g-samples"][k] for k in ("target_year", "target", "distance", "met")],
                         ["2030", "100", "-33.3", "false"])
        self.assertEqual((rows["con-6g-area"]["reason"], rows["con-6g-area"]["target_year"]),
                         ("target", "2035"))
        self.assertEqual(rows["con-fixed-link"]["reason"], "absent")
        self.assertNotIn("con-6g-cluster", rows)  # a target of another territory
        self.assertEqual(rows["con-5g-samples"]["owner_unit"], "Phòng Văn hóa – Xã hội")

    def test_a_period_without_a_day_says_so(self):
        rows = self.rows("--period", "2025-Q1")
        self.assertEqual(rows["con-5g-samples"]["reason"], "no_days")
        self.assertEqual(rows["con-5g-samples"]["value"], "")
        self.assertEqual(self.rows("--period", "2026-03")["ene-renewable-site"]["reason"], "no_days")
        self.assertEqual(self.rows("--period", "2098-01")["con-5g-samples"]["reason"], "not_begun")

    def test_the_close_moves_the_days(self):
        doc = self.doc("--period", "2026-06", "--closing", "14")
        self.assertEqual([doc["content"]["period"][k] for k in ("from", "to")], ["2026-05-15", "2026-06-14"])
        rows = {r["id"]: r for r in doc["content"]["rows"]}
        # 17 days of May with 3 of 4, 14 of June with 1 of 4
        self.assertEqual(rows["con-5g-samples"]["numerator"], str(17 * 3 + 14))

    def test_every_form_comes_out_whole(self):
        digest = self.doc(*SHEET)["digest"]
        for form, head in (("pdf", b"%PDF-"), ("xlsx", b"PK"), ("html", b"<!DOCTYPE html>")):
            path = os.path.join(self.folder, f"out.{form}")
            r = self.report(*SHEET, "--format", form, "--out", path)
            self.assertEqual(r.stdout, "")
            with open(path, "rb") as f:
                self.assertTrue(f.read().startswith(head), form)
        text = run(["pdftotext", os.path.join(self.folder, "out.pdf"), "-"]).stdout
        self.assertIn(digest, text)
        self.assertIn("6 tháng đầu năm 2026", text)
        self.report(*SHEET, "--format", "html", "--language", "en", "--out", path)
        with open(path, encoding="utf-8") as f:
            self.assertTrue("First half of 2026" in f.read())

    def test_the_libraries_for_paper_are_not_in_the_programs(self):
        needed = run(["readelf", "-d", self.gw.exe]).stdout
        self.assertNotRegex(needed, r"NEEDED.*(cairo|pango|xlsxwriter)")


class Wrong(ReportCase):
    def refused(self, *args, says, code=2):
        r = self.report(*args, codes=(code,))
        self.assertEqual(r.stdout, "")
        self.assertIn(says, r.stderr)

    def test_bad_questions_are_refused_in_words(self):
        csv_form = ("--format", "csv")
        for args, says in (
                ((*SHEET, *csv_form, "--territory", "21541"), 'did you mean "21451"?'),
                ((*SHEET, *csv_form, "--territory", "10675"), "known are: cat-hai"),
                (("--period", "2026-H3", *csv_form), "half a year 2026-H1"),
                (("--period", "2026-02-29..2026-03-01", *csv_form), "two days that there are"),
                ((*SHEET, "--format", "docx"), "pdf, xlsx, html, csv or json"),
                ((*SHEET,), "pdf, xlsx, html, csv or json"),
                ((*SHEET, *csv_form, "--closing", "15"), "calendar or 14"),
                ((*SHEET, *csv_form, "--language", "fr"), "vi or en"),
                ((*SHEET, *csv_form, "--by", "lan"), "usage:"),
                (("approve", *SHEET, *csv_form), "usage:"),
                (csv_form, "usage:")):
            self.refused(*args, says=says)

    def test_without_indicators_or_territory_it_says_what_to_add(self):
        self.config(section="")
        self.refused(*SHEET, "--format", "csv", says="add `indicator: {}`")
        self.config(territory=None)
        self.refused(*SHEET, "--format", "csv", says="gateway.territory")

    def test_a_mistake_in_the_sites_own_territory_is_told_by_line(self):
        os.makedirs(os.path.join(self.folder, "own", "territory"))
        with open(os.path.join(self.folder, "own", "territory", "xa-moi.yaml"), "w", encoding="utf-8") as f:
            f.write("id: xa-moi\nname: {vi: X, en: X}\nclosing: 15\nsource: here\n")
        self.config(section="indicator: {folder: own}")
        self.refused(*SHEET, "--format", "csv", "--territory", "xa-moi", says="xa-moi.yaml:3:10:")


class Sheets(ReportCase):
    def act(self, what, *args, codes=(0,)):
        return self.report(what, *SHEET, *args, codes=codes)

    def test_a_sheet_is_approved_submitted_and_then_stays(self):
        draft = self.doc(*SHEET)
        self.assertEqual((draft["state"], draft["approved"]), ("draft", None))
        self.assertIn("was not approved", self.act("submit", "--by", "lan", codes=(1,)).stderr)
        said = self.act("approve", "--by", "lan").stdout
        self.assertIn(f"approved: tra-cau 2026-H1 {draft['digest']}", said)
        self.assertEqual(self.doc(*SHEET)["approved"]["by"], "lan")
        self.act("submit", "--by", "Bình")
        doc = self.doc(*SHEET)
        self.assertEqual((doc["state"], doc["submitted"]["by"], doc["digest"], doc["changes"]),
                         ("submitted", "Bình", draft["digest"], []))
        for what in ("approve", "submit"):
            self.assertIn("was submitted by Bình", self.act(what, "--by", "lan", codes=(1,)).stderr)
        # three days of May become others: the sheet says both, and why
        self.store("late")
        doc = self.doc(*SHEET)
        self.assertEqual(doc["digest"], draft["digest"])
        self.assertEqual(doc["content"], draft["content"])
        self.assertEqual([(c["id"], c["was"]["vi"], c["now"]["vi"], c["why"]["vi"]) for c in doc["changes"]],
                         [("con-5g-samples", "66,7 %", "66,3 %",
                           "3 ngày được tính lại (04/05/2026 – 06/05/2026)")])
        now = self.doc(*SHEET, "--draft")
        self.assertEqual((now["state"], now["changes"]), ("draft", []))
        self.assertNotEqual(now["digest"], draft["digest"])

    def submitted_twice(self):
        """Both digests: the second version has three days of May as they became known."""
        self.act("approve", "--by", "lan")
        self.act("submit", "--by", "Bình")
        first = self.doc(*SHEET)["digest"]
        self.store("late")
        self.act("approve", "--by", "lan", "--why", "số liệu đến muộn")
        self.act("submit", "--by", "Bình")
        return first, self.doc(*SHEET)["digest"]

    def test_another_version_takes_the_place_of_what_was_submitted(self):
        self.act("approve", "--by", "lan")
        self.act("submit", "--by", "Bình")
        first = self.doc(*SHEET)
        again = ("approve", "--by", "hoa", "--why", "số liệu đến muộn")
        self.assertIn("are those that were submitted", self.act(*again, codes=(1,)).stderr)
        self.store("late")
        self.assertIn("approve --why", self.act("approve", "--by", "hoa", codes=(1,)).stderr)
        said = self.act(*again).stdout
        self.assertIn("approved: tra-cau 2026-H1 version 2 ", said)
        # until it is submitted, the first one counts, and says that there is another
        doc = self.doc(*SHEET)
        self.assertEqual((doc["version"], doc["state"], doc["content"], doc["submitted"]),
                         (1, "submitted", first["content"], first["submitted"]))
        self.assertEqual([(v["version"], v["why"], v["submitted"] is None) for v in doc["versions"]],
                         [(1, "", False), (2, "số liệu đến muộn", True)])
        self.assertEqual(self.doc(*SHEET, "--version", "2")["state"], "approved")
        self.assertIn("chưa nộp phiên bản 2", self.report(*SHEET, "--format", "html").stdout)
        self.act("submit", "--by", "Bình")
        doc = self.doc(*SHEET)
        self.assertEqual((doc["version"], doc["state"], doc["approved"]["by"], doc["submitted"]["by"],
                          doc["changes"]), (2, "submitted", "hoa", "Bình", []))
        self.assertNotEqual(doc["digest"], first["digest"])
        self.assertEqual([v["digest"] for v in doc["versions"]], [first["digest"], doc["digest"]])
        self.assertIn("thay cho phiên bản 1", self.report(*SHEET, "--format", "html").stdout)
        row = self.rows(*SHEET)["con-5g-samples"]
        self.assertEqual((row["value"], row["version"], row["replaces"], row["why"]),
                         ("66.3", "2", first["digest"], "số liệu đến muộn"))
        # the first is as it was, and says what took its place
        old = self.doc(*SHEET, "--version", "1")
        self.assertEqual((old["version"], old["digest"], old["content"], old["submitted"]),
                         (1, first["digest"], first["content"], first["submitted"]))
        self.assertIn("đã được thay bằng phiên bản 2",
                      self.report(*SHEET, "--version", "1", "--format", "html").stdout)
        for what in ("approve", "submit"):
            self.assertIn("was submitted by Bình", self.act(what, "--by", "lan", codes=(1,)).stderr)
        self.assertIn("no version 3", self.report(*SHEET, "--version", "3", "--format", "csv", codes=(1,)).stderr)

    def test_a_reason_is_of_a_later_version_alone_and_stays_when_it_is_approved_again(self):
        r = self.act("approve", "--by", "lan", "--why", "x", codes=(1,))
        self.assertIn("that another could take the place of", r.stderr)
        self.act("approve", "--by", "lan")
        self.act("submit", "--by", "Bình")
        self.store("late")
        self.assertIn("one line", self.act("approve", "--why", "a\nb", codes=(2,)).stderr)
        self.assertIn("usage:", self.act("submit", "--why", "x", codes=(2,)).stderr)
        self.act("approve", "--by", "lan", "--why", "first word")
        self.act("approve", "--by", "hoa")
        doc = self.doc(*SHEET, "--version", "2")
        self.assertEqual([(v["approved"]["by"], v["why"]) for v in doc["versions"]],
                         [("lan", ""), ("hoa", "first word")])

    def test_versions_that_do_not_follow_each_other_are_told(self):
        first, _ = self.submitted_twice()
        second = self.sheet_file().replace("2026-H1", "2026-H1.v2")
        text = read(second)
        for path, bad, says in (
                (second, text.replace(b"\nversion 2 ", b"\nversion 3 "), "version 3"),
                (second, text.replace(b"\nversion 2 ", b"\nversion 2 0", 1), "not what was approved"),
                (second, text.replace(first.encode(), b"0" * 64), "does not follow version 1"),
                (self.sheet_file(), None, "version 1 of tra-cau.2026-H1 is gone")):
            os.remove(path)
            if bad:
                with open(path, "wb") as f:
                    f.write(bad)
            self.assertIn(says, self.report(*SHEET, "--format", "csv", codes=(1,)).stderr)
            self.assertIn(says, self.act("approve", "--by", "lan", "--why", "x", codes=(1,)).stderr)
            with open(path, "wb") as f:
                f.write(text)

    def test_what_changed_since_it_was_approved_is_not_submitted(self):
        self.act("approve", "--by", "lan")
        self.store("late")
        self.assertIn("not those that lan approved", self.act("submit", "--by", "Bình", codes=(1,)).stderr)
        self.assertEqual(len(self.doc(*SHEET)["changes"]), 1)
        self.act("approve", "--by", "lan")
        self.act("submit", "--by", "Bình")
        self.assertEqual(self.doc(*SHEET)["state"], "submitted")

    def test_nothing_is_approved_of_a_period_that_has_not_begun(self):
        r = self.report("approve", "--period", "2098", "--by", "lan", codes=(1,))
        self.assertIn("nothing to approve", r.stderr)
        self.assertIn("one line", self.act("approve", "--by", "a\nb", codes=(2,)).stderr)

    def sheet_file(self):
        return os.path.join(self.gw.db + ".sheets", "tra-cau.2026-H1.sheet")

    def test_a_sheet_that_was_touched_is_told(self):
        self.act("approve", "--by", "lan")
        with open(self.sheet_file(), encoding="utf-8") as f:
            text = f.read()
        for bad in (text.replace('"value":66.7', '"value":99.7'), text.replace("fieldpost", "other"),
                    text[:-1], text.replace('"v":1', '"v": 1'), ""):
            self.assertNotEqual(bad, text)
            with open(self.sheet_file(), "w", encoding="utf-8") as f:
                f.write(bad)
            r = self.report(*SHEET, "--format", "csv", codes=(1,))
            self.assertEqual(r.stdout, "")
            self.assertIn("tra-cau.2026-H1.sheet", r.stderr)

    def test_a_sheet_under_another_periods_name_is_told(self):
        self.act("approve", "--by", "lan")
        shutil.copy(self.sheet_file(), self.sheet_file().replace("2026-H1", "2026-Q2"))
        r = self.report("--period", "2026-Q2", "--format", "csv", codes=(1,))
        self.assertIn("tra-cau.2026-Q2.sheet: the sheet of tra-cau 2026-H1", r.stderr)

    def test_an_act_that_was_cut_off_is_finished_and_sealed_once(self):
        self.act("approve", "--by", "lan")
        new = self.sheet_file()[:-len("sheet")] + "new"
        os.rename(self.sheet_file(), new)  # as a kill before the last step leaves it
        self.assertEqual(self.doc(*SHEET)["state"], "draft")
        before = sorted(os.listdir(self.gw.db + ".requests"))
        self.act("submit", "--by", "Bình")
        self.assertFalse(os.path.exists(new))
        self.assertEqual(self.doc(*SHEET)["approved"]["by"], "lan")
        after = sorted(os.listdir(self.gw.db + ".requests"))
        self.assertEqual(len(after), len(before) + 1)  # the approval's is the same one

    def test_acts_are_entries_of_the_chain(self):
        digest = self.doc(*SHEET)["digest"]
        self.act("approve", "--by", "lan")
        self.gw.start()
        said = self.act("submit", "--by", "Bình").stdout
        self.assertIn(digest, said)
        until(lambda: len(self.changes()) == 2, 60, "both entries are sealed")
        self.assertEqual([(c[2], c[3], c[4], c[5]) for c in self.changes()],
                         [("report.approved", "tra-cau.2026-H1", digest, "lan"),
                          ("report.submitted", "tra-cau.2026-H1", digest, "Bình")])
        self.assertEqual(self.gw.stop(), 0)

    def test_a_backup_brings_the_sheet_and_its_entries_back(self):
        digest = self.doc(*SHEET)["digest"]
        self.act("approve", "--by", "lan")
        self.act("submit", "--by", "Bình")
        copy = os.path.join(self.folder, "copy.db")
        run([self.gw.exe, "backup", "--config", self.gw.conf, "--out", copy])
        for path in glob.glob(self.gw.db + "*"):
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        shutil.copy(copy, self.gw.db)
        self.gw.start()  # what both acts asked for was not sealed yet: it is now
        until(lambda: len(self.changes()) == 2, 60, "both entries are sealed")
        doc = self.doc(*SHEET)
        self.assertEqual((doc["state"], doc["approved"]["by"], doc["submitted"]["by"], doc["digest"]),
                         ("submitted", "lan", "Bình", digest))
        self.assertEqual(self.gw.stop(), 0)
        with contextlib.closing(sqlite3.connect(self.gw.db)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM event WHERE code = 'backup.restored'"
                                        ).fetchall(), [(1,)])

    def test_both_versions_are_entries_of_the_chain(self):
        first, second = self.submitted_twice()
        new = self.sheet_file().replace("2026-H1.sheet", "2026-H1.v2")
        os.rename(new + ".sheet", new + ".new")  # as a kill before the last step leaves it
        self.gw.start()
        self.assertIn("was submitted by Bình", self.act("submit", "--by", "x", codes=(1,)).stderr)
        until(lambda: len(self.changes()) == 4, 60, "all entries are sealed")
        self.assertEqual(sorted((c[2], c[3], c[4], c[5]) for c in self.changes()),
                         [("report.approved", "tra-cau.2026-H1", first, "lan"),
                          ("report.approved", "tra-cau.2026-H1.v2",
                           f"{second} replaces {first}: số liệu đến muộn", "lan"),
                          ("report.submitted", "tra-cau.2026-H1", first, "Bình"),
                          ("report.submitted", "tra-cau.2026-H1.v2",
                           f"{second} replaces {first}: số liệu đến muộn", "Bình")])
        self.assertEqual(self.gw.stop(), 0)

    def test_a_correction_that_made_the_difference_is_named(self):
        self.act("approve", "--by", "lan")
        self.act("submit", "--by", "Bình")
        self.gw.start()
        for day, name in (("2026-05-04", "lab-7"), ("2026-02-01", "lab-8")):
            run([self.gw.exe, "correct", "--config", self.gw.conf, "air-1/pm25", "--from", f"{day}T00:00:00Z",
                 "--to", f"{day}T10:00:00Z", "--reason", "filter", "--invalidate", "--by", "lan", "--id", name])
        self.assertEqual(self.gw.stop(), 0)
        with contextlib.closing(sqlite3.connect(self.gw.db)) as db:  # that day as the gateway folds it anew
            n = db.execute("UPDATE partial SET revision = revision + 1, value = '201', numerator = '201' "
                           "WHERE indicator = (SELECT id FROM indicator WHERE name = 'air-pm25-mean.air-1') "
                           "AND from_ms = ?", (1777827600000,)).rowcount  # 2026-05-04 in UTC+7
            db.commit()
        self.assertEqual(n, 1)
        self.assertEqual([(c["id"], c["was"]["en"], c["now"]["en"], c["why"]["en"])
                          for c in self.doc(*SHEET)["changes"]],
                         [("air-pm25-mean", "20.0 µg/m³", "21.0 µg/m³",
                           "1 day computed again (4 May 2026 to 4 May 2026); correction lab-7")])

    def changes(self):
        stick = os.path.join(self.folder, "stick")
        run([self.gw.exe, "export", "--config", self.gw.conf, "--sealed", stick])
        files = sorted(glob.glob(os.path.join(stick, "**", "*.cose*"), recursive=True))
        whole = [run_bytes(["zstd", "-dcq", f]) if f.endswith(".zst") else read(f) for f in files]
        batches = sorted((fp.Batch(w) for w in whole), key=lambda b: b.seq)
        return [e for b in batches for e in b.entries if e[0] == "change" and e[2].startswith("report.")]


if __name__ == "__main__":
    main()
