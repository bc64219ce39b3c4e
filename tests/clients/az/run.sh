#!/usr/bin/env bash
# Runs the unmodified `az` of azure-cli, in an environment of its own (.venv-az, 750 MB), against a development server
# (CERTMINT_BINARY). Where it cannot run, the reason is printed, and kept in target/skipped for the end of
# `make test-clients`.
set -euo pipefail
cd "$(dirname "$0")/../../.."
venv=.venv-az
wanted=tests/clients/az/requirements.txt
skipped=target/skipped/az

skip() {
    mkdir -p "$(dirname "$skipped")"
    echo "skipped: az: $1" | tee "$skipped"
    exit 0
}

command -v python3 >/dev/null || skip "python3 is not installed"
found=$(python3 -c 'import platform; print(platform.python_version())')
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || skip "it needs Python 3.10, and $found is installed"
if [ ! "$venv/.installed" -nt "$wanted" ]; then
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" ||
        skip "pip could not install azure-cli"
    touch "$venv/.installed"
fi
rm -f "$skipped"
exec "$venv/bin/python" -m pytest -q tests/clients/az
