"""A modem that ModemManager owns: Debian's real ModemManager on a real D-Bus daemon of its own, driven by a
modem that plays on a socket (its Test interface), and asked by a real gateway as in the field."""
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_city import FakeCity  # noqa: E402
from fp_proc import Case, Gateway, Proc, main, run, until, write  # noqa: E402
from fp_slave import Bank, Slave  # noqa: E402

MANAGER = "/usr/sbin/ModemManager"
SERVICE, ROOT = "org.freedesktop.ModemManager1", "/org/freedesktop/ModemManager1"
REG = '2,1,"0BE3","0328261F",7'
# An operator's, by a name and in Vietnamese, and a person's.
SMS = ("07919730071111F1040DD0D664914A2D32010008621162510300820A004C01B00075002000FD",
       "07912143658709F1040B918100551512F20000111010214365000AE8329BFD4697D9EC37")
ANSWERS = {
    "AT+CPIN?": "+CPIN: READY", "AT+CGMI": "Quectel", "AT+CGMM": "RM520N-GL", "AT+CGMR": "R01",
    "AT+CGSN": "861234567890123", "AT+GCAP": "+GCAP: +CGSM,+CIS707-A", "AT+CIMI": "452040123456789",
    "AT+CREG?": "+CREG: " + REG, "AT+CGREG?": "+CGREG: " + REG, "AT+CEREG?": "+CEREG: " + REG,
    "AT+COPS?": '+COPS: 0,2,"45204",7', "AT+CSQ": "+CSQ: 24,99", "AT+CESQ": "+CESQ: 99,99,255,255,13,42",
    "AT+CESQ=?": "+CESQ: (0-63,99),(0-7,99),(0-96,255),(0-49,255),(0-34,255),(0-97,255)",
    "AT+CFUN?": "+CFUN: 1", "AT+WS46=?": "+WS46: (12,22,25,28,29,30,31)",
    "AT+CRSM=176,12258,0,0,10": '+CRSM: 144,0,"98481032547698103254"', "AT+CSCS=?": '+CSCS: ("UCS2","IRA")',
    "AT+CNMI=?": "+CNMI: (0,1,2),(0,1,2,3),(0,1,2,3),(0,1,2),(0,1)", "AT+CMGF=?": "+CMGF: (0,1)",
    "AT+CPMS=?": '+CPMS: ("SM"),("SM"),("SM")', 'AT+CPMS="SM"': "+CPMS: 2,10,2,10,2,10",
    'AT+CPMS="SM","SM","SM"': "+CPMS: 2,10,2,10,2,10",
    "AT+CMGL=4": "+CMGL: 0,1,,23\r\n" + SMS[0] + "\r\n+CMGL: 1,1,,24\r\n" + SMS[1],
    "AT+CSCS?": '+CSCS: "IRA"', "AT+CLCK=?": '+CLCK: ("SC")', 'AT+CLCK="SC",2': "+CLCK: 0",
}
SILENT_OK = {"AT", "ATE0", "ATV1", "ATX4", "AT&C1", "AT+CMEE=1", "AT+CFUN=1", "AT+CREG=2", "AT+CGREG=2",
             "AT+CEREG=2", "AT+CNUM", "AT+COPS=3,2", "AT+COPS=3,0", "AT+CMGF=0", "AT+CNMI=2,1,2,1,0", 'AT+CSCS="UCS2"', 'AT+CSCS="IRA"'}
# A bus that lets everybody do everything but what deny.conf takes away.
BUS = """<busconfig>
  <type>session</type>
  <listen>{}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
  </policy>
  <include ignore_missing="yes">deny.conf</include>
</busconfig>
"""
DENY = f"""<busconfig>
  <policy context="mandatory"><deny send_interface="{SERVICE}.Modem.Signal" send_member="Setup"/></policy>
</busconfig>
"""


class Player:
    """A modem behind an abstract socket, as ModemManager's Test interface takes one."""

    def __init__(self):
        self.name = f"abstract:fp-{uuid.uuid4().hex}"
        self.answers, self.asked = dict(ANSWERS), set()
        self.sent, self.takes = [], True  # messages in hexadecimal; whether the network takes them
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind("\0" + self.name)
        self.socket.listen(4)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            threading.Thread(target=self.talk, args=(self.socket.accept()[0],), daemon=True).start()

    def talk(self, line):
        with line:
            self.answer(line)

    def answer(self, line):
        held = b""
        while got := line.recv(256):
            held += got
            while b"\r" in held:
                command, held = held.split(b"\r", 1)
                command = command.decode(errors="replace").strip()
                self.asked.add(command)
                if command.startswith("AT+CMGS="):
                    line.sendall(b"\r\n> ")
                    while b"\x1a" not in held:
                        held += line.recv(512)
                    pdu, held = held.split(b"\x1a", 1)
                    self.sent.append(pdu.decode().strip())
                    line.sendall(b"\r\n+CMGS: 17\r\n\r\nOK\r\n" if self.takes else b"\r\n+CMS ERROR: 38\r\n")
                    continue
                says = self.answers.get(command)
                text = ("OK" if command in SILENT_OK else "ERROR" if not says
                        else says if "ERROR" in says else f"{says}\r\n\r\nOK")
                try:
                    line.sendall(f"\r\n{text}\r\n".encode())
                except OSError:
                    return


def submitted(pdu):
    """Number and text of an SMS-SUBMIT in the GSM alphabet (3GPP TS 23.040, 23.038)."""
    b = bytes.fromhex(pdu)
    b = b[1 + b[0]:]  # behind the service centre
    digits, at = b[2], 3
    number = "".join(f"{x & 15:x}{x >> 4:x}" for x in b[at + 1:at + 1 + (digits + 1) // 2])[:digits]
    at += 1 + (digits + 1) // 2 + 1
    if b[at] & 0x0c:
        raise AssertionError(f"alphabet {b[at]:#x}")
    at += 1 + (1 if b[0] & 0x18 else 0)
    bits = int.from_bytes(b[at + 1:], "little")
    return number, "".join(chr(bits >> 7 * i & 0x7f) for i in range(b[at]))


class Managed(Case):
    def setUp(self):
        super().setUp()
        if not os.path.exists(MANAGER) or not shutil.which("dbus-daemon"):
            self.skipTest("ModemManager or dbus-daemon is not installed")
        path = os.path.join(self.folder, "bus")
        self.address = "unix:path=" + path
        with open(os.path.join(self.folder, "bus.conf"), "w") as f:
            f.write(BUS.format(self.address))
        self.deny = os.path.join(self.folder, "deny.conf")
        self.bus = Proc(["dbus-daemon", "--nofork", "--config-file=" + f.name])
        self.stack.callback(self.bus.kill)
        until(lambda: os.path.exists(path), 20, "the bus")
        self.env = {"DBUS_SESSION_BUS_ADDRESS": self.address, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self.manager = None
        self.stack.callback(lambda: self.manager and self.manager.kill())
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.gw.env = self.env
        self.gw.config("connectivity:\n  modem: {through: modemmanager, every: 1s}")

    def ask(self, path, method, *args, ok=(0,)):
        return run(["dbus-send", "--bus=" + self.address, "--print-reply", "--dest=" + SERVICE, path, method,
                    *args], ok=ok).stdout

    def reload(self):
        run(["dbus-send", "--bus=" + self.address, "--print-reply", "--dest=org.freedesktop.DBus", "/",
             "org.freedesktop.DBus.ReloadConfig"])

    def manage(self):
        self.manager = Proc([MANAGER, "--test-session", "--test-enable", "--no-auto-scan"], env=self.env)
        until(lambda: "array" in self.ask(ROOT, "org.freedesktop.DBus.ObjectManager.GetManagedObjects",
                                          ok=(0, 1)), 20, "ModemManager on the bus", 0.1)

    def plug(self, player, name):
        self.ask(ROOT, SERVICE + ".Test.SetProfile", "string:" + name, "string:generic",
                 "array:string:" + player.name)
        return self.switched_on()

    def switched_on(self):
        """Its number; NetworkManager would do it in the field."""
        def found():
            text = self.ask(ROOT, "org.freedesktop.DBus.ObjectManager.GetManagedObjects")
            paths = [line.split('"')[1] for line in text.splitlines() if f'object path "{ROOT}/Modem/' in line]
            return next(iter(paths), None)
        path = until(found, 30, "the modem", 0.1)
        until(lambda: "method return" in self.ask(path, SERVICE + ".Modem.Enable", "boolean:true", ok=(0, 1)),
              30, "the modem switched on", 0.2)
        return path

    def values(self):
        return {s["point"]: s["value"] for s in self.gw.get("/api/v1/devices/modem")["points"]}

    def becomes(self, **want):
        def reached():
            v = self.values()
            return all(v.get(k) == w for k, w in want.items())
        try:
            until(reached, 30, "it", 0.1)
        except AssertionError:
            raise AssertionError(f"not {want} but {self.gw.get('/api/v1/devices/modem')}") from None

    def text(self):
        return self.gw.get("/api/v1/devices/modem")["device"]["text"]

    def test_a_modem_of_modemmanager_its_restart_and_a_new_number(self):
        self.gw.start()
        self.becomes(state=1)  # nobody has the name
        self.assertIn("GetManagedObjects", self.text())
        self.manage()
        until(lambda: "knows of none" in self.text(), 20, "no modem", 0.1)
        player = Player()
        first = self.plug(player, "one")
        self.becomes(state=0, registration=1, technology=7, operator=45204, rsrp=-99, rsrq=-13.5)
        said = str(self.gw.get("/api/v1/devices/modem")) + str(self.gw.get("/api/v1/events"))
        for secret in ("452040123456789", "861234567890123", "8984012345678901234"):
            self.assertNotIn(secret, said)
        # ModemManager starts anew
        self.manager.kill()
        self.becomes(state=1)
        self.manage()
        # and counts the modem as another: the first number goes to one that breaks off at once
        self.ask(ROOT, SERVICE + ".Test.SetProfile", "string:gone", "string:generic",
                 "array:string:abstract:fp-nobody-" + uuid.uuid4().hex)
        player.answers["AT+CESQ"] = "+CESQ: 99,99,255,255,20,80"
        self.assertNotEqual(self.plug(player, "one"), first)
        self.becomes(state=0, rsrp=-61, rsrq=-10)

    def test_a_signal_that_may_not_be_measured_is_said_once(self):
        def told():
            events = self.gw.get("/api/v1/events")["events"]
            return [e["text"] for e in events if e["code"] == "modem.signal_refused"]
        with open(self.deny, "w") as f:
            f.write(DENY)
        self.reload()
        self.gw.start()
        self.manage()
        self.plug(Player(), "one")
        self.becomes(state=0, registration=1)
        self.assertIn("Device.Control", until(told, 30, "the event")[0])
        self.assertIn("ModemManager refuses", self.gw.get("/api/v1/devices/modem")["device"]["says"])
        self.assertIsNone(self.values().get("rsrp"))
        os.remove(self.deny)
        self.reload()
        self.becomes(rsrp=-99)
        self.assertEqual(len(told()), 1)
        self.assertNotIn("refuses", self.gw.get("/api/v1/devices/modem")["device"]["says"])

    def test_the_operators_messages(self):
        self.gw.start()
        self.manage()
        player = Player()
        self.plug(player, "one")
        self.becomes(state=0, registration=1)
        cookie = self.gw.sign_in()
        all_ = until(lambda: self.gw.get_as(cookie, "/api/v1/messages")[1]["messages"], 60, "the messages")
        self.assertEqual(all_, [{"from": "VIETTEL", "at_ms": 1795681800000, "text": "Lưu ý"}])
        self.assertFalse([c for c in player.asked if c.startswith("AT+CMGD")])
        said = self.gw.proc.text() + str(self.gw.get("/api/v1/events")) + str(self.gw.get("/api/v1/devices/modem"))
        self.assertNotIn("VIETTEL", said)
        self.manager.kill()  # with the modem they go, too
        until(lambda: self.gw.get_as(cookie, "/api/v1/messages")[1]["messages"] == [], 30, "none")

    NUMBERS = ("+84912345678", "84987654321")

    def alarmed(self):
        """A gateway whose city does not answer, and a gauge that goes over its mark."""
        gauge = Bank()
        gauge.regs[3][0] = 1000
        slave = Slave({1: gauge})
        self.stack.callback(slave.stop)
        city = self.city = FakeCity(os.path.join(self.folder, "city"))
        city.device = self.gw.pub
        city.start()
        self.stack.callback(city.stop)
        write(os.path.join(self.gw.folder, "numbers"), "# the ward\n" + "\n".join(self.NUMBERS) + "  # and more\n",
              0o600)
        write(os.path.join(self.gw.folder, "gauge.yaml"), """model: a gauge
points: [{name: level, quantity: water_level, function: 3, address: 0, type: u16, scale: 0.001}]
""")
        self.gw.config(f"""connectivity:
  modem: {{through: modemmanager, every: 1s}}
  sms: {{numbers: {self.gw.folder}/numbers, per_hour: 3}}
buses:
  plant: {{type: modbus-tcp, host: 127.0.0.1, port: {slave.port}}}
devices:
  river: {{bus: plant, unit: 1, profile: ./gauge.yaml, every: 1s}}
uplinks:
  city: {{type: city, url: "{city.url}", ca: {city.ca}, receipt_keys: [{city.pub_path}]}}
alarms:
  flood: {{series: river/level, when: {{above: 2.5}}, clear: 2, sms: true, text: {{vi: "Nước sông vượt báo động II"}}}}
  high: {{series: river/level, when: {{above: 2.5}}, clear: 2, text: {{vi: "Không nhắn"}}}}
""")
        self.manage()
        self.gw.start()
        player = Player()
        self.plug(player, "one")
        self.becomes(state=0, registration=1)
        return gauge, player

    def texts(self, code):
        return [e["text"] for e in self.gw.get("/api/v1/events?limit=200")["events"] if e["code"] == code]

    def no_number(self):
        said = self.gw.proc.text() + str(self.gw.get("/api/v1/events?limit=200"))
        with open(self.gw.db, "rb") as f, open(self.gw.db + "-wal", "rb") as w:
            said += str(f.read() + w.read())
        for n in self.NUMBERS:
            self.assertNotIn(n.lstrip("+")[2:], said)

    def test_an_alarm_without_data_goes_out_by_sms(self):
        gauge, player = self.alarmed()
        # while the city is reached, nobody is woken
        gauge.regs[3][0] = 2614
        until(lambda: any(r.device == "alarm" and r.point == "flood" and int(r.x) == 1 for r in self.city.readings()), 60,
              "the alarm at the city")
        gauge.regs[3][0] = 1000
        until(lambda: len(self.texts("alarm.cleared")) == 2, 30, "both to be over", 0.1)
        self.assertEqual((player.sent, self.texts("sms.sent") + self.texts("sms.failed")), ([], []))
        # that it is lost is found out by the alarm itself
        self.city.stop()
        gauge.regs[3][0] = 2614
        until(lambda: self.texts("sms.sent"), 60, "the messages", 0.1)
        got = [submitted(p) for p in player.sent]
        self.assertEqual([n for n, _ in got], [n.lstrip("+") for n in self.NUMBERS])
        self.assertRegex(got[0][1],
                         r"^Nuoc song vuot bao dong II: 2\.614 m \(>= 2\.5\), \d\d:\d\d \d\d/\d\d\. gw-1$")
        self.assertEqual(got[0][1], got[1][1])
        self.assertEqual(self.texts("sms.sent"), ["an alarm went out by SMS to 2 numbers"])
        # no more than three within an hour
        gauge.regs[3][0] = 1000
        until(lambda: len(self.texts("alarm.cleared")) == 4, 30, "both to be over", 0.1)
        gauge.regs[3][0] = 2614
        until(lambda: self.texts("sms.failed"), 60, "the limit", 0.1)
        self.assertIn("3 messages within an hour", self.texts("sms.failed")[0])
        self.assertEqual(len(player.sent), 3)
        # and ModemManager keeps none of them
        path = self.switched_on()
        self.assertNotIn("/SMS/", self.ask(path, SERVICE + ".Modem.Messaging.List").replace("/SMS/0", "").replace(
            "/SMS/1", ""))
        self.no_number()

    def test_a_network_that_takes_no_message_is_told_once(self):
        gauge, player = self.alarmed()
        player.takes = False
        self.city.stop()
        gauge.regs[3][0] = 2614
        until(lambda: self.texts("sms.failed"), 60, "the event", 0.1)
        self.assertIn("ModemManager refuses", self.texts("sms.failed")[0])
        self.assertEqual(len(player.sent), 1)
        self.no_number()
        self.assertEqual(self.gw.stop(), 0)

    def play(self, *cells):
        """A ModemManager of dbusmock's, whose GetCellInfo answers these."""
        def value(v):
            kind = ("dbus.Boolean" if isinstance(v, bool) else "dbus.UInt32" if isinstance(v, int)
                    else "dbus.Double" if isinstance(v, float) else "dbus.String")
            return f"{kind}({v!r}, variant_level=1)"
        said = ", ".join("dbus.Dictionary({" + ", ".join(f"{k!r}: {value(v)}" for k, v in c.items()) + "}, signature='sv')"
                         for c in cells)
        template = os.path.join(HERE, "..", "support", "python", "fp_mm_template.py")
        self.manager = Proc(["/usr/bin/python3", "-m", "dbusmock", "--session", "--template", template, "--parameters",
                             json.dumps({"cells": f"dbus.Array([{said}], signature='a{{sv}}')"})],
                            env=self.env | {"PATH": "/usr/bin:/bin"})
        until(lambda: "Modem/0" in self.ask(ROOT, "org.freedesktop.DBus.ObjectManager.GetManagedObjects", ok=(0, 1)),
              20, "the played ModemManager", 0.1)

    LTE = {"cell-type": 5, "serving": True, "operator-id": "45204", "tac": "BE3", "ci": "328261F", "physical-ci": "118",
           "earfcn": 1300, "rsrp": -99.0, "rsrq": -14.0}
    NR = {"cell-type": 6, "serving": True, "operator-id": "45204", "tac": "BE3", "ci": "18666712F", "physical-ci": "398",
          "nrarfcn": 627264, "rsrp": -96.0, "sinr": 18.0}

    def test_cells_are_read_as_modemmanager_tells_them(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import dbusmock"], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("python3-dbusmock is not installed")
        self.gw.start()
        near = self.LTE | {"serving": False, "ci": "1", "earfcn": 100}
        second = self.LTE | {"ci": "2", "earfcn": 2850}  # a carrier beside: the first is the one
        self.play(near, self.LTE, second, self.NR)
        # Debian's own client reads the same answer
        cells = run(["env", "DBUS_SYSTEM_BUS_ADDRESS=" + self.address, "mmcli", "-m", "0", "--get-cell-info"]).stdout
        for part in ("earfcn: 1300", "ci: 328261F", "nrarfcn: 627264", "ci: 18666712F"):
            self.assertIn(part, cells)
        self.becomes(state=10, technology=13)  # nothing says that it is registered: no cell is believed
        self.assertIsNone(self.values()["cell"])
        self.registered()
        self.becomes(state=0, band=3, channel=1300, frequency=1815, cell=0x328261F, area=0xBE3, nr_channel=627264,
                     nr_frequency=3408.96, nr_cell=0x18666712F, nr_area=0xBE3)
        self.assertIsNone(self.values()["nr_band"])  # it is not told

    def test_cells_that_are_ill_are_none(self):
        if subprocess.run(["/usr/bin/python3", "-c", "import dbusmock"], stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("python3-dbusmock is not installed")
        self.gw.start()
        self.play({"serving": True, "cell-type": 9, "ci": "1"}, {"cell-type": 5, "serving": 1, "ci": "7"},
                  self.NR | {"tac": "FFFFFF", "ci": "xyz", "nrarfcn": 4294967295, "physical-ci": "-1"},
                  {"cell-type": 5, "serving": True, "tac": "123456789", "ci": -5.0, "earfcn": "1300"})
        self.registered()
        self.becomes(state=0, technology=13)
        gaps = ("band", "channel", "frequency", "cell", "area", "nr_channel", "nr_frequency", "nr_cell", "nr_area")
        self.assertEqual([k for k in gaps if self.values()[k] is not None], [])

    def registered(self):
        self.ask(ROOT + "/Modem/0", "org.freedesktop.DBus.Properties.Set", "string:" + SERVICE + ".Modem.Modem3gpp",
                 "string:RegistrationState", "variant:uint32:1")

    def test_a_modem_without_a_sim_card(self):
        self.gw.start()
        self.manage()
        player = Player()
        player.answers.update({"AT+CPIN?": "+CME ERROR: 10", "AT+CIMI": "+CME ERROR: 10"})
        self.ask(ROOT, SERVICE + ".Test.SetProfile", "string:one", "string:generic",
                 "array:string:" + player.name)
        self.becomes(state=5)
        self.assertIn("no SIM card", self.text())


if __name__ == "__main__":
    main(needs=("fieldpost",))
