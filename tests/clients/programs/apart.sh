#!/usr/bin/env bash
# Runs a command in a network of its own, where the names of Azure are this machine and port 443 is free:
# tests/clients/programs/apart.sh COMMAND [ARGUMENT...]. The machine itself is left as it is; no privileges are needed
# where the kernel lets users make namespaces.
set -euo pipefail

if [ "${1:-}" != --inside ]; then
    exec unshare --user --map-root-user --mount --net -- "$0" --inside "$@"
fi
shift
hosts=$(mktemp)
trap 'rm -f "$hosts"' EXIT
echo "127.0.0.1 localhost default.vault.azure.net team-a.vault.azure.net" >"$hosts"
mount --bind "$hosts" /etc/hosts
ip link set lo up
"$@"
