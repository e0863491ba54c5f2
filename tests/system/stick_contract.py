"""Batches that go to the city on a stick, and the receipts that come back."""
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_cbor import Raw  # noqa: E402
from fp_proc import Gateway, main, run, until, write  # noqa: E402
from fp_slave import COUNTER_PROFILE  # noqa: E402
from fp_toolscase import ToolsCase  # noqa: E402


class Stick(ToolsCase):
    def test_there_and_back_while_the_gateway_runs(self):
        self.collect()
        self.enroll()
        self.sealed()
        m = self.manifest()
        self.assertEqual((m["gateway"], m["complete"], m["count"]), ("gw-1", True, len(m["batches"])))
        held = {(c, s): (z, k) for c, s, z, k in self.batches()}
        for b in m["batches"]:
            path = os.path.join(self.usb, "gw-1", b["chain"], f"{b['seq']}.cose.zst")
            with open(path, "rb") as f:
                z = f.read()
            self.assertEqual(z, held[b["chain"], b["seq"]][0], "the very bytes that are sealed")
            batch = fp.Batch(fp.decompress(z), self.gw.pub)
            self.assertEqual((b["sha256"], b["n"], b["from"], b["to"], b["kind"]),
                             (batch.hash.hex(), len(batch.readings), batch.from_ms, batch.to_ms,
                              "control" if batch.control else "data"))
        self.assertEqual(self.files(), sorted(
            ["gw-1/manifest.json"] + [f"gw-1/{b['chain']}/{b['seq']}.cose.zst"
                                      for b in m["batches"]]))
        run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])
        n = len(m["batches"])
        self.assertEqual(self.take("--receipts", self.receipts)[:3], (n, 0, 0))
        self.assertEqual(len(self.city.rows()), sum(b["n"] for b in m["batches"]))
        self.assertGreaterEqual(self.unsent(), n)
        r = self.cli("receipts", self.receipts)
        self.assertIn(f"city: {n} batches acknowledged, 0 were before", r.stdout)
        last = m["batches"][-1]
        self.assertTrue(self.sql("SELECT z FROM ack WHERE uplink = 'city' AND a = 1 AND z >= ?",
                                 last["seq"]))
        self.assertEqual(os.listdir(self.gw.db + ".receipts"), [])
        self.assertIn(f"0 batches acknowledged, {n} were before",
                      self.cli("receipts", self.receipts).stdout)
        # what comes now is what is left
        until(lambda: len(self.batches()) > n, 30, "another window")
        self.gw.stop()
        self.sealed("--unsent")
        new = [b["seq"] for b in self.manifest()["batches"]]
        self.assertEqual(new, list(range(last["seq"] + 1, last["seq"] + 1 + len(new))))
        second = os.path.join(self.folder, "second.bin")
        self.assertEqual(self.take("--receipts", second)[:3], (len(new), 0, 0))
        self.assertEqual(self.take()[:3], (0, len(new), 0))
        # not running: it takes them at its start
        self.assertIn("when it starts", self.cli("receipts", second).stdout)
        self.gw.start()
        until(lambda: not os.listdir(self.gw.db + ".receipts"), 30, "the receipts to be taken")
        self.gw.stop()
        self.assertEqual(self.sql("SELECT a, z >= ? FROM ack", new[-1]), [(1, 1)])
        self.assertEqual(run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb]).stderr, "")

    def test_what_receipts_acknowledged_outlives_a_power_cut(self):
        """The file is gone only when its acknowledgements are in the database."""
        self.collect()
        self.gw.stop()
        self.enroll()
        self.sealed()
        self.take("--receipts", self.receipts)
        self.site(self.gw, every="60min")  # no seal that they could ride with
        self.gw.start()
        self.cli("receipts", self.receipts)
        self.gw.kill()
        last = self.manifest()["batches"][-1]["seq"]
        self.assertEqual(self.sql("SELECT a, z FROM ack"), [(1, last)])

    def test_a_stopped_export_goes_on_and_mends(self):
        self.collect()
        self.gw.stop()
        self.sealed()
        whole = {f: os.path.getmtime(os.path.join(self.usb, f)) for f in self.files()}
        seqs = [f for f in whole if f.endswith(".zst")]
        os.truncate(os.path.join(self.usb, seqs[0]), 40)
        os.remove(os.path.join(self.usb, seqs[1]))
        r = run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb], ok=(1,))
        self.assertIn(f"{seqs[1].split('/', 1)[1]} is missing", r.stderr)
        with open(os.path.join(self.usb, seqs[2]), "r+b") as f:
            f.seek(60)
            byte = f.read(1)[0]
            f.seek(60)
            f.write(bytes([byte ^ 1]))
        os.remove(os.path.join(self.usb, "gw-1/manifest.json"))
        write(os.path.join(self.usb, os.path.dirname(seqs[0]), "writing.tmp"), b"half")
        r = self.sealed()
        self.assertIn("3 of them new", r.stdout)
        self.assertEqual(self.files(), sorted(whole))
        for f in seqs[3:]:
            self.assertEqual(os.path.getmtime(os.path.join(self.usb, f)), whole[f], "written again")
        run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])

    def test_a_range_and_several_gateways_on_one_stick(self):
        self.collect(9)
        self.gw.stop()
        rows = self.sql("SELECT id & 1099511627775, from_ms, to_ms FROM batch WHERE kind = 0 "
                        "ORDER BY id")
        a, z = rows[2][1], rows[4][2]
        self.sealed("--from", str(a + 1), "--to", str(z))
        self.assertEqual([b["seq"] for b in self.manifest()["batches"] if b["kind"] == "data"],
                         [rows[2][0], rows[3][0], rows[4][0]])
        run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])
        other = Gateway(self.args.bin, os.path.join(self.folder, "gw-2"), gw="gw-2")
        self.stack.callback(other.kill)
        write(os.path.join(other.folder, "counter.yaml"), COUNTER_PROFILE)
        self.site(other)
        other.start()
        until(lambda: len(self.sql("SELECT id FROM batch", path=other.db)) > 2, 60, "its batches")
        other.stop()
        self.sealed(gw=other)
        self.enroll()
        self.enroll(other)
        n = self.manifest()["count"] + self.manifest(other)["count"]
        self.assertEqual(self.take("--receipts", self.receipts)[:3], (n, 0, 0))
        for gw in (self.gw, other):
            r = self.cli("receipts", self.receipts, gw=gw)
            self.assertIn(f"city: {self.manifest(gw)['count']} batches acknowledged", r.stdout)
            self.assertIn("for other gateways", r.stdout)

    def test_a_full_stick(self):
        """A file system of 200 kB, in a mount namespace of its own: what fits can be carried."""
        self.collect(2)
        self.gw.stop()
        self.big_store(20)
        usb = os.path.join(self.folder, "stick")
        os.mkdir(usb)
        out = os.path.join(self.folder, "out")
        script = f"""set -u
mount -t tmpfs -o size=200k none {usb} || exit 9
{self.gw.exe} export --sealed {usb} --config {self.gw.conf} 2>{out}.1; echo $? >{out}.1.code
{self.gw.exe} verify --key {self.gw.pub_path} {usb} >{out}.verify 2>&1; echo $? >{out}.verify.code
cp -r {usb}/. {self.usb}
"""
        run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script])

        def said(name):
            with open(f"{out}.{name}", encoding="utf-8") as f:
                return f.read()
        self.assertEqual(said("1.code"), "1\n", said("1"))
        self.assertIn("can be carried", said("1"))
        self.assertEqual(said("verify.code"), "0\n", said("verify"))
        m = self.manifest()
        self.assertFalse(m["complete"])
        self.assertEqual(len(self.files()), m["count"] + 1, self.files())
        self.assertGreater(m["count"], 2)
        self.enroll()
        r = run([self.city.exe, "import", "--config", self.city.conf, "--receipts", self.receipts,
                 self.usb])
        self.assertIn(f"{m['count']} batches stored", r.stdout)
        self.assertIn("the stick was full", r.stdout)
        # the rest, on another stick
        self.gw.start()
        self.cli("receipts", self.receipts)
        self.gw.stop()
        self.usb = os.path.join(self.folder, "second")
        self.sealed("--unsent")
        self.assertEqual(self.take()[1:3], (0, 0))
        self.assertGreaterEqual(len(self.city.rows()), 20 * 2000)

    def test_places_that_cannot_be_written(self):
        self.collect()
        self.gw.stop()
        for usb in ("/proc/nowhere", os.path.join(self.folder, "no", "such")):
            r = self.sealed(usb=usb, codes=(1,))
            self.assertIn(usb, r.stderr)
        r = self.sealed(usb=write(os.path.join(self.folder, "file"), b"x"), codes=(1,))
        self.assertIn("file", r.stderr)
        os.makedirs(os.path.join(self.usb, "gw-1"))
        write(os.path.join(self.usb, "gw-1", "manifest.json"),
              '{"format":"fieldpost sealed export","version":1,"gateway":"GW-1","made":1,'
              '"batches":[\n],"count":0,"complete":true}\n')
        self.assertIn("GW-1", self.sealed(codes=(1,)).stderr)


class Import(ToolsCase):
    def setUp(self):
        super().setUp()
        self.collect()
        self.gw.stop()
        self.sealed()
        self.good = shutil.copytree(self.usb, os.path.join(self.folder, "good"))
        self.m = self.manifest()
        self.chain = self.m["batches"][0]["chain"]
        self.n = self.m["count"]

    def again(self):
        shutil.rmtree(self.usb)
        shutil.copytree(self.good, self.usb)

    def file(self, seq, usb=None):
        return os.path.join(usb or self.usb, "gw-1", self.chain, f"{seq}.cose.zst")

    def edit(self, change):
        """The manifest's text through change()."""
        path = os.path.join(self.usb, "gw-1", "manifest.json")
        with open(path, encoding="ascii") as f:
            text = f.read()
        self.assertNotEqual(change(text), text)
        write(path, change(text))

    def refused(self, n, *words, codes=(1,)):
        """Imports: all but n are good, and stderr has the words."""
        stored, known, refused, text = self.take(codes=codes)
        self.assertEqual((stored + known, refused), (self.n - n, n), text)
        for w in words:
            self.assertIn(w, text)
        self.again()

    def test_a_gateway_that_is_not_enrolled(self):
        self.refused(self.n, "unknown_gateway")

    def test_every_way_to_be_off(self):
        self.enroll()
        with open(self.file(2), "rb") as f:
            whole = fp.decompress(f.read())
        forged = bytearray(whole)
        forged[-1] ^= 1
        stranger = fp.Batch(whole)
        signed = fp.build(fp.new_key(), {**stranger.header, 4: stranger.kid},
                          Raw(stranger.cose.payload))
        name = f"gw-1/{self.chain}/2.cose.zst: "
        for data, word in ((fp.compress(bytes(forged)), "bad_signature"),
                           (fp.compress(signed), "bad_signature"), (b"", "bad_cbor"),
                           (fp.compress(whole)[:-9], "bad_cbor"), (b"\0" * 3_000_000, "longer")):
            write(self.file(2), data)
            self.refused(1, name + word)
        shutil.copy(self.file(3), self.file(2))
        self.refused(1, name + "wrong_gateway")
        os.remove(self.file(2))
        self.refused(1, name + "missing")
        os.remove(self.file(2))
        os.symlink(self.file(2, self.good), self.file(2))
        self.refused(1, name)
        os.remove(self.file(2))
        os.mkfifo(self.file(2))
        self.refused(1, name + "not a plain file")
        os.remove(self.file(2))
        os.mkdir(self.file(2))
        self.refused(1, name + "not a plain file")
        b = self.m["batches"][1]
        self.edit(lambda t: t.replace(b["sha256"], "00" * 32))
        self.refused(1, name + "conflict: not the batch that the manifest names")
        # nothing of it got in
        self.assertEqual(self.sql("SELECT count(*) FROM batch", path=self.city.db), [(self.n - 1,)])
        self.assertEqual(self.take()[:3], (1, self.n - 1, 0))

    def test_folders_that_are_none(self):
        self.enroll()
        for usb in (os.path.join(self.folder, "nowhere"), self.city.conf,
                    os.path.join(self.folder, "gw")):
            r = run([self.city.exe, "import", "--config", self.city.conf, usb], ok=(1,))
            self.assertIn(usb, r.stderr)
        os.remove(os.path.join(self.usb, "gw-1", "manifest.json"))
        r = run([self.city.exe, "import", "--config", self.city.conf, self.usb], ok=(1,))
        self.assertIn("manifest.json", r.stderr)
        self.again()
        os.rename(os.path.join(self.usb, "gw-1"), os.path.join(self.folder, "real"))
        os.symlink(os.path.join(self.folder, "real"), os.path.join(self.usb, "gw-1"))
        run([self.city.exe, "import", "--config", self.city.conf, self.usb], ok=(1,))
        self.assertEqual(self.sql("SELECT count(*) FROM batch", path=self.city.db), [(0,)])

    def test_manifests_that_point_elsewhere(self):
        self.enroll()
        secret = os.path.join(self.folder, "usb", "1.cose.zst")
        shutil.copy(self.file(1), secret)
        for change in (lambda t: t.replace(f'"chain":"{self.chain}"', '"chain":".."', 1),
                       lambda t: t.replace('"gateway":"gw-1"', '"gateway":".."'),
                       lambda t: t.replace('"gateway":"gw-1"', '"gateway":"gw-2"'),
                       lambda t: t.replace('"seq":1,', '"seq":"../1",', 1),
                       lambda t: t.replace('"version":1', '"version":2'),
                       lambda t: t.replace("\n", "", 1), lambda t: "[]\n", lambda t: "\n",
                       lambda t: "\0" * 5000, lambda t: "x" * 100_000):
            self.edit(change)
            stored, known, refused, text = self.take(codes=(1,))
            self.assertEqual((stored, known, refused), (0, 0, 1), text)
            self.assertIn("gw-1/manifest.json: ", text)
            self.again()
        # cut off: what it names before that is taken, and it is said
        self.edit(lambda t: t[:t.rindex("],")])
        stored, known, refused, text = self.take(codes=(1,))
        self.assertEqual((stored, known, refused), (self.n, 0, 1))
        self.assertIn("cut off", text)

    def test_beside_a_serving_city(self):
        self.enroll()
        self.city.start()
        self.assertEqual(self.take("--receipts", self.receipts)[:3], (self.n, 0, 0))
        r = run([self.city.exe, "import", "--config", self.city.conf, "--receipts", self.receipts,
                 self.usb], ok=(1,))
        self.assertIn("exists already", r.stderr)
        self.assertEqual(self.city.stop(), 0)
        self.assertEqual(self.sql("PRAGMA integrity_check", path=self.city.db), [("ok",)])

    def test_receipts_that_are_not_what_they_should_be(self):
        self.enroll()
        self.take("--receipts", self.receipts)
        with open(self.receipts, "rb") as f:
            good = f.read()
        batches = [fp.Batch(fp.decompress(z)) for _, _, z, _ in self.batches()]
        self.gw.start()

        def receipt(b, key=None, **change):
            body = {"v": 1, "gw": b.gw, "chain": b.chain, "seq": b.seq, "sha256": b.hash,
                    "n": len(b.readings), "received": b.to_ms, "through": [b.seq, b.hash], **change}
            key = key or self.city.key
            return fp.sign(fp.encode({1: -7, 3: fp.CT_RECEIPT, 4: fp.kid_of(self.city.pub)}),
                           fp.encode(body), key)
        first, last = batches[0], batches[-1]
        flipped = bytearray(receipt(last))
        flipped[-1] ^= 1
        wrong = bytes(32)
        for data, word in ((receipt(last, fp.new_key()), "not signed"), (bytes(flipped), "not signed"),
                           (receipt(last, gw="gw-2"), "other gateways"),
                           (receipt(last, sha256=wrong), "other bytes"),
                           (receipt(last, seq=9999), "not in the store"),
                           (receipt(last, chain=b"\x01" * 8), "not in the store"),
                           (last.whole, "not receipts"), (b"", "no receipt"),
                           (b"hello", "cut off"), (b"\xff" * 9000, "cut off"),
                           (b"\0" * 9000, "not receipts")):
            path = write(os.path.join(self.folder, "bad"), data)
            r = self.cli("receipts", path, codes=(1,))
            self.assertIn(word, r.stdout + r.stderr)
            # and by hand, into the folder that the uplink's thread looks into
            spool = self.gw.db + ".receipts"
            os.makedirs(spool, exist_ok=True)
            write(os.path.join(spool, "0123456789abcdef.city"), data)
            until(lambda: not os.listdir(spool), 60, "the file to be taken away")
        for odd in (self.folder, write(os.path.join(self.folder, "huge"), good)):
            if odd != self.folder:
                os.truncate(odd, 65 << 20)
            self.assertIn("no file of receipts",
                          self.cli("receipts", odd, codes=(1,)).stderr)
        self.assertEqual(self.sql("SELECT * FROM ack"), [])
        # a true one whose `through` is a lie of the city itself reaches no further than it proves
        lie = write(os.path.join(self.folder, "lie"), receipt(first, through=[last.seq, wrong]))
        self.assertIn("city: 1 batches acknowledged", self.cli("receipts", lie).stdout)
        until(lambda: self.sql("SELECT a, z FROM ack") == [(1, 1)], 20, "one alone acknowledged")
        # cut off: what is before is good
        cut = write(os.path.join(self.folder, "cut"), good[:-7])
        r = self.cli("receipts", cut, codes=(1,))
        self.assertIn("cut off", r.stderr)
        until(lambda: self.sql("SELECT 1 FROM ack WHERE z = ?", last.seq - 1), 20, "all but one")
        self.assertIn("nowhere", self.cli("receipts", "/nowhere", codes=(1,)).stderr)


if __name__ == "__main__":
    main()
