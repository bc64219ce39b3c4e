"""A server, a loopback cloud and a signed-in `az` for the tests of a run."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/clients"))
sys.path.insert(0, str(ROOT / "tests/clients/python"))

import cloud  # noqa: E402  (the folders have to be in the path first)
from server import running  # noqa: E402


class Refused(Exception):
    """`az` ended with an error; what it printed is the text."""


class Az:
    """The command `az`, with a home, a configuration and a way to the network of its own."""

    def __init__(self, folder, server, place):
        bundle = folder / "ca.pem"
        bundle.write_bytes(pathlib.Path(server.ca).read_bytes() + place.certificate.read_bytes())
        self.folder = folder
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AZURE_CONFIG_DIR": str(folder / "azure"),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_DISABLE_PROGRESS_BAR": "yes",
            "AZURE_CORE_NO_COLOR": "yes",
            "AZURE_CORE_OUTPUT": "json",
            "AZURE_CORE_SURVEY_MESSAGE": "no",
            "AZURE_AUTO-UPGRADE_ENABLE": "no",
            "AZURE_LOGGING_ENABLE_LOG_FILE": "no",
            "REQUESTS_CA_BUNDLE": str(bundle),
            "IDENTITY_ENDPOINT": place.identity_url,
            "IDENTITY_HEADER": cloud.HEADER,
            # Nothing leaves this machine: what is not on loopback goes to a proxy that is not there.
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "HTTP_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "localhost,127.0.0.1",
        }

    def run(self, *arguments):
        """Standard output of one command."""
        program = [str(pathlib.Path(sys.executable).with_name("az")), *map(str, arguments)]
        done = subprocess.run(
            program, env=self.environment, cwd=self.folder, capture_output=True, text=True, timeout=120
        )
        if done.returncode != 0:
            raise Refused(f"az {' '.join(map(str, arguments))}: {done.stderr}")
        return done.stdout

    def vault(self, *arguments):
        """What `az keyvault ARGUMENTS` answers for the vault of the server; nothing where it prints nothing."""
        printed = self.run("keyvault", *arguments, "--vault-name", "localhost")
        return json.loads(printed) if printed.strip() else None

    def certificate(self, *arguments):
        return self.vault("certificate", *arguments)

    def together(self, *commands):
        """The answers of commands that do not need one another, in their order; each takes a second to start."""
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda command: self.vault(*command), commands))


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("certmint")) as server:
        yield server


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    with cloud.running(tmp_path_factory.mktemp("cloud")) as place:
        yield place


@pytest.fixture(scope="session")
def az(tmp_path_factory, server, place):
    az = Az(tmp_path_factory.mktemp("az"), server, place)
    endpoints = ["--endpoint-resource-manager", place.manager_url, "--endpoint-active-directory", place.manager_url]
    more = ["--endpoint-active-directory-resource-id", place.manager_url]
    graph = ["--endpoint-active-directory-graph-resource-id", place.manager_url]
    graph += ["--endpoint-microsoft-graph-resource-id", place.manager_url]
    suffix = ["--suffix-keyvault-dns", f":{server.port}"]
    az.run("cloud", "register", "-n", "loopback", "--skip-endpoint-discovery", *endpoints, *more, *graph, *suffix)
    az.run("cloud", "set", "-n", "loopback")
    az.run("login", "--identity")
    return az
