"""A serial line that takes the time that the wire takes, between the gateway's pty and the simulator's, with
a log of every byte."""
import heapq
import os
import select
import threading
import time
import tty


class Hub:
    """The gateway opens `name`. Bytes arrive when the wire has carried the last of them, one after the
    other. log: (from the gateway?, time of the first byte, time behind the last, bytes)."""

    def __init__(self, device, byte_s):
        self.master, self.slave = os.openpty()
        tty.setraw(self.slave)
        self.device = os.open(device, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.device)
        self.name, self.byte_s, self.free, self.log = os.ttyname(self.slave), byte_s, 0.0, []
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        due = []
        while not self.stopped.is_set():
            now = time.monotonic()
            while due and due[0][0] <= now:
                _, _, fd, data = heapq.heappop(due)
                os.write(fd, data)
            wait = min(due[0][0] - time.monotonic(), 0.1) if due else 0.1
            for fd in select.select([self.master, self.device], [], [], max(0, wait))[0]:
                data, now = os.read(fd, 512), time.monotonic()
                begin = max(now, self.free)
                self.free = begin + len(data) * self.byte_s
                self.log.append((fd == self.master, begin, self.free, data))
                heapq.heappush(due, (self.free, len(self.log),
                                     self.device if fd == self.master else self.master, data))

    def stop(self):
        self.stopped.set()
        self.thread.join()
        for fd in (self.master, self.slave, self.device):
            os.close(fd)
