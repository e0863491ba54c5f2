"""A server to measure a line against, and everything that such a server may do wrong: by path.

/file?n=N        N bytes, Content-Length     /sink       takes any POST
/endless         never ends                  /burst      500 kB a second, and 3 MB in the first
/slow?rate=N     N bytes a second             /html       a page with status 200, called data
/redirect        302 to elsewhere            /cut        ends in the middle of its Content-Length
/longer          sends more than it says     /small      a few bytes
/silent          head, then nothing          /mute       nothing at all
/refuse          403 before any body         /garbage    no HTTP
/head            a head without end
Run as a program: prints its port (of --listen ADDRESS) and serves until it is killed."""
import argparse
import contextlib
import os
import socket
import ssl
import sys
import threading
import time
import urllib.parse

BLOCK = os.urandom(1 << 18)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"


class Speed:
    def __init__(self, address="127.0.0.1", port=0, tls=None):
        self.tls, self.asked, self.taken, self.gate = None, [], 0, threading.Event()
        self.lock, self.busy, self.most = threading.Lock(), {}, {}  # by path: requests at once
        if tls:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*tls)
        self.socket = socket.create_server((address, port), backlog=64)
        self.port = self.socket.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{address}:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _accept(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        with contextlib.suppress(OSError, ValueError), contextlib.ExitStack() as stack:
            stack.callback(s.close)
            if self.tls:
                s = self.tls.wrap_socket(s, server_side=True)
                stack.callback(s.close)
            held = b""
            while held is not None:
                while b"\r\n\r\n" not in held:
                    more = s.recv(1 << 16)
                    if not more:
                        return
                    held += more
                head, held = held.split(b"\r\n\r\n", 1)
                head = head.decode("latin-1")
                with self._counted(head.split()[1].split("?")[0]):
                    held = self._answer(s, head, held)

    @contextlib.contextmanager
    def _counted(self, path):
        with self.lock:
            self.busy[path] = self.busy.get(path, 0) + 1
            self.most[path] = max(self.most.get(path, 0), self.busy[path])
        try:
            yield
        finally:
            with self.lock:
                self.busy[path] -= 1

    def _take(self, s, n, held):
        """n bytes of a body, of which `held` has come."""
        taken, room = min(len(held), n), bytearray(1 << 20)
        while taken < n:
            got = s.recv_into(room, min(n - taken, len(room)))
            if not got:
                raise OSError("ended")
            taken += got
            self.taken += got
        return held[n:]

    def _answer(self, s, head, held):
        lines = head.split("\r\n")
        where = urllib.parse.urlsplit(lines[0].split()[1])
        fields = {k.lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])}
        n, query = int(fields.get("content-length", 0)), dict(urllib.parse.parse_qsl(where.query))
        self.asked.append((lines[0], fields))
        if where.path in ("/refuse", "/redirect", "/mute"):  # before any body
            return getattr(self, "_" + where.path.strip("/"))(s)
        if n:
            if "100-continue" in fields.get("expect", ""):
                s.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            held = self._take(s, n, held)
        return getattr(self, "_" + where.path.strip("/"))(s, query, held)

    # ---- what is asked for; None: the connection ends ----

    @staticmethod
    def _file(s, query, held):
        left = int(query.get("n", 1 << 24))
        s.sendall(OK + b"Content-Length: %d\r\n\r\n" % left)
        while left > 0:
            left -= s.send(BLOCK[:left] if left < len(BLOCK) else BLOCK)
        return held

    @staticmethod
    def _sink(s, _query, held):
        s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        return held

    @staticmethod
    def _endless(s, _query, _held):
        s.sendall(OK + b"\r\n")
        while True:
            s.sendall(BLOCK)

    def _paced(self, s, rate, first=0):
        """`first` bytes more, all within the first second."""
        began, sent = time.monotonic(), 0
        while True:
            since = time.monotonic() - began
            part = int(since * rate + min(since, 1) * first) - sent
            while part > 0:
                done = s.send(BLOCK[:min(part, len(BLOCK))])
                sent, part = sent + done, part - done
            self.gate.wait(0.02)

    def _burst(self, s, _query, _held):
        s.sendall(OK + b"\r\n")
        self._paced(s, 500_000, 3_000_000)

    def _slow(self, s, query, _held):
        s.sendall(OK + b"\r\n")
        self._paced(s, int(query.get("rate", 10_000)))

    @staticmethod
    def _html(s, _query, held):
        page = b" \r\n<!DOCTYPE HTML><html><body>Xin moi dang nhap</body></html>".ljust(1 << 20)
        s.sendall(OK + b"Content-Length: %d\r\n\r\n" % len(page) + page)
        return held

    @staticmethod
    def _refuse(s):
        s.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    @staticmethod
    def _redirect(s):
        s.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://portal.example/?msisdn=84912345678\r\n"
                  b"Content-Length: 0\r\nConnection: close\r\n\r\n")

    @staticmethod
    def _cut(s, _query, _held):
        s.sendall(OK + b"Content-Length: 100000000\r\n\r\n" + BLOCK * 4)

    @staticmethod
    def _longer(s, _query, held):
        s.sendall(OK + b"Content-Length: 1000\r\n\r\n" + BLOCK * 4)
        return held

    @staticmethod
    def _small(s, _query, held):
        s.sendall(OK + b"Content-Length: 5\r\n\r\nhello")
        return held

    def _silent(self, s, _query, _held):
        s.sendall(OK + b"Content-Length: 100000000\r\n\r\n")
        self.gate.wait(60)

    def _mute(self, _s):
        self.gate.wait(60)

    @staticmethod
    def _head(s, _query, _held):
        s.sendall(OK)
        for i in range(1 << 20):
            s.sendall(b"X-%d: %s\r\n" % (i, b"x" * 1000))

    @staticmethod
    def _garbage(s, _query, _held):
        s.sendall(b"SSH-2.0-nobody\r\n" * 1000)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1")
    parser.add_argument("--tls", nargs=2)
    options = parser.parse_args()
    server = Speed(options.listen, tls=options.tls)
    print(server.port, flush=True)
    sys.stdin.read()
