"""Programs that end with the test that started them, however that ends: a test that is killed runs no
clean-up, and its gateways, cities and simulators would go on for ever. A process of its own holds the
end of a pipe that is closed when the test is gone. (A death signal, PR_SET_PDEATHSIG, comes when the
thread ends that started the program, and tests start some in threads.)"""
import atexit
import subprocess
import sys
import threading

WATCHER = """
import os, select, signal, sys
fds = []
for line in sys.stdin:
    over = select.select(fds, [], [], 0)[0]
    for fd in over:
        os.close(fd)
    fds = [fd for fd in fds if fd not in over]
    try:
        fds.append(os.pidfd_open(int(line)))
    except OSError:
        pass  # it has ended
for fd in fds:
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except OSError:
        pass
"""
_lock, _watcher = threading.Lock(), None


def _end():
    _watcher.stdin.close()
    _watcher.wait()


def popen(args, **more):
    """subprocess.Popen of a program that is killed when this process is gone."""
    global _watcher
    p = subprocess.Popen(args, **more)
    with _lock:
        if _watcher is None:
            _watcher = subprocess.Popen([sys.executable, "-I", "-S", "-c", WATCHER], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
            atexit.register(_end)
        _watcher.stdin.write(f"{p.pid}\n")
        _watcher.stdin.flush()
    return p
