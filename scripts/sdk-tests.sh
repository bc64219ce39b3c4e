#!/usr/bin/env bash
# Runs the unmodified Azure SDK of one language against a development server: scripts/sdk-tests.sh go|java|rust.
# CERTMINT_BINARY names the server. Where the language is not installed the suite is skipped: the reason is printed,
# and kept in target/skipped for the end of `make test-clients`.
set -euo pipefail

cd "$(dirname "$0")/.."
language=${1:?which: go, java or rust}
skipped=target/skipped/$language

skip() {
    mkdir -p target/skipped
    echo "skipped: the Azure SDK for $1" | tee "$skipped"
    exit 0
}

# Whether version $1 is at least $2.
at_least() {
    printf '%s\n%s\n' "$2" "$1" | sort -V -C
}

with_server() {
    rm -f "$skipped"
    exec python3 tests/clients/server.py "$@"
}

case $language in
go)
    command -v go >/dev/null || skip "Go: go is not installed"
    needed=$(sed -n 's/^go //p' tests/clients/go/go.mod)
    # Outside of the module: inside, a go that is too old says nothing but that.
    found=$(cd / && go env GOVERSION)
    found=${found#go}
    at_least "$found" "$needed" || skip "Go: it needs go $needed, and $found is installed"
    with_server go test -C tests/clients/go -count=1 ./...
    ;;
java)
    for tool in java mvn; do
        command -v "$tool" >/dev/null || skip "Java: $tool is not installed"
    done
    found=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p')
    at_least "$found" 17 || skip "Java: it needs Java 17, and $found is installed"
    with_server mvn -B -ntp -f tests/clients/java/pom.xml test
    ;;
rust)
    with_server cargo test --locked --manifest-path tests/clients/rust/Cargo.toml --target-dir target/clients-rust -- --test-threads=8
    ;;
*)
    echo "no such language: $language" >&2
    exit 2
    ;;
esac
