"""A server that is Azure's vaults for the programs of others: `NAME.vault.azure.net` on port 443 (see apart.sh)."""

import contextlib
import hashlib
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from guarded import Guarded  # noqa: E402  (its folder has to be in the path first)

PROGRAMS = pathlib.Path(os.environ["PROGRAMS"])
# As docs/clients.md names them.
ROLES = {"sops": "Key Vault Crypto User", "cosign": "Key Vault Crypto User", "relic": "Signs code", "vals": "Key Vault Secrets User"}
RELIC_SIGNS = b"""
[[role]]
name = "Signs code"
actions = [
    "Microsoft.KeyVault/vaults/certificates/read",
    "Microsoft.KeyVault/vaults/keys/read",
    "Microsoft.KeyVault/vaults/keys/sign/action",
]
"""


class Azure(Guarded):
    """Two vaults; a program finds its token and the root to trust in its environment, and has nothing else."""

    host = "default.vault.azure.net"

    def __init__(self, folder):
        names = {"base_domain": "vault.azure.net", "port": 443, "access": 'file = "access.toml"'}
        super().__init__(folder, more="[vaults.named.team-a]", **names)
        self.url = f"https://{self.host}"
        self.token = self.tokens["good"]
        # Each program has the least that it needs, and a token of its own.
        for name, role in ROLES.items():
            line = f"{name} {hashlib.sha256(name.encode()).hexdigest()}\n"
            self.file("tokens", (self.folder / "tokens").read_bytes() + line.encode())
            grant = f'[[grant]]\nprincipal = "token:{name}"\nrole = "{role}"\nvault = "default"\n'
            grants = self.folder / "access.toml"
            self.file("access.toml", (grants.read_bytes() if grants.exists() else RELIC_SIGNS) + grant.encode())

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}?api-version=7.4", data, headers, method=method)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.ca), timeout=60) as answer:
            return json.load(answer)

    def certificate(self, name, key, usages, content_type="application/x-pkcs12", **x509):
        """Creates a certificate that signs itself, and answers it once it is there."""
        policy = {
            "key_props": {"exportable": False, **key},
            "secret_props": {"contentType": content_type},
            "x509_props": {"subject": f"CN={name}", "key_usage": usages, **x509},
            "issuer": {"name": "Self"},
        }
        self.call("POST", f"/certificates/{name}/create", {"policy": policy})
        deadline = time.monotonic() + 60
        while (pending := self.call("GET", f"/certificates/{name}/pending"))["status"] == "inProgress":
            assert time.monotonic() < deadline, pending
            time.sleep(0.05)
        assert pending["status"] == "completed", pending
        return self.call("GET", f"/certificates/{name}")


class Program:
    def __init__(self, path, azure, folder):
        self.path, self.azure, self.folder = path, azure, folder

    def environment(self, **variables):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AZURE_", "IDENTITY_", "MSI_"))}
        managed = {"IDENTITY_ENDPOINT": f"{self.azure.url}/identity/token", "IDENTITY_HEADER": self.path.name}
        return {**kept, **managed, "HOME": str(self.folder), "SSL_CERT_FILE": self.azure.ca, **variables}

    def run(self, arguments, variables):
        command, environment = [self.path, *arguments], self.environment(**variables)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.run(command, cwd=self.folder, env=environment, text=True, timeout=120, **pipes)

    def __call__(self, *arguments, **variables):
        """What the program printed."""
        run = self.run(arguments, variables)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    def refused(self, *arguments, **variables):
        """What it printed when it failed, as it has to."""
        run = self.run(arguments, variables)
        assert run.returncode != 0, run.stdout + run.stderr
        return run.stdout + run.stderr

    @contextlib.contextmanager
    def started(self, *arguments):
        """Its process, for as long as it is looked at; it writes to the file `told`."""
        with open(self.folder / "told", "wb") as told:
            command = [self.path, *arguments]
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment(), stdout=told, stderr=told)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def azure(tmp_path_factory):
    server = Azure(tmp_path_factory.mktemp("azure"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def program(azure, tmp_path):
    """The program of that name, with a home of its own; the test is skipped where it could not be built."""

    def find(name):
        path = PROGRAMS / name
        if not path.exists():
            pytest.skip(f"{name} is not in {PROGRAMS}")
        return Program(path, azure, tmp_path)

    return find
