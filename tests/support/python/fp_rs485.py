"""Who drove an RS-485 line, and when: reads QEMU's trace of a PL011 (events pl011_write and pl011_put_fifo,
with times) and judges each request and its answer. `rts` is bit 11 of UARTCR: 1 where RTS is asserted, whose
pin (nUARTRTS) is low then."""
import re

DATA, CONTROL, RTS = 0x00, 0x30, 1 << 11
REQUEST_BYTES = 8  # functions 1 to 4
EVENT = re.compile(r"@(\d+\.\d+):pl011_(?:(write) addr (0x[0-9a-f]+) value (0x[0-9a-f]+)|"
                   r"(put_fifo) new char (0x[0-9a-f]+))")


def crc(frame):
    c = 0xFFFF
    for byte in frame:
        c ^= byte
        for _ in range(8):
            c = c >> 1 ^ (0xA001 if c & 1 else 0)
    return c


def whole(frame):
    """Its last two bytes are its CRC."""
    return len(frame) > 3 and crc(frame) == 0


class Exchange:
    """A request, its answer, and what RTS did. sent, heard: (time, byte, rts). turns: (time, rts, bytes sent
    before, bytes heard before), those since the answer before this request too."""

    def __init__(self, turns):
        self.turns, self.sent, self.heard = turns, [], []

    def request(self):
        return bytes(b for _, b, _ in self.sent)

    def answer(self):
        return bytes(b for _, b, _ in self.heard)

    def cut(self):
        """Takes off the turns behind the request but for the first, and returns them."""
        behind = [t for t in self.turns if t[2] == REQUEST_BYTES][1:]
        self.turns = [t for t in self.turns if t not in behind]
        return behind

    def lead_s(self):
        """From the last turn before the request to its first byte."""
        return self.sent[0][0] - max(t for t, _, sent, _ in self.turns if sent == 0)

    def hold_s(self):
        """From the last byte of the request to the first turn behind it."""
        return min(t for t, _, sent, _ in self.turns if sent == len(self.sent)) - self.sent[-1][0]


def exchanges(trace):
    """All requests of a trace with their answers, in order."""
    out, rts, turns, at = [], None, [], None
    for line in trace.splitlines():
        m = EVENT.search(line)
        if not m:
            continue
        time = float(m[1])
        if m[5]:
            if at:
                at.heard.append((time, int(m[6], 16) & 0xFF, rts))
        elif int(m[3], 16) == DATA:
            if at is None or len(at.sent) == REQUEST_BYTES:
                if at and not at.heard:  # nobody answered: one turn behind it is its own
                    turns = [(t, level, 0, 0) for t, level, _, _ in at.cut()] + turns
                at = Exchange(turns)
                turns = []
                out.append(at)
            at.sent.append((time, int(m[4], 16) & 0xFF, rts))
        elif int(m[3], 16) == CONTROL:
            now = int(m[4], 16) >> 11 & 1
            if now != rts and rts is not None:
                during = at and (len(at.sent) < REQUEST_BYTES or not whole(at.answer()))
                turn = (time, now, len(at.sent) if during else 0, len(at.heard) if during else 0)
                (at.turns if during else turns).append(turn)
            rts = now
    return out


def faults(x, level, bound_s=10.0):
    """What is wrong with an exchange whose request is to be sent with RTS at `level`, and its answer heard
    with RTS at the other; level None: RTS is nobody's to turn. Nothing is wrong with a request that nobody
    answers."""
    out = []
    if not whole(x.request()):
        return [f"request {x.request().hex()}: no whole frame"]
    if x.heard and (not whole(x.answer()) or x.answer()[0] != x.request()[0]):
        out.append(f"answer {x.answer().hex()}: no whole frame")
    within = [t for t in x.turns if t[2] > 0]
    if level is None:
        if within:
            out.append(f"RTS turned {len(within)} times")
        return out
    off = [n for n, (_, _, rts) in enumerate(x.sent) if rts != level]
    if off:
        out.append(f"bytes {off} of the request: not driven")
    if any(rts == level for _, _, rts in x.heard):
        out.append("driven while the answer comes")
    if not any(t[1] == level for t in x.turns if t[2] == 0):
        out.append("not turned on before the request")
    if [t[1:3] for t in within] != [(1 - level, REQUEST_BYTES)]:
        out.append(f"turned {len(within)} times within, not once behind the last byte")
    elif x.hold_s() > bound_s:
        out.append(f"driven for {x.hold_s():.3f} s behind the last byte")
    return out
