"""Every installed profile is played by fieldpost-sim with its golden values and read back by the real
gateway: the words on the wire are the golden ones, and so is each reading. Our own encoder and decoder
may not agree on a mistake: the golden words are of neither."""
import csv
import glob
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import Case, Gateway, main, run, until, write  # noqa: E402
from sim_smoke import Sim, Tcp  # noqa: E402

ROOT = os.path.join(HERE, "..", "..")
GOLDEN = os.path.join(ROOT, "tests", "golden", "profile")


# The usual length of SunSpec models, as their documents have it.
SUNSPEC = {1: 66, 103: 50, 113: 60, 160: 48, 203: 105, 213: 124}


def chain(rows):
    """The registers of a SunSpec device whose values are the golden ones, laid by hand: {address: word}."""
    models = {}
    for r in rows.values():
        model, rest = r["address"].split("+")
        family = int(model) if model in ("1", "160") else int(model[:2] + "3")  # of three phases
        offset, factor = (int(x) for x in rest.split("/"))
        words = r["words"].split()
        place = models.setdefault(family, {})
        if factor:
            assert place.setdefault(factor, words[-1]) == words[-1], (r, "two factors for one register")
            words.pop()
        for i, word in enumerate(words):
            place[offset + i] = word
    out, at = {40000: "5375", 40001: "6E53"}, 40002
    for model, length in SUNSPEC.items():
        if model not in models:
            continue
        out.update({at + i: "0000" for i in range(2 + length)})
        out.update({at: f"{model:04X}", at + 1: f"{length:04X}"})
        out.update({at + o: word for o, word in models.get(model, {}).items()})
        if model == 160:
            out[at + 8] = "0002"
        at += 2 + length
    return {**out, at: "FFFF", at + 1: "0000"}


def golden():
    """{model: {point: row}}: of each point its first row that has a value."""
    models = {}
    for path in sorted(glob.glob(os.path.join(GOLDEN, "*.csv"))):
        rows = models.setdefault(os.path.basename(path)[:-4], {})
        with open(path, encoding="utf-8", newline="") as f:
            for row in csv.DictReader(f):
                if row["value"]:
                    rows.setdefault(row["point"], row)
    return models


def is_number(text):
    try:
        float(text)
        return True
    except ValueError:
        return False


def source(row):
    """How the simulator is told to show the row: a text as it is, a state by its number."""
    if is_number(row["value"]):
        return f"value: {row['value']}"
    words = bytes.fromhex(row["words"])
    if words.rstrip(b"\0") == row["value"].encode():
        return f"text: '{row['value']}'"
    return f"value: {int.from_bytes(words, 'big')}"


class Profiles(Case):
    def setUp(self):
        super().setUp()
        self.models = golden()
        site = os.path.join(self.folder, "site")
        os.makedirs(site)
        lines = ["buses:"] + [f"  {m}: {{type: modbus-tcp}}" for m in self.models] + ["devices:"]
        self.sunspec = {m for m, rows in self.models.items() if any("+" in r["address"] for r in rows.values())}
        for m, points in self.models.items():
            if m in self.sunspec:
                write(os.path.join(site, f"{m}.words"),
                      "".join(f"{at}: {word}\n" for at, word in chain(points).items()))
                lines.append(f"  {m}: {{bus: {m}, unit: 1, words: {m}.words}}")
                continue
            played = ", ".join(f"{p}: {{{source(r)}}}" for p, r in points.items())
            lines.append(f"  {m}: {{bus: {m}, unit: 1, profile: {m}, points: {{{played}}}}}")
        write(os.path.join(site, "site.yaml"), "\n".join(lines) + "\n")
        self.sim = Sim(os.path.join(self.args.bin, "fieldpost-sim"), site)
        self.stack.callback(self.stop_sim)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)

    def stop_sim(self):
        self.assertEqual(self.sim.stop(), 0)
        for pipe in (self.sim.p.stdin, self.sim.p.stdout):
            pipe.close()

    def configure(self):
        lines = ["buses:"]
        for m in self.models:
            host, port = self.sim.bus[m].split(":")
            lines.append(f"  {m}: {{type: modbus-tcp, host: {host}, port: {port}}}")
        lines.append("devices:")
        lines += [f"  {m}: {{bus: {m}, unit: 1, profile: {m}, every: 1s}}" for m in self.models]
        self.gw.config("\n".join(lines))

    def test_each_is_played_and_read_back(self):
        every = {f"{m}/{p}": r["value"] for m, rows in self.models.items() for p, r in rows.items()}
        wanted = {s: v for s, v in every.items() if is_number(v)}
        self.configure()
        self.gw.start()
        read = {}

        def all_read():
            read.update({r[0]: (r[2], r[3]) for r in self.gw.export()})
            return wanted.keys() <= read.keys()
        try:
            until(all_read, 30, "a reading of every point", 0.5)
        except AssertionError:
            self.fail(f"never read: {sorted(wanted.keys() - read.keys())}")

        faulty = set()  # by what they say of themselves

        def all_said():
            said = run([self.gw.exe, "status", "--config", self.gw.conf, "--json"]).stdout
            faulty.update(d["id"] for d in json.loads(said)["devices"] if d["state"] == "faulty")
            said = {d["id"]: d["says"] for d in json.loads(said)["devices"]}
            return all(f"{s.split('/')[1]}: {v}" in said[s.split("/")[0]] for s, v in every.items()
                       if not is_number(v))
        until(all_said, 30, "every text and state", 0.5)
        self.assertEqual(self.gw.stop(), 0)
        self.assertEqual(read.keys(), wanted.keys())
        wrong = {s: (read[s], v) for s, v in wanted.items() if read[s] != (v, "4" if s.split("/")[0] in faulty else "0")}
        self.assertEqual(wrong, {}, "((read, quality), golden)")
        print(f"{len(self.models)} profiles, {len(read)} points")

    def test_the_words_on_the_wire_are_the_golden_ones(self):
        for m, rows in self.models.items():
            if m in self.sunspec:
                continue  # their words are played as they are
            t = Tcp(self.sim.bus[m], 1)
            for p, r in rows.items():
                words, function = bytes.fromhex(r["words"]), int(r["function"])
                t.send(int(r["address"], 0), max(1, len(words) // 2), function)
                got = t.read()[2]
                self.assertEqual(got[2:].hex(), words.hex(), f"{m}/{p}")
            t.s.close()

    def test_check_and_the_list_say_what_is_verified(self):
        self.configure()
        said = run([self.gw.exe, "check", "--config", self.gw.conf]).stderr
        listed = {p["profile"]: p for p in json.loads(run([self.gw.exe, "profiles", "--json"]).stdout)}
        self.assertEqual(listed.keys(), self.models.keys())
        for m, p in listed.items():
            word = "verified" if p["verified"] else "unverified"
            self.assertIn(f"profile {m}: {p['model']}, {word}: {p['source']}\n", said)
            self.assertTrue(p["what"] and p["source"] and p["quantities"], m)
        self.assertFalse(listed["sokol-m"]["verified"])
        self.assertTrue(listed["eastron-sdm630"]["verified"])
        text = run([self.gw.exe, "profiles", "sokol-m"]).stdout
        self.assertTrue(text.startswith("sokol-m: Sokol-M, weather and air station, unverified\n"))

    def test_a_file_of_ones_own_is_shown_with_its_mistakes(self):
        mine = os.path.join(self.folder, "mine.yaml")
        write(mine, "extends: eastron-sdm630\nmodel: mine\n")
        text = run([self.gw.exe, "profiles", mine]).stdout
        self.assertIn(": mine, three-phase energy meter, unverified\n", text)
        write(mine, "model: mine\nverified: true\nverifed: true\n")
        r = run([self.gw.exe, "profiles", mine, "sokol-m"], ok=(2,))
        self.assertIn(f"{mine}:3:", r.stderr)
        self.assertIn("sokol-m: ", r.stdout, "the others are shown all the same")
        write(mine, "model: mine\nverified: true\npoints:\n"
                    "  - {name: a, quantity: number, function: 3, address: 0, type: u16}\n")
        self.assertIn(":2:", run([self.gw.exe, "profiles", mine], ok=(2,)).stderr)
        self.assertIn('did you mean "sokol-m"', run([self.gw.exe, "profiles", "sokolm"],
                                                    ok=(2,)).stderr)


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
