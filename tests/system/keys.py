"""Case L3 and what belongs to it: the key changes on the device, and all that the old one signed
stays verifiable; a revoked key; the process that holds the key."""
import glob
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_proc import main, run, until, write  # noqa: E402
from fp_toolscase import ToolsCase  # noqa: E402


class Keys(ToolsCase):
    def kid(self):
        with open(self.gw.key_path, "rb"):
            return fp.kid_of(fp.load_private(self.gw.key_path).public_key())

    def rotate(self):
        """A rotation while the gateway runs; the new key's id."""
        before = self.kid()
        r = self.cli("key", "rotate")
        after = self.kid()
        self.assertNotEqual(before, after)
        self.assertIn(f"kid {after.hex()} (in force)", r.stderr)
        self.assertEqual(os.stat(self.gw.key_path).st_mode & 0o777, 0o600)
        self.assertTrue(os.path.exists(f"{self.gw.key_path}.{before.hex()}"), "the old key is lost")
        self.assertFalse(os.path.exists(self.gw.key_path + ".next"))
        return after

    def opened(self):
        """All sealed batches, each by the key that its kid names; nothing is checked."""
        return [(c, s, fp.Cose(fp.decompress(z))) for c, s, z, _ in self.batches()]

    def verify(self, ok=(0,)):
        """The sealed export, by the first key alone."""
        return run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb], ok=ok)

    def keys(self):
        return json.loads(run([self.city.exe, "keys", "--config", self.city.conf, "--json"]).stdout)

    def meets_city(self):
        """From here on the gateway reaches its city."""
        self.city.start()
        with open(self.gw.conf, encoding="utf-8") as f:
            conf = f.read()
        write(self.gw.conf, conf.replace(conf.split('url: "')[1].split('"')[0],
                                         f"https://127.0.0.1:{self.city.port}"))

    def test_L3_rotations_without_a_network(self):
        self.collect(4)
        kids = [self.kid()]
        for _ in range(3):
            kids.append(self.rotate())
            n = len(self.batches())
            until(lambda: len(self.batches()) >= n + 4, 30, "the new key's batches")
        self.gw.stop()
        seen = []
        for _, _, cose in self.opened():
            if cose.header[4] not in seen:
                seen.append(cose.header[4])
        self.assertEqual(seen, kids)
        self.sealed()
        self.assertIn("good", self.verify().stdout)
        run(["node", os.path.join(HERE, "verify.mjs"), "--key", self.gw.pub_path,
             os.path.join(self.usb, "gw-1/manifest.json")])
        # none of the others is enough for what came before it
        last = write(os.path.join(self.folder, "last.pub"), self.cli("key", "show").stdout)
        r = run([self.gw.exe, "verify", "--key", last, self.usb], ok=(1,))
        self.assertIn("no batch that they sign names it as the next", r.stderr)
        # the city knows the first key; the rest comes with the backlog, entries first
        rows = {tuple(r) for r in self.gw.export() if r[4]}
        self.enroll()
        self.meets_city()
        self.gw.start()
        until(lambda: rows <= {tuple(r[1:]) for r in self.city.rows()}, 60, "the backlog to arrive",
              0.5)
        self.assertNotIn("answer 403", self.gw.proc.text())
        self.gw.stop()
        listed = self.keys()
        self.assertEqual([k["kid"] for k in listed], [k.hex() for k in kids])
        self.assertEqual([k["how"] for k in listed], ["enrolled"] + 3 * ["rotation"])
        self.assertEqual([k["batch"]["signed_by"] for k in listed[1:]], [k.hex() for k in kids[:-1]])
        files = glob.glob(os.path.join(self.usb, "gw-1/*/*.zst"))
        r = run([self.city.exe, "verify", "--config", self.city.conf, *files])
        self.assertEqual(r.stdout.count("signature good"), len(files))

    def test_L3_a_verifier_follows_no_entry_that_the_old_key_did_not_sign(self):
        self.collect(3)
        self.gw.stop()
        stranger, forged = fp.new_key(), os.path.join(self.folder, "forged")
        chain, t = bytes(range(8)), 1_790_000_000_000
        spki = fp.serialization
        der = stranger.public_key().public_bytes(spki.Encoding.DER,
                                                 spki.PublicFormat.SubjectPublicKeyInfo)
        os.makedirs(forged)

        over = fp.header(stranger, "gw-1", chain, 1, t, t, control=True)
        write(os.path.join(forged, "a-claims-the-old-key.cose"),
              fp.build(stranger, {**over, 4: self.kid()}, [["key", der]]))
        later = fp.header(stranger, "gw-1", bytes(8), 1, t, t + 1000)
        write(os.path.join(forged, "by-the-stranger.cose"), fp.build(stranger, later, []))
        files = sorted(glob.glob(os.path.join(forged, "*")))
        r = run([self.gw.exe, "verify", "--key", self.gw.pub_path, *files], ok=(1,))
        self.assertIn("the signature does not fit", r.stderr)
        self.assertIn(f"is signed by key {fp.kid_of(stranger.public_key()).hex()}", r.stderr)
        for f in files:
            run(["node", os.path.join(HERE, "verify.mjs"), "--key", self.gw.pub_path, f], ok=(1,))

    def test_L3_killed_at_any_time(self):
        """kill -9 while the key changes, again and again: one of the two keys is in force, no batch
        is signed by a key that none before it named, and no key is lost."""
        self.collect(3)
        for i in range(8):
            p = subprocess.Popen([self.gw.exe, "key", "rotate", "--config", self.gw.conf],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
            until(lambda: os.path.exists(self.gw.key_path + ".next") or p.poll() is not None, 20,
                  "the next key")
            try:
                p.wait(self.rng.choice((0.0, 0.02, 0.1, 0.5, 1.0, 1.5)))
            except subprocess.TimeoutExpired:
                pass
            self.gw.kill()
            p.kill()
            p.wait()
            if i % 2:
                self.gw.start()
                self.gw.kill()
            self.gw.start()
        until(lambda: not os.path.exists(self.gw.key_path + ".next"), 30, "the last rotation")
        n = len(self.batches())
        until(lambda: len(self.batches()) > n + 2, 30, "batches behind it")
        self.gw.stop()
        self.sealed()
        self.assertIn("good", self.verify().stdout)
        there = {fp.kid_of(fp.load_private(f).public_key())
                 for f in glob.glob(self.gw.key_path + "*")}
        self.assertEqual({c.header[4] for _, _, c in self.opened()} - there, set())
        self.assertGreaterEqual(len(there), 3)

    def test_L3_a_rotation_before_the_first_start_and_one_while_it_is_off(self):
        first = self.kid()
        r = self.cli("key", "rotate")
        self.assertIn("does not run", r.stderr)
        self.assertIn("waits to take over", self.cli("key", "show").stderr)
        again = self.cli("key", "rotate")
        self.assertEqual(again.stdout, r.stdout, "one next key, however often it is asked for")
        self.collect(4)
        until(lambda: self.kid() != first, 20, "the next key to take over")
        self.gw.stop()
        self.sealed()
        self.verify()

    def test_revoked(self):
        self.enroll()
        self.meets_city()
        self.collect(4)
        until(lambda: len(self.city.rows()) > 30, 30, "readings at the city")
        old = self.kid().hex()
        run([self.city.exe, "revoke", "--config", self.city.conf, "--id", "gw-1", "--kid", old,
             "--reason", "the box was stolen"])
        self.gw.proc.wait_line("answer 401 unauthorized: the city does not take")
        rows = self.city.rows()
        n = len(self.batches())
        until(lambda: len(self.batches()) > n + 2, 30, "batches that are not taken")
        self.assertEqual(self.city.rows(), rows)
        self.gw.stop()
        # another key, made here and enrolled there: what it signs is not kept back by the rest
        first = self.gw.pub_path
        os.rename(self.gw.key_path, self.gw.key_path + ".old")
        self.gw.pub_path = write(os.path.join(self.folder, "second.pub"), run(
            [self.gw.exe, "keygen", "--out", self.gw.key_path]).stdout)
        self.enroll()
        self.gw.start()
        until(lambda: len({r[5] for r in self.city.rows()}) == 2, 30, "the second key's readings")
        self.gw.stop()
        self.gw.pub_path = first
        self.assertEqual([r for r in self.city.rows() if r[5] == rows[0][5]], rows)
        self.assertEqual(self.keys()[0]["revoked"]["reason"], "the box was stolen")
        text = run([self.city.exe, "keys", "--config", self.city.conf]).stdout
        self.assertIn(f"gw-1 {old} since ", text)
        self.assertIn("enrolled, revoked ", text)
        self.sealed()
        r = self.verify(ok=(1,))
        self.assertIn("no batch that they sign names it as the next", r.stderr)
        run([self.gw.exe, "verify", "--key", first, "--key",
             os.path.join(self.folder, "second.pub"), self.usb])


def processes(parent):
    """{name: pid} of the children of a process."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                pid, rest = f.read().split(" (", 1)
        except OSError:
            continue
        name, rest = rest.rsplit(") ", 1)
        if int(rest.split()[1]) == parent and rest[0] != "Z":
            found[name] = int(pid)
    return found


def holds(pid, needles):
    """Whether any of the needles lies in the memory of the process. What a sanitizer maps to note
    its own about memory, terabytes, is passed over."""
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            where, rights = line.split()[:2]
            a, z = (int(x, 16) for x in where.split("-"))
            tail = b""
            while "r" in rights and "[v" not in line and a < z and z - a < 1 << 31:
                try:
                    mem.seek(a)
                    part = mem.read(min(z - a, 1 << 22))
                except (OSError, ValueError, OverflowError):
                    break
                if not part:
                    break
                if any(n in tail + part for n in needles):
                    return True
                tail, a = part[-64:], a + len(part)
    return False


def share_kib(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return next(int(x.split()[1]) for x in f if x.startswith("Pss:"))


def status(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        return next(line.split(":", 1)[1].split() for line in f if line.startswith(key + ":"))


class Processes(ToolsCase):
    def helpers(self):
        """(keeper, signer), once they are there."""
        keeper = until(lambda: processes(self.gw.proc.p.pid).get("fp-keeper"), 20, "the keeper")
        return keeper, until(lambda: processes(keeper).get("fp-signer"), 20, "the signing process")


class Signer(Processes):
    def scalars(self):
        """The private key as it may lie in memory: big endian, and as numbers of 64 bits."""
        d = fp.load_private(self.gw.key_path).private_numbers().private_value
        return [d.to_bytes(32, "big"), d.to_bytes(32, "little")]

    @unittest.skipIf(os.geteuid() != 0, "only root may look into the signing process")
    def test_the_gateway_never_holds_the_key(self):
        self.collect(4)
        keeper, signer = self.helpers()
        rss, pss = self.gw.rss_kib(), share_kib(signer)  # before it is looked at, page by page
        found = {who: holds(pid, self.scalars()) for who, pid in
                 (("gateway", self.gw.proc.p.pid), ("keeper", keeper), ("signer", signer))}
        self.assertEqual(found, {"gateway": False, "keeper": False, "signer": True})
        n = len(self.batches())
        self.cli("key", "rotate")
        until(lambda: len(self.batches()) > n + 2, 30, "batches of the next key")
        keeper, signer = self.helpers()
        found = {who: holds(pid, self.scalars()) for who, pid in
                 (("gateway", self.gw.proc.p.pid), ("keeper", keeper), ("signer", signer))}
        self.assertEqual(found, {"gateway": False, "keeper": False, "signer": True})
        print(f"gateway {rss} KiB resident, signing process {pss} KiB (PSS)")

    def test_killed_it_comes_back_and_nothing_is_lost(self):
        self.collect(3)
        for i in range(3):
            _, signer = self.helpers()
            os.kill(signer, signal.SIGKILL)
            until(lambda: self.sql("SELECT count(*) FROM event WHERE code = 'signer.ended' AND text "
                                   "LIKE '%signal 9%'")[0][0] > i, 30, "the event")
            n = len(self.batches())
            until(lambda: len(self.batches()) > n + 2, 30, "batches behind it")
        self.gw.stop()
        self.assertEqual(self.sql("SELECT count(*) FROM event WHERE code = 'signer.up'"), [(3,)])
        self.sealed()
        run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])
        rows = [r for r in self.gw.export() if r[0].endswith("/n")]
        for dev in ("dev-1", "dev-2"):
            mine = sorted(int(r[2]) for r in rows if r[0] == f"{dev}/n")
            self.assertEqual(mine, list(range(mine[0], mine[0] + len(mine))), "a poll is missing")

    def test_both_end_with_the_gateway(self):
        self.collect(2)
        pids = self.helpers()
        self.gw.kill()
        until(lambda: not any(os.path.exists(f"/proc/{p}") for p in pids), 20, "both to end")

    @unittest.skipIf(os.geteuid() != 0, "only root can become another user")
    def test_the_gateway_becomes_a_user_who_cannot_read_the_key(self):
        user = pwd.getpwnam("nobody")
        vault = os.path.join(self.folder, "vault")
        os.mkdir(vault, 0o700)
        os.rename(self.gw.key_path, os.path.join(vault, "device.key"))
        self.gw.key_path = os.path.join(vault, "device.key")
        self.site(self.gw)
        with open(self.gw.conf, encoding="utf-8") as f:
            conf = f.read()
        write(self.gw.conf, conf.replace("{id: gw-1}", "{id: gw-1, user: nobody}"))
        os.chmod(self.folder, 0o755)
        os.chown(self.gw.folder, user.pw_uid, user.pw_gid)
        self.collect(4)
        keeper, signer = self.helpers()
        self.assertEqual(set(status(self.gw.proc.p.pid, "Uid")), {str(user.pw_uid)})
        self.assertEqual(status(self.gw.proc.p.pid, "CapEff"), ["0000000000000000"])
        self.assertEqual(set(status(keeper, "Uid")), {"0"})
        self.assertEqual(status(signer, "CapEff"), ["0000000000000000"])
        self.assertEqual(os.stat(self.gw.db).st_uid, user.pw_uid)
        self.cli("key", "rotate")
        self.assertEqual(stat.S_IMODE(os.stat(self.gw.key_path).st_mode), 0o600)
        self.assertEqual(os.stat(self.gw.key_path).st_uid, 0)
        os.kill(signer if processes(keeper).get("fp-signer") == signer else self.helpers()[1],
                signal.SIGKILL)
        n = len(self.batches())
        until(lambda: len(self.batches()) > n + 2, 30, "batches behind it")
        self.assertEqual(self.gw.stop(), 0)
        self.sealed()
        run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])

    def test_another_key_takes_a_restart(self):
        self.collect(2)
        with open(self.gw.conf, encoding="utf-8") as f:
            conf = f.read()
        write(self.gw.conf, conf.replace("device.key", "other.key"))
        self.gw.proc.p.send_signal(signal.SIGHUP)
        self.gw.proc.wait_line("has changed: that takes a restart")
        n = len(self.batches())
        until(lambda: len(self.batches()) > n + 1, 30, "batches by the old key")


MODULE = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "739184"


class Token(Processes):
    """The key in a PKCS#11 token: softhsm2, with keys that OpenSC's tool made."""

    def setUp(self):
        super().setUp()
        conf = os.path.join(self.folder, "softhsm2.conf")
        os.mkdir(os.path.join(self.folder, "tokens"), 0o700)
        write(conf, f"directories.tokendir = {self.folder}/tokens\nobjectstore.backend = file\n"
                    "log.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = conf
        run(["softhsm2-util", "--init-token", "--free", "--label", "box", "--so-pin", "5550123",
             "--pin", PIN])
        self.pin = write(os.path.join(self.folder, "pin"), PIN + "\n", 0o600)
        self.make(1)
        self.uri = self.named(1)
        os.unlink(self.gw.key_path)
        self.use(self.uri)
        self.gw.pub_path = write(os.path.join(self.folder, "token.pub"),
                                 self.cli("key", "show").stdout)

    def make(self, n, kind="EC:prime256v1"):
        run(["pkcs11-tool", "--module", MODULE, "--login", "--pin", PIN, "--keypairgen", "--key-type",
             kind, "--id", f"{n:02d}", "--label", f"key-{n}"])

    def named(self, n, pin=None):
        return (f"pkcs11:token=box;object=key-{n};id=%{n:02d}?module-path={MODULE}&pin-source=file:"
                f"{pin or self.pin}")

    def use(self, uri, **more):
        """The gateway's key is the one that the URI names."""
        self.gw.key_path = f'"{uri}"'
        self.site(self.gw, **more)

    def seen(self):
        """The ids of the keys, in the order in which they signed."""
        kids = []
        for c, s, z, _ in self.batches():
            kid = fp.Cose(fp.decompress(z)).header[4]
            if kid not in kids:
                kids.append(kid)
        return kids

    def wrong(self, uri, *words):
        self.use(uri)
        r = run([self.gw.exe, "run", "--config", self.gw.conf], ok=(1,))
        for w in words:
            self.assertIn(w, r.stderr)
        self.assertNotIn(PIN, r.stderr)

    def test_token_signs_and_stays_in_the_signing_process(self):
        self.collect(8)
        keeper, signer = self.helpers()
        for pid, there in ((self.gw.proc.p.pid, False), (keeper, False), (signer, True)):
            with open(f"/proc/{pid}/maps", encoding="utf-8") as f:
                self.assertEqual("libsofthsm2" in f.read(), there)
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                self.assertNotIn(PIN.encode(), f.read())
        print(f"gateway {self.gw.rss_kib()} KiB resident, signing process with softhsm2 "
              f"{share_kib(signer)} KiB (PSS)")
        self.assertEqual(status(signer, "Seccomp"), ["2"])
        os.kill(signer, signal.SIGKILL)
        n = len(self.batches())
        until(lambda: len(self.batches()) > n + 8, 40, "batches behind it")
        self.gw.stop()
        self.sealed()
        r = run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])
        self.assertIn("good", r.stdout)
        run(["node", os.path.join(HERE, "verify.mjs"), "--key", self.gw.pub_path,
             os.path.join(self.usb, "gw-1/manifest.json")])

    def test_token_key_changes(self):
        self.collect(3)
        r = self.cli("key", "rotate", codes=(1,))
        self.assertIn("seal.next_key", r.stderr)
        self.gw.stop()
        self.make(2)
        self.use(self.uri, more=f', next_key: "{self.named(2)}"')
        self.collect(len(self.batches()) + 4)
        self.gw.stop()
        self.assertEqual(len(self.seen()), 2)
        self.gw.start()
        self.gw.stop()
        self.use(self.named(2))
        self.collect(len(self.batches()) + 2)
        self.gw.stop()
        self.assertEqual(len(self.seen()), 2)
        self.assertEqual(len({b[0] for b in self.batches()}), 2, "one chain a key")
        self.sealed()
        run([self.gw.exe, "verify", "--key", self.gw.pub_path, self.usb])

    def test_token_mistakes_are_told(self):
        bad = write(os.path.join(self.folder, "bad-pin"), "000000", 0o600)
        self.wrong(self.named(1, pin=bad), "login with the PIN of")
        open_to_all = write(os.path.join(self.folder, "open-pin"), PIN, 0o644)
        self.wrong(self.named(1, pin=open_to_all), "others can read the PIN", "chmod 600")
        self.wrong(self.named(1).replace("pin-source=file:" + self.pin, "pin-value=" + PIN),
                   "does not belong into seal.key")
        self.wrong(self.named(7), "no private key that seal.key names")
        self.wrong(self.named(1).replace("token=box", "token=other"), "pkcs11-tool -L")
        self.wrong(self.named(1).replace(MODULE, "/nowhere.so"), "/nowhere.so")
        self.wrong(self.named(1).split("?")[0], "module-path")
        self.make(3, "EC:secp384r1")
        self.wrong(self.named(3), "not a P-256 key")


if __name__ == "__main__":
    main()
