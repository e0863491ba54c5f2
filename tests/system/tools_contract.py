"""What a technician takes from a running gateway: readings in three forms, a copy of the store, its
status."""
import collections
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
from decimal import Decimal

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import EXPORT, SANITIZER, csv_rows, main, run, until, write  # noqa: E402
from fp_toolscase import ToolsCase  # noqa: E402

F_SETPIPE_SZ = 1031


class Export(ToolsCase):
    def test_senml_holds_the_same_readings_as_csv(self):
        self.collect()
        self.gw.stop()
        rows = self.gw.export()
        text = self.cli("export", "--format", "senml").stdout
        records = json.loads(text, parse_float=Decimal, parse_int=Decimal)
        self.assertEqual(len(records), len(rows))
        for r, (series, ts, value, quality, _, _) in zip(records, rows):
            self.assertLessEqual(set(r), {"n", "u", "v", "t", "q"})
            self.assertEqual(r["n"], f"gw-1/{series}")
            self.assertEqual(r["t"] * 1000, Decimal(ts))
            self.assertEqual(r["v"], Decimal(value))
            self.assertEqual(r.get("q", 0), Decimal(quality))
        self.assertIn(f'"v":{rows[0][2]},', text, "the digits are those of the reading")
        none = self.cli("export", "--format", "senml", "--series", "nothing/*").stdout
        self.assertEqual(json.loads(none), [])

    def test_a_slow_reader_beside_a_gateway_that_seals(self):
        """Every reading from before the start is there, once, however often the gateway seals
        while a full pipe keeps the export from going on; and the WAL is folded meanwhile."""
        self.collect(12)
        for _ in range(2):
            before = {tuple(r[:3]) for r in self.gw.export()}
            p = subprocess.Popen([self.gw.exe, "export", "--format", "csv", "--config", self.gw.conf],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            fcntl.fcntl(p.stdout, F_SETPIPE_SZ, 4096)
            text = p.stdout.read(3000)
            sealed = len(self.batches())
            until(lambda: len(self.batches()) >= sealed + 3, 60, "three more windows")
            self.assertIsNone(p.poll(), "the export should wait for its reader")
            text += p.stdout.read()
            self.assertEqual(p.wait(60), 0, p.stderr.read())
            self.assertIsNone(SANITIZER.search(p.stderr.read().decode()))
            p.stdout.close()
            p.stderr.close()
            rows = [tuple(r[:3]) for r in csv_rows(text.decode(), EXPORT)]
            twice = [r for r, n in collections.Counter(rows).items() if n > 1]
            self.assertEqual(twice, [])
            self.assertEqual(before - set(rows), set())

    def peak_kib(self, *options):
        """(peak RSS, lines) of an export whose output is read to its end."""
        env = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=1:" +
               os.environ.get("ASAN_OPTIONS", "")}
        p = subprocess.Popen([self.gw.exe, "export", *options, "--config", self.gw.conf], env=env,
                             stdout=subprocess.PIPE)
        peak = lines = 0
        while part := p.stdout.read(1 << 16):
            lines += part.count(b"\n")
            with open(f"/proc/{p.pid}/status", encoding="ascii") as f:
                status = f.read()
            if "VmHWM:" in status:  # else it has just ended
                peak = int(status.split("VmHWM:")[1].split()[0])
        self.assertEqual(p.wait(60), 0)
        p.stdout.close()
        return peak, lines

    def test_memory_does_not_grow_with_the_range(self):
        self.collect(2)
        self.gw.stop()
        ranges = []
        for n in (5, 60):
            self.big_store(n)
            got = {f: self.peak_kib("--format", f) for f in ("csv", "jsonl", "senml")}
            ranges.append((os.path.getsize(self.gw.db), got))
            print(f"store {ranges[-1][0]} bytes: " + ", ".join(
                f"{f} {lines} lines, peak {peak} KiB" for f, (peak, lines) in got.items()))
        (small_bytes, small), (bytes_, big) = ranges
        self.assertGreater(bytes_, 8 * small_bytes)
        for f, (peak, lines) in big.items():
            self.assertGreater(lines, 120_000)
            self.assertLess(peak, small[f][0] + 3000, f"{f}: {small[f]} grew to {big[f]}")


class Backup(ToolsCase):
    def test_a_copy_from_a_running_gateway_restores(self):
        self.site(self.gw, every="5s")
        self.collect(3)
        until(lambda: any(not r[4] for r in self.gw.export()), 30, "a reading that waits")
        before = self.gw.export()
        copy = os.path.join(self.folder, "copy.db")
        self.cli("backup", "--out", copy)
        self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o600)
        self.assertIn(copy, self.cli("backup", "--out", copy, codes=(1,)).stderr)
        self.gw.kill()
        self.assertEqual(self.sql("PRAGMA integrity_check", path=copy), [("ok",)])
        chains = self.sql("SELECT chain FROM chain", path=copy)
        # restored on the same machine: a chain of its own, linked; nothing of the old is lost
        for tail in ("", "-wal", "-shm"):
            if os.path.exists(self.gw.db + tail):
                os.remove(self.gw.db + tail)
        shutil.copy(copy, self.gw.db)
        held = {tuple(r[:4]) for r in self.gw.export()}
        self.assertEqual({tuple(r[:4]) for r in before} - held, set())
        self.gw.start()
        until(lambda: len(self.sql("SELECT chain FROM chain")) == len(chains) + 1, 30, "a new chain")
        until(lambda: self.sql("SELECT 1 FROM chain WHERE last_seq > 2 AND after_chain = ?",
                               chains[-1][0]), 30, "batches of the new chain")
        self.gw.stop()
        rows = [tuple(r[:4]) for r in self.gw.export()]
        self.assertEqual(len(rows), len(set(rows)))
        self.assertEqual(held - set(rows), set())

    def test_no_room_for_a_copy(self):
        self.collect(2)
        self.gw.stop()
        self.big_store(20)
        small = os.path.join(self.folder, "small")
        os.mkdir(small)
        script = f"""mount -t tmpfs -o size=128k none {small} || exit 9
{self.gw.exe} backup --config {self.gw.conf} --out {small}/copy.db; echo $? $(ls -A {small})"""
        r = run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])
        self.assertEqual(r.stdout, "1\n", r.stderr)
        self.assertIn("free space", r.stderr)

    def test_copies_while_the_gateway_is_busy(self):
        self.collect(3)
        for i in range(5):
            before = {tuple(r[:4]) for r in self.gw.export()}
            copy = os.path.join(self.folder, f"copy-{i}.db")
            self.cli("backup", "--out", copy)
            conf = self.gw.conf + ".copy"
            with open(self.gw.conf, encoding="utf-8") as f:
                write(conf, f.read().replace(self.gw.db, copy))
            r = run([self.gw.exe, "export", "--format", "csv", "--config", conf])
            rows = [tuple(x[:4]) for x in csv_rows(r.stdout, EXPORT)]
            self.assertEqual(len(rows), len(set(rows)))
            self.assertEqual(before - set(rows), set())


class Status(ToolsCase):
    def test_the_page_is_found_when_the_system_chose_its_port(self):
        self.collect(1)
        r = self.cli("status")
        self.assertIn("dev-1", r.stdout)
        self.assertEqual(r.stderr, "")
        self.gw.stop()
        r = self.cli("status")
        self.assertIn("does not answer", r.stderr)
        self.assertIn("running: false", r.stdout)
        self.assertIn(f"no gateway with a page runs on the store {self.gw.db}: start `fieldpost run`", r.stderr)


if __name__ == "__main__":
    main()
