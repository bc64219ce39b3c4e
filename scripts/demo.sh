#!/usr/bin/env bash
# Plays the eleven scenarios on screen: a development server in a temporary folder, the watch
# stream beside the calls, manual certificates signed with openssl. Stops what it started.
set -euo pipefail

binary=$(realpath "$1")
folder=$(mktemp -d)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
url="https://localhost:$port"
export CERTMINT_SERVER="$url" CERTMINT_CA="$folder/ca.pem"

"$binary" serve --dev --data-dir "$folder" --listen "127.0.0.1:$port" >"$folder/server.out" 2>"$folder/server.log" &
server=$!
watcher=
cleanup() {
    [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap cleanup EXIT
for _ in $(seq 100); do
    [ -s "$folder/server.out" ] && break
    kill -0 "$server" 2>/dev/null || { cat "$folder/server.log" >&2; exit 1; }
    sleep 0.1
done

title() { printf '\n\033[1m%s\033[0m\n' "$*"; }
# request METHOD PATH [BODY]: the status line, the headers that matter, the body.
request() {
    local method=$1 path=$2 body=${3:-}
    local mark='?'
    [[ $path == *\?* ]] && mark='&'
    printf '  %s %s\n' "$method" "$path"
    curl -sS --cacert "$CERTMINT_CA" -X "$method" -D "$folder/head" -o "$folder/body" \
        -H 'Authorization: Bearer demo' -H 'Content-Type: application/json' ${body:+-d "$body"} \
        "$url$path${mark}api-version=7.4"
    grep -iE '^(HTTP|location|retry-after)' "$folder/head" | tr -d '\r' | sed 's/^/  < /'
    python3 - "$folder/body" <<'PY'
import json, sys
text = open(sys.argv[1]).read()
body = json.loads(text) if text else {}
for name in ("csr", "cer"):
    if name in body:
        body[name] = body[name][:24] + "…"
print("  < " + json.dumps(body)[:700])
PY
}
field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$folder/body" "$1"; }
policy() { printf '{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=%s.example"},"issuer":{"name":"%s"}}}' "$1" "$2"; }
# sign NAME: what a CA outside would do with the signing request.
sign() {
    "$binary" csr "$1" >"$folder/$1.csr"
    if [ ! -f "$folder/root.pem" ]; then
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=Demo Root' -days 30 \
            -keyout "$folder/root.key" -out "$folder/root.pem" 2>/dev/null
    fi
    openssl x509 -req -in "$folder/$1.csr" -CA "$folder/root.pem" -CAkey "$folder/root.key" -days 10 \
        -out "$folder/$1.pem" 2>/dev/null
    x5c=$(python3 - "$folder/$1.pem" "$folder/root.pem" <<'PY'
import json, ssl, base64, sys
print(json.dumps({"x5c": [base64.b64encode(ssl.PEM_cert_to_DER_cert(open(p).read())).decode() for p in sys.argv[1:]]}))
PY
)
}

# Not a pipe: the id has to be that of the watch, so that it ends with the demonstration.
"$binary" watch 2>/dev/null > >(sed -u 's/^/                    [watch] /') &
watcher=$!
sleep 0.5

title "An issuer that issues, one that holds, one that rejects"
for behaviour in complete hold reject; do
    request PUT "/certificates/issuers/$behaviour" "{\"provider\":\"Test\",\"credentials\":{\"account_id\":\"$behaviour\"}}" >/dev/null
done
title "1. Request a certificate from an issuer"
request POST /certificates/mycert1/create "$(policy mycert1 hold)"
id=$(field request_id)
title "2. Get the pending request: in progress"
request GET "/certificates/mycert1/pending?request_id=$id"
title "6. Create while a request is in progress"
request POST /certificates/mycert1/create "$(policy mycert1 complete)"
title "7. Merge while an issuer is at work"
sign mycert1
request POST /certificates/mycert1/pending/merge "$x5c"
title "8. Ask for cancellation"
request PATCH /certificates/mycert1/pending '{"cancellation_requested":true}'
sleep 0.5
title "4. Get the pending request: cancelled, and failed"
request GET /certificates/mycert1/pending
request POST /certificates/mycert2/create "$(policy mycert2 reject)" >/dev/null
sleep 0.5
request GET /certificates/mycert2/pending
title "3. Get the pending request: completed"
request POST /certificates/mycert3/create "$(policy mycert3 complete)" >/dev/null
sleep 0.5
request GET /certificates/mycert3/pending
title "9. Delete the pending request"
request DELETE /certificates/mycert2/pending
title "5. Get the pending request: deleted"
request GET /certificates/mycert2/pending
title "10. Create a certificate by hand"
request POST /certificates/mycert4/create "$(policy mycert4 Unknown)"
title "11. Merge what the CA returned"
sign mycert4
request POST /certificates/mycert4/pending/merge "$x5c"
sleep 0.5
title "All eleven scenarios were played."
