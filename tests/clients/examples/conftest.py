"""Builds the programs once, and plays one story with all of them at the same time."""

import pathlib
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

HERE = pathlib.Path(__file__).resolve().parent
for folder in (HERE, HERE.parent, HERE.parent / "python"):
    sys.path.insert(0, str(folder))

from guarded import Guarded  # noqa: E402  (its folder has to be in the path first)
from programs import PROGRAMS  # noqa: E402
from server import running  # noqa: E402
from story import Story  # noqa: E402


@pytest.fixture(params=PROGRAMS, ids=str)
def program(request, built):
    """Each one in turn; skipped where it cannot run here."""
    if (why := request.param.missing()) is not None:
        pytest.skip(why)
    if (broken := built[request.param]) is not None:
        raise broken
    return request.param


@pytest.fixture(scope="session")
def built():
    """What went wrong in the build of each program that can run here; None if nothing."""

    def build(program):
        return program.build() if program.missing() is None else None

    with ThreadPoolExecutor(2) as pool:
        builds = {program: pool.submit(build, program) for program in PROGRAMS}
    return {program: build.exception() for program, build in builds.items()}


@pytest.fixture(scope="session")
def story(built, tmp_path_factory):
    programs = [program for program in PROGRAMS if program.missing() is None and built[program] is None]
    with running(tmp_path_factory.mktemp("story")) as server:
        story = Story(server, programs, tmp_path_factory.mktemp("said"))
        try:
            story.play()
        finally:
            story.end()
        yield story


@pytest.fixture(scope="session")
def guarded(tmp_path_factory):
    server = Guarded(tmp_path_factory.mktemp("guarded"))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def scripted(built, tmp_path):
    from scripted import Scripted  # it needs what is built

    server = Scripted(tmp_path)
    server.grpc.start()
    yield server
    server.grpc.stop(None).wait()
