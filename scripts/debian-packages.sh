#!/usr/bin/env bash
# Installs the Debian packages that the tests need, where a command is missing. Needs root for that.
set -euo pipefail

# command:package
needed=(openssl:openssl python3:python3 npm:npm jq:jq curl:curl certtool:gnutls-bin pk12util:libnss3-tools)
# The CA and the name servers of tests/acme, and what looks at their records.
needed+=(pebble:pebble knotd:knot named:bind9 dig:bind9-dnsutils)
# The CA of a plug-in in tests/clients/plugins.
needed+=(cfssl:golang-cfssl)
# The web server of tests/agent.
needed+=(nginx:nginx)
# A second opinion on what jsign signs in tests/clients/java.
needed+=(osslsigncode:osslsigncode)
# libFuzzer is C++; nothing else needs it.
[ "${FUZZING:-no}" = no ] || needed+=(g++:g++)
missing=()
for pair in "${needed[@]}"; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing+=("${pair##*:}")
done
# It has no command; the tests set the clocks of servers with it.
compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
# Debian ships the venv module as a package of its own.
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
# Its programs are not in the path; the tests start a server of their own.
postgresql=no
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || postgresql=yes
# The browser of tests/clients/browser. Some derivatives of Debian have it in another form; its tests are skipped there.
browser=no
command -v chromium >/dev/null 2>&1 || browser=yes
if [ "${#missing[@]}" -eq 0 ] && [ "$postgresql" = no ] && [ "$browser" = no ]; then
    exit 0
fi
root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null 2>&1 || {
        [ "$postgresql" = no ] || missing+=(postgresql)
        [ "${#missing[@]}" -gt 0 ] || exit 0
        echo "These packages are missing and need root to install: ${missing[*]}" >&2
        exit 1
    }
    root=(sudo)
fi
install() {
    echo "Installing: $*"
    DEBIAN_FRONTEND=noninteractive "${root[@]}" apt-get install -y -qq --no-install-recommends "$@"
}
"${root[@]}" apt-get update -qq
if [ "$postgresql" = yes ]; then
    # Without a server for the whole system: the package asks this file before it makes and starts one.
    install postgresql-common
    settings=/etc/postgresql-common/createcluster.conf
    "${root[@]}" sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' "$settings"
    missing+=(postgresql)
fi
if [ "${#missing[@]}" -gt 0 ]; then
    install "${missing[@]}"
fi
if [ "$browser" = yes ]; then
    install chromium || echo "chromium cannot be installed: the tests in a browser are skipped."
fi
