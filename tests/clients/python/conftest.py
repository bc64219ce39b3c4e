"""Starts the built server for the tests of one run, and stops it by its process id."""

import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Server:
    """A development server on a free port, with its data in a folder of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.ca = str(folder / "ca.pem")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self.process = None

    def start(self):
        binary = os.environ.get("CERTMINT_BINARY", str(ROOT / "target/debug/certmint"))
        log = open(self.folder / "server.log", "ab")
        command = [binary, "serve", "--dev", "--data-dir", str(self.folder), "--listen", f"127.0.0.1:{self.port}"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            assert self.process.poll() is None, (self.folder / "server.log").read_text()
            try:
                context = ssl.create_default_context(cafile=self.ca)
                with socket.create_connection(("127.0.0.1", self.port), 1) as plain:
                    with context.wrap_socket(plain, server_hostname="localhost"):
                        return
            except (OSError, ssl.SSLError):
                time.sleep(0.05)
        raise AssertionError("the server did not answer in time")

    def kill(self):
        """As when the power goes."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=40) == 0, (self.folder / "server.log").read_text()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("certmint"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def stubs(tmp_path_factory):
    """The client code of the contract, generated from its proto files."""
    import grpc_tools
    from grpc_tools import protoc

    well_known = pathlib.Path(grpc_tools.__file__).parent / "_proto"
    out = tmp_path_factory.mktemp("stubs")
    protos = sorted(str(path) for path in (ROOT / "proto/certmint/v1").glob("*.proto"))
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}", *protos]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, str(out))
    return out
