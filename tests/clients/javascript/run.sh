#!/usr/bin/env bash
# Runs the unmodified Azure SDK for JavaScript against a development server (CERTMINT_BINARY). Where it cannot run, the
# reason is printed, and kept in target/skipped for the end of `make test-clients`.
set -euo pipefail
cd "$(dirname "$0")"
skipped=../../../target/skipped/javascript

skip() {
    mkdir -p "$(dirname "$skipped")"
    echo "skipped: the Azure SDK for JavaScript: $1" | tee "$skipped"
    exit 0
}

for tool in node npm; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
found=$(node --version)
major=${found#v}
[ "${major%%.*}" -ge 20 ] || skip "it needs Node.js 20, and $found is installed"
if [ ! node_modules/.installed -nt package-lock.json ]; then
    npm ci || skip "npm could not install its packages"
    touch node_modules/.installed
fi
rm -f "$skipped"
exec python3 ../server.py node --test --test-reporter spec
