#!/usr/bin/env bash
# Runs the unmodified Azure SDK of one language, az, a browser, an issuer of tokens, or programs built on Key Vault against a server:
# scripts/sdk-tests.sh javascript|browser|issuers|az|go|java|rust|programs.
# CERTMINT_BINARY names the server. Where its tools are not there and cannot be installed the suite is skipped: the reason is printed,
# and kept in target/skipped for the end of `make test-clients`.
set -euo pipefail

cd "$(dirname "$0")/.."
language=${1:?which: javascript, browser, issuers, az, go, java, rust or programs}
skipped=target/skipped/$language

skip() {
    mkdir -p target/skipped
    echo "skipped: $1" | tee "$skipped"
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

# The packages of tests/clients/$language, for the suite that is called $1.
node_packages() {
    for tool in node npm; do
        command -v "$tool" >/dev/null || skip "$1: $tool is not installed"
    done
    found=$(node --version)
    found=${found#v}
    at_least "$found" 20 || skip "$1: it needs Node.js 20, and $found is installed"
    (
        cd "tests/clients/$language"
        if [ ! node_modules/.installed -nt package-lock.json ]; then
            npm ci
            touch node_modules/.installed
        fi
    )
}

# The Python of the tests in Python.
environment() {
    [ -x .venv/bin/python ] || {
        echo "run this first: make setup-python" >&2
        exit 1
    }
    echo "$PWD/.venv/bin/python"
}

case $language in
javascript)
    node_packages "the Azure SDK for JavaScript"
    rm -f "$skipped"
    cd tests/clients/javascript
    exec python3 ../server.py node --test --test-reporter spec
    ;;
browser)
    for tool in chromium certutil; do
        command -v "$tool" >/dev/null || skip "a browser: $tool is not installed"
    done
    node_packages "a browser"
    rm -f "$skipped"
    contract=$PWD/target/clients-browser/contract.binpb
    mkdir -p "${contract%/*}"
    # The details of errors are among its packages.
    python=$(environment)
    "$python" -m grpc_tools.protoc -Iproto -I"$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
        --include_imports --descriptor_set_out="$contract" proto/certmint/v1/*.proto google/rpc/{error_details,status}.proto
    cd tests/clients/browser
    CHROMIUM=$(command -v chromium) CONTRACT=$contract exec "$python" servers.py node --test-reporter spec browser.test.js
    ;;
issuers)
    node_packages "an issuer of tokens"
    rm -f "$skipped"
    exec "$(environment)" -m pytest -q tests/clients/issuers
    ;;
az)
    # An environment of its own, 750 MB.
    venv=.venv-az
    wanted=tests/clients/az/requirements.txt
    found=$(python3 -c 'import platform; print(platform.python_version())')
    at_least "$found" 3.10 || skip "az: it needs Python 3.10, and $found is installed"
    if [ ! "$venv/.installed" -nt "$wanted" ]; then
        python3 -m venv "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted"
        touch "$venv/.installed"
    fi
    rm -f "$skipped"
    exec "$venv/bin/python" -m pytest -q tests/clients/az
    ;;
go)
    command -v go >/dev/null || skip "the Azure SDK for Go: go is not installed"
    needed=$(sed -n 's/^go //p' tests/clients/go/go.mod)
    # Outside of the module: inside, a go that is too old says nothing but that.
    found=$(cd / && go env GOVERSION)
    found=${found#go}
    at_least "$found" "$needed" || skip "the Azure SDK for Go: it needs go $needed, and $found is installed"
    with_server go test -C tests/clients/go -count=1 ./...
    ;;
java)
    for tool in java mvn; do
        command -v "$tool" >/dev/null || skip "the Azure SDK for Java: $tool is not installed"
    done
    found=$(java -XshowSettings:properties -version 2>&1 | sed -n 's/^ *java.specification.version = //p')
    at_least "$found" 17 || skip "the Azure SDK for Java: it needs Java 17, and $found is installed"
    with_server mvn -B -ntp -f tests/clients/java/pom.xml test
    ;;
rust)
    with_server cargo test --locked --manifest-path tests/clients/rust/Cargo.toml --target-dir target/clients-rust -- --test-threads=8
    ;;
programs)
    command -v go >/dev/null || skip "programs built on Key Vault: go is not installed"
    python=$(environment)
    tests/clients/programs/apart.sh true || skip "programs built on Key Vault: no network of their own can be made here"
    mkdir -p target/programs target/skipped
    rm -f "$skipped"
    PROGRAMS=$PWD/target/programs
    export PROGRAMS
    grep -v '^#' tests/clients/programs/programs.txt | while read -r name package; do
        # The file beside it has what it was built from.
        [ "$(cat "$PROGRAMS/$name.package" 2>/dev/null)" != "$package" ] || continue
        echo "Building $name"
        if GOBIN=$PROGRAMS go install "$package"; then
            echo "$package" >"$PROGRAMS/$name.package"
        else
            rm -f "$PROGRAMS/$name"
            echo "$name cannot be built: its tests are skipped" | tee -a "$skipped"
        fi
    done
    exec tests/clients/programs/apart.sh "$python" -m pytest -q -rs tests/clients/programs
    ;;
*)
    echo "no such language: $language" >&2
    exit 2
    ;;
esac
