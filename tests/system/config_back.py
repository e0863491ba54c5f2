"""The configuration of a dead box comes back on the one that replaces it: real gateway, real city
over TLS, a site that fieldpost-sim plays."""
import os
import sqlite3
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
import fp_tied  # noqa: E402
from fp_cbor import decode, encode  # noqa: E402
from fp_enrol import EnrolCase  # noqa: E402
from fp_proc import Gateway, main, run, until, write  # noqa: E402

BASE = """model: base
points:
  - {name: level, quantity: number, function: 3, address: 10, type: s16, scale: 0.1}
  - {name: poll, quantity: number, function: 3, address: 100, type: u32}
"""
OWN = """# Trạm đo của xã
extends: ./base.yaml
points:
  - {name: volts, quantity: voltage, function: 3, address: 12, type: f32, order: CDAB}
"""
NORM = """id: beach
name: {vi: "Bãi tắm", en: "Beach"}
source: "the site"
limits: [{parameter: ammonium, window: 24h, unit: mg/l, value: 0.5}]
"""
DAYS = """id: days-over
name: {vi: "Số ngày vượt", en: "Days above"}
quantity: occurrences
label: indicative
sentence: {vi: "Theo giới hạn của nơi lắp đặt.", en: "By the site's limit."}
longer: sum
inputs: {x: {quantity: ammonium}}
formula: exceed(x, beach, ammonium, 24)
"""
COMMUNE = """id: xa-moi
name: {vi: "Xã Mới", en: "Xã Mới commune"}
closing: 14
source: "the site"
duties: [{period: half, to: "UBND huyện", before: "06-20", source: "the site"}]
"""
SITE = """log: served.csv
buses:
  plant: {type: modbus-tcp, listen: "127.0.0.1:0"}
  line: {type: modbus-rtu, link: tty}
devices:
  a: {bus: plant, unit: 1, profile: ./own.yaml, counter: poll, points: {level: {formula: constant, value: 3}, volts: {formula: ramp, from: 1, step: 0.5}}}
  b: {bus: plant, unit: 2, profile: ./own.yaml, counter: poll, points: {level: {formula: constant, value: 4}, volts: {formula: ramp, from: 2, step: 0.5}}}
  m: {bus: line, unit: 1, profile: ./base.yaml, counter: poll, points: {level: {formula: constant, value: 5}}}
"""


class Sim:
    def __init__(self, case, folder):
        os.makedirs(folder)
        write(os.path.join(folder, "site.yaml"), SITE)
        write(os.path.join(folder, "own.yaml"), OWN)
        write(os.path.join(folder, "base.yaml"), BASE)
        self.p = fp_tied.popen([os.path.join(case.args.bin, "fieldpost-sim"), "--config",
                                os.path.join(folder, "site.yaml")], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
        case.stack.callback(self.stop)
        where = {}
        while (line := self.p.stdout.readline().strip()) != "ready":
            _, name, at = line.split()
            where[name] = at
        self.port, self.tty = where["plant"].split(":")[1], os.path.realpath(where["line"])

    def stop(self):
        self.p.terminate()
        self.p.wait(20)
        self.p.stdin.close()
        self.p.stdout.close()


class Back(EnrolCase):
    def box(self):
        """A box in the one place that all boxes of this test have, as on a real one."""
        box = Gateway(self.args.bin, self.path("box"))
        self.stack.callback(box.kill)
        return box

    def minimal(self, box):
        write(box.conf, f"""gateway: {{id: gw-1}}
store: {{path: {box.db}}}
seal: {{key: {box.key_path}}}
uplinks:
  city: {{url: "{self.city.url}", ca: {box.folder}/ca.pem, receipt_keys: [{box.folder}/city.pub]}}
""")

    def whole(self, box, sim, more=""):
        """The old box's: two devices on TCP by a profile of its own, one on an RS-485 adapter."""
        for name, text in (("own.yaml", OWN), ("base.yaml", BASE)):
            os.makedirs(os.path.join(box.folder, "profiles"), exist_ok=True)
            write(os.path.join(box.folder, "profiles", name), text)
        self.adapter = self.path("usb-old-port0")
        os.symlink(sim.tty, self.adapter)
        box.config(f"""# bộ cấu hình của xã
buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {sim.port}}}
  line: {{type: modbus-rtu, port: {self.adapter}, baud: 9600}}
devices:
  a: {{bus: plant, unit: 1, profile: profiles/own.yaml, every: 500ms}}
  b: {{bus: plant, unit: 2, profile: "{box.folder}/profiles/own.yaml", every: 500ms}}
  m: {{bus: line, unit: 1, profile: ./profiles/base.yaml, every: 1s}}
uplinks:
  city: {{url: "{self.city.url}", ca: {box.folder}/ca.pem, receipt_keys: [{box.folder}/city.pub]}}
{more}""")

    def enroll(self, box, *more, code=None, ok=(0,)):
        args = [box.exe, "enroll", "--config", box.conf, *more]
        if code:
            args += ["--code-file", write(self.path("code"), code + "\n", 0o600)]
        r = subprocess.run(args, capture_output=True, text=True, timeout=60, check=False)
        self.assertNotIn("Sanitizer", r.stderr)
        self.assertIn(r.returncode, ok, r.stderr)
        return r.stderr

    def replace(self, box, ok=(0,)):
        """The same command again, for a box that is enrolled."""
        return self.enroll(box, "--replaces", "gw-1", ok=ok)

    def city_config(self, *more, ok=(0,)):
        return self.city_cmd("config", "--id", "gw-1", *more, ok=ok).stdout

    def deposits(self):
        return self.ask_db("SELECT hash, key FROM deposit ORDER BY id")

    def read(self, box, name):
        with open(os.path.join(box.folder, name), "rb") as f:
            return f.read()

    def series(self):
        """Of each chain."""
        return [{r[0] for r in self.ask_db("SELECT p.series FROM plan p JOIN batch b ON b.id = "
                                           "p.batch WHERE b.chain = ?", c)}
                for (c,) in self.ask_db("SELECT id FROM chain ORDER BY id")]

    def devices_read(self):
        """Devices with a reading in the newest chain."""
        chain = self.ask_db("SELECT lower(hex(chain)) FROM chain ORDER BY id DESC LIMIT 1")
        return {r[1].split("/")[0] for r in self.city.rows() if r[5] == chain[0][0]}

    def old_box(self, readings=False):
        """One that has run, whose configuration is at the city, and that has died."""
        self.sim = Sim(self, self.path("sim"))
        box = self.box()
        self.whole(box, self.sim)
        code, self.pin = self.claim()
        self.enroll(box, "--pin", self.pin, code=code)
        box.start()
        until(self.deposits, 60, "the configuration at the city")
        until(lambda: not readings or self.devices_read() == {"a", "b", "m"}, 60,
              "readings of every device")
        text = self.read(box, "fieldpost.yaml")
        box.kill()
        os.rename(box.folder, self.path("dead"))
        os.unlink(self.adapter)
        return text

    def new_box(self):
        box = self.box()
        self.minimal(box)
        self.enroll(box, "--replaces", "gw-1", "--pin", self.pin,
                    code=self.claim("gw-1", "--replaces")[0])
        return box

    # ---- the whole way ----

    def test_the_new_box_reads_the_same_devices_under_the_same_names(self):
        text = self.old_box(readings=True)
        self.assertEqual([bytes(h) for h, _ in self.deposits()], [fp.sha256(text)])
        cose = fp.Cose(fp.decompress(self.ask_db("SELECT cose FROM deposit")[0][0]))
        cose.verify(fp.load_public(self.path("dead/device.pub")))  # by another's COSE and CBOR
        kept = decode(cose.payload)
        self.assertEqual((list(kept), kept["gw"], kept["hash"], kept["files"][0]),
                         (["v", "gw", "hash", "when", "files"], "gw-1", fp.sha256(text),
                          ["fieldpost.yaml", text.decode()]))
        self.assertEqual(sorted(kept["files"][1:]),
                         [["profiles/base.yaml", BASE], ["profiles/own.yaml", OWN]])
        self.assertEqual(self.city_config(), text.decode())
        self.assertEqual(self.city_config("--file", "profiles/own.yaml"), OWN)
        self.assertIn(" profiles/base.yaml (", self.city_config("--list"))

        box = self.box()
        self.minimal(box)
        said = self.enroll(box, "--replaces", "gw-1", "--pin", self.pin,
                           code=self.claim("gw-1", "--replaces")[0])
        restored = box.conf + ".restored"
        self.assertEqual(self.read(box, "fieldpost.yaml.restored"), text)
        self.assertEqual(self.read(box, "profiles/own.yaml"), OWN.encode())
        self.assertEqual(self.read(box, "profiles/base.yaml"), BASE.encode())
        self.assertRegex(said, rf"bus line: there is no {self.adapter} here")
        self.assertRegex(said, rf"next: look through {restored}, then mv ")
        self.assertNotIn("store.path", said)  # both boxes have the same places
        self.assertEqual(self.replace(box).splitlines()[-5:], said.splitlines()[-5:])

        adapter = self.path("usb-new-port0")  # another adapter, another name
        os.symlink(self.sim.tty, adapter)
        write(restored, self.read(box, "fieldpost.yaml.restored").replace(
            self.adapter.encode(), adapter.encode()))
        os.rename(restored, box.conf)
        run([box.exe, "check", "--config", box.conf])
        box.start()
        until(lambda: self.devices_read() == {"a", "b", "m"} and len(self.series()) == 2, 60,
              "readings of every device of the new box")
        self.assertEqual(*self.series())
        self.assertEqual(self.ask_db("SELECT count(*) FROM batch WHERE broken"), [(0,)])
        until(lambda: len(self.deposits()) == 2, 60, "the new box's own configuration")
        old, new = self.deposits()
        self.assertNotEqual(old, new)
        self.assertEqual(bytes(new[0]), fp.sha256(self.read(box, "fieldpost.yaml")))
        # a profile that changes comes too, and nothing else goes: a reload with the same goes not
        write(os.path.join(box.folder, "profiles", "base.yaml"), BASE + "# more\n")
        box.proc.p.send_signal(1)
        until(lambda: len(self.deposits()) == 3, 60, "the changed profile at the city")
        self.assertEqual(self.city_config("--file", "profiles/base.yaml"), BASE + "# more\n")
        self.assertEqual(box.stop(), 0)

    def test_the_sites_own_indicators_come_back_with_it(self):
        box = self.box()
        own = {"own/days-over.yaml": DAYS, "own/norm/beach.yaml": NORM,
               "own/territory/xa-moi.yaml": COMMUNE}
        for folder in ("norm", "territory"):
            os.makedirs(os.path.join(box.folder, "own", folder))
        for name, text in own.items():
            write(os.path.join(box.folder, name), text)
        write(os.path.join(box.folder, "own", "territory", "wrong.yaml"), "id: other\n")  # holds up nothing
        self.minimal(box)
        with open(box.conf, "a", encoding="utf-8") as f:
            f.write("indicator: {folder: own, use: [days-over]}\n")
        code, self.pin = self.claim()
        self.enroll(box, "--pin", self.pin, code=code)
        box.start()
        until(self.deposits, 60, "the configuration at the city")
        box.kill()
        os.rename(box.folder, self.path("dead"))
        for name, text in own.items():  # and nothing of what is installed
            self.assertEqual(self.city_config("--file", name), text)
        self.assertEqual(self.city_config("--list").count(".yaml ("), 4)
        box = self.new_box()
        for name, text in own.items():
            self.assertEqual(self.read(box, name), text.encode())
        run([box.exe, "check", "--config", box.conf + ".restored"])

    # ---- what comes back, or not ----

    def test_nothing_comes_back_but_what_is_the_gateways_own_and_can_do_no_harm(self):
        text = self.old_box()
        self.only_the_gateway_is_given_it()
        box = self.new_box()
        cose = fp.decompress(self.ask_db("SELECT cose FROM deposit")[0][0])
        for part in (self.what_does_not_verify, self.names_cannot_leave_the_folder,
                     self.what_is_there_stays):
            with self.subTest(part.__name__):
                os.unlink(box.conf + ".restored")
                part(box, cose, text)
                self.keep(cose)
        self.a_revoked_key_or_none(box, text)

    def only_the_gateway_is_given_it(self):
        self.enrolled("other", "gw-2")

        def ask(what, *more):
            return self.curl(f"/v1/gateways/gw-1/{what}", *more)
        for what in ("config", "keys"):
            self.refused(ask(what), 401, "unauthorized")
            self.refused(ask(what, "--cert", self.path("other.pem"), "--key",
                             self.path("other.key")), 403, "wrong_gateway")
        old = os.path.join(self.path("dead"), "city.pem")
        self.assertEqual(ask("config", "--cert", old)[0], 200)
        self.city_cmd("distrust", "--id", "gw-1")
        self.refused(ask("config", "--cert", old), 403, "certificate_revoked")

    def what_does_not_verify(self, box, cose, _text):
        restored = box.conf + ".restored"
        flipped = bytearray(cose)
        flipped[-1] ^= 1
        config = b"gateway: {id: gw-1}\n"
        for bad, words in ((bytes(flipped), "signed by no key"),
                           (self.deposit(fp.new_key(), "gw-1", config), "signed by no key"),
                           (self.deposit(fp.new_key(), "gw-2", config), "of gateway gw-2"),
                           (cose[:-9], "the configuration that came")):
            self.keep(bad)
            said = self.replace(box, ok=(1,))
            self.assertIn("this box is enrolled, but", said)
            self.assertIn(words, said)
            self.assertFalse(os.path.exists(restored))
        self.keep(cose)
        self.replace(box)
        self.assertTrue(os.path.exists(restored))

    def names_cannot_leave_the_folder(self, box, _cose, _text):
        """A stolen box could have said anything: its key signs what it likes."""
        key = fp.load_private(self.path("dead/device.key"))
        bad = ["../evil.yaml", self.path("evil.yaml"), "a/.hidden.yaml", "device.key.next",
               "fieldpost.db.requests/0123456789abcdef-x.request", "a/../../evil.yaml", "x y.yaml"]
        files = [[name, f"# {name}\n"] for name in [*bad, "a/good.yaml"]]
        write(os.path.join(box.folder, "own.yaml"), "# mine\n")
        write(os.path.join(box.folder, "plain"), "# no folder\n")
        files[len(bad):len(bad)] = [["own.yaml", "# own.yaml\n"], ["plain/x.yaml", "# plain/x.yaml\n"]]
        self.keep(self.deposit(key, "gw-1", b"gateway: {id: gw-1}\n", files))
        said = self.replace(box)
        self.assertEqual(self.read(box, "own.yaml"), b"# mine\n")  # never overwritten
        for i, name in enumerate(("own.yaml", "plain/x.yaml"), len(bad) + 1):
            self.assertIn(f"its profile {name} is in {box.conf}.restored.{i}.yaml and not in its "
                          f"place: {box.folder}/{name}", said)
            self.assertEqual(self.read(box, f"fieldpost.yaml.restored.{i}.yaml"),
                             f"# {name}\n".encode())
        self.assertIn("next: look through", said)  # to the end
        write(f"{box.conf}.restored.{len(bad) + 1}.yaml", "# mine too\n")
        self.assertIn("its profile own.yaml is not written", self.replace(box))
        self.assertEqual(self.read(box, "a/good.yaml"), b"# a/good.yaml\n")
        for i, name in enumerate(bad, 1):
            self.assertEqual(self.read(box, f"fieldpost.yaml.restored.{i}.yaml"),
                             f"# {name}\n".encode())
            self.assertIn(f"its profile {name} is in", said)
        for path in (self.path("evil.yaml"), os.path.join(box.folder, "device.key.next"),
                     os.path.join(box.folder, "fieldpost.db.requests"),
                     os.path.join(box.folder, "a/.hidden.yaml")):
            self.assertFalse(os.path.exists(path), path)

    def what_is_there_stays(self, box, _cose, text):
        write(box.conf + ".restored", "# mine\n")
        said = self.replace(box, ok=(1,))
        self.assertIn("move it away", said)
        self.assertEqual(self.read(box, "fieldpost.yaml.restored"), b"# mine\n")
        os.unlink(box.conf + ".restored")
        minimal = self.read(box, "fieldpost.yaml")
        write(box.conf, text)  # who brought a copy needs no other
        said = self.replace(box)
        self.assertFalse(os.path.exists(box.conf + ".restored"))
        self.assertIn(f"next: fieldpost check --config {box.conf}", said)
        write(box.conf, minimal)

    def a_revoked_key_or_none(self, box, text):
        kid = self.city_config("--list").split(" key ")[1][:16]
        self.city_cmd("revoke", "--id", "gw-1", "--kid", kid, "--reason", "stolen")
        said = self.replace(box)
        self.assertIn("does not come back", said)
        self.assertIn("revoked", said)
        self.assertFalse(os.path.exists(box.conf + ".restored"))
        self.assertEqual(self.city_config(), text.decode())  # the operator looks and decides
        self.ask_db("DELETE FROM deposit")
        self.assertIn("does not come back", self.replace(box))
        self.city_config(ok=(1,))

    def test_a_box_with_nothing_but_the_label_gets_all_of_it(self):
        text = self.old_box()
        os.makedirs(self.path("box"))
        conf = self.path("box/fieldpost.yaml")
        code = write(self.path("code"), self.claim("gw-1", "--replaces")[0] + "\n", 0o600)
        exe = os.path.join(self.args.bin, "fieldpost")
        for wrong in (("../gw", self.city.url), ("gw-1", "http://127.0.0.1")):
            run([exe, "enroll", "--config", conf, "--replaces", wrong[0], "--city", wrong[1],
                 "--code-file", code], ok=(1,))
            self.assertEqual(os.listdir(self.path("box")), [])
        r = run([exe, "enroll", "--config", conf, "--replaces", "gw-1", "--city", self.city.url,
                 "--pin", self.pin, "--code-file", code])
        with open(conf + ".restored", "rb") as f:
            self.assertEqual(f.read(), text)
        self.assertEqual(os.stat(self.path("box/device.key")).st_mode & 0o777, 0o600)
        # the other box had named the city's files otherwise
        self.assertIn(f"{self.path('box')}/ca.pem cannot be read", r.stderr)
        run([exe, "check", "--config", conf])

    # ---- what a box leaves ----

    def test_what_is_too_large_is_told_and_keeps_no_reading_back(self):
        self.sim = Sim(self, self.path("sim"))
        box = self.box()
        self.whole(box, self.sim, "# " + "x" * 300000 + "\n")
        code, pin = self.claim()
        self.enroll(box, "--pin", pin, code=code)
        box.start()
        until(lambda: self.ask_db("SELECT 1 FROM chain"), 60, "a chain at the city")
        until(lambda: self.devices_read() == {"a", "b", "m"}, 60, "readings of every device")
        db = sqlite3.connect(box.db, timeout=10)
        told = until(lambda: db.execute("SELECT * FROM event WHERE code = 'config.deposit'"
                                        ).fetchall(), 30, "an event")
        db.close()
        self.assertIn("larger than 256 KiB", str(told))
        self.assertEqual(self.deposits(), [])
        self.assertEqual(box.stop(), 0)

    # ---- tools ----

    @staticmethod
    def deposit(key, gw, config, files=()):
        body = {"v": 1, "gw": gw, "hash": fp.sha256(config), "when": 1,
                "files": [["fieldpost.yaml", config.decode()], *files]}
        head = {1: -7, 3: "application/vnd.fieldpost.config+cbor", 4: fp.kid_of(key.public_key())}
        return fp.sign(encode(head), encode(body), key)

    def keep(self, cose):
        """Puts these bytes into the city's database, past all of its checks."""
        self.ask_db("UPDATE deposit SET cose = ?", fp.compress(cose))


if __name__ == "__main__":
    main()
