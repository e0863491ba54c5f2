"""A city of our own over verified TLS: it keeps every request, answers with valid receipts, and
misbehaves when its hook says so. relay() puts it between a gateway and the real city."""
import http.server
import json
import os
import re
import socket
import ssl
import threading
import time

import fp_contract as fp
from fp_cbor import Refused, encode
from fp_proc import Https, make_tls, write

PUT = re.compile(r"^/v1/gateways/([^/]+)/batches/([0-9a-f]{16})/([1-9][0-9]*)$")


class Request:
    """One PUT as it came: raw body, whole COSE bytes, parsed batch (or the reason why not)."""

    def __init__(self, path, headers, raw):
        m = PUT.match(path)
        self.path, self.raw, self.at = path, raw, time.monotonic()
        self.headers = {k.lower(): v for k, v in headers.items()}
        self.gw, self.chain, self.seq = (m[1], bytes.fromhex(m[2]), int(m[3])) if m else (None,) * 3
        self.backfill = self.headers.get("fieldpost-backfill") == "1"
        self.status = None
        encoding = self.headers.get("content-encoding", "identity")
        if encoding == "zstd":
            self.frame = fp.frame(raw)
            raw = fp.decompress(raw)
            if len(raw) != self.frame[0]:
                raise Refused("content size of the zstd frame is wrong")
        elif encoding != "identity":
            raise Refused(f"content encoding {encoding}")
        self.whole, self.hash = raw, fp.sha256(raw)


def problem(status, code, digest):
    body = {"type": "about:blank", "title": code, "status": status, "code": code,
            "sha256": digest.hex()}
    return status, {"Content-Type": "application/problem+json"}, json.dumps(body).encode()


DROP = "drop"  # a hook's answer: close the connection without one


class FakeCity:
    """hook(request) may return None (go on), (status, headers, body), or DROP; `after` is the same
    with the batch already stored. Broken batches are kept in `refused` with the rule they broke."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        make_tls(folder)
        self.folder, self.ca = folder, os.path.join(folder, "ca.pem")
        self.key, self.pub_path = fp.new_key(), os.path.join(folder, "sign.pub")
        write(self.pub_path, fp.public_pem(self.key.public_key()))
        self.device = None  # the device's public key, once it is known
        self.hook = self.after = None
        self.requests, self.batches, self.receipts, self.refused = [], {}, {}, []
        self.lock = threading.RLock()
        self.port, self.server = 0, None

    def start(self):
        city = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 60

            def setup(self):
                self.request = city.context.wrap_socket(self.request, server_side=True)
                super().setup()
                city.connections.add(self.request)

            def finish(self):
                city.connections.discard(self.request)
                try:
                    super().finish()
                except OSError:
                    pass
                self.request.close()

            def answer(self, a):
                if a == DROP:
                    self.close_connection = True
                    return
                status, headers, body = a
                self.send_response(status)
                for k, v in headers.items():
                    if k.lower() not in ("content-length", "date", "connection"):
                        self.send_header(k, v)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self.answer(city.put(self.path, self.headers, raw))

            def do_GET(self):
                self.answer(city.get(self.path))

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request, client_address):
                pass

        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(self.folder, "tls.pem"),
                                     os.path.join(self.folder, "tls.key"))
        self.connections = set()
        self.server = Server(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        server, self.server = self.server, None
        if server:
            server.shutdown()
            server.server_close()
            for c in list(self.connections):
                try:
                    c.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def put(self, path, headers, raw):
        try:
            r = Request(path, headers, raw)
        except (Refused, OSError, ValueError) as e:
            self.refused.append((path, str(e)))
            return problem(400, "bad_cbor", fp.sha256(raw))
        with self.lock:
            self.requests.append(r)
            hook, after = self.hook, self.after
        answer = hook(r) if hook else None
        if answer is None:
            with self.lock:
                answer = self.store(r)
            if after:
                answer = after(r) or answer
        r.status = answer if answer == DROP else answer[0]
        return answer

    def store(self, r):
        try:
            b = fp.Batch(r.whole, self.device)
            if (b.gw, b.chain, b.seq) != (r.gw, r.chain, r.seq):
                raise Refused("header and URL differ")
        except Refused as e:
            self.refused.append((r.path, str(e)))
            return problem(400, "bad_cbor", r.hash)
        held = self.batches.setdefault(b.chain, {})
        if b.seq in held:
            if held[b.seq].hash != b.hash:
                self.refused.append((r.path, "other bytes under a number that is taken"))
                return problem(409, "conflict", r.hash)
            return 200, self.type(), self.receipts[b.hash]
        held[b.seq] = b
        through = 0
        while through + 1 in held:
            through += 1
        through_hash = held[through].hash if through else bytes(32)
        self.receipts[b.hash] = fp.receipt(self.key, b, time.time_ns() // 1_000_000, through,
                                           through_hash)
        return 201, self.type(), self.receipts[b.hash]

    @staticmethod
    def type():
        return {"Content-Type": 'application/cose; cose-type="cose-sign1"'}

    def get(self, path):
        m = re.match(r"^/v1/gateways/([^/?]+)/head\?nonce=([^&]+)$", path)
        if not m:
            return problem(404, "unavailable", bytes(32))
        with self.lock:
            chains = {}
            for chain, held in self.batches.items():
                through = 0
                while through + 1 in held:
                    through += 1
                missing, seq = [], through + 1
                while seq < max(held):
                    if seq not in held:
                        end = min(s for s in held if s > seq) - 1
                        missing.append([seq, end])
                        seq = end
                    seq += 1
                digest = held[through].hash if through else bytes(32)
                chains[chain] = {"through": [through, digest], "missing": missing, "broken": []}
        try:
            nonce = bytes.fromhex(m[2])
        except ValueError:
            nonce = m[2].encode()
        body = {"v": 1, "gw": m[1], "nonce": nonce, "chains": chains}
        protected = encode({1: -7, 3: fp.CT_HEAD, 4: fp.kid_of(self.key.public_key())})
        return 200, self.type(), fp.sign(protected, encode(body), self.key)

    # What tests ask afterwards.

    def held(self):
        """All batches of all chains, in order of chain birth and seq."""
        with self.lock:
            return [b for held in self.batches.values() for _, b in sorted(held.items())]

    def readings(self):
        return [r for b in self.held() for r in b.readings]


def relay(fake, city):
    """A hook that hands every PUT to the real city and its answer back, unchanged."""
    local = threading.local()

    def hook(r):
        if not hasattr(local, "https"):
            local.https = Https(city.port, city.ca)
        keep = {k: v for k, v in r.headers.items()
                if k in ("content-type", "content-encoding", "fieldpost-backfill")}
        answer = local.https.request("PUT", r.path, r.raw, keep)
        with fake.lock:
            if answer[0] in (200, 201):
                b = fp.Batch(r.whole, fake.device)
                fake.batches.setdefault(b.chain, {})[b.seq] = b
            else:
                fake.refused.append((r.path, f"{answer[0]} {answer[2][:300]!r}"))
        return answer
    return hook
