"""The CAs, each with its plug-in: what they need, and how they are started and killed."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[3]
PLUGINS = ROOT / "examples" / "plugins"


class Process:
    """A child with its log, waited for until it says or does something."""

    def __init__(self, command, folder, log, ready, cwd=None):
        self.command, self.folder, self.log, self.ready, self.cwd = command, folder, folder / log, ready, cwd
        self.process = None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.cwd or self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + 60
        while not self.ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=2).read()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class Ca:
    needs = ()

    @classmethod
    def missing(cls):
        """Why it cannot run here; None if it can."""
        for command in cls.needs:
            if shutil.which(command) is None:
                return f"{command} is not installed"
        return None

    @classmethod
    def build(cls):
        """Runs the first block of the plug-in's README, as its readers do."""
        home = PLUGINS / cls.folder
        block = re.search(r"```sh\n(.*?)```", (home / "README.md").read_text(), re.DOTALL)[1]
        shell = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(shell, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, f"examples/plugins/{cls.folder} does not build:\n{done.stdout}"

    def __init__(self, home, port):
        self.home, self.port, self.url = home, port, f"http://127.0.0.1:{port}"
        self.process = None

    def run(self, *command, text=None, **environment):
        done = subprocess.run(
            command, cwd=self.home, input=text, capture_output=True, text=True, env={**os.environ, **environment}
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def stop(self):
        self.process.kill()

    def plugin(self, address, folder):
        """Behind a socket."""
        path = pathlib.Path(address.removeprefix("unix:"))
        return self._plugin(address, [address], folder, path.exists)

    def plugin_over_tls(self, port, files, folder):
        """Behind TLS with the files of a CA, a chain and its key."""

        def listens():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        return self._plugin(f"https://localhost:{port}", [f"127.0.0.1:{port}", *files], folder, listens)

    def _plugin(self, address, arguments, folder, ready):
        home = PLUGINS / self.folder
        plugin = Process([*self.program, *map(str, arguments)], folder, "plugin.log", ready, cwd=home)
        plugin.address = address
        return plugin


class Cfssl(Ca):
    name, folder = "cfssl", "cfssl-python"
    needs = ("cfssl", "cfssljson", "python")
    program = ("python", "plugin.py")
    key = "00112233445566778899aabbccddeeff"

    def start(self):
        (self.home / "ca.json").write_text('{"CN": "Example CA", "key": {"algo": "ecdsa", "size": 256}}')
        self.run("cfssljson", "-bare", "ca", text=self.run("cfssl", "gencert", "-initca", "ca.json"))
        profile = {"expiry": "2160h", "usages": ["digital signature", "server auth"]}
        signing = {"default": profile, "profiles": {"locked": {**profile, "auth_key": "main"}}}
        keys = {"main": {"type": "standard", "key": self.key}}
        (self.home / "config.json").write_text(json.dumps({"signing": signing, "auth_keys": keys}))
        (self.home / "secret").write_text(self.key)
        (self.home / "wrong").write_text("ff" * 16)
        serve = ["cfssl", "serve", "-address", "127.0.0.1", "-port", str(self.port)]
        files = ["-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json"]
        self.process = Process([*serve, *files], self.home, "ca.log", lambda: answers(self.url))
        self.process.start()
        self.root = self.home / "ca.pem"

    def options(self, secret="secret"):
        key = f"auth_key={self.home / secret}"
        return ["--option", f"url={self.url}", "--option", "profile=locked", "--secret-option", key]

    wrong_credential = "invalid token"


class OpenBao(Ca):
    name, folder = "openbao", "openbao-go"
    needs = ("bao", "go", "buf")
    program = ("./certmint-openbao",)
    token = "root-token-of-the-tests"

    def start(self):
        serve = ["bao", "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={self.token}"]
        serve.append(f"-dev-listen-address=127.0.0.1:{self.port}")
        self.process = Process(serve, self.home, "ca.log", lambda: answers(f"{self.url}/v1/sys/health"))
        self.process.start()
        self.bao("secrets", "enable", "-max-lease-ttl=87600h", "pki")
        root = self.bao(
            "write", "-field=certificate", "pki/root/generate/internal", "common_name=Example CA", "ttl=87600h"
        )
        self.bao("write", "pki/roles/web", "allow_any_name=true", "key_type=any", "max_ttl=2160h")
        self.root = self.home / "ca.pem"
        self.root.write_text(root)
        (self.home / "secret").write_text(self.token)
        (self.home / "wrong").write_text("another-token-of-the-tests")

    def bao(self, *arguments):
        return self.run("bao", *arguments, BAO_ADDR=self.url, BAO_TOKEN=self.token)

    def options(self, secret="secret"):
        token = f"token={self.home / secret}"
        return ["--option", f"url={self.url}", "--option", "role=web", "--secret-option", token]

    wrong_credential = "permission denied"
