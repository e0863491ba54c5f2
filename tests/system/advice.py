"""The first sentence: faults are put into real gateways, with the real city, and taken away again. API and
CLI say the same, word for word, in both languages; afterwards all is well again, or what is left to do.

The sentences stand here as a technician reads them, apart from the product's own tables. What the API
gives is filled in as the page does it: ui/lang/ and the blanks of one answer."""
import datetime
import http.client
import json
import os
import re
import ssl
import struct
import sys
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_contract as fp  # noqa: E402
from fp_clock import Clock  # noqa: E402
from fp_enrol import EnrolCase  # noqa: E402
from fp_proc import Case, City, Gateway, Proc, free_port, main, run, until, write  # noqa: E402
from fp_slave import SILENT, Slave  # noqa: E402
from fp_warp import Warp  # noqa: E402

WELL = ("All is well.", "Mọi thứ hoạt động tốt.")
DAY_MS = 86_400_000
HANOI = datetime.timezone(datetime.timedelta(hours=7))
LANGUAGES = ("en", "vi")
WORDS = {}
for name in LANGUAGES:
    with open(os.path.join(ROOT, "gateway/web/ui/lang", name + ".json"), encoding="utf-8") as words_file:
        WORDS[name] = json.load(words_file)

PROFILE = """model: test meter
points:
  - {name: volts, quantity: voltage, function: 3, address: 0, type: f32}
  - {name: hertz, quantity: frequency, function: 3, address: 2, type: f32}
"""
STUCK = """model: test thermometer
points:
  - {name: air, quantity: temperature, function: 3, address: 0, type: s16, scale: 0.1, stuck: 1min}
"""


def local(ms):
    """(time, date) of a sentence, as written in Viet Nam."""
    at = datetime.datetime.fromtimestamp(ms / 1000, HANOI)
    return at.strftime("%H:%M"), at.strftime("%d/%m")


class Meter:
    """Volts and hertz as floats; what a test breaks of it."""

    def __init__(self):
        self.silent = self.swapped = False
        self.wait_s = 0.0

    def read(self, function, address, count):
        if self.silent:
            return SILENT
        if self.wait_s:
            time.sleep(self.wait_s)  # the answer takes so long on the line
        regs = struct.unpack(">4H", struct.pack(">ff", 230.1, 50.02))
        if self.swapped:
            regs = (regs[1], regs[0], regs[3], regs[2])
        return list(regs[address:address + count]) if function == 3 and address + count <= 4 else 2


class Sentences(Case):
    """Asks one gateway by its API and its CLI."""
    enter = ()  # before the CLI's words: where its files are seen

    def advice(self):
        """By the page's own certificate, whatever the gateway's clock wrote into it: another one is in use within
        two seconds."""
        return until(self.served, 20, "the page's certificate in use", 0.05)

    def served(self):
        host, port = self.page.split("//")[1].rsplit(":", 1)
        c = http.client.HTTPSConnection(host, int(port), timeout=10, context=ssl._create_unverified_context())
        try:
            c.connect()
            if c.sock.getpeercert(True) != ssl.PEM_cert_to_DER_cert(self.there(".page.crt")):
                return None
            c.request("GET", "/api/v1/advice", headers={"Authorization": "Bearer " + self.there(".console")})
            return json.load(c.getresponse())
        finally:
            c.close()

    def there(self, suffix):
        return run([*self.enter, "cat", self.gw.db + suffix]).stdout

    def say(self, advice, language):
        """As the page does it."""
        return re.sub(r"\{(\w+)\}", lambda m: str(advice["params"][m[1]]),
                      WORDS[language]["advice." + advice["code"]])

    def cli(self, language):
        r = run([*self.enter, self.gw.exe, "status", "--config", self.gw.conf, "--lang", language])
        return r.stdout.splitlines()[0]

    def both(self):
        a = self.advice()
        return tuple(self.say(a, x) for x in LANGUAGES)

    def says(self, level, *sentences, seconds=20):
        """Until the API's first sentence is one of these (english, vietnamese), and then the CLI's is."""
        def reached():
            return self.both() in sentences
        try:
            until(reached, seconds, f"{sentences}", 0.05)
        except AssertionError:
            raise AssertionError(f"not {sentences} but {self.advice()}\n{self.gw.proc.text()[-3000:]}"
                                 ) from None
        self.assertEqual(self.advice()["level"], level)
        for n, language in enumerate(LANGUAGES):
            self.assertIn(self.cli(language), [s[n] for s in sentences])

    def begun(self):
        self.page = self.gw.proc.wait_line(r"page (https?://\S+?)/?(\s|$)").group(1)


class Lines(Sentences):
    """Buses, devices, values: one after the other on one gateway."""

    def setUp(self):
        super().setUp()
        self.meters = {1: Meter(), 2: Meter()}
        self.lone = {1: Meter()}
        self.hall, self.yard = Slave(self.meters), Slave(self.lone)
        self.stack.callback(self.hall.stop)
        self.stack.callback(self.yard.stop)
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.clock = Clock(self.args.bin, os.path.join(self.folder, "clock"))
        self.gw.env = self.clock.env
        self.stack.callback(self.gw.kill)
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        write(os.path.join(self.gw.folder, "meter.yaml"), PROFILE)
        self.gw.config(f"""buses:
  hall: {{type: modbus-tcp, host: 127.0.0.1, port: {self.hall.port}, timeout: 900ms}}
  yard: {{type: modbus-tcp, host: 127.0.0.1, port: {self.yard.port}, timeout: 900ms}}
devices:
  m-1: {{bus: hall, unit: 1, profile: ./meter.yaml, every: 400ms, name: "Công tơ tầng 1"}}
  m-2: {{bus: hall, unit: 2, profile: ./meter.yaml, every: 400ms, name: "Công tơ", place: "cổng chợ"}}
  m-3: {{bus: yard, unit: 1, profile: ./meter.yaml, every: 400ms}}
uplinks:
  city: {{url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]}}
""", every="1s")
        self.gw.start()
        self.begun()
        self.says("good", WELL)

    def silent_since(self):
        a = until(lambda: (x := self.advice())["code"] == "device_silent" and x, 20, "its silence")
        return local(a["params"]["since_ms"])

    def test_a_dead_device_a_cut_bus_a_wrong_word_order_and_an_overload(self):
        before = time.time_ns() // 10 ** 6
        self.meters[2].silent = True
        at, on = self.silent_since()
        self.assertIn((at, on), (local(before), local(time.time_ns() // 10 ** 6)))
        self.says("act", (f"Công tơ (cổng chợ) does not answer since {at} on {on}.",
                          f"Mất liên lạc với Công tơ (cổng chợ) từ {at} ngày {on}."))
        # a whole bus comes before it
        self.yard.stop()
        self.says("act", ("Bus yard is cut: there is no line to its 1 devices.",
                          "Đứt đường yard: không nối được tới 1 thiết bị."))
        self.yard.start()
        self.says("act", (f"Công tơ (cổng chợ) does not answer since {at} on {on}.",
                          f"Mất liên lạc với Công tơ (cổng chợ) từ {at} ngày {on}."))
        self.meters[2].silent = False
        self.says("good", WELL)
        self.hall.stop()
        self.says("act", ("Bus hall is cut: there is no line to its 2 devices.",
                          "Đứt đường hall: không nối được tới 2 thiết bị."))
        self.hall.start()
        self.says("good", WELL)
        self.lone[1].swapped = True
        self.says("act", ("The values of m-3 are impossible: maybe the word order is wrong.",
                          "Số đo của m-3 không thể có thật: có thể sai thứ tự từ (word order)."))
        self.assertEqual(self.advice()["params"]["order"], "CDAB")
        self.lone[1].swapped = False
        self.says("good", WELL)
        self.lone[1].wait_s = 0.6  # longer than its period, shorter than the time-out
        until(lambda: self.advice()["code"] == "overloaded", 20, "the overload")
        n = self.advice()["params"]["n"]
        self.says("act", *((f"Bus yard cannot keep its periods: {k} polls of m-3 were left out.",
                            f"Đường yard đọc không kịp: đã bỏ {k} lượt đo của m-3.")
                           for k in range(n, n + 100)))
        self.lone[1].wait_s = 0.0
        self.says("good", WELL)

    def started(self, times):
        """Its start is committed: of a run that nobody knows of nothing can be told."""
        until(lambda: run(["sqlite3", "-readonly", self.gw.db, "SELECT count(*) FROM event WHERE code = 'start'"]
                          ).stdout.strip() == str(times), 20, "the start")

    def test_a_power_cut_of_yesterday_and_a_program_that_was_killed(self):
        self.started(1)
        self.gw.kill()
        self.clock.boots += 1  # the machine has booted since, too
        self.clock.jump(0)
        self.gw.start()
        self.begun()
        at, on = local(time.time_ns() // 10 ** 6)
        cut = (f"The power was cut; the gateway runs again since {at} on {on}.",
               f"Trạm đã bị mất điện; hoạt động lại từ {at} ngày {on}.")
        self.says("look", cut)
        self.clock.jump(DAY_MS)  # it is yesterday's now
        self.clock.jump(DAY_MS)
        until(lambda: self.advice()["params"]["age_ms"] >= DAY_MS, 20, "a day to pass")
        self.assertIn(cut, [tuple(self.say(x, y) for y in LANGUAGES)
                            for x in [self.advice(), *self.advice()["more"]]])
        self.clock.jump(2 * DAY_MS)
        until(lambda: "power_cut" not in [x["code"] for x in [self.advice(), *self.advice()["more"]]], 20,
              "it is forgotten after two days")
        self.clock.jump(0)
        self.says("look", cut)
        self.assertEqual(self.gw.stop(), 0)  # a stop is no cut
        self.gw.start()
        self.begun()
        self.says("look", cut)
        self.started(3)
        self.gw.kill()
        self.gw.start()
        self.begun()
        codes = until(lambda: (x := [y["code"] for y in [self.advice(), *self.advice()["more"]]])
                      and "run_killed" in x and x, 20, "that it was killed")
        self.assertEqual(codes[:2], ["power_cut", "run_killed"])


class Stuck(Sentences):
    """A sensor that says the same for too long, on a clock that runs: a minute in two seconds."""

    def test_a_sensor_that_is_stuck(self):
        class Thermometer:
            value, moves = 250, True

            def read(self, function, address, count):
                self.value += self.moves
                return [self.value]
        sensor = Thermometer()
        slave = Slave({1: sensor})
        self.stack.callback(slave.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.gw.env = Warp(self.args.bin, os.path.join(self.folder, "warp"), 30).env
        self.stack.callback(self.gw.kill)
        write(os.path.join(self.gw.folder, "air.yaml"), STUCK)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {slave.port}, timeout: 3s}}
devices:
  air-1: {{bus: plant, unit: 1, profile: ./air.yaml, every: 5s, name: "Trạm khí"}}
""")
        self.gw.start()
        self.begun()
        left = ("No destination is configured: readings stay in this gateway alone.",
                "Chưa khai báo nơi gửi: số đo chỉ nằm trong trạm này.")
        self.says("look", left)
        sensor.moves = False
        self.says("look", ("A sensor of Trạm khí is stuck: air has not changed for a long time.",
                           "Cảm biến của Trạm khí bị đứng: air đã lâu không đổi."))
        sensor.moves = True
        self.says("look", left)  # what remains to do


class Disk(Sentences):
    """A disk of the gateway's own, which others fill."""

    def test_a_disk_that_is_nearly_full(self):
        city = City(self.args.bin, os.path.join(self.folder, "city"))
        meter = Slave({1: Meter()})
        self.stack.callback(meter.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        city.enroll(self.gw.gw, self.gw.pub_path)
        city.start()
        self.stack.callback(city.stop)
        disk = os.path.join(self.folder, "disk")
        os.mkdir(disk)
        self.gw.db = os.path.join(disk, "fieldpost.db")
        write(os.path.join(self.gw.folder, "meter.yaml"), PROFILE)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {meter.port}}}
devices:
  m-1: {{bus: plant, unit: 1, profile: ./meter.yaml, every: 200ms}}
uplinks:
  city: {{url: "{city.url}", ca: {city.ca}, receipt_keys: [{city.pub_path}]}}
""", every="1s", listen=f"127.0.0.1:{free_port()}")
        self.gw.proc = Proc(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                             f"mount -t tmpfs -o size=128m none {disk} && exec {self.gw.exe} run "
                             f"--config {self.gw.conf}"])
        self.begun()
        pid = self.gw.proc.p.pid
        self.gw.exe = os.path.abspath(self.gw.exe)
        self.enter = ("nsenter", "--preserve-credentials", "-t", str(pid), "-U", "-m")
        seen = f"/proc/{pid}/root{disk}"
        self.says("good", WELL)
        free = os.statvfs(seen)
        with open(os.path.join(seen, "other"), "wb") as f:
            os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize - (5 << 20))
        self.says("act", *((f"The gateway's disk is nearly full: {k} % are free.",
                            f"Ổ đĩa của trạm sắp đầy: chỉ còn trống {k} %.") for k in range(2, 5)))
        os.unlink(os.path.join(seen, "other"))
        self.says("good", WELL)


class TheCity(Sentences, EnrolCase):
    """Enrolment, the city, the certificate, the clock."""

    def setUp(self):
        super().setUp()
        self.meter = Slave({1: Meter()})
        self.stack.callback(self.meter.stop)
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.clock = Clock(self.args.bin, os.path.join(self.folder, "clock"))
        self.gw.env = self.clock.env
        self.stack.callback(self.gw.kill)
        self.identity = os.path.join(self.gw.folder, "city.pem")
        write(os.path.join(self.gw.folder, "meter.yaml"), PROFILE)
        self.gw.config(f"""buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {self.meter.port}}}
devices:
  m-1: {{bus: plant, unit: 1, profile: ./meter.yaml, every: 200ms}}
uplinks:
  city: {{url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]}}
""", every="1s")
        self.gw.start()
        self.begun()

    def ended(self, day):
        """The identity as it would be, had its certificate ended on that day."""
        with open(self.identity, "rb") as f:
            pem = f.read()
        key, name = load_pem_private_key(pem, None), x509.Name([x509.NameAttribute(
            NameOID.COMMON_NAME, self.gw.gw)])
        cert = (x509.CertificateBuilder().issuer_name(name).subject_name(name).public_key(
            key.public_key()).serial_number(7).not_valid_before(day - datetime.timedelta(90))
            .not_valid_after(day).sign(key, hashes.SHA256()))
        return pem, cert.public_bytes(Encoding.PEM) + fp.private_pem(key)

    def put(self, pem):
        os.rename(write(self.identity + ".tmp", pem, 0o600), self.identity)

    def test_enrolment_missing_city_down_certificate_ended_clock_wrong(self):
        self.says("act", ("The city does not know this gateway yet.",
                          "Trạm chưa đăng ký với thành phố."))
        run([self.gw.exe, "enroll", "--config", self.gw.conf, "--code-file",
             write(self.path("code"), self.claim()[0])])
        self.says("good", WELL)
        self.city.stop()
        self.says("look", ("Nothing can be sent to the city (city) now.",
                           "Mất liên lạc với thành phố (city): chưa gửi được số đo."))
        self.city.start()
        self.says("good", WELL)
        day = datetime.datetime.now(HANOI) - datetime.timedelta(days=2)
        good, ended = self.ended(day.astimezone(datetime.timezone.utc).replace(tzinfo=None))
        self.put(ended)
        on = day.strftime("%d/%m" if day.year == datetime.datetime.now(HANOI).year else "%d/%m/%Y")
        self.says("act", (f"The gateway's certificate for the city (city) ended on {on}.",
                          f"Chứng thư của trạm với thành phố (city) đã hết hạn ngày {on}."))
        self.put(good)
        self.says("good", WELL)
        self.clock.jump(1100 * DAY_MS, synced=False)
        at = time.time_ns() // 10 ** 6 + 1100 * DAY_MS

        def shown(ms):
            return (local(ms)[0], datetime.datetime.fromtimestamp(ms / 1000, HANOI).strftime("%d/%m/%Y"))
        self.says("act", *((f"The gateway's clock is wrong: it shows {t} on {d}.",
                            f"Đồng hồ của trạm sai: đang chỉ {t} ngày {d}.")
                           for t, d in {shown(at), shown(at + 60_000)}))
        self.clock.jump(0)
        self.says("good", WELL, seconds=30)


class NotRunning(Sentences):
    def test_a_gateway_that_does_not_run(self):
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.gw.config("")
        self.gw.start()
        self.begun()
        self.gw.stop()
        self.assertEqual(self.cli("en"), "The gateway does not answer.")
        self.assertEqual(self.cli("vi"), "Trạm không trả lời.")
        r = run([self.gw.exe, "status", "--config", self.gw.conf, "--lang", "fr"], ok=(2,))
        self.assertIn("--lang", r.stderr)


if __name__ == "__main__":
    main()
