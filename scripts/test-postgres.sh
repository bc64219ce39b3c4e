#!/usr/bin/env bash
# Keeps the PostgreSQL store's promises on other versions than the system's: 16, 17 and 18; 14 is refused.
# The first argument is the test program of the store.
set -euo pipefail
tests=$(realpath "$1")
packages=$(dirname "$0")/../tests/postgres/node_modules

# A copy that the user of the server can read, wherever the project lies.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
chmod 755 "$folder"
for version in 14 16 17 18; do
    cp -r "$packages/postgres-$version/native" "$folder/$version"
    # npm packages hold no links; the package lists those that its libraries need.
    python3 - "$folder/$version" <<'PY'
import json, os, sys
for link in json.load(open(f"{sys.argv[1]}/pg-symlinks.json")):
    # Both begin with "native/".
    source, target = (os.path.join(sys.argv[1], link[name].split("/", 1)[1]) for name in ("source", "target"))
    os.symlink(os.path.relpath(source, os.path.dirname(target)), target)
PY
done
cd "$(dirname "$0")/.."
export CARGO_MANIFEST_DIR=$PWD
CERTMINT_POSTGRES=$folder/14 "$tests" --ignored --exact postgres::a_server_before_15_is_refused_and_left_alone
for version in 16 17 18; do
    "$folder/$version/bin/postgres" --version
    # Dumps need pg_dump of the same version, which the packages do not have.
    CERTMINT_POSTGRES=$folder/$version "$tests" postgres --skip a_dump_comes_back
done
