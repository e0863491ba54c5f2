#!/usr/bin/python3
"""The memory of libcurl over TLS, libmicrohttpd and SQLite alone: the floor under line.rss_mib."""
import argparse
import http.server
import pathlib
import ssl
import subprocess
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
LIBRARIES = ['libcurl', 'libssh2', 'libmicrohttpd', 'sqlite3']


def serve(cert, key):
    """An HTTPS server on a free port of loopback."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    server = http.server.HTTPServer(('127.0.0.1', 0), http.server.SimpleHTTPRequestHandler)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.RequestHandlerClass.log_message = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    p = argparse.ArgumentParser()
    p.add_argument('--bin', type=pathlib.Path, help='not used: this program is compiled anew')
    p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        flags = subprocess.run(['pkg-config', '--cflags', '--libs', *LIBRARIES], check=True,
                               capture_output=True, text=True).stdout.split()
        subprocess.run(['cc', '-O2', '-Wl,--as-needed', '-o', work / 'floor', HERE / 'floor.c', *flags],
                       check=True)
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=floor',
                        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', work / 'key.pem',
                        '-out', work / 'cert.pem'], check=True, capture_output=True)
        port = serve(work / 'cert.pem', work / 'key.pem')
        kib = subprocess.run([work / 'floor', f'https://127.0.0.1:{port}/', work / 'cert.pem',
                              work / 'floor.db'], check=True, capture_output=True, text=True,
                             timeout=30).stdout
    print(f'floor.rss_mib {int(kib) / 1024:.1f} MiB')


if __name__ == '__main__':
    main()
