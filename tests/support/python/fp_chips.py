"""Sensors on a serial port, as a test plays them: PMS5003 and ultrasonic send by themselves, SPS30 answers.
Written from their data sheets (sensors/driver/pms5003.h, sps30.h and ultrasonic.h name them), not from the
drivers."""
import struct

STUFFED = {0x7E, 0x7D, 0x11, 0x13}


def pms5003(pm1, pm25, pm10, error=0):
    """A frame of 32 bytes; concentrations in ug/m3, counts that fit them."""
    counts = [max(1, pm25) * n for n in (60, 18, 3)] + [pm10, pm10 // 4, pm10 // 9]
    words = [pm1, pm25, pm10, pm1, pm25, pm10, *(min(c, 65535) for c in counts), 0x9700 | error]
    body = b"BM" + struct.pack(">14H", 28, *words)
    return body + struct.pack(">H", sum(body))


def ultrasonic(mm):
    """Four bytes; 0 is no echo."""
    body = struct.pack(">BH", 0xFF, mm)
    return body + bytes([sum(body) & 0xFF])


def shdlc(content):
    """A frame around content: its sum, stuffing, flags."""
    out = bytearray(b"\x7E")
    for byte in content + bytes([~sum(content) & 0xFF]):
        out += bytes([0x7D, byte ^ 0x20]) if byte in STUFFED else bytes([byte])
    return bytes(out + b"\x7E")


class Sps30:
    """An SPS30 that measures pm1, pm25 and pm10 (ug/m3) and has a fault when it is told so."""

    def __init__(self, pm1=0.0, pm25=0.0, pm10=0.0):
        self.pm1, self.pm25, self.pm10, self.fault = pm1, pm25, pm10, False
        self.measuring, self._heard = False, bytearray()

    def hears(self, data):
        """What came on its line; returns what it answers."""
        self._heard += data
        answers = b""
        while True:
            begin = self._heard.find(0x7E)
            end = self._heard.find(0x7E, begin + 1)
            if begin < 0 or end < 0:
                return answers
            content = self._unstuffed(self._heard[begin + 1:end])
            whole = len(content) > 3 and sum(content) & 0xFF == 0xFF and content[2] == len(content) - 4
            del self._heard[:end + (1 if whole else 0)]
            if whole:
                answers += self._answer(content[1], bytes(content[3:-1]))

    @staticmethod
    def _unstuffed(raw):
        out, escaped = bytearray(), False
        for byte in raw:
            if byte == 0x7D:
                escaped = True
            else:
                out.append(byte ^ 0x20 if escaped else byte)
                escaped = False
        return out

    def _answer(self, command, data):
        state, says = 0x80 if self.fault else 0, b""
        if command == 0xD3:
            self.measuring = False
        elif command == 0x00 and data == b"\x01\x03" and not self.measuring:
            self.measuring = True
        elif command == 0x01 and self.measuring:
            self.measuring = False
        elif command == 0x03 and self.measuring:
            says = struct.pack(">10f", self.pm1, self.pm25, (self.pm25 + self.pm10) / 2, self.pm10,
                               1, 1, 1, 1, 1, 0.5)
        else:
            state |= 0x43 if command in (0x00, 0x01, 0x03) else 0x02
        return shdlc(bytes([0, command, state, len(says)]) + says)
