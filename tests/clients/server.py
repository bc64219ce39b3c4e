"""A development server for tests of clients, started from the built binary and stopped by its process id.

As a program it gives one to a command in any language, and ends with the command's exit code:

    python3 tests/clients/server.py COMMAND [ARGUMENT...]

The command finds CERTMINT_URL, CERTMINT_CA (the file with the root to trust), CERTMINT_PORT and
CERTMINT_DATA (the data folder) in its environment. CERTMINT_BINARY names the binary.
"""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("CERTMINT_BINARY", str(ROOT / "target/debug/certmint"))


PORTS = itertools.count(os.getpid() * 97)


def free_port():
    """Below those that the system gives to outgoing connections: it stays free until its server starts, and while it
    is dead."""
    for number in itertools.islice(PORTS, 12_000):
        port = 20_000 + number % 12_000
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no port from 20000 to 31999 is free")


class Server:
    """A development server on a free port, with its data in a folder of its own."""

    def __init__(self, folder, *arguments):
        self.folder = pathlib.Path(folder)
        self.arguments = arguments
        self.ca = str(self.folder / "ca.pem")
        self.port = free_port()
        self.url = f"https://localhost:{self.port}"
        self.process = None

    def command(self):
        return [BINARY, "serve", "--dev", "--data-dir", str(self.folder), "--listen", f"127.0.0.1:{self.port}"]

    def start(self):
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen([*self.command(), *self.arguments], stdout=log, stderr=log)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log()
            try:
                context = ssl.create_default_context(cafile=self.ca)
                with socket.create_connection(("127.0.0.1", self.port), 1) as plain:
                    with context.wrap_socket(plain, server_hostname="localhost"):
                        return
            except (OSError, ssl.SSLError):
                time.sleep(0.05)
        self.kill()
        raise AssertionError("the server did not answer in time")

    def log(self):
        return (self.folder / "server.log").read_text()

    def environment(self):
        """What a client program needs to find the server, beside the present environment."""
        here = {"CERTMINT_URL": self.url, "CERTMINT_CA": self.ca}
        return {**os.environ, **here, "CERTMINT_PORT": str(self.port), "CERTMINT_DATA": str(self.folder)}

    def certmint(self, *arguments):
        """A command of the command line, however it ends."""
        environment = {**self.environment(), "CERTMINT_SERVER": self.url, "CERTMINT_TOKEN": "dev"}
        return subprocess.run([BINARY, *arguments], env=environment, capture_output=True, text=True, timeout=120)

    def done(self, *arguments):
        """What a command that has to succeed prints."""
        ended = self.certmint(*arguments)
        assert ended.returncode == 0, f"{arguments}: {ended.stdout}{ended.stderr}\n{self.log()}"
        return ended.stdout

    def kill(self):
        """As when the power goes."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=120) == 0, self.log()


@contextlib.contextmanager
def running(folder, *arguments):
    server = Server(folder, *arguments)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def main():
    with tempfile.TemporaryDirectory(prefix="certmint-") as folder, running(folder) as server:
        return subprocess.run(sys.argv[1:], env=server.environment()).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
