#!/usr/bin/env python3
"""Memory of a server at its start, at peaks, and a while after them.

    scripts/memory.py target/release/certmint            # with the allocator that is built in
    LD_PRELOAD=libmimalloc.so.2 scripts/memory.py ...     # with another one, for C and Rust alike

Peaks: 10,000 watch streams; 2,000 idle TLS connections; 100 connections with 1,020 streams of reflection and no window; lists that a caller
with a token does not read; 10,000 watch streams whose snapshot nobody reads. Between them creates of P-256 by 16
callers: rate and processor time.
"""

import hashlib
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOKEN = "memory"
WAIT = int(os.environ.get("MEMORY_WAIT", "30"))


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def text(value):
    value = value.encode()
    assert len(value) < 127
    return bytes([len(value)]) + value


def head(method, path, grpc, token):
    block = {"GET": b"\x82", "POST": b"\x83"}[method] + b"\x87" + b"\x04" + text(path) + b"\x01" + text("localhost")
    if grpc:
        block += b"\x0f\x10" + text("application/grpc") + b"\x00" + text("te") + text("trailers")
    elif method == "POST":
        block += b"\x0f\x10" + text("application/json")
    if token:
        block += b"\x0f\x08" + text("Bearer " + token)
    return block


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE
CONTEXT.set_alpn_protocols(["h2"])


class Connection:
    def __init__(self, port, window=None):
        self.tls = CONTEXT.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        self.stream = 1
        settings = b"" if window is None else struct.pack(">HI", 4, window)
        self.tls.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, settings))
        if window is None:
            self.tls.sendall(frame(8, 0, 0, struct.pack(">I", 1 << 30)))

    def ask(self, method, path, body=None, grpc=False, token=TOKEN, end=True):
        data = frame(1, 4 if body is not None else 5, self.stream, head(method, path, grpc, token))
        if body is not None:
            data += frame(0, 1 if end else 0, self.stream, body)
        self.tls.sendall(data)
        self.stream += 2

    def answer(self):
        """Reads until a stream ends; acknowledges what must be."""
        while True:
            header = self.exactly(9)
            length, kind, flags = int.from_bytes(header[:3], "big"), header[3], header[4]
            payload = self.exactly(length)
            if kind == 4 and not flags & 1:
                self.tls.sendall(frame(4, 1, 0))
            if kind in (0, 1) and flags & 1 or kind == 3:
                return payload

    def exactly(self, length):
        data = b""
        while len(data) < length:
            more = self.tls.recv(length - len(data))
            if not more:
                raise EOFError
            data += more
        return data


class Server:
    def __init__(self, program):
        self.folder = tempfile.TemporaryDirectory()
        at = self.folder.name
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9"]
            + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
            + ["-keyout", f"{at}/tls.key", "-out", f"{at}/tls.crt"],
            check=True, capture_output=True)
        with open(f"{at}/tokens", "w") as tokens:
            tokens.write(f"memory {hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
        os.chmod(f"{at}/tokens", 0o600)
        os.chmod(f"{at}/tls.key", 0o600)
        with open(f"{at}/c.toml", "w") as config:
            config.write(
                f"data_dir = '{at}/data'\nlisten = '127.0.0.1:0'\n[admin]\nlisten = 'off'\n[log]\nfilter = 'warn'\n"
                f"[tls]\ncertificate = '{at}/tls.crt'\nkey = '{at}/tls.key'\n"
                f"[auth]\ntokens_file = '{at}/tokens'\nopen_reflection = true\n"
                f"[access]\nadministrators = ['token:memory']\n[keys]\nready_rsa_2048 = 0\n"
                "[limits]\nwatch_streams_per_connection = 600\nwatch_streams_per_principal = 20000\n")
        self.process = subprocess.Popen([program, "serve", "--config", f"{at}/c.toml"], stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        self.port = int(line.split("listens on ")[1].split(" for")[0].rsplit(":", 1)[1])

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            lines = dict(line.split(":", 1) for line in status)
        return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))

    def processor(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def say(self, what):
        resident, own = self.memory()
        print(f"{what:44} {resident:8.1f} MB resident, {own:8.1f} MB its own", flush=True)


def together(count, work):
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def peak(server, what, make):
    kept = make()
    time.sleep(2)
    server.say(f"{what}: open")
    for one in kept:
        try:
            one.tls.close()
        except OSError:
            pass
    for waited in (5, WAIT):
        time.sleep(waited if waited == 5 else waited - 5)
        server.say(f"{what}: {waited} s after the end")


def idle(server):
    kept = []

    def some(_):
        for _ in range(250):
            try:
                kept.append(Connection(server.port))
            except OSError:
                pass
    together(8, some)
    return kept


def strangers(server):
    kept = []
    symbol = b"certmint.v1.CertificateService"
    message = b"\0\0\0\0" + bytes([len(symbol) + 2, 0x22, len(symbol)]) + symbol
    path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
    for _ in range(100):
        one = Connection(server.port, window=0)
        try:
            for _ in range(1020):
                one.ask("POST", path, message, grpc=True, token=None, end=False)
        except OSError:
            pass
        kept.append(one)
    return kept


def unread(server):
    kept = []
    for _ in range(40):
        one = Connection(server.port, window=0)
        for _ in range(250):
            one.ask("GET", "/certificates?api-version=7.4&maxresults=25")
        kept.append(one)
    return kept


def watch(server):
    kept = []
    for _ in range(20):
        one = Connection(server.port)
        for _ in range(500):
            one.ask("POST", "/certmint.v1.CertificateService/WatchPending", b"\0" * 5, grpc=True)
        kept.append(one)
    return kept


def creates(server, each=200):
    body = b'{"policy":{"key_props":{"kty":"EC","crv":"P-256"},"x509_props":{"subject":"CN=a"},"issuer":{"name":"Unknown"}}}'

    def some(caller):
        one = Connection(server.port)
        for number in range(each):
            one.ask("POST", f"/certificates/c{caller}-{number}/create?api-version=7.4", body)
            one.answer()
    began, before = time.monotonic(), server.processor()
    together(16, some)
    took, used = time.monotonic() - began, server.processor() - before
    count = 16 * each
    print(f"{count} creates: {count / took:.0f}/s, {used / count * 1e6:.0f} us of processor each", flush=True)


def main():
    server = Server(sys.argv[1])
    try:
        time.sleep(2)
        server.say("at the start")
        peak(server, "10,000 watch streams, nothing to tell", lambda: watch(server))
        creates(server)
        server.say("after the creates")
        peak(server, "2,000 idle connections", lambda: idle(server))
        peak(server, "100 x 1,020 streams of strangers", lambda: strangers(server))
        peak(server, "10,000 lists that nobody reads", lambda: unread(server))
        peak(server, "10,000 watch streams that nobody reads", lambda: watch(server))
    finally:
        server.process.terminate()
        server.process.wait()


main()
