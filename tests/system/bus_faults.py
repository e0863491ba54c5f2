"""A bus that misbehaves in every way: the real gateway polls devices of fieldpost-sim over TCP and a
serial line, one fault at a time. No wrong value is ever stored, and the bus is in step again within one
request."""
import os
import socket
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "support", "python"))
from fp_proc import main, until  # noqa: E402
from fp_site import PATIENCE, Adapter, SiteCase  # noqa: E402

TIMEOUT_MS = 400  # longer than a busy machine keeps an answer
# fault: what it costs at most, in failed polls
BOTH = {"exception": 1, "wrong_unit": 1, "other_function": 1, "wrong_length": 1, "long": 1,
        "half": 1, "garbage": 1, "silent": 1, "late": 1, "slow": 0, "duplicate": 0}
RTU = {"crc": 1, "echo": 0, "noise": 0, "broadcast": 0, "joined": 0}
TCP = {"wrong_tid": 1, "joined": 1, "close": 1, "reset": 1,
       "late": 3}  # it is busy for so long, whichever connection asks


class Faults(SiteCase):
    names = ("t", "r", "s")

    def two_buses(self, late="1s"):
        self.play({"plant": "type: modbus-tcp", "line": "type: modbus-rtu"},
                  {"t": ("plant", 3, f"late: {late}"), "r": ("line", 1, f"late: {late}"),
                   "s": ("line", 2, "")})
        self.configure({"plant": f"{self.tcp('plant')}, timeout: {TIMEOUT_MS}ms",
                        "line": f"type: modbus-rtu, port: {self.sim.where['line']}, baud: 115200, "
                                f"timeout: {TIMEOUT_MS}ms"},
                       {"t": ("plant", 3), "r": ("line", 1), "s": ("line", 2)})
        self.start()
        for name in self.names:
            self.good_polls(name)

    def one(self, device, kind, cost):
        """One fault, and the polls after it."""
        before = self.device(device)["failures"]
        polls = self.device(device)["polls"]
        self.sim.say(f"fault {device} {kind} 1")
        until(lambda: self.device(device)["polls"] > polls + 1, PATIENCE, "polls")
        self.good_polls(device)
        failed = self.device(device)["failures"] - before
        self.assertLessEqual(failed, cost, f"{device}: {kind} cost {failed} polls")

    def late(self, late):
        """The device answers in order, and what it owed comes first."""
        self.two_buses(late)
        for device in ("t", "r"):
            failed = self.device(device)["failures"]
            self.sim.say(f"fault {device} late 1")
            until(lambda d=device, n=failed: self.device(d)["failures"] > n, 20, f"{device} is late")
            self.good_polls(device)
            self.sim.say(f"fault {device} late 2")
            self.good_polls(device, 5, 40)
        self.assertGreater(self.truth(), 20)

    def test_E1_answer_later_than_the_time_out_is_never_the_next_one_s(self):
        self.late("600ms")  # 200 ms either side of what is waited and listened for

    def test_E1_answer_later_than_many_polls_is_never_the_next_one_s(self):
        self.late("3s")

    def hurts_nobody(self, device, kind, cost):
        """What hurts a healthy device twice is the fault's doing; once may be the machine's."""
        for _ in range(2):
            before = self.device("s")["failures"]
            self.one(device, kind, cost)
            self.good_polls("s", 1)
            if self.device("s")["failures"] == before:
                return
        self.fail(f"{kind} hurts a healthy device: {self.device('s')}")

    def test_E2_rtu_no_fault_is_a_value_and_each_costs_one_request(self):
        self.two_buses()
        for kind, cost in {**BOTH, **RTU}.items():
            with self.subTest(kind=kind):
                self.hurts_nobody("r", kind, cost)
        echoes = self.events("bus.echo")
        self.assertEqual(len(echoes), 1, "an echo is told once")
        self.assertGreater(self.truth(), 40)

    def test_E2_tcp_no_fault_is_a_value_and_each_costs_one_request(self):
        self.two_buses()
        for kind, cost in {**BOTH, **TCP}.items():
            with self.subTest(kind=kind):
                self.one("t", kind, cost)
        self.assertGreater(self.truth(), 40)

    def test_E2_echo_of_all_that_is_sent_is_left_out(self):
        self.two_buses()
        self.sim.say("fault r echo 1000000")
        self.sim.say("fault s echo 1000000")
        failed = self.device("r")["failures"]
        self.good_polls("r", 10)
        self.assertEqual(self.device("r")["failures"], failed)
        self.assertIn("gives back what is sent", self.events("bus.echo")[0]["text"])
        self.assertGreater(self.truth(), 20)

    def test_E2_words_swapped_after_power_up_are_flagged_where_limits_tell(self):
        """A device that comes back with another word order says wrong values in right frames: limits
        are what tells."""
        self.two_buses()
        self.sim.say("fault r silent 3")
        self.good_polls("r", 2)
        self.sim.say("fault r swap 1000000")
        until(lambda: self.points("r")["volts"].get("q") == 1, PATIENCE, "a voltage beyond its limits")
        self.assertEqual(self.gw.stop(), 0)
        beyond = [r for r in self.gw.export() if r[0] == "r/volts" and not 0 <= float(r[2]) <= 1e6]
        self.assertTrue(beyond)
        self.assertEqual({r[3] for r in beyond}, {"1"})


class Away(SiteCase):
    """G1: polling resumes within 30 s, without a restart, whatever was away."""
    names = ("t", "r")

    def test_G1_adapter_comes_back_under_another_number(self):
        self.play({"line": "type: modbus-rtu"}, {"r": ("line", 1, "")})
        link = os.path.join(self.folder, "usb-adapter")
        adapter = Adapter(link, self.sim.where["line"])
        self.stack.callback(adapter.close)
        self.configure({"line": f"type: modbus-rtu, port: {link}, timeout: 200ms"}, {"r": ("line", 1)})
        self.start()
        self.good_polls("r")
        first = os.readlink(link)
        adapter.unplug()
        until(lambda: self.events("bus.down"), 20, "the bus is down")
        until(lambda: link in self.device("r")["text"], 20, "the adapter is named")
        adapter.plug()
        self.assertNotEqual(os.readlink(link), first)
        self.good_polls("r", 2, 30)
        until(lambda: self.events("bus.up"), 10, "an event tells it")
        self.assertGreater(self.truth(), 4)

    def test_G1_peer_restarts(self):
        port = self.relayed()
        self.good_polls("t")
        self.relay.restart()
        until(lambda: self.events("bus.down"), 20, "the bus is down")
        self.relay.hear()
        self.good_polls("t", 2, 30)
        self.assertEqual(self.relay.port, port)
        self.assertGreater(self.truth(), 4)

    def test_G1_peer_is_gone_without_a_word(self):
        """Half-open: the old connection takes all and says nothing, new ones work."""
        self.relayed()
        self.good_polls("t")
        failed = self.device("t")["failures"]
        self.relay.hang()
        until(lambda: self.device("t")["failures"] > failed, 20, "silence")
        self.good_polls("t", 2, 30)
        self.assertGreater(self.truth(), 4)

    def test_G1_route_is_gone(self):
        """Nothing answers to a SYN, for longer than any back-off of the connection."""
        self.relayed()
        self.good_polls("t")
        self.relay.hang()
        self.relay.deaf()
        until(lambda: self.events("bus.down"), 30, "the bus is down")
        self.assertIn("cannot connect", self.device("t")["text"])
        self.relay.hear()
        self.good_polls("t", 2, 30)
        self.assertGreater(self.truth(), 4)

    def relayed(self):
        self.play({"plant": "type: modbus-tcp"}, {"t": ("plant", 3, "")})
        self.relay = Route(int(self.sim.where["plant"].rsplit(":", 1)[1]))
        self.stack.callback(self.relay.close)
        self.configure({"plant": f"type: modbus-tcp, host: 127.0.0.1, port: {self.relay.port}, "
                                 "timeout: 300ms"}, {"t": ("plant", 3)})
        self.start()
        return self.relay.port


class Route:
    """The way to a TCP peer on `to`, which breaks as networks do."""

    def __init__(self, to):
        self.to, self.port, self.open, self.hung, self.plugs = to, 0, set(), False, []
        self.hear()

    def hear(self):
        """Takes connections."""
        for s in self.plugs:
            s.close()
        self.plugs, self.listener = [], socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def restart(self):
        """The peer ends, and refuses connections until hear()."""
        self._shut(self.listener)
        for s in self.open:
            self._shut(s)
        self.open = set()

    def hang(self):
        """What is open stays so, and says nothing any more."""
        self.plugs, self.open = self.plugs + list(self.open), set()

    def deaf(self):
        """A listener whose queue is full: the kernel drops every SYN."""
        self._shut(self.listener)
        full = socket.socket()
        full.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        full.bind(("127.0.0.1", self.port))
        full.listen(0)
        self.plugs.append(full)
        for _ in range(3):
            c = socket.socket()
            c.setblocking(False)
            c.connect_ex(("127.0.0.1", self.port))
            self.plugs.append(c)

    @staticmethod
    def _shut(s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()

    def _accept(self, listener):
        try:
            while True:
                near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", self.to), 5)
                self.open |= {near, far}
                for a, b in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(a, b), daemon=True).start()
        except OSError:
            pass

    def _pass(self, a, b):
        try:
            while data := a.recv(512):
                if a not in self.open:
                    return  # hung: what came is lost, and nobody is told
                b.sendall(data)
        except OSError:
            pass
        if a in self.open:
            self._shut(b)

    def close(self):
        self.restart()
        for s in self.plugs:
            s.close()


if __name__ == "__main__":
    main(needs=("fieldpost", "fieldpost-sim"))
