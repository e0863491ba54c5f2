"""fieldpost-sim as a child: started, spoken to on its control input, stopped by pid."""
import os
import select
import signal
import subprocess

import fp_tied

WAIT_S = 20


class Sim:
    def __init__(self, binary, folder, *more):
        self.p = fp_tied.popen([binary, "--config", os.path.join(folder, "site.yaml"), *more],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.text, self.bus = b"", {}
        while (line := self.line()) != "ready":
            _, name, where = line.split()
            self.bus[name] = where

    def line(self):
        while b"\n" not in self.text:
            assert select.select([self.p.stdout], [], [], WAIT_S)[0], "the simulator says nothing"
            more = os.read(self.p.stdout.fileno(), 4096)
            assert more, f"the simulator ended: {self.text!r}"
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return line.decode()

    def say(self, text):
        self.p.stdin.write(text.encode() + b"\n")
        self.p.stdin.flush()
        return self.line()

    def stop(self):
        self.p.send_signal(signal.SIGTERM)
        return self.p.wait(WAIT_S)
