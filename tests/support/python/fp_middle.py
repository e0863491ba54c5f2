"""Whoever stands between a gateway and the real city: ends the gateway's TLS with a certificate of the
test's choice, hands requests on and answers back, and spoils either as the fault of the moment wants."""
import datetime
import ipaddress
import os
import re
import socket
import ssl
import struct
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

import fp_contract as fp
from fp_proc import Https, write

RESET = "reset"  # an answer: the connection is torn down without one
DAY = datetime.timedelta(days=1)


class Fault:
    """What goes wrong. connect(raw) takes the connection before TLS; body: so much of a PUT's body is
    read, then a reset; answer(request) answers in the city's place, spoil(request, answer) spoils the
    city's answer (status, headers, body): both give such an answer, bytes, or RESET. drip: seconds
    a byte of the answer. cert: the name of the certificate that is shown."""

    def __init__(self, connect=None, body=None, answer=None, spoil=None, drip=0, cert="good",
                 only="PUT"):
        self.connect, self.body, self.answer, self.spoil = connect, body, answer, spoil
        self.drip, self.cert, self.only, self.met = drip, cert, only, 0


class Request:
    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers, self.body = method, path, headers, body


def reset(raw):
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def encode(answer):
    if isinstance(answer, bytes):
        return answer
    status, headers, body = answer
    lines = [f"HTTP/1.1 {status} X"] + [f"{k}: {v}" for k, v in headers.items() if k.lower() not in (
        "content-length", "connection", "date", "transfer-encoding")]
    return ("\r\n".join(lines + [f"Content-Length: {len(body)}", "", ""])).encode() + body


class Middle:
    """fault None: all passes. `seen` keeps the city's good answers by path."""

    def __init__(self, city, folder, speed=1):
        os.makedirs(folder, exist_ok=True)
        self.city, self.folder, self.speed, self.fault, self.seen = city, folder, speed, None, {}
        self.contexts, self.live = {}, set()
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.certificate("good", now - DAY, now + 30 * DAY)
        self.certificate("expired", now - 30 * DAY, now - 10 * DAY)
        self.certificate("early", now + 300 * DAY, now + 400 * DAY)
        self.certificate("name", now - DAY, now + 30 * DAY, name="other.example")
        self.certificate("unknown", now - DAY, now + 30 * DAY, known=False)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.ending = False
        threading.Thread(target=self.accept, daemon=True).start()

    def certificate(self, which, start, end, name=None, known=True):
        with open(os.path.join(self.city.folder, "ca.key"), "rb") as f:
            ca_key = load_pem_private_key(f.read(), None) if known else fp.new_key()
        with open(self.city.ca, "rb") as f:
            ca = x509.load_pem_x509_certificate(f.read())
        key = fp.new_key()
        names = [x509.DNSName(name)] if name else [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        cert = (x509.CertificateBuilder().issuer_name(ca.subject).serial_number(
            x509.random_serial_number()).subject_name(x509.Name([x509.NameAttribute(
                NameOID.COMMON_NAME, name or "127.0.0.1")])).public_key(key.public_key())
            .not_valid_before(start).not_valid_after(end)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            # which of several CAs of one name it is
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(
                ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value),
                critical=False)
            .sign(ca_key, hashes.SHA256()))
        path = write(os.path.join(self.folder, which + ".pem"),
                     cert.public_bytes(Encoding.PEM) + fp.private_pem(key), 0o600)
        context = self.contexts[which] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)

    def spoil(self, fault):
        """From here on; a connection that is kept would not meet what happens at its beginning."""
        self.fault = fault
        for raw in list(self.live):
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def accept(self):
        while not self.ending:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(raw,), daemon=True).start()

    def serve(self, raw):
        try:
            fault = self.fault
            if fault and fault.connect:
                fault.met += 1
                fault.connect(raw)
                return
            if fault and fault.cert != "good":
                fault.met += 1
            raw.settimeout(30)
            with self.contexts[fault.cert if fault else "good"].wrap_socket(
                    raw, server_side=True) as tls:
                self.live.add(tls)
                try:
                    while self.one(tls):
                        pass
                finally:
                    self.live.discard(tls)
        except (OSError, ssl.SSLError, ValueError):
            pass
        finally:
            raw.close()

    def one(self, tls):
        """One request; whether the connection goes on."""
        head = b""
        while b"\r\n\r\n" not in head:
            part = tls.recv(65536)
            if not part:
                return False
            head += part
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = dict(x.split(": ", 1) for x in lines[1:])
        n = int(headers.get("Content-Length", "0"))
        fault = self.fault
        if fault and fault.only and fault.only != method:
            fault = None
        want = n if not fault or fault.body is None else int(n * fault.body)
        while len(body) < want:
            body += tls.recv(65536)
        if fault:
            fault.met += 1
        if fault and fault.body is not None:
            reset(tls)
            return False
        request = Request(method, path, headers, body)
        answer = fault.answer(request) if fault and fault.answer else None
        if answer is None:
            answer = self.hand_on(request)
            if fault and fault.spoil:
                answer = fault.spoil(request, answer)
        if answer == RESET:
            reset(tls)
            return False
        self.write(tls, encode(answer), fault)
        return not isinstance(answer, bytes)

    def hand_on(self, request):
        https = Https(self.city.port, self.city.ca)
        keep = {k: v for k, v in request.headers.items()
                if k.lower() in ("content-type", "content-encoding", "fieldpost-backfill")}
        try:
            answer = https.request(request.method, request.path, request.body or None, keep)
        finally:
            https.close()
        if answer[0] in (200, 201):
            self.seen[re.sub(r"nonce=.*", "", request.path)] = answer
        return answer

    def write(self, tls, data, fault):
        if not fault or not fault.drip:
            tls.sendall(data)
            return
        for i in range(len(data)):
            tls.sendall(data[i:i + 1])
            time.sleep(fault.drip / self.speed)
            if self.fault is not fault:
                return

    def close(self):
        self.ending = True
        self.listener.close()
