"""Real CAs, the plug-ins of examples/plugins in front of them, and a server that uses both."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    sys.path.insert(0, str(folder))

from cas import Cfssl, OpenBao  # noqa: E402  (its folder has to be in the path first)
from server import Server, free_port  # noqa: E402


@pytest.fixture(scope="session", params=[Cfssl, OpenBao], ids=lambda ca: ca.name)
def ca(request, tmp_path_factory):
    """Skipped where the CA, or what its plug-in is built with, is not here."""
    kind = request.param
    if (why := kind.missing()) is not None:
        pytest.skip(why)
    ca = kind(tmp_path_factory.mktemp(kind.name), free_port())
    kind.build()
    ca.start()
    try:
        yield ca
    finally:
        ca.stop()


@pytest.fixture
def plugin(ca, tmp_path):
    plugin = ca.plugin(f"unix:{tmp_path}/plugin.sock", tmp_path)
    plugin.start()
    try:
        yield plugin
    finally:
        plugin.kill()


@pytest.fixture
def server(plugin, tmp_path):
    config = tmp_path / "certmint.toml"
    config.write_text(f"[[plugins]]\nname = 'Plugged'\naddress = '{plugin.address}'\n")
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    server = Server(data, "--config", str(config))
    server.start()
    try:
        yield server
    finally:
        server.stop()
