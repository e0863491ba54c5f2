"""A report in all its forms, read back by readers that are not ours: what it says, that one digest
stands in all of them, and that no name in it becomes a command."""
import csv
import hashlib
import html.parser
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import zipfile

import openpyxl

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
GOLDEN = os.path.join(ROOT, "tests", "golden", "report.vi.txt")
SITE = sys.argv.pop()
ENV = {**os.environ, "LSAN_OPTIONS": f"suppressions={ROOT}/tests/support/lsan.supp"}
HOSTILE = '=HYPERLINK("http://x","<script>alert(1)</script>")'


def tool(*args):
    return subprocess.run(args, check=True, capture_output=True).stdout


def words(text):
    return " ".join(text.split())


TAGS = set("html head meta title style body main header div h1 h2 dl dt dd figure svg rect path figcaption "
           "table thead tbody tr th td p footer".split())
ATTRIBUTES = set("lang charset http-equiv content name class xmlns viewbox shape-rendering role "
                 "aria-label width height fill d data-name".split())


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes = set(), set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


class Sheet(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.TemporaryDirectory(prefix="fieldpost-sheet-")
        for name, more in (("draft", []), ("submitted", ["changed"])):
            os.mkdir(cls.path(name))
            done = subprocess.run([SITE, cls.path(name), *more], env=ENV, capture_output=True,
                                  text=True, check=False)
            if done.returncode:
                raise AssertionError(done.stderr)
        cls.doc = json.loads(cls.text("draft", "vi.json"))

    @classmethod
    def tearDownClass(cls):
        cls.temp.cleanup()

    @classmethod
    def path(cls, *names):
        return os.path.join(cls.temp.name, *names)

    @classmethod
    def text(cls, *names):
        with open(cls.path(*names), encoding="utf-8", newline="") as f:
            return f.read()

    def sheets(self):
        """(state, document, digest) of both."""
        for state in ("draft", "submitted"):
            doc = json.loads(self.text(state, "vi.json"))
            yield state, doc, doc["digest"]

    def png(self, state, page=1):
        base = self.path(f"{state}-{page}")
        tool("pdftoppm", "-r", "150", "-png", "-f", str(page), "-l", str(page), "-singlefile",
             self.path(state, "vi.pdf"), base)
        return base + ".png"

    # -- one digest -----------------------------------------------------------------------------

    def test_the_digest_is_of_the_line_with_the_content(self):
        for state, doc, digest in self.sheets():
            for language in ("vi", "en"):
                lines = self.text(state, f"{language}.json").split("\n")
                self.assertEqual(hashlib.sha256(lines[1].encode()).hexdigest(), digest)
                self.assertEqual(json.loads(lines[1]), doc["content"])

    def test_every_form_has_it(self):
        for state, _, digest in self.sheets():
            for language in ("vi", "en"):
                self.assertIn(digest, self.text(state, f"{language}.html"))
                self.assertIn(digest, tool("pdftotext", self.path(state, f"{language}.pdf"),
                                           "-").decode())
                rows = list(csv.DictReader(io.StringIO(self.text(state, f"{language}.csv"))))
                self.assertEqual({r["digest"] for r in rows}, {digest})
                book = openpyxl.load_workbook(self.path(state, f"{language}.xlsx"))
                cells = [c.value for row in book.worksheets[0].iter_rows() for c in row]
                self.assertIn(digest, cells)

    def test_the_qr_code_says_it(self):
        for state, _, digest in self.sheets():
            said = tool("zbarimg", "--quiet", "--raw", "--nodbus", self.png(state)).decode()
            self.assertEqual(said.strip(), f"FPR1:tra-cau-01:21451:2026-H1:{digest}")

    def test_the_workbooks_picture_is_the_code(self):
        book = openpyxl.load_workbook(self.path("draft", "vi.xlsx"))
        with zipfile.ZipFile(self.path("draft", "vi.xlsx")) as z:
            picture = [n for n in z.namelist() if n.startswith("xl/media/")]
            self.assertEqual(len(picture), 1)
            with open(self.path("qr.bmp"), "wb") as f:
                f.write(z.read(picture[0]))
        said = tool("zbarimg", "--quiet", "--raw", "--nodbus", self.path("qr.bmp")).decode()
        self.assertIn(self.doc["digest"], said)
        self.assertEqual(len(book.worksheets), 2)

    # -- PDF ------------------------------------------------------------------------------------

    def test_the_pdf_says_what_the_golden_file_says(self):
        said = tool("pdftotext", "-raw", self.path("draft", "vi.pdf"), "-").decode()
        if os.environ.get("FP_GOLDEN"):
            with open(GOLDEN, "w", encoding="utf-8") as f:
                f.write(said.replace("\f", ""))
        with open(GOLDEN, encoding="utf-8") as f:
            self.assertEqual(words(said), words(f.read()))

    def test_the_pdf_carries_its_fonts(self):
        fonts = tool("pdffonts", self.path("draft", "vi.pdf")).decode().splitlines()[2:]
        self.assertTrue(fonts)
        for line in fonts:
            self.assertRegex(line, r"DejaVuSans")
            self.assertRegex(line, r"\byes yes yes\b")  # embedded, a subset, as Unicode

    def test_pages_lie_and_count_themselves(self):
        info = tool("pdfinfo", self.path("submitted", "vi.pdf")).decode()
        pages = int(re.search(r"Pages: +(\d+)", info)[1])
        self.assertGreater(pages, 3)
        self.assertRegex(info, r"Page size: +841\.89 x 595\.28 pts \(A4\)")
        for page in range(1, pages + 1):
            said = tool("pdftotext", "-f", str(page), "-l", str(page),
                        self.path("submitted", "vi.pdf"), "-").decode()
            self.assertIn(f"Trang {page}/{pages}", said)
            self.assertIn("Chỉ tiêu", said)  # the table's head, on each

    def test_no_font_is_told_in_words(self):
        empty = self.path("fonts.conf")
        with open(empty, "w", encoding="utf-8") as f:
            f.write("<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'><fontconfig>"
                    f"<dir>{self.path('no-fonts')}</dir></fontconfig>")
        os.makedirs(self.path("nofont"), exist_ok=True)
        done = subprocess.run([SITE, self.path("nofont")], env={**ENV, "FONTCONFIG_FILE": empty},
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("install the package fonts-dejavu-core", done.stderr)

    # -- tables ---------------------------------------------------------------------------------

    def test_numbers_are_numbers_in_the_workbook(self):
        sheet = openpyxl.load_workbook(self.path("draft", "vi.xlsx")).worksheets[0]
        rows = [[c.value for c in row] for row in sheet.iter_rows()]
        head = next(i for i, row in enumerate(rows) if row[0] == "TT")
        power = rows[head + 2]
        self.assertEqual(power[3], 3.53)
        self.assertEqual(power[5], -1.47)
        self.assertEqual(sheet.cell(head + 3, 4).number_format, "0.00")
        self.assertEqual(rows[head + 3][3], "Không đủ số liệu: cần 75 %, có 40,2 %")
        self.assertEqual(rows[head + 4][3], "Chỉ có mục tiêu: chưa có mạng 6G để đo")

    def test_the_csv_has_a_line_for_each_row_with_exact_numbers(self):
        rows = list(csv.DictReader(io.StringIO(self.text("draft", "vi.csv"))))
        self.assertEqual([r["id"] for r in rows], [r["id"] for r in self.doc["content"]["rows"]])
        self.assertEqual((rows[1]["value"], rows[1]["numerator"], rows[1]["denominator"]),
                         ("3.53", "123456/7", "5000000"))
        self.assertEqual((rows[1]["distance"], rows[1]["met"]), ("-1.47", "false"))
        self.assertEqual((rows[2]["value"], rows[2]["reason"]), ("", "incomplete"))
        self.assertEqual(self.text("draft", "vi.csv"), self.text("draft", "en.csv"))

    def test_no_name_is_a_formula(self):
        for row in csv.reader(io.StringIO(self.text("draft", "vi.csv"))):
            for cell in row:
                if not re.fullmatch(r"-?[0-9.]+", cell):
                    self.assertNotRegex(cell, r"^[=+\-@\t\r]", cell)
        rows = list(csv.DictReader(io.StringIO(self.text("draft", "vi.csv"))))
        self.assertEqual(rows[2]["about"], "'" + HOSTILE)
        for sheet in openpyxl.load_workbook(self.path("draft", "vi.xlsx")):
            for row in sheet.iter_rows():
                for cell in row:
                    self.assertNotEqual(cell.data_type, "f", cell.coordinate)

    # -- HTML -----------------------------------------------------------------------------------

    def test_the_page_is_one_file_in_which_nothing_runs(self):
        for state, _, _ in self.sheets():
            page = self.text(state, "vi.html")
            seen = Tags()
            seen.feed(page)
            self.assertLessEqual(seen.tags, TAGS)
            self.assertLessEqual(seen.attributes, ATTRIBUTES)
            self.assertIsNone(re.search(r"url\(|@import", page))
            self.assertTrue("&lt;script&gt;alert(1)&lt;/script&gt;" in page)
            self.assertTrue("default-src 'none'" in page)
        self.assertTrue("bình &lt;chủ tịch&gt;" in self.text("submitted", "vi.html"))

    def test_what_changed_stands_beside_what_was_submitted(self):
        page = words(re.sub(r"<[^>]+>", " ", self.text("submitted", "vi.html")))
        pdf = words(tool("pdftotext", "-raw", self.path("submitted", "vi.pdf"), "-").decode())
        for said in (page, pdf):
            self.assertIn("Thay đổi sau khi nộp", said)
            self.assertIn("3,53 % 3,51 % 3 ngày được tính lại (09/09/2026 – 11/09/2026)", said)
            self.assertIn("2, thay cho phiên bản 1 (nộp lúc 12:13 29/06/2026, Mã băm SHA-256 60303ae2", said)
        self.assertTrue("&lt;b&gt;số liệu đến muộn" in self.text("submitted", "vi.html"))
        change = json.loads(self.text("submitted", "en.json"))["changes"]
        self.assertEqual([(c["id"], c["was"]["en"], c["now"]["en"]) for c in change],
                         [("ene-renewable-site", "3.53 %", "3.51 %")])


if __name__ == "__main__":
    unittest.main(verbosity=2)
