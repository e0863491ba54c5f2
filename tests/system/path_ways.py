"""Ways to the city that few boxes have, in the lab's internet: bound to one interface of two, IPv6 alone, a city that
demands a client's certificate, and one that shows another's name."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
import fp_netlab as lab  # noqa: E402
from fp_pathcase import CITY, DNS, LINK, OPERATOR, PORTAL, UP, PathCase, Server, elsewhere  # noqa: E402
from fp_proc import main, make_tls, run, until, write  # noqa: E402


def packets():
    """What the box's own counters say: {name: packets}."""
    said = run(["nft", "list", "table", "inet", "count"]).stdout
    return {n: int(k) for n, k in re.findall(r"counter (\w+) \{\s*packets (\d+)", said)}


class Bound(PathCase):
    def test_all_that_a_bound_path_sends_leaves_by_its_interface(self):
        self.net.second()
        self.stack.callback(lab.sh, "ip link del wan1")
        lab.nft(None, """table inet count
            delete table inet count
            table inet count {
                counter first { }
                counter second { }
                chain out {
                    type filter hook output priority 0;
                    oifname "wan0" meta nfproto ipv4 counter name first
                    oifname "wan1" meta nfproto ipv4 counter name second
                }
            }""")
        self.stack.callback(lab.nft, None, "delete table inet count")
        self.gw.config(f"""connectivity:
  path: {{way: {{url: "https://{lab.CITY}:{lab.PORT}", ca: {self.city.ca}, interface: wan1, every: 2s, timeout: 600ms}}}}
""")
        self.gw.start()
        self.is_up()
        up = packets()
        print(f"packets by wan0, wan1: {up}", flush=True)
        self.assertEqual(up["first"], 0)
        self.assertGreater(up["second"], 0)

        def drop():
            lab.Net.rules("add rule ip fp through iif e2 drop\nadd rule ip fp to iif e2 drop\n")
        for cause, why, word, do, undo in (
                (OPERATOR, "path_operator", "operator", drop, lab.Net.rules),
                (OPERATOR, "path_operator", "operator", lambda: lab.sh("ip addr flush dev wan1"), lab.Net.second_up),
                (LINK, "path_link", "local link", lambda: lab.sh("ip link set wan1 down"), lab.Net.second_up)):
            self.breaks(cause, why, word, do, undo)
        # the other link, which the box itself prefers, is none of its business
        lab.sh("ip link set wan0 down")
        self.looks(3)
        self.assertEqual(self.value("state"), UP)
        lab.Net.up()
        down = packets()
        print(f"and with three outages: {down}", flush=True)
        self.assertEqual(down["first"], 0)
        self.assertGreater(down["second"], up["second"])


class Six(PathCase):
    """The box has no IPv4 here."""

    def setUp(self):
        lab.LabCity.at = "[::]"
        self.addCleanup(setattr, lab.LabCity, "at", "0.0.0.0")
        super().setUp()
        self.net.six_up()
        lab.Net.rules6()

    def begin(self, more="", every="2s", timeout="600ms"):
        self.gw.config(f"""connectivity:
  path:
    way: {{url: "https://{lab.NAME6}:{lab.PORT}", ca: {self.city.ca}, every: {every}, timeout: {timeout}}}
    number: {{url: "https://[{lab.CITY6}]:{lab.PORT}", ca: {self.city.ca}, every: {every}, timeout: {timeout},
              interface: wan0}}
  ping: {{other: {{host: "{lab.OTHER6}", every: 2s, count: 4, timeout: 600ms}}}}
""")
        self.gw.start()

    def test_figures_and_causes(self):
        self.begin()
        self.is_up()
        for name in ("way", "number"):
            until(lambda name=name: self.value("first_byte", name) is not None, 30, f"{name}'s figures")
            self.assertEqual(self.value("state", name), UP)
            for point in ("connect", "tls", "first_byte"):
                self.assertGreater(self.value(point, name), 0, point)
        self.assertGreater(self.value("dns"), 0)
        self.assertGreater(self.net.dns6.asked, 0)
        self.assertEqual(self.value("dns", "number"), 0)
        until(lambda: self.value("latency", "other") is not None, 30, "a ping")
        self.assertEqual(self.value("loss", "other"), 0)
        self.breaks(OPERATOR, "path_operator", "operator",
                    lambda: lab.Net.rules6("add rule ip6 fp through drop\nadd rule ip6 fp to udp dport 53 drop\n"),
                    lab.Net.rules6)
        self.breaks(CITY, "path_city", "city", self.city.stop, self.city.start)
        self.breaks(LINK, "path_link", "local link", lambda: lab.sh("ip link set wan0 down"), self.net.six_up)
        self.breaks(OPERATOR, "path_operator", "operator",
                    lambda: lab.sh("ip addr flush dev wan0 scope global"), self.net.six_up)

        def silent(mode):
            self.net.dns6.mode = mode
        self.breaks(DNS, "path_dns", "DNS", lambda: silent("silent"), lambda: silent("answer"))
        self.assertEqual(self.value("state", "number"), UP)

    def test_a_bound_path_without_a_route_blames_the_network_without_any_witness(self):
        self.gw.config(f"""connectivity:
  path: {{way: {{url: "https://[{lab.CITY6}]:{lab.PORT}", ca: {self.city.ca}, every: 2s, timeout: 600ms,
    interface: wan0}}}}
""")
        self.gw.start()
        self.is_up()
        self.breaks(OPERATOR, "path_operator", "operator", lambda: lab.sh("ip -6 route del default"), self.net.six_up)

    def test_the_largest_packet(self):
        self.begin(every="1s", timeout="330ms")
        for name in ("way", "number"):
            until(lambda name=name: self.value("mtu", name) == 1500, 60, "the usual size", 0.2)
        lab.sh("ip -n isp link set e1 mtu 1300")
        self.stack.callback(lab.sh, "ip -n isp link set e1 mtu 1500")
        for name in ("way", "number"):
            until(lambda name=name: self.value("mtu", name) == 1300, 60, "the size that a router says", 0.2)

    def test_portal(self):
        self.begin()
        self.is_up()
        page = Server("isp", 80, say=elsewhere, at="::")
        self.stack.callback(page.end)
        self.breaks(PORTAL, "path_portal", "portal", lambda: lab.Net.rules6(
            f"add rule ip6 fp before iif e0 tcp dport 80 dnat to {lab.HOP6}\n"
            f"add rule ip6 fp through tcp dport {lab.PORT} drop\n"), lab.Net.rules6)


class Proofs(PathCase):
    """Who shows which certificate."""

    def certificate(self, name, san=None, ca=None):
        """A folder with ca.pem and NAME.pem (key and certificate, of `ca`: another folder, or its own)."""
        folder = os.path.join(self.folder, name)
        os.makedirs(folder)
        make_tls(folder)
        ca = ca or folder
        write(folder + "/san", f"subjectAltName=DNS:{san or name}\n")
        run(["openssl", "x509", "-req", "-in", folder + "/tls.csr", "-CA", ca + "/ca.pem", "-CAkey", ca + "/ca.key",
             "-CAcreateserial", "-days", "30", "-extfile", folder + "/san", "-out", folder + "/tls.pem"])
        with open(folder + "/tls.key", "rb") as key, open(folder + "/tls.pem", "rb") as cert:
            write(folder + "/identity.pem", key.read() + cert.read(), 0o600)
        return folder

    def test_a_city_that_demands_a_certificate(self):
        box, stranger = self.certificate("box"), self.certificate("stranger")
        identity = os.path.join(self.folder, "identity.pem")
        self.city.stop()
        asked = []

        def say(c):
            asked.append(c.getpeercert())
            c.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        server = Server("city", lab.PORT, self.city.folder, say, clients=box + "/ca.pem")
        self.stack.callback(server.end)
        self.begin(every="2s", timeout="600ms", uplink=f", identity: {identity}")
        for shows, says in ((None, "it may demand this gateway's certificate"),
                            (stranger, "it may not take this gateway's certificate")):
            if shows:
                os.replace(shows + "/identity.pem", identity)
            self.goes(CITY, "path_city")
            # one that hangs up in the middle of the handshake is another case, which a busy machine makes
            until(lambda says=says: says in self.device()["device"]["says"], 60, says, 0.1)
            self.assertEqual(asked, [], says)
        os.replace(box + "/identity.pem", identity)
        self.is_up()
        self.assertGreater(len(asked), 0)
        self.assertTrue(all(asked))
        self.assertEqual(asked[-1]["subjectAltName"], (("DNS", "box"),))

    def test_a_certificate_for_another_name(self):
        other = self.certificate("other", "other.test", self.city.folder)
        self.begin(every="2s", timeout="600ms")
        self.is_up()
        self.city.stop()
        asked = []
        server = Server("city", lab.PORT, other, asked.append)
        self.stack.callback(server.end)
        self.goes(PORTAL, "path_portal")
        says = self.device()["device"]["says"]
        print(says, flush=True)
        self.assertIn("does not match target host name 'city.test'", says)
        self.assertEqual(asked, [], "something was asked of a stranger")
        server.end()
        self.city.start()
        self.is_up()


if __name__ == "__main__":
    lab.enter("path_ways")
    PathCase.net = lab.Net()
    PathCase.net.six()
    try:
        main()
    finally:
        PathCase.net.close()
