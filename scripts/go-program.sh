#!/usr/bin/env bash
# Builds a program that the tests need and that Debian does not have (in this version), with Go:
#
#     scripts/go-program.sh TARGET NAME MODULE VERSION TESTS
#
# It comes to TARGET/NAME/NAME. Skipped where Go is missing; the reason is kept for the end of `make test`.
set -euo pipefail

name=$2 module=$3 version=$4 tests=$5
folder=$(realpath -m "$1/$name")
# The file beside it has the version that was built.
[ "$(cat "$folder/version" 2>/dev/null)" != "$version" ] || exit 0
mkdir -p "$folder" target/skipped
if ! command -v go >/dev/null 2>&1; then
    echo "$tests: Go is missing" | tee "target/skipped/$name"
    exit 0
fi
rm -f "$folder/$name" "$folder/version"
if GOBIN=$folder go install "$module@$version"; then
    echo "$version" >"$folder/version"
    rm -f "target/skipped/$name"
else
    echo "$tests: $name $version cannot be built" | tee "target/skipped/$name"
fi
