#!/usr/bin/env bash
# Builds a pebble of a version that Debian does not have, for tests/acme: profiles, renewal information, dns-persist-01.
# Skipped where Go is missing; the reason is kept for the end of `make test`.
set -euo pipefail

version=v2.10.3
folder=$(realpath -m "${1:-target}/pebble")
# The file beside it has the version that was built.
[ "$(cat "$folder/version" 2>/dev/null)" != "$version" ] || exit 0
mkdir -p "$folder" target/skipped
if ! command -v go >/dev/null 2>&1; then
    echo "tests/acme/newer.rs: Go is missing" | tee target/skipped/pebble
    exit 0
fi
rm -f "$folder/pebble" "$folder/version"
if GOBIN=$folder go install "github.com/letsencrypt/pebble/v2/cmd/pebble@$version"; then
    echo "$version" >"$folder/version"
    rm -f target/skipped/pebble
else
    echo "tests/acme/newer.rs: pebble $version cannot be built" | tee target/skipped/pebble
fi
