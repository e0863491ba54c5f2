"""The way to the city as a gateway in the lab's internet sees it: what tests of it share, and a server that stands
in another's place."""
import os
import socket
import ssl
import threading

import fp_netlab as lab
from fp_proc import Case, Gateway, until

UP, LINK, RADIO, OPERATOR, DNS, CITY, PORTAL = range(7)


class Server:
    """Stands in the city's place, or at the operator's."""

    def __init__(self, where, port, tls=None, say=None, at="0.0.0.0", clients=None):
        """tls: a folder with tls.pem and tls.key; clients: the CA of the certificate that they have to show."""
        self.context, self.say, self.open = None, say, []
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(tls + "/tls.pem", tls + "/tls.key")
        if clients:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients)
        self.s = lab.within(where, lambda: socket.create_server(
            (at, port), family=socket.AF_INET6 if ":" in at else socket.AF_INET))
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        try:
            c.settimeout(10)
            c = self.context.wrap_socket(c, server_side=True) if self.context else c
            self.open.append(c)
            if self.say and c.recv(4096):  # nothing: whoever came hung up
                self.say(c)
                c.close()
        except OSError:
            c.close()

    def end(self):
        if self.s.fileno() < 0:
            return
        self.s.shutdown(socket.SHUT_RDWR)
        self.s.close()
        self.thread.join()
        for c in self.open:
            c.close()


def endless(c):
    c.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while True:
        c.sendall(b"x" * 4096)


def elsewhere(c):
    c.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/?msisdn=84912345678\r\nContent-Length: 0\r\n"
              b"Connection: close\r\n\r\n")


class PathCase(Case):
    """A city, and a gateway that looks at the way to it. `net`: the lab."""
    net = None

    def setUp(self):
        super().setUp()
        lab.Net.rules()
        lab.Net.up()
        self.net.resolver()
        self.net.line.delay_s, self.net.dns.mode = 0.0, "answer"
        self.city = lab.LabCity(self.args.bin, os.path.join(self.folder, "city"))
        self.gw = Gateway(self.args.bin, os.path.join(self.folder, "gw"))
        self.stack.callback(self.gw.kill)
        self.city.enroll(self.gw.gw, self.gw.pub_path)
        self.city.start()
        self.stack.callback(self.city.stop)

    def begin(self, more="", every="4s", timeout="1300ms", uplink=""):
        self.gw.config(f"""connectivity:
  path: {{way: {{every: {every}, timeout: {timeout}}}}}
  ping: {{other: {{host: {lab.OTHER}, every: 2s, count: 4, timeout: 600ms}}}}
{more}
uplinks:
  city: {{url: "{self.city.url}", ca: {self.city.ca}, receipt_keys: [{self.city.pub_path}]{uplink}}}
""", every="1s")
        self.gw.start()

    def device(self, name="way"):
        return self.gw.get(f"/api/v1/devices/{name}")

    def value(self, point, name="way"):
        for s in self.device(name)["points"]:
            if s["point"] == point:
                return None if s["value"] is None or s["missing"] else float(s["value"])
        raise AssertionError(f"no {point}")

    def told(self, code, of="way"):
        return [e["text"] for e in self.gw.get("/api/v1/events?limit=200")["events"]
                if (e["code"], e["subject"]) == (code, of)]

    def is_up(self):
        until(lambda: self.value("state") == UP, 60, "the city to be reached", 0.1)

    def looks(self, more=2):
        polls = self.device()["device"]["polls"]
        until(lambda: self.device()["device"]["polls"] >= polls + more, 60, "its probes to go on", 0.1)

    def goes(self, cause, why):
        """Down for that cause, by its series, its health and the advice."""
        until(lambda: self.value("state") == cause, 60, f"cause {cause}", 0.1)
        d = self.device()["device"]
        self.assertEqual(d["state"], "silent")
        codes = self.codes()
        self.assertIn(why, codes)
        self.assertNotIn("city_down", codes, "one cause, one piece")

    def codes(self):
        a = self.gw.get("/api/v1/advice")
        return [a["code"]] + [x["code"] for x in a["more"]]

    def breaks(self, cause, why, word, do, undo):
        back = len(self.told("path.back"))
        do()
        self.goes(cause, why)
        self.looks()  # else what is seen while it is mended would be the longer part
        undo()
        until(lambda: len(self.told("path.back")) > back, 60, f"the end of {word}", 0.1)
        self.assertRegex(self.told("path.back")[0], rf"^back after (\d+ min )?\d+ s; cause: {word}")
        self.is_up()
