"""The two servers of the tests in a browser, given to a command: python3 tests/clients/browser/servers.py COMMAND [ARGUMENT...]

The first is in development mode and has no setting for pages (CERTMINT_URL, CERTMINT_CA). The second asks for a token
and names one origin, http://console.localhost with any port (GUARDED_URL, GUARDED_CA, GUARDED_TOKEN).
"""

import contextlib
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from guarded import Guarded  # noqa: E402  (its folder has to be in the path first)
from server import Server  # noqa: E402

ORIGINS = '[cors]\norigins = ["http://console.localhost:*"]'


def main():
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(tempfile.TemporaryDirectory(prefix="certmint-")) for _ in range(2)]
        open_to_all, guarded = Server(folders[0]), Guarded(folders[1], ORIGINS)
        for server in (open_to_all, guarded):
            server.start()
            stack.callback(server.stop)
        second = {"GUARDED_URL": guarded.url, "GUARDED_CA": guarded.ca, "GUARDED_TOKEN": guarded.tokens["good"]}
        return subprocess.run(sys.argv[1:], env={**open_to_all.environment(), **second}).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.exit(main())
