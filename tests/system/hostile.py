"""Bad input at the page's port: slow senders, ten thousand connections, heads, bodies and paths of every bad
kind, markup in names. The gateway answers those that are well-formed, and meanwhile no poll is late."""
import contextlib
import json
import os
import random
import resource
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import api  # noqa: E402
from fp_proc import main, until, write  # noqa: E402

MARKUP = "<img src=x onerror=alert(1)>\\\" & </script>{{7*7}}"
PERIOD_MS = 200
CONNECTIONS = 10_000


def heads(rng):
    """Requests that are none, or none of ours."""
    big = "A" * 100_000
    yield b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield f"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nX: {big}\r\n\r\n".encode()
    yield ("GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n" + "".join(f"X-{i}: y\r\n" for i in range(20_000)) +
           "\r\n").encode()
    yield f"GET /api/v1/chart?series={big} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    for path in ("/../../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/api/v1/../../healthz",
                 "//etc/passwd", "/app.js%00.html", "/api/v1/devices/%2e%2e%2f", "/api/v1/devices/%00", "/%",
                 "/%zz", "/api/v1/devices/a%0d%0aSet-Cookie:x", "\\..\\..", "http://evil/", "/api/v1/devices/" + "%41" * 200,
                 "/api/v1/why?series=%ff%fe/%80", "/api/v1/chart.csv?series=a/volts&from=1&to=9223372036854775807",
                 "/api/v1/chart?series=a/volts&from=-9223372036854775808&to=9223372036854775807",
                 "/api/v1/events?before=99999999999999999999", "/api/v1/events?limit=1e9",
                 "/api/v1/live?device=" + "x" * 3000, "/api/v1/why?series=" + "a" * 5000 + "/b", "/api/v1/why?series=%00"):
        yield f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    for method in ("TRACE", "CONNECT", "PROPFIND", "DELETE", "PUT", "OPTIONS", "get", "G\0T", "", "PATCH" * 500):
        yield f"{method} /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    for ranges in ("bytes=0-,0-,0-" + ",0-" * 1000, "bytes=-1", "bytes=99999999999999999999-", "lines=1"):
        yield (f"GET /app.css HTTP/1.1\r\nHost: localhost\r\nRange: {ranges}\r\nConnection: close\r\n\r\n").encode()
    yield b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n"
    yield b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"
    yield b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    yield (b"POST /api/v1/corrections HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
           b"ffff\r\n" + b"x" * 0xffff + b"\r\n" * 1)
    yield b"GET /api/v1/status HTTP/9.9\r\nHost: localhost\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500)
    for _ in range(50):
        yield rng.randbytes(rng.randrange(1, 3000))


class Hostile(api.Api):
    def site(self, devices=("a", "b"), port=0, scale=False):
        super().site(devices, port, scale)
        with open(self.gw.conf, encoding="utf-8") as f:
            text = f.read()
        write(self.gw.conf, text.replace("unit: 1, ", f'unit: 1, name: "{MARKUP}", place: "{MARKUP}", '))

    def raw(self, data, wait=2):
        """What comes back of these bytes."""
        got = b""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=wait) as plain, \
                self.trust.wrap_socket(plain, server_hostname="localhost") as s:
            s.sendall(data.replace(b"Host: localhost\r\n", b"Host: localhost\r\nAuthorization: Bearer " +
                                   self.reader().encode() + b"\r\n", 1))
            while more := s.recv(65536):
                got += more
                if len(got) > 1 << 20:
                    break
        return got

    def test_polls_keep_their_period_under_all_of_it(self):
        rng = random.Random(self.args.seed)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        status = self.ask("GET", "/api/v1/status", token=self.reader())[2]
        before = {d["id"]: d for d in status["devices"]}
        begin = time.time_ns() // 1_000_000
        self.markup(status)
        self.slow()
        self.many(hard)
        self.bad(rng)
        self.bodies()
        end = time.time_ns() // 1_000_000
        self.assertGreater(end - begin, 5000)
        until(lambda: self.answers(), 30, "an answer after all of it")
        self.in_time(begin, end, before)
        told = self.gw_sql("SELECT code FROM event WHERE severity > 0 AND code NOT LIKE 'token.%' AND "
                           "code NOT LIKE 'clock.%' AND code NOT LIKE 'key.%'")
        self.assertEqual(told, [])

    def answers(self):
        with contextlib.suppress(OSError, api.http.client.HTTPException):
            return self.ask("GET", "/healthz")[0] == 200
        return False

    def in_time(self, begin, end, before):
        """Each tick of these seconds has its reading, in time; no overrun, no failure."""
        now = {d["id"]: d for d in self.ask("GET", "/api/v1/status", token=self.reader())[2]["devices"]}
        for d in ("a", "b"):
            for figure in ("overruns", "failures", "lost_ms"):
                self.assertEqual(now[d][figure], before[d][figure], (d, figure))
        until(lambda: self.gw_sql("SELECT max(to_ms) FROM batch WHERE kind = 0")[0][0] > end, 30, "the last window")
        for series in ("a/volts", "b/level"):
            times = sorted(int(r[1]) for r in self.gw.export() if r[0] == series)
            times = [t for t in times if begin <= t < end]
            self.assertGreaterEqual(len(times), (end - begin) // PERIOD_MS - 2, series)
            longest = max(b - a for a, b in zip(times, times[1:]))
            self.assertLessEqual(longest, 2 * PERIOD_MS, series)

    def markup(self, status):
        """Names are data, and nothing that a browser would take for a page."""
        name = MARKUP.replace('\\"', '"')
        self.assertEqual([d["name"] for d in status["devices"] if d["id"] == "a"], [name])
        for path in ("/api/v1/status", "/api/v1/devices/a", "/api/v1/why?series=a/volts", "/api/v1/devices/<b>x",
                     "/api/v1/why?series=<b>/x", "/<script>alert(1)</script>"):
            got = self.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
            head, _, body = got.partition(b"\r\n\r\n")
            self.assertRegex(head.lower(), rb"content-type: application/(problem\+)?json", path)
            self.assertIn(b"x-content-type-options: nosniff", head.lower())
            json.loads(body)

    def slow(self):
        """As many as the server takes, a byte now and then, for three seconds."""
        with contextlib.ExitStack() as stack:
            held = [stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=5))
                    for _ in range(16)]
            for c in b"GET / HTTP/1.1\r\nHost: l":
                for s in held:
                    with contextlib.suppress(OSError):
                        s.send(bytes([c]))
                threading.Event().wait(0.12)

    def many(self, most_open):
        """Ten thousand, a few hundred of them at a time."""
        held, opened = [], 0
        try:
            while opened < CONNECTIONS:
                s = socket.socket()
                s.setblocking(False)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # no TIME_WAIT
                s.connect_ex(("127.0.0.1", self.port))
                with contextlib.suppress(OSError):
                    s.send(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
                held.append(s)
                opened += 1
                if len(held) > min(800, most_open // 2):
                    held.pop(0).close()
        finally:
            for s in held:
                s.close()

    def bad(self, rng):
        """None of them is answered with a page of its own, or with another status than it may have."""
        until(self.answers, 30, "an answer after the connections")
        for data in heads(rng):
            got = self.raw(data, 0.5)
            if got:
                status = int(got.split(b" ", 2)[1])
                self.assertNotEqual(status, 500, data[:80])
                self.assertNotIn(b"root:", got)
                if data.startswith(b"GET /app.css"):
                    self.assertIn(status, (200, 404))  # a range is not taken: the whole, or no such file
                elif not data.startswith((b"GET /api/v1/chart", b"GET /api/v1/live")):
                    self.assertIn(status // 100, (4, 5), data[:80])

    def bodies(self):
        """JSON that is none, text that is no UTF-8, a body ten times too long: refused in words."""
        token = self.token("lab-1", "correct")
        for body in (b"{", b"\xff\xfe", b'{"a":"\xc0\xaf"}', b"[" * 8000, b'{"series":"a/volts","series":"b"}',
                     b'{"reason":"\\ud800"}', b"\0", b"nul", b'{"from":1e999}', b"{}" * 4000):
            self.refused("bad_json", body, token, Content_Type="application/json")
        self.refused("too_large", b" " * (16 * 1024 * 10), token, Content_Type="application/json")


if __name__ == "__main__":
    socket.setdefaulttimeout(30)
    main(needs=("fieldpost", "fieldpost-city", "fieldpost-sim"))
