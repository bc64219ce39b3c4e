"""One server for the tests of a run."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/clients"))

from server import running  # noqa: E402  (its folder has to be in the path first)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("certmint")) as server:
        yield server


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
