"""The line between a gateway and its city, to be cut: a TCP relay that knows no TLS and breaks as
networks do."""
import socket
import struct
import threading

GOOD, DOWN, RESET, HALF_OPEN, SLOW, DROP_ANSWERS = ("good", "down", "reset", "half-open", "slow",
                                                    "drop answers")
SLOW_S = 1.0  # a slow line passes a byte so often
HANDSHAKE = 800  # a gateway's half of a TLS handshake is shorter, with its first request longer
ANSWERED_S = 0.3  # after so much silence the city has said all that it had to say


class Line:
    """Listens on `port` and passes to `to` (a port of this machine; it may change). mode(...) cuts
    what is open.

    down: refuses connections. reset: takes some bytes, then RST. half-open: takes all, gives
    nothing. slow: a byte each SLOW_S towards the gateway. drop answers: the city gets the first
    request of a connection, and its answer ends at the line (`dropped` counts the pieces)."""

    def __init__(self, to):
        self.to, self.how, self.port, self.listener, self.dropped = to, GOOD, 0, None, 0
        self.lock, self.open, self.stopped = threading.Lock(), set(), threading.Event()
        self._listen()

    def _listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def mode(self, how, to=None):
        with self.lock:
            self.how, self.to, cut, self.open = how, to or self.to, self.open, set()
        if how == DOWN and self.listener:
            self._close(self.listener)
            self.listener = None
        elif how != DOWN and not self.listener:
            self._listen()
        for s in cut:
            self._close(s)

    def close(self):
        self.stopped.set()
        self.mode(DOWN)

    @staticmethod
    def _close(s):
        try:
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()

    def _accept(self, listener):
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(c, self.how), daemon=True).start()

    def _serve(self, c, how):
        with self.lock:
            if how != self.how:
                c.close()
                return
            self.open.add(c)
        try:
            if how == RESET:
                c.recv(700)
                c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == HALF_OPEN:
                while c.recv(65536):
                    pass
            else:
                self._relay(c, how)
        except OSError:
            pass
        finally:
            with self.lock:
                self.open.discard(c)
            c.close()

    def _relay(self, c, how):
        up = socket.create_connection(("127.0.0.1", self.to), 10)
        up.settimeout(None)
        for s in (c, up):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.lock:
            self.open.add(up)
        asked = threading.Event()
        threading.Thread(target=self._back, args=(up, c, how, asked), daemon=True).start()
        sent = 0
        try:
            while data := c.recv(65536):
                sent += len(data)
                if sent > HANDSHAKE:
                    asked.set()
                up.sendall(data)
        finally:
            with self.lock:
                self.open.discard(up)
            self._close(up)

    def _back(self, up, c, how, asked):
        try:
            while data := up.recv(65536):
                if how == SLOW:
                    for i in range(len(data)):
                        if self.stopped.wait(SLOW_S):
                            return
                        c.sendall(data[i:i + 1])
                elif how == DROP_ANSWERS and asked.is_set():
                    self.dropped += 1
                    up.settimeout(ANSWERED_S)
                else:
                    c.sendall(data)
        except OSError:
            pass
        self._close(c)
