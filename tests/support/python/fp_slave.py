"""A Modbus TCP slave in plain struct: it knows registers and bytes, no profile and no YAML."""
import socket
import struct
import threading
import time


class Bank:
    """Fixed registers of one unit: function -> {address: value}."""

    def __init__(self):
        self.regs = {1: {}, 2: {}, 3: {}, 4: {}}

    def put(self, function, address, data):
        """Registers from bytes as they stand on the wire."""
        for i in range(0, len(data), 2):
            self.regs[function][address + i // 2] = struct.unpack(">H", data[i:i + 2])[0]

    def read(self, function, address, count):
        """Values, or an exception code."""
        bank = self.regs[function]
        if any(address + i not in bank for i in range(count)):
            return 2
        return [bank[address + i] for i in range(count)]


class Counter:
    """A unit whose every poll is one request: u32 number of the poll at 0, s32 derived from it at
    2, f32 at 4. `log` is what was served, in order: (number, utc ms after answering), by the clock
    now_ms(); asked_by[number] is the connection that asked, by its thread."""
    REGISTERS = 6

    def __init__(self, salt, now_ms=lambda: time.time_ns() // 1_000_000):
        self.salt, self.n, self.log, self.sick, self.lock = salt, 0, [], None, threading.Lock()
        self.now_ms, self.asked_by = now_ms, {}

    def derived(self, n):
        return (n * 7919 + self.salt) % 200001 - 100000

    def real(self, n):
        return struct.unpack(">f", struct.pack(">f", n * 0.3 + self.salt))[0]

    def read(self, function, address, count):
        if function != 3 or address + count > self.REGISTERS:
            return 2
        with self.lock:
            if self.sick is not None:
                return self.sick
            if address == 0 and count == self.REGISTERS:
                self.n += 1
                self.log.append((self.n, self.now_ms()))
                self.asked_by[self.n] = threading.current_thread().name
            raw = struct.pack(">Iif", self.n, self.derived(self.n), self.real(self.n))
        return list(struct.unpack(">6H", raw))[address:address + count]

    def served(self):
        with self.lock:
            return dict(self.log)


SILENT = "silent"  # as a unit's answer: no answer at all


class Slave:
    """Serves units (number -> object with read()) on 127.0.0.1; stop() and start() again on the
    same port make a bus fault."""

    def __init__(self, units, port=0):
        self.units, self.port, self.requests, self.listener, self.open = units, port, [], None, set()
        self.lock = threading.Lock()
        self.start()

    def start(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()
        return self

    def stop(self):
        with self.lock:
            listener, self.listener = self.listener, None
            conns, self.open = self.open, set()
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        for c in conns:
            try:
                c.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            c.close()

    def _accept(self, listener):
        while True:
            try:
                c, _ = listener.accept()
            except OSError:
                return
            c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.open.add(c)
            threading.Thread(target=self._serve, args=(c,), daemon=True).start()

    @staticmethod
    def _exactly(c, n):
        b = b""
        while len(b) < n:
            more = c.recv(n - len(b))
            if not more:
                raise OSError("closed")
            b += more
        return b

    def _serve(self, c):
        try:
            while True:
                tid, proto, n, unit = struct.unpack(">HHHB", self._exactly(c, 7))
                pdu = self._exactly(c, n - 1)
                if proto != 0:
                    return
                answer = self._answer(unit, pdu)
                if answer is not None:
                    c.sendall(struct.pack(">HHHB", tid, 0, len(answer) + 1, unit) + answer)
        except (OSError, struct.error):
            pass
        finally:
            with self.lock:
                self.open.discard(c)
            c.close()

    def _answer(self, unit, pdu):
        function, address, count = struct.unpack(">BHH", pdu[:5])
        self.requests.append((unit, function, address, count))
        if unit not in self.units:
            return None
        limit = 2000 if function in (1, 2) else 125
        x = 3 if not 0 < count <= limit else 1 if function not in (1, 2, 3, 4) else \
            self.units[unit].read(function, address, count)
        if x == SILENT:
            return None
        if isinstance(x, int):
            return bytes([function | 0x80, x])
        if function in (1, 2):
            packed = bytearray((count + 7) // 8)
            for i, bit in enumerate(x):
                packed[i // 8] |= (bit & 1) << (i % 8)
            return bytes([function, len(packed)]) + bytes(packed)
        return bytes([function, 2 * count]) + struct.pack(f">{count}H", *x)


# The counter unit's profile and its three points as the gateway is told about them.
COUNTER_PROFILE = """model: contract counter
points:
  - {name: n, quantity: number, function: 3, address: 0, type: u32}
  - {name: d, quantity: number, function: 3, address: 2, type: s32}
  - {name: f, quantity: number, function: 3, address: 4, type: f32}
"""
