"""A clock for one program that runs faster than the world's: tests/support/warp.c explains it."""
import mmap
import os
import struct
import time

NS = 10 ** 9


class Warp:
    """`env` for the program (and for its next start: the clock goes on through restarts)."""
    FORM, STEP_AT = "=6q", 32

    def __init__(self, binaries, path, speed, network_ms=2000):
        library = os.path.abspath(os.path.join(binaries, "..", "lib", "warp.so"))
        if not os.path.exists(library):
            raise FileNotFoundError(f"{library}: build it first")
        self.speed, self.real, self.utc = speed, time.monotonic_ns(), time.time_ns()
        boot = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        with open(path, "w+b") as f:
            f.write(struct.pack(self.FORM, self.real, self.utc, boot, speed, 0, network_ms))
            f.flush()
            self.map = mmap.mmap(f.fileno(), 0)
        asan = os.environ.get("ASAN_OPTIONS", "")
        self.env = {"FP_WARP": str(path), "LD_PRELOAD": library,
                    "ASAN_OPTIONS": f"{asan}:verify_asan_link_order=0".lstrip(":")}

    def _step_ns(self):
        return struct.unpack_from("=q", self.map, self.STEP_AT)[0]

    def step(self, seconds):
        """The program's wall clock jumps."""
        struct.pack_into("=q", self.map, self.STEP_AT, self._step_ns() + seconds * NS)

    def elapsed_s(self):
        """Warped seconds since the warp began."""
        return (time.monotonic_ns() - self.real) * self.speed / NS

    def now_ms(self):
        """What the program takes for UTC."""
        return (self.utc + self._step_ns()) // 10 ** 6 + int(self.elapsed_s() * 1000)
