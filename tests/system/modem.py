"""A modem by AT commands, as in the field: a real gateway, the real city, a modem on a pseudo-terminal that
plays a script of its own, and a real HTTP server that plays the operator's page for a SIM card without
data. First sentences are compared literally, by API and CLI, in both languages."""
import http.server
import json
import os
import pty
import ssl
import sys
import threading
import tty

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from advice import WELL, Sentences, local  # noqa: E402
from fp_proc import City, Gateway, make_tls, main, until  # noqa: E402

ANSWERS = {
    "AT": "OK", "AT+CMEE=1": "OK", "AT+CEREG=2": "OK", "AT+COPS=3,2": "OK",
    "AT+CPIN?": "+CPIN: READY\r\n\r\nOK",
    "AT+CEREG?": '+CEREG: 2,1,"BE3","328261F",7\r\n\r\nOK',
    "AT+COPS?": '+COPS: 0,2,"45204",7\r\n\r\nOK',
    "AT+CSQ": "+CSQ: 24,99\r\n\r\nOK",
    'AT+QENG="servingcell"': '+QENG: "servingcell","CONNECT"\r\n'
                             '+QENG: "LTE","FDD",452,04,328261F,280,1300,3,5,5,BE3,-99,-14,-66,7,4,30,-\r\n'
                             '+QENG: "NR5G-NSA",452,04,920,-96,18,-10,627264,78,10,1\r\n\r\nOK',
    "AT+QCCID": "+QCCID: 8984012345678905678F\r\n\r\nOK",
}
# An operator's, by a name and in Vietnamese; a short number's; and a person's.
SAYS = "Lưu ý"
SMS = ("00040DD0D664914A2D32010008621162510300820A004C01B00075002000FD",
       "07913306091093F0040485810000F11160423180518005E8329BFD06",
       "07912143658709F1040B918100551512F20000111010214365000AE8329BFD4697D9EC37")
LIST = "".join(f"+CMGL: {i},1,,{len(pdu) // 2 - 8}\r\n{pdu}\r\n" for i, pdu in enumerate(SMS)) + "\r\nOK"
NUMBER = "84912345678"  # of the subscriber, as operators' pages have it in their addresses


class Modem:
    """On a pseudo-terminal under a name of its own."""

    def __init__(self, folder):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.port = os.path.join(folder, "by-id-modem")
        os.symlink(os.ttyname(self.slave), self.port)
        self.answers, self.asked = dict(ANSWERS), set()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        held = b""
        while True:
            held += os.read(self.master, 256)
            while b"\r" in held:
                command, held = held.split(b"\r", 1)
                self.asked.add(command.decode())
                os.write(self.master, f"\r\n{self.answers.get(command.decode(), 'ERROR')}\r\n".encode())


class Portal(http.server.ThreadingHTTPServer):
    """What stands at the address that is checked; `to`: where it sends to, None: it answers by itself."""
    daemon_threads = True

    def __init__(self, port=0, tls=None):
        self.to, self.asked = None, 0
        super().__init__(("127.0.0.1", port), self.Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls + "/tls.pem", tls + "/tls.key")
            self.socket = context.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, *_):
        pass  # a client that does not trust it

    def end(self):
        self.shutdown()
        self.server_close()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            to = self.server.to
            self.server.asked += 1
            self.send_response(302 if to else 200)
            if to:
                self.send_header("Location", to)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", "4")
            self.end_headers()
            self.wfile.write(b"page")

        do_PUT = do_POST = do_GET

        def log_message(self, *_):
            pass


class Cellular(Sentences):
    every = "2s"  # the bound of a whole poll, too
    NO_DATA = ("The modem's SIM card has no data left: the operator's page answers in the city's place.",
               "SIM của modem đã hết dung lượng: trang của nhà mạng trả lời thay cho thành phố.")
    DOWN = ("Nothing can be sent to the city (city) now.",
            "Mất liên lạc với thành phố (city): chưa gửi được số đo.")

    def setUp(self):
        super().setUp()
        self.city = City(self.args.bin, os.path.join(self.folder, "city"))
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)
        self.modem = Modem(self.folder)
        self.portal = Portal()
        self.stack.callback(self.portal.end)
        self.gw.config(f"""connectivity:
  modem: {{port: {self.modem.port}, every: {self.every}, interface: lo, check: "http://127.0.0.1:{self.portal.server_port}/"}}
uplinks:
  city: {{url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]}}
""", every="1s")
        self.gw.start()
        self.begun()
        self.says("good", WELL)

    def test_radio_reaches_the_city(self):
        want = {"technology": "13", "state": "0", "registration": "1", "operator": "45204", "rsrp": "-99",
                "rsrq": "-14", "sinr": "7", "rssi": "-66", "band": "3", "frequency": "1815", "nr_rsrp": "-96",
                "nr_rsrq": "-10", "nr_sinr": "18", "nr_band": "78", "nr_frequency": "3408.96"}

        def there():
            got = {r[1].split("/", 1)[1]: r[3] for r in self.city.rows() if r[1].startswith("modem/")}
            return {k: got.get(k) for k in want} == want
        until(there, 20, "the modem's values in the city's dump", 0.2)
        self.assertNotIn("5678", json.dumps(self.gw.get("/api/v1/devices/modem")), "no program gets it")
        values = {row[3] for row in self.city.rows("--raw") if row[1].startswith("modem/")}
        self.assertFalse([v for v in values if "5678" in v], "the card stays here")
        self.assertFalse(self.modem.asked & {"AT+CIMI", "AT+CGSN", "AT+CNUM", "AT+GSN"})

    def test_the_operators_messages_are_seen_here_and_nowhere_else(self):
        cookie = self.gw.sign_in()
        until(lambda: self.gw.get_as(cookie, "/api/v1/messages") == (200, {"card": "5678", "messages": []}), 30,
              "the card, and no message")
        self.modem.answers.update({"AT+CMGF=0": "OK", "AT+CMGL=4": LIST})

        def there():
            return self.gw.get_as(cookie, "/api/v1/messages")[1]["messages"]
        all_ = until(there, 60, "the messages")
        self.assertEqual([(m["from"], m["at_ms"], m["text"]) for m in all_],
                         [("VIETTEL", 1795681800000, SAYS), ("1800", 1308913695000, "hello")])
        until(lambda: self.city.rows(), 20, "something at the city")
        events, said = str(self.gw.get("/api/v1/events")), self.gw.proc.text()
        said = (said + events + str(self.gw.get("/api/v1/status"))).encode()
        self.gw.stop()
        for folder, _, names in os.walk(self.gw.folder):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    said += f.read()
        for secret in (SAYS, "VIETTEL", "18005551212", SMS[0], SMS[1]):
            self.assertNotIn(secret.encode(), said)
        self.assertNotIn("VIETTEL", str(self.city.rows("--raw")))
        self.assertFalse([c for c in self.modem.asked if c.startswith(("AT+CMGD", "AT+CMGR", "AT+CPMS", "AT+CMGS"))])

    def told(self, code):
        return [e for e in self.gw.get("/api/v1/events")["events"] if e["code"] == code]

    def test_a_sim_card_without_data(self):
        # the city is gone, and what is checked answers as itself: it is the city
        self.portal.to = "http://127.0.0.1/elsewhere"
        self.city.stop()
        self.says("look", self.DOWN)
        until(lambda: self.portal.asked >= 2, 30, "the check, and what came of the one before")
        self.assertEqual(self.advice()["code"], "city_down")
        # the operator's page answers, by redirect
        self.portal.to = f"http://naptien.example/?msisdn={NUMBER}"
        self.says("act", self.NO_DATA, seconds=30)
        event = until(lambda: self.told("sim.no_data"), 10, "its event")[0]
        self.assertIn("naptien.example", event["text"])
        # and for the city itself, with another certificate
        tls = os.path.join(self.folder, "operator")
        os.makedirs(tls)
        make_tls(tls)
        stranger = Portal(self.city.port, tls)
        until(lambda: "not proven" in str(self.gw.get("/api/v1/status")), 100, "the stranger", 0.2)
        self.says("act", self.NO_DATA)
        stranger.end()
        self.assertNotIn(NUMBER, self.gw.proc.text() + str(self.gw.get("/api/v1/events"))
                         + str(self.gw.get("/api/v1/devices/modem")) + str(self.advice()))
        # data was bought
        self.portal.to = None
        self.city.start()
        self.says("good", WELL, seconds=100)  # a pause after failures takes a minute at most
        until(lambda: self.told("device.back"), 10, "the good news")

    def test_a_sim_card_that_is_missing_or_denied(self):
        self.modem.answers.update({"AT+CPIN?": "+CME ERROR: 10", "AT+CEREG?": "+CEREG: 2,0\r\n\r\nOK"})
        a = until(lambda: (x := self.advice())["code"] == "sim_missing" and x, 20, "no SIM card")
        at, on = local(a["params"]["since_ms"])
        self.says("look", (f"The modem finds no SIM card that it can read, since {at} on {on}.",
                           f"Modem không đọc được thẻ SIM từ {at} ngày {on}."))
        until(lambda: self.told("sim.missing"), 10, "its event")
        self.modem.answers.update({"AT+CPIN?": ANSWERS["AT+CPIN?"], "AT+CEREG?": "+CEREG: 2,3\r\n\r\nOK"})
        a = until(lambda: (x := self.advice())["code"] == "modem_denied" and x, 20, "denied")
        at, on = local(a["params"]["since_ms"])
        self.says("look", (f"The mobile operator does not let the modem's SIM card in, since {at} on {on}.",
                           f"Nhà mạng từ chối thẻ SIM của modem từ {at} ngày {on}."))
        self.modem.answers.update(ANSWERS)
        self.says("good", WELL)


if __name__ == "__main__":
    main()
