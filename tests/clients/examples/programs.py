"""The programs of examples/: what they need, how they are built, and how they are run."""

import functools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Program:
    name: str
    folder: str
    command: tuple[str, ...]
    needs: dict[str, tuple[int, ...]] = field(default_factory=dict, hash=False)
    """Commands and their least versions; () for any."""
    builds: bool = True
    watches: bool = True
    """Whether it can watch many certificates: the stream of the REST face is that of one."""

    def __str__(self):
        return self.name

    @property
    def home(self):
        return ROOT / "examples" / self.folder

    @functools.cache
    def missing(self):
        """Why it cannot run here; None if it can."""
        for command, least in self.needs.items():
            if shutil.which(command) is None:
                return f"{command} is not installed"
            if least and (found := version(command)) < least:
                return f"{command} is {dotted(found)}, and {dotted(least)} is needed"
        return None

    def build(self):
        """Runs the first block of its README, as its readers do."""
        if self.builds:
            block = re.search(r"```sh\n(.*?)```", (self.home / "README.md").read_text(), re.DOTALL)[1]
            shell = ["bash", "-euo", "pipefail", "-c", block]
            done = subprocess.run(shell, cwd=self.home, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, f"examples/{self.folder} does not build:\n{done.stdout}"


PROGRAMS = [
    Program("python", "python", ("python", "main.py"), {"python": (3, 11)}),
    Program("connect", "typescript-connect", ("node", "dist/main.js"), {"node": (20,), "npm": ()}),
    Program("grpc-js", "typescript-grpc-js", ("node", "dist/main.js"), {"node": (20,), "npm": ()}),
    Program("go", "go", ("./certmint-example",), {"go": (1, 26), "buf": ()}),
    Program(
        "java",
        "java",
        ("java", "-cp", "target/certmint-example-1.jar:target/lib/*", "io.certmint.example.Main"),
        {"mvn": (), "java": (17,), "javac": (17,)},
    ),
    Program("rust", "rust", ("target/debug/certmint-example",), {"cargo": (1, 95)}),
    Program("grpcurl", "shell", ("./grpcurl.sh",), {"grpcurl": (), "jq": ()}, builds=False),
    Program("curl", "shell", ("./curl.sh",), {"curl": (), "jq": ()}, builds=False, watches=False),
]


def version(command):
    arguments = {"go": ["version"], "java": ["-version"], "javac": ["-version"]}.get(command, ["--version"])
    said = subprocess.run([command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    return tuple(int(part) for part in re.search(r"\d+(\.\d+)*", said)[0].split("."))


def dotted(numbers):
    return ".".join(map(str, numbers))


class Run:
    """One running program, what it says kept line by line."""

    def __init__(self, program, folder, server, *arguments, token="dev"):
        self.name = f"{program} {' '.join(arguments)}"
        path = folder / f"{program}-{'-'.join(arguments)}"
        self.out, self.err = path.with_suffix(".out"), path.with_suffix(".err")
        # With the scheme, as the command line has it, and without.
        address = server.url if arguments[0] == "show" else f"localhost:{server.port}"
        environment = {**server.environment(), "CERTMINT_SERVER": address, "CERTMINT_TOKEN": token}
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            command = [*program.command, *arguments]
            # In a group of its own: a shell has children.
            self.process = subprocess.Popen(
                command, cwd=program.home, env=environment, stdout=out, stderr=err, start_new_session=True
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def lines(self):
        """Whole lines only."""
        return self.out.read_text().split("\n")[:-1]

    def notes(self):
        return self.err.read_text()

    def wait(self):
        """Its exit code."""
        return self.process.wait(timeout=90)

    def until(self, happened, what):
        deadline = time.monotonic() + 90
        while not happened(self):
            assert self.process.poll() is None, f"{self.name} ended before {what}:\n{self.told()}"
            assert time.monotonic() < deadline, f"{self.name}: no sign of {what}:\n{self.told()}"
            time.sleep(0.02)

    def told(self):
        return f"{self.out.read_text()}---\n{self.notes()}"

    def end(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
