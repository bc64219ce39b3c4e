"""A server that takes the tokens of a real issuer, and the issuer."""

import base64
import json
import pathlib
import select
import ssl
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from guarded import Guarded, self_signed  # noqa: E402  (its folder has to be in the path first)
from server import free_port  # noqa: E402

AUDIENCE = "https://certmint.example"


class Issuer:
    """oidc-provider in a process of its own; each start has other keys."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.url = f"https://localhost:{self.port}"
        key, certificate = self_signed("localhost")
        (folder / "issuer-key.pem").write_bytes(key)
        (folder / "issuer.pem").write_bytes(certificate)

    def start(self, alg="ES256"):
        files = [str(self.folder / "issuer-key.pem"), str(self.folder / "issuer.pem")]
        command = ["node", "provider.js", str(self.port), *files, alg, AUDIENCE, "api://AzureADTokenExchange"]
        with open(self.folder / "issuer.log", "ab") as log:
            self.process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=log, text=True)
        # Its first line says that the port is open.
        told, _, _ = select.select([self.process.stdout], [], [], 120)
        assert told and self.process.stdout.readline() == "ready\n", (self.folder / "issuer.log").read_text()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=60)

    def token(self, client="shop", resource=AUDIENCE):
        pair = f"{client}:{urllib.parse.quote_plus(f'the secret of {client}')}"
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "resource": resource})
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
        request = urllib.request.Request(f"{self.url}/token", data=form.encode(), headers=headers)
        context = ssl.create_default_context(cafile=self.folder / "issuer.pem")
        with urllib.request.urlopen(request, context=context, timeout=60) as answer:
            return json.load(answer)["access_token"]

    def entry(self, more=""):
        return f"""
            [[auth.jwt]]
            name = "oidc"
            issuers = ["{self.url}"]
            audiences = ["{AUDIENCE}"]
            groups = ["roles"]
            ca_file = "{self.folder}/issuer.pem"
            access_tokens_only = true
            {more}
        """


@pytest.fixture
def issuer(tmp_path):
    issuer = Issuer(tmp_path)
    yield issuer
    issuer.stop()


@pytest.fixture
def guarded(tmp_path, issuer):
    """Makes the server, once the issuer runs."""
    running = []

    def make(more=""):
        grants = """
            [[grant]]
            principal = "jwt:oidc:shop"
            role = "Key Vault Certificates Officer"
            vault = "default"
            names = ["shop-*"]

            [[grant]]
            principal = "group:oidc:shop-team"
            role = "Key Vault Certificate User"
            vault = "default"
            names = ["shop-*"]
        """
        server = Guarded(tmp_path, more=issuer.entry() + more, base_domain="kv.test", access='file = "access.toml"')
        server.file("access.toml", grants.encode())
        server.start()
        running.append(server)
        return server

    yield make
    for server in running:
        server.stop()
