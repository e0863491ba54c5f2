"""A program that a test started ends with the test, also with one that is killed."""
import os
import select
import signal
import subprocess
import sys
import unittest

import fp_tied

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT_S = 20
TEST = f"""
import sys, threading
sys.path.insert(0, {HERE!r})
import fp_tied
def start():
    print(fp_tied.popen(["tail", "-f", "/dev/null"]).pid, flush=True)
start()
thread = threading.Thread(target=start)  # the program stays when it ends
thread.start()
thread.join()
print("on", flush=True)
sys.stdin.read()
"""


class Tied(unittest.TestCase):
    def setUp(self):
        self.p = subprocess.Popen([sys.executable, "-c", TEST], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.p.wait)
        self.addCleanup(self.p.kill)
        self.addCleanup(self.p.stdin.close)
        self.addCleanup(self.p.stdout.close)
        self.fds = []
        for _ in range(2):
            self.fds.append(os.pidfd_open(int(self.p.stdout.readline())))
            self.addCleanup(os.close, self.fds[-1])
        self.addCleanup(self.end)
        self.assertEqual(self.p.stdout.readline(), "on\n")

    def end(self):
        for fd in self.fds:
            try:
                signal.pidfd_send_signal(fd, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def all_end(self):
        for fd in self.fds:
            self.assertTrue(select.select([fd], [], [], WAIT_S)[0], "it goes on")

    def test_they_run_while_the_test_does(self):
        self.assertEqual(select.select(self.fds, [], [], 0)[0], [])

    def test_they_end_with_a_test_that_is_killed(self):
        self.p.send_signal(signal.SIGKILL)
        self.all_end()

    def test_they_end_with_a_test_that_forgets_them(self):
        self.p.stdin.close()
        self.all_end()

    def test_many_can_come_and_go(self):
        for _ in range(50):
            self.assertEqual(fp_tied.popen(["true"]).wait(), 0)


if __name__ == "__main__":
    unittest.main()
