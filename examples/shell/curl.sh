#!/usr/bin/env bash
# A client of the REST face of certmint with curl and jq.
#
#     curl.sh create NAME [ISSUER]   creates a certificate and prints each transition until the end
#                                    (issuer Self unless another is given; Unknown: somebody merges it by hand)
#     curl.sh show NAME              shows the newest version of a certificate
#
# Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of the system),
# CERTMINT_TOKEN (dev).
set -euo pipefail
server=${CERTMINT_SERVER:-localhost:8443}
url=https://${server#https://}
version=api-version=7.4
curl=(curl --silent --show-error --connect-timeout 5 -H "Authorization: Bearer ${CERTMINT_TOKEN:-dev}")
[ -z "${CERTMINT_CA:-}" ] || curl+=(--cacert "$CERTMINT_CA")

# The body of the answer; an error is explained and ends this.
rest() { # PATH [OPTION...]
    local answer status
    answer=$("${curl[@]}" --max-time 30 -w '\n%{http_code}' "${@:2}" "$url/$1?$version")
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    if [ "$status" -ge 400 ]; then
        jq -r --arg status "$status" '.error | "\($status) \(.code): \(.message)"' <<<"$answer" >&2
        return 1
    fi
    printf '%s\n' "$answer"
}

# Server-Sent Events. Goes on over broken connections and restarts of the server where it was; ends with the operation.
watch_pending() { # NAME REQUEST_ID
    local path="certificates/$1/pending/watch?$version&request_id=$2&until_terminal=true"
    local cut='{"error":{"code":"ServiceUnavailable"}}' # what a cut connection is taken for
    local position='' failures=0 last='' line id event data error wait
    while :; do
        id='' event='' data='' error=''
        while IFS= read -r line; do
            case $line in
            'id: '*) id=${line#id: } ;;
            'event: '*) event=${line#event: } ;;
            'data: '*) data=${line#data: } ;;
            '{"error"'*) error=$line ;; # refused before there was a stream
            '')
                case $event in
                end) return ;;
                error) error=$data ;;
                snapshot | created | updated | deleted | overwritten)
                    failures=0
                    line="$1 $event $(jq -r '"\(.status) \(.error.message // .status_details // "")"' <<<"$data")"
                    [ "$line" = "$last" ] || printf '%s\n' "${line% }" # half a snapshot comes again
                    last=$line ended=$(jq -r .status <<<"$data")
                    ;;
                esac
                [ -z "$id" ] || position=$id
                id='' event='' data=''
                ;;
            esac
            # A heartbeat comes each 30 s: a silent connection is a dead one.
        done < <("${curl[@]}" --no-buffer --speed-limit 1 --speed-time 90 -H "Last-Event-ID: $position" "$url/$path" 2>&1)
        error=$(jq -r '.error.code' <<<"${error:-$cut}")
        case $error in
        ResumeTokenExpired)
            echo "the resume token has expired: starting again from a snapshot" >&2
            position=''
            ;;
        ServiceUnavailable)
            failures=$((failures + 1))
            wait=$(backoff "$failures")
            printf 'watch interrupted: resuming in %.1f s\n' "$wait" >&2
            sleep "$wait"
            ;;
        *)
            echo "the watch was refused: $error" >&2
            exit 1
            ;;
        esac
    done
}

# 0.1 s to 5 s, with jitter.
backoff() { # FAILURES
    local longest=$(($1 < 6 ? 100 << $1 : 5000)) wait
    wait=$((100 + RANDOM % (longest - 99)))
    printf '%d.%03d' $((wait / 1000)) $((wait % 1000))
}

create() { # NAME [ISSUER]
    local body created id ended=''
    body=$(jq -nc --arg name "$1" --arg issuer "${2:-Self}" '{policy: {issuer: {name: $issuer}, x509_props: {
        subject: "CN=\($name).example", sans: {dns_names: ["\($name).example"]}}}}')
    # The id of our own makes the call safe to repeat.
    id=$(</proc/sys/kernel/random/uuid)
    created=$(rest "certificates/$1/create" -H 'Content-Type: application/json' -H "x-ms-client-request-id: $id" -d "$body")
    watch_pending "$1" "$(jq -r .request_id <<<"$created")"
    [ "$ended" = completed ]
}

show() { # NAME
    rest "certificates/$1" | jq -r '"\(.id | split("/")[-2:] | join(" ")) " +
        if .cer then "expires \(.attributes.exp | todate[:10])" else "not issued yet" end'
}

case "${1:-}:$#" in
create:[23]) create "${@:2}" ;;
show:2) show "$2" ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
