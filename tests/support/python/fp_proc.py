"""Running the real programs: temporary sites, keys and certificates, processes that are waited for
by what they print and stopped by pid, and a small HTTPS client."""
import argparse
import contextlib
import csv
import http.client
import io
import json
import os
import random
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import fp_contract as fp
import fp_tied

SANITIZER = re.compile(r"ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer")


def until(condition, seconds, what, step=0.02):
    """Polls until condition() is true and returns its value; AssertionError after `seconds`. What takes
    long to ask is asked less often: asking all the time would slow down what is waited for."""
    end = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        x = condition()
        if x:
            return x
        now = time.monotonic()
        if now > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        threading.Event().wait(max(step, min(3 * (now - began), 0.3)))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proc:
    """A program in a process group of its own; stderr is kept line by line."""

    def __init__(self, args, stdout=subprocess.DEVNULL, env=None):
        self.args, self.lines, self.cond = args, [], threading.Condition()
        self.p = fp_tied.popen(args, stdin=subprocess.DEVNULL, stdout=stdout,
                               stderr=subprocess.PIPE, text=True, errors="replace",
                               env={**os.environ, **(env or {})}, start_new_session=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.p.stderr:
            with self.cond:
                self.lines.append(line.rstrip("\n"))
                self.cond.notify_all()
        with self.cond:
            self.lines.append(None)
            self.cond.notify_all()

    def text(self):
        with self.cond:
            return "\n".join(x for x in self.lines if x is not None)

    def wait_line(self, pattern, seconds=30):
        """The match of the first stderr line that pattern finds."""
        end, i = time.monotonic() + seconds, 0
        with self.cond:
            while True:
                for line in self.lines[i:]:
                    i += 1
                    if line is None:
                        raise AssertionError(f"{self.args[0]} ended before '{pattern}':\n" +
                                             "\n".join(self.lines[:-1]))
                    m = re.search(pattern, line)
                    if m:
                        return m
                if not self.cond.wait(end - time.monotonic()):
                    raise AssertionError(f"no '{pattern}' within {seconds} s:\n" +
                                         "\n".join(x or "(end)" for x in self.lines))

    def kill(self):
        """kill -9, reaped."""
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGKILL)
        self.p.wait()
        self._done()

    def stop(self, seconds=20):
        """SIGTERM; returns the exit code. AssertionError when it does not end in time or a
        sanitizer spoke."""
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGTERM)
        try:
            self.p.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.args[0]} did not stop within {seconds} s:\n" +
                                 self.text()) from None
        self._done()
        return self.p.returncode

    def _done(self):
        self.reader.join(10)
        self.p.stderr.close()
        if SANITIZER.search(self.text()):
            raise AssertionError("a sanitizer spoke:\n" + self.text())


def run(args, seconds=60, ok=(0,)):
    """A program that ends by itself; AssertionError for an exit code not in ok (None: any)."""
    r = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       errors="replace", timeout=seconds)
    if SANITIZER.search(r.stderr) or (ok is not None and r.returncode not in ok):
        raise AssertionError(f"{' '.join(args)}: exit {r.returncode}\n{r.stdout[-2000:]}\n"
                             f"{r.stderr[-6000:]}")
    return r


def csv_rows(text, header):
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or rows[0] != header.split(","):
        raise AssertionError(f"CSV header {rows[:1]} is not {header}")
    return rows[1:]


def _openssl(*args):
    run(["openssl", *args])


def make_tls(folder, days="30"):
    """A CA and a server certificate for 127.0.0.1: ca.pem, tls.pem, tls.key."""
    def f(name):
        return os.path.join(folder, name)
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", days]
    _openssl("req", "-x509", *new, "-keyout", f("ca.key"), "-out", f("ca.pem"), "-subj",
             "/CN=contract test CA")
    _openssl("req", *new, "-keyout", f("tls.key"), "-out", f("tls.csr"), "-subj", "/CN=127.0.0.1")
    with open(f("san"), "w", encoding="ascii") as s:
        s.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    _openssl("x509", "-req", "-in", f("tls.csr"), "-CA", f("ca.pem"), "-CAkey", f("ca.key"),
             "-CAcreateserial", "-days", days, "-extfile", f("san"), "-out", f("tls.pem"))


def write(path, data, mode=0o644):
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else data.encode())
    os.chmod(path, mode)
    return path


DUMP = "gateway,series,ts_ms,value,quality,chain,seq"
EXPORT = "series,ts_ms,value,quality,chain,seq"


class City:
    """The real fieldpost-city in a folder of its own."""

    def __init__(self, bindir, folder):
        self.exe, self.folder, self.proc, self.port = os.path.join(bindir, "fieldpost-city"), \
            folder, None, 0
        os.makedirs(folder, exist_ok=True)
        make_tls(folder)
        self.ca = os.path.join(folder, "ca.pem")
        self.key = fp.new_key()
        self.pub = self.key.public_key()
        write(os.path.join(folder, "sign.key"), fp.private_pem(self.key), 0o600)
        self.pub_path = write(os.path.join(folder, "sign.pub"), fp.public_pem(self.pub))
        self.db, self.more = os.path.join(folder, "city.db"), ""  # more of its configuration
        self.config(0)

    def config(self, port):
        f = self.folder
        self.conf = write(os.path.join(f, "city.yaml"),
                          f'listen: "127.0.0.1:{port}"\ncert: {f}/tls.pem\nkey: {f}/tls.key\n'
                          f"sign_key: {f}/sign.key\ndb: {self.db}\n{self.more}")

    def enroll(self, gw, pub_path, ok=(0,)):
        return run([self.exe, "enroll", "--config", self.conf, "--id", gw, "--key", pub_path],
                   ok=ok)

    def start(self):
        """Starts, or starts again on the port it had."""
        self.proc = Proc([self.exe, "serve", "--config", self.conf])
        self.port = int(self.proc.wait_line(r"listening on https://[^ ]*:(\d+)")[1])
        self.config(self.port)
        self.url = f"https://127.0.0.1:{self.port}"
        return self

    def stop(self):
        proc, self.proc = self.proc, None
        return proc.stop() if proc else 0

    def dump(self, *options):
        return run([self.exe, "dump", "--config", self.conf, *options, "--format", "csv"],
                   120).stdout

    def rows(self, *options):
        return csv_rows(self.dump(*options), DUMP)


class Https:
    """One kept-alive verified HTTPS connection; request() gives (status, headers, body)."""

    def __init__(self, port, ca, timeout=60):
        self.context = ssl.create_default_context(cafile=ca)
        self.c = http.client.HTTPSConnection("127.0.0.1", port, context=self.context,
                                             timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        for again in (False, True):
            try:
                self.c.request(method, path, body, headers or {})
                r = self.c.getresponse()
                return r.status, {k.lower(): v for k, v in r.getheaders()}, r.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError,
                    ssl.SSLEOFError, ssl.SSLZeroReturnError):
                self.c.close()
                if again:
                    raise
        raise AssertionError("unreachable")

    def close(self):
        self.c.close()


def put_path(gw, chain, seq):
    return f"/v1/gateways/{gw}/batches/{chain.hex()}/{seq}"


PUT_HEADERS = {"Content-Type": 'application/cose; cose-type="cose-sign1"',
               "Content-Encoding": "zstd"}


class Gateway:
    """The real fieldpost with a configuration that the test writes. `sections` are YAML texts."""

    def __init__(self, bindir, folder, gw="gw-1"):
        self.exe, self.folder, self.gw, self.proc = os.path.join(bindir, "fieldpost"), folder, gw, \
            None
        os.makedirs(folder, exist_ok=True)
        self.env = None  # more of it, for run: a Warp's
        self.kept, self.of, self.lock = None, None, threading.Lock()  # get's connection, its process
        self.conf = os.path.join(folder, "fieldpost.yaml")
        self.db = os.path.join(folder, "fieldpost.db")
        self.key_path = os.path.join(folder, "device.key")
        pem = run([self.exe, "keygen", "--out", self.key_path]).stdout
        self.pub_path = write(os.path.join(folder, "device.pub"), pem)
        self.pub = fp.load_public(self.pub_path)

    def config(self, body, every="2s", journal="500ms", keep="60d", more="",
               listen="127.0.0.1:0"):
        write(self.conf, f"""gateway: {{id: {self.gw}}}
store: {{path: {self.db}, journal_every: {journal}, keep: {keep}}}
seal: {{key: {self.key_path}, every: {every}{more}}}
web: {{listen: "{listen}"}}
{body}
""")

    def start(self, ready=r"page https://"):
        self.proc = Proc([self.exe, "run", "--config", self.conf], env=self.env)
        self.proc.wait_line(ready)
        return self

    def port(self):
        """Of the page, which may be another after each start."""
        return int(re.findall(r"page https://[^ ]*:(\d+)/", self.proc.text())[-1])

    def page(self, timeout=30):
        """A connection to the page, verified with its own certificate."""
        return Https(self.port(), self.db + ".page.crt", timeout)

    def get(self, path):
        """What the API answers to whoever stands at the box."""
        with open(self.db + ".console", encoding="ascii") as f:
            token = f.read()
        with self.lock:  # one connection: another handshake for each question would load the box
            if self.kept is None or self.of is not self.proc:
                self.leave()
                self.kept, self.of = self.page(), self.proc
            try:
                status, _, body = self.kept.request("GET", path, headers={"Authorization": "Bearer " + token})
            except (OSError, http.client.HTTPException):
                self.leave()  # it is in the middle of something
                raise
        if status != 200:
            raise AssertionError(f"{path}: {status} {body!r}")
        return json.loads(body)

    def sign_in(self):
        """The cookie of the first administrator, whom this makes."""
        code = run([self.exe, "user", "claim", "--config", self.conf]).stdout.strip()
        with contextlib.closing(self.page()) as page:
            status, headers, body = page.request(
                "POST", "/api/v1/first", json.dumps({"code": code, "name": "lan", "password": "a long password"}),
                headers={"Content-Type": "application/json"})
        if status != 200:
            raise AssertionError(f"first: {status} {body!r}")
        return {k.lower(): v for k, v in dict(headers).items()}["set-cookie"].split(";")[0]

    def get_as(self, cookie, path):
        """(status, JSON) for whoever is signed in."""
        with contextlib.closing(self.page()) as page:
            status, _, body = page.request("GET", path, headers={"Cookie": cookie})
        return status, json.loads(body)

    def leave(self):
        """Ends the connection that get() keeps."""
        kept, self.kept = self.kept, None
        if kept:
            kept.close()

    def stop(self):
        self.leave()
        proc, self.proc = self.proc, None
        return proc.stop() if proc else 0

    def kill(self):
        self.leave()
        proc, self.proc = self.proc, None
        if proc:
            proc.kill()

    def rss_kib(self):
        with open(f"/proc/{self.proc.p.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))

    def export(self, *options):
        return csv_rows(run([self.exe, "export", "--config", self.conf, *options, "--format",
                             "csv"], 120).stdout, EXPORT)


SKIP_CODE = 77  # fp_test in board/cmake/fieldpost.cmake
not_tried = []


def skipped(case, why):
    """Says that a part of a test cannot be tried here; the program then ends with SKIP_CODE."""
    not_tried.append(case)
    print(f"skipped: {case}: {why}", flush=True)


class Case(unittest.TestCase):
    """A test with a folder of its own that is removed when all went well."""
    args = None

    def run(self, result=None):
        self._before = (len(result.failures) + len(result.errors)) if result else 0
        self._result = result
        return super().run(result)

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="fp-contract-")
        self.stack = contextlib.ExitStack()
        self.addCleanup(self._clean)

    def _clean(self):
        self.stack.close()
        failed = self._result and len(self._result.failures) + len(
            self._result.errors) > self._before
        if failed or self.args.keep:
            print(f"kept: {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)


def main(needs=("fieldpost", "fieldpost-city"), extra=lambda parser: None):
    """Runs the tests of __main__: --bin DIR, --seed N, --only NAME…, --but NAME…; `needs` are
    programs."""
    p = argparse.ArgumentParser()
    p.add_argument("--bin", required=True, help="folder with fieldpost and fieldpost-city")
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    p.add_argument("--keep", action="store_true", help="keep the temporary folders")
    p.add_argument("--only", action="append", default=[], help="run tests with this in their name")
    p.add_argument("--but", action="append", default=[], help="leave those with this out")
    extra(p)
    Case.args = a = p.parse_args()
    for name in needs:
        if not os.access(os.path.join(a.bin, name), os.X_OK):
            sys.exit(f"{a.bin}/{name} is missing: build it first")
    print(f"seed {a.seed}", flush=True)
    argv = sys.argv[:1] + ["-v"]
    for k in a.only:
        argv += ["-k", k]


    class Loader(unittest.TestLoader):
        def getTestCaseNames(self, case):
            return [n for n in super().getTestCaseNames(case) if not any(b in n for b in a.but)]
    result = unittest.main(module="__main__", argv=argv, testLoader=Loader(), exit=False).result
    for test, why in result.skipped:
        skipped(test.id().removeprefix("__main__."), why)
    sys.exit(1 if not result.wasSuccessful() else SKIP_CODE if not_tried else 0)
