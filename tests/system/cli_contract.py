"""The fieldpost program at a shell: exit codes, where diagnostics go, and sentences that say what is
wrong and what to do."""
import json
import os
import re
import stat
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_city import FakeCity  # noqa: E402
from fp_proc import (EXPORT, Case, Gateway, Proc, csv_rows, free_port, main, run,
                     until, write)  # noqa: E402
from fp_slave import COUNTER_PROFILE, Counter, Slave  # noqa: E402

COMMANDS = ("run", "check", "keygen", "status", "export", "receipts", "backup", "verify")


class CliCase(Case):
    def setUp(self):
        super().setUp()
        self.gw = Gateway(self.args.bin, self.folder)
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.folder, "counter.yaml"), COUNTER_PROFILE)

    def cli(self, *args, codes=(0,), config=True):
        args = list(args) + (["--config", self.gw.conf] if config else [])
        return run([self.gw.exe, *args], ok=codes)

    def good(self, port=15020):
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}""")

    def places(self, text):
        """[(line, column, message)] of diagnostics about our file; every line must be one."""
        out = []
        for line in text.splitlines():
            m = re.match(re.escape(self.gw.conf) + r":(\d+):(\d+): (.*)", line)
            if m:
                out.append((int(m[1]), int(m[2]), m[3]))
        return out


class Usage(CliCase):
    def test_help_is_on_stdout_and_0(self):
        for args in (["--help"], *[[c, "--help"] for c in COMMANDS]):
            r = self.cli(*args, config=False)
            self.assertGreater(len(r.stdout), 40, args)
            self.assertEqual(r.stderr, "", args)
        city = run([os.path.join(self.args.bin, "fieldpost-city"), "--help"])
        for word in ("serve", "enroll", "dump", "verify", "import"):
            self.assertIn(word, city.stdout)
        r = self.cli("--help", config=False)
        for word in COMMANDS:
            self.assertIn(word, r.stdout)

    def test_wrong_usage_is_2_and_says_so_on_stderr(self):
        self.good()
        for args in ([], ["chek"], ["check", "--confg", self.gw.conf], ["export", "--format", "xml"],
                     ["export", "--from", "yesterday-ish"], ["export", "--format"], ["verify"],
                     ["verify", "--key"], ["keygen"], ["check", "more", "words"], ["receipts"],
                     ["receipts", "a", "b"], ["backup"], ["export", "--sealed"],
                     ["export", "--sealed", "d", "--raw"], ["export", "--unsent"],
                     ["export", "--format", "csv", "--sealed", "d"]):
            r = run([self.gw.exe, *args], ok=(2,))
            self.assertEqual(r.stdout, "", args)
            self.assertGreater(len(r.stderr.strip()), 10, args)


class Check(CliCase):
    def test_a_good_file_is_0(self):
        self.good()
        self.cli("check")

    def test_all_mistakes_at_once_each_with_its_place(self):
        """(line in the file, what the message must name) for each planted mistake."""
        lines = ["gateway: {id: gw-1, langage: vi}",
                 f"store: {{path: {self.gw.db}, journal_every: 10 parsecs}}",
                 f"seal: {{key: {self.gw.key_path}, every: 5min, max_readings: many}}",
                 "busses:",
                 "  old: {type: modbus-rtu}",
                 "buses:",
                 "  plant: {type: modbus-tpc, host: 127.0.0.1}",
                 "  spare: {type: modbus-tcp, host: 127.0.0.1, prot: 502}",
                 "devices:",
                 "  dev-1: {bus: spara, unit: 1, profile: ./counter.yaml, every: 1s}",
                 "  dev-2: {bus: spare, unit: 2, profile: eastron-sdm63, every: 1s}",
                 "  dev-3: {bus: spare, unit: 999, profile: ./counter.yaml, every: 1s}",
                 "  dev-4: {bus: spare, unit: 4, profile: ./counter.yaml, every: 1s, points: [m]}",
                 "  -dev5: {bus: spare, unit: 5, profile: ./counter.yaml, every: 1s}",
                 "  dev-6: {unit: 6, profile: ./counter.yaml, every: 1s}",
                 "web: {listen: \"127.0.0.1:0\"}"]
        write(self.gw.conf, "\n".join(lines) + "\n")
        r = self.cli("check", codes=(2,))
        self.assertEqual(r.stdout, "")
        found = self.places(r.stderr)
        missing = []
        for line, words in ((1, ("langage", "language")), (2, ("journal_every",)), (3, ("many",)),
                            (4, ("busses", "buses")), (7, ("modbus-tpc", "modbus-tcp")),
                            (8, ("prot", "port")), (10, ("spara", "spare")),
                            (11, ("eastron-sdm63", "eastron-sdm630")), (12, ("999",)), (13, ("m",)),
                            (14, ("-dev5",)), (15, ("bus",))):
            if not any(at == line and all(w in text for w in words) for at, _, text in found):
                missing.append((line, words))
        self.assertEqual(missing, [], r.stderr)
        for line, column, text in found:
            self.assertTrue(1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1,
                            (line, column, text))
        self.assertEqual([f[0] for f in found], sorted(f[0] for f in found), "in file order")

    def test_the_column_points_at_the_word(self):
        write(self.gw.conf, f"gateway: {{id: gw-1}}\nstore: {{path: {self.gw.db}, kep: 3d}}\n"
              f"seal: {{key: {self.gw.key_path}}}\n")
        found = self.places(self.cli("check", codes=(2,)).stderr)
        line = f"store: {{path: {self.gw.db}, kep: 3d}}"
        self.assertIn((2, line.index("kep") + 1), [f[:2] for f in found])

    def test_needed_keys_are_named(self):
        write(self.gw.conf, "gateway: {name: x}\nstore: {max_size: 1GiB}\n")
        r = self.cli("check", codes=(2,))
        for word in ("id", "path", "seal"):
            self.assertIn(word, r.stderr)

    def test_yaml_that_is_none_and_files_that_are_none(self):
        for text in ("gateway: {id: gw-1\nstore: [", "gateway:\n\t- x: :\n  y", "\0\0\0", "- 1\n- 2\n",
                     "gateway: {id: gw-1, id: gw-2}\n", "gateway: &a {id: gw-1}\nstore: *a\n", "",
                     "gateway: {id: ../../x}\n", "gateway: {id: \"\"}\n"):
            write(self.gw.conf, text)
            r = self.cli("check", codes=(2,))
            self.assertIn(self.gw.conf, r.stderr, repr(text))
        os.remove(self.gw.conf)
        self.assertIn(self.gw.conf, self.cli("check", codes=(2,)).stderr)
        os.mkdir(self.gw.conf)
        self.cli("check", codes=(2,))

    def test_duplicate_keys_and_units_have_their_place(self):
        self.good()
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read().rstrip() + "\n"
        twice = "  dev-2: {bus: plant, unit: 1, profile: ./counter.yaml, every: 1s}\n"
        write(self.gw.conf, text + twice)
        self.assertIn(len(text.splitlines()) + 1,
                      [p[0] for p in self.places(self.cli("check", codes=(2,)).stderr)])
        write(self.gw.conf, text + twice.replace("dev-2", "dev-1").replace("unit: 1", "unit: 2"))
        self.assertIn(len(text.splitlines()) + 1,
                      [p[0] for p in self.places(self.cli("check", codes=(2,)).stderr)])

    def test_an_id_of_a_device_and_of_a_probe_has_its_place(self):
        """Else `check` says good, and a reload with it would end the gateway that runs."""
        self.good()
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read().rstrip() + "\n"
        write(self.gw.conf, text + "connectivity: {ping: {dev-1: {host: 127.0.0.1}}}\n")
        r = self.cli("check", codes=(2,))
        self.assertIn("the device id dev-1 is used under connectivity.ping, too", r.stderr)
        at = next(i for i, line in enumerate(text.splitlines(), 1) if line.startswith("  dev-1:"))
        self.assertIn(at, [p[0] for p in self.places(r.stderr)])

    def test_mistakes_of_a_profile_are_told_at_its_own_lines(self):
        self.good()
        path = write(os.path.join(self.folder, "counter.yaml"),
                     COUNTER_PROFILE.replace("type: s32", "type: s23").replace(
                         "quantity: number, function: 3, address: 4",
                         "quantity: nmber, function: 5, address: 4"))
        r = self.cli("check", codes=(2,))
        for line, words in ((4, ("s23", "s32")), (5, ("nmber", "number"))):
            self.assertTrue(any(f"counter.yaml:{line}:" in x and all(w in x for w in words)
                                for x in r.stderr.splitlines()), (path, line, r.stderr))

    def test_run_refuses_what_check_refuses(self):
        self.good()
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        write(self.gw.conf, text + "webb: {}\n")
        want = self.places(self.cli("check", codes=(2,)).stderr)
        got = self.places(self.cli("run", codes=(2,)).stderr)
        self.assertEqual([w for w in want if w not in got], [])
        self.assertFalse(os.path.exists(self.gw.db), "a refused start made a database")


class Keys(CliCase):
    def test_keygen(self):
        path = os.path.join(self.folder, "new.key")
        r = self.cli("keygen", "--out", path, config=False)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        key = fp.load_private(path)
        self.assertEqual(fp.public_pem(key.public_key()).decode().split(), r.stdout.split())
        self.assertIn(fp.kid_of(key.public_key()).hex(), r.stderr)
        with open(path, "rb") as f:
            before = f.read()
        r = self.cli("keygen", "--out", path, config=False, codes=(1, 2))
        self.assertIn(path, r.stderr)
        self.assertEqual(r.stdout, "")
        with open(path, "rb") as f:
            self.assertEqual(f.read(), before, "an existing key was overwritten")
        nowhere = os.path.join(self.folder, "nowhere", "x.key")
        self.assertIn("nowhere", self.cli("keygen", "--out", nowhere, config=False,
                                          codes=(1, 2)).stderr)


class Starts(CliCase):
    """`run` on a site that cannot work: it ends, and its sentence names the file and the remedy."""

    def ends(self, *words):
        r = self.cli("run", codes=(1, 2))
        for w in words:
            self.assertIn(w, r.stderr)
        return r

    def test_missing_key(self):
        self.good()
        os.remove(self.gw.key_path)
        self.ends(self.gw.key_path, "keygen")

    def test_key_that_others_can_read(self):
        self.good()
        for mode in (0o644, 0o640, 0o604):
            os.chmod(self.gw.key_path, mode)
            self.ends(self.gw.key_path, "chmod")

    def test_key_that_is_none(self):
        self.good()
        for data in (b"", b"not a key\n", fp.public_pem(fp.new_key().public_key())):
            write(self.gw.key_path, data, 0o600)
            self.ends(self.gw.key_path)

    def test_database_that_is_a_text_file(self):
        self.good()
        write(self.gw.db, "These are my notes, please keep them.\n" * 50)
        with open(self.gw.db, "rb") as f:
            before = f.read()
        r = self.cli("run", codes=(1, 2))
        self.assertIn(self.gw.db, r.stderr)
        self.assertRegex(r.stderr, r"not a|no SQLite|is no |not an")
        with open(self.gw.db, "rb") as f:
            self.assertEqual(f.read(), before, "the file was touched")

    def test_database_that_cannot_be_opened(self):
        self.good()
        os.mkdir(self.gw.db)
        self.ends(self.gw.db)
        os.rmdir(self.gw.db)
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        write(self.gw.conf, text.replace(self.gw.db, "/nonexistent/folder/x.db"))
        self.ends("/nonexistent/folder")

    def test_database_that_another_run_holds(self):
        slave = Slave({1: Counter(1)})
        self.stack.callback(slave.stop)
        self.good(slave.port)
        self.gw.start()
        second = Proc([self.gw.exe, "run", "--config", self.gw.conf])
        self.stack.callback(second.kill)
        until(lambda: second.p.poll() is not None, 15, "the second run to end")
        self.assertIn(second.p.returncode, (1, 2))
        self.assertIn(self.gw.db, second.text())
        self.assertEqual(self.gw.stop(), 0)

    def test_city_files_that_are_wrong(self):
        self.good()
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        for ca in ("/nowhere/ca.pem", self.gw.conf):
            for keys in (self.gw.pub_path, "/nowhere/sign.pub", self.gw.conf):
                if (ca, keys) != (self.gw.conf, self.gw.pub_path):
                    write(self.gw.conf, text + "uplinks:\n  city: {type: city, url: "
                          f"\"https://127.0.0.1:1\", ca: {ca}, receipt_keys: [{keys}]}}\n")
                    self.cli("check", codes=(2,))
        write(self.gw.conf, text + "uplinks:\n  city: {type: city, url: \"http://127.0.0.1:1\", "
              f"ca: {self.gw.pub_path}, receipt_keys: [{self.gw.pub_path}]}}\n")
        self.assertIn("https", self.cli("check", codes=(2,)).stderr)


class Data(CliCase):
    """export, status and verify on a store that a real run left behind."""

    def collect(self):
        """Runs until some windows are at a city of ours; returns their batches."""
        self.unit = Counter(5)
        slave = Slave({1: self.unit})
        self.stack.callback(slave.stop)
        city = FakeCity(os.path.join(self.folder, "city"))
        city.device = self.gw.pub
        city.start()
        self.stack.callback(city.stop)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {slave.port}, timeout: 1s}}
devices:
  dev-1: {{bus: plant, unit: 1, profile: ./counter.yaml, every: 200ms}}
uplinks:
  city: {{type: city, url: "{city.url}", ca: {city.ca}, receipt_keys: [{city.pub_path}]}}""",
                       every="1s", listen=f"127.0.0.1:{free_port()}")
        self.gw.start()
        until(lambda: len(city.held()) >= 4, 60, "batches")
        return city

    def test_export_while_running_and_after(self):
        city = self.collect()
        live = self.gw.export()
        r = json.loads(self.cli("status", "--json").stdout)
        self.assertIsInstance(r, dict)
        self.assertIn("dev-1", self.cli("status").stdout)
        self.assertEqual(self.gw.stop(), 0)
        rows = self.gw.export()
        self.assertEqual([r[:4] for r in rows[:len(live)]], [r[:4] for r in live])
        at_city = {(r.series, str(r.t_ms), fp.text(r.v)) for r in city.readings()}
        self.assertLessEqual(at_city, {tuple(r[:3]) for r in rows})
        lines = [json.loads(x) for x in self.cli("export", "--format", "jsonl").stdout.splitlines()]
        self.assertEqual(len(lines), len(rows))
        self.assertEqual([(x["series"], str(x["ts_ms"])) for x in lines], [tuple(r[:2]) for r in rows])
        only = csv_rows(self.cli("export", "--series", "dev-1/n", "--format", "csv").stdout, EXPORT)
        self.assertEqual(only, [r for r in rows if r[0] == "dev-1/n"])
        only = csv_rows(self.cli("export", "--series", "*/[df]", "--format", "csv").stdout, EXPORT)
        self.assertEqual(only, [r for r in rows if r[0] != "dev-1/n"])
        self.assertEqual(csv_rows(self.cli("export", "--series", "x*", "--format", "csv").stdout,
                                  EXPORT), [])

    def test_verify_passes_true_batches_and_names_what_is_off(self):
        city = self.collect()
        self.gw.stop()
        batches, paths = city.held(), []
        for b in batches:
            paths.append(write(os.path.join(self.folder, f"{b.seq}.cose.zst"),
                               fp.compress(b.whole)))
        plain = [write(os.path.join(self.folder, f"{b.seq}.cose"), b.whole) for b in batches]

        def verify(*files, codes=(0,), key=self.gw.pub_path):
            return self.cli("verify", "--key", key, *files, config=False, codes=codes)
        verify(*paths)
        verify(*plain)
        verify(plain[1])
        stranger = write(os.path.join(self.folder, "other.pub"),
                         fp.public_pem(fp.new_key().public_key()))
        verify(plain[0], codes=(1,), key=stranger)
        bad = bytearray(batches[1].whole)
        bad[len(bad) // 2] ^= 1
        broken = write(os.path.join(self.folder, "bad.cose"), bytes(bad))
        r = verify(plain[0], broken, codes=(1,))
        self.assertIn("bad.cose", r.stdout + r.stderr)
        verify(write(os.path.join(self.folder, "cut.cose"), batches[1].whole[:-1]), codes=(1,))
        verify(write(os.path.join(self.folder, "text"), b"hello\n"), codes=(1,))
        verify(os.path.join(self.folder, "absent"), codes=(1, 2))
        # A chain whose third batch follows another second one.
        h = {**batches[2].header, "prev": bytes(32)}
        forged = fp.build(fp.load_private(self.gw.key_path), h, fp.Raw(batches[2].cose.payload))
        verify(plain[0], plain[1], write(os.path.join(self.folder, "3.forged"), forged), codes=(1,))

    def test_the_usb_folder_is_verified_as_a_whole(self):
        city = self.collect()
        self.gw.stop()
        batches = city.held()
        folder = os.path.join(self.folder, "usb", self.gw.gw, batches[0].chain.hex())
        os.makedirs(folder)
        for b in batches:
            write(os.path.join(folder, f"{b.seq}.cose.zst"), fp.compress(b.whole))
        usb = os.path.join(self.folder, "usb")
        self.cli("verify", "--key", self.gw.pub_path, usb, config=False)
        write(os.path.join(folder, "2.cose.zst"), b"broken")
        r = self.cli("verify", "--key", self.gw.pub_path, usb, config=False, codes=(1,))
        self.assertIn("2.cose.zst", r.stdout + r.stderr)


if __name__ == "__main__":
    main()
