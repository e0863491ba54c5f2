"""The clocks of one machine, as the test says and changes: tests/support/clock.c explains it."""
import mmap
import os
import struct
import time


class Clock:
    """`env` puts a program on this machine. It begins synchronised and right, on a board without a
    clock of its own, so that nothing of the machine that runs the test shows."""
    FORM = "=6q"

    def __init__(self, bindir, path):
        library = os.path.abspath(os.path.join(bindir, "..", "lib", "clock.so"))
        if not os.path.exists(library):
            raise FileNotFoundError(f"{library}: build it first")
        self.utc_ms = self.boot_ms = self.boots = 0
        self.synced, self.maxerror_us = True, 5000
        with open(path, "w+b") as f:
            f.write(bytes(struct.calcsize(self.FORM)))
            f.flush()
            self.map = mmap.mmap(f.fileno(), 0)
        asan = os.environ.get("ASAN_OPTIONS", "")
        self.env = {"FP_CLOCK": str(path), "LD_PRELOAD": library,
                    "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0".lstrip(":")}
        self._write()

    def _write(self):
        struct.pack_into(self.FORM, self.map, 0, self.utc_ms, self.boot_ms, self.synced,
                         self.maxerror_us, 1, self.boots)

    def boot(self, utc_ms=None, synced=False):
        """The machine starts: 20 s ago, with this date (None: the right one)."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 10 ** 6
        self.boots += 1
        self.boot_ms = 20_000 - now
        self.set(utc_ms, synced)

    def set(self, utc_ms=None, synced=False):
        """The wall clock shows this from now on (None: the right time)."""
        self.utc_ms = 0 if utc_ms is None else utc_ms - time.time_ns() // 10 ** 6
        self.synced = synced
        self._write()

    def jump(self, ms, synced=True):
        """The wall clock is off by so much."""
        self.utc_ms, self.synced = ms, synced
        self._write()
