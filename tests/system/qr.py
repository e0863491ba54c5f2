"""The QR code of a day, as picture and as blocks on a dark terminal, read by a reader that is not
ours (zbar): it says the very proof that `fieldpost digest --format json` prints."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

SITE = sys.argv.pop()
LIGHT = {"█": (1, 1), "▀": (1, 0), "▄": (0, 1), " ": (0, 0)}
SCALE = 4  # pixels a module


def read_code(path):
    done = subprocess.run(["zbarimg", "--quiet", "--raw", "--nodbus", path], capture_output=True,
                          text=True, check=False)
    return done.stdout.rstrip("\n")


def picture_of(text, path):
    """The blocks as a terminal shows them, as a bitmap: 1 is dark."""
    rows = []
    for line in text.splitlines():
        if line and set(line) <= set(LIGHT):
            for half in (0, 1):
                rows.append([1 - LIGHT[c][half] for c in line for _ in range(SCALE)])
    rows = [row for row in rows for _ in range(SCALE)]
    with open(path, "w", encoding="ascii") as f:
        f.write(f"P1\n{len(rows[0])} {len(rows)}\n")
        f.writelines(" ".join(map(str, row)) + "\n" for row in rows)


class Qr(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temp = tempfile.TemporaryDirectory(prefix="fieldpost-qr-")
        subprocess.run([SITE, cls.temp.name], check=True, capture_output=True)
        with open(cls.path("digest.json"), encoding="utf-8") as f:
            cls.proof = json.loads(f.readline())["proof"]

    @classmethod
    def tearDownClass(cls):
        cls.temp.cleanup()

    @classmethod
    def path(cls, name):
        return os.path.join(cls.temp.name, name)

    def test_the_picture_says_the_proof(self):
        self.assertEqual(read_code(self.path("digest.pbm")), self.proof)

    def test_the_terminal_says_the_proof(self):
        with open(self.path("digest.txt"), encoding="utf-8") as f:
            text = f.read()
        picture_of(text, self.path("terminal.pbm"))
        self.assertEqual(read_code(self.path("terminal.pbm")), self.proof)
        self.assertLessEqual(max(map(len, text.splitlines())), 80)

    def test_a_code_that_was_painted_over_says_nothing_else(self):
        with open(self.path("digest.txt"), encoding="utf-8") as f:
            lines = f.read().splitlines()
        painted = [line[:20] + "█" * 25 + line[45:] if 20 < i < 36 and line[:1] == "█" else line
                   for i, line in enumerate(lines)]
        picture_of("\n".join(painted), self.path("painted.pbm"))
        self.assertIn(read_code(self.path("painted.pbm")), ("", self.proof))


if __name__ == "__main__":
    unittest.main(verbosity=2)
