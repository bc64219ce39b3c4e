"""A server with CAs of its own that publish, and the linters: pkilint (from PyPI) and zlint (built with Go)."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
for folder in (HERE, HERE.parent):
    sys.path.insert(0, str(folder))

from linters import Pkilint, Zlint  # noqa: E402  (its folder has to be in the path first)
from pki import Pki  # noqa: E402
from server import free_port, running  # noqa: E402


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    """Everything is made once; the linters only read."""
    folder = tmp_path_factory.mktemp("pki")
    port = free_port()
    config = folder / "certmint.toml"
    # Nobody resolves the name: the tests ask the listener itself.
    config.write_text(f'[publish]\nlisten = "127.0.0.1:{port}"\nbase_url = "http://pki.corp.example"\n')
    data = folder / "data"
    data.mkdir(mode=0o700)
    with running(data, "--config", str(config)) as server:
        yield Pki(server, port, folder)


@pytest.fixture(scope="session", params=[Pkilint, Zlint], ids=lambda linter: linter.__name__.lower())
def linter(request):
    """Skipped where it is not here."""
    if (why := request.param.missing()) is not None:
        pytest.skip(why)
    return request.param()
