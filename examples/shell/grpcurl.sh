#!/usr/bin/env bash
# A client of certmint with grpcurl and jq.
#
#     grpcurl.sh create NAME [ISSUER]   creates a certificate and prints each transition until the end
#                                       (issuer Self unless another is given; Unknown: somebody merges it by hand)
#     grpcurl.sh show NAME              shows the newest version of a certificate
#     grpcurl.sh watch [PREFIX]         prints each transition of certificates with this name prefix
#
# Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of the system),
# CERTMINT_TOKEN (dev).
set -euo pipefail
shopt -s lastpipe # what a loop at the end of a pipe learns is kept
server=${CERTMINT_SERVER:-localhost:8443}
server=${server#https://}
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# One answer, or a stream of them, in JSON; errors as a google.rpc.Status in JSON into the file.
call() { # METHOD REQUEST [OPTION...]
    local ca=()
    [ -z "${CERTMINT_CA:-}" ] || ca=(-cacert "$CERTMINT_CA")
    grpcurl "${ca[@]}" -H "authorization: Bearer ${CERTMINT_TOKEN:-dev}" -format-error -connect-timeout 5 "${@:3}" \
        -d "$2" "$server" "certmint.v1.CertificateService/$1" 2>"$errors"
}

# What one error says: a filter of jq. Without a connection there is no JSON, only text.
error() {
    jq -Rrs '
        def code: ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
            "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE",
            "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"][.code];
        def detail(name): first(.details[]? | select(."@type" | endswith(name))) // {};
        def reason: detail("rpc.ErrorInfo").reason // empty;
        . as $text | (try fromjson catch {code: 14, message: ($text | rtrimstr("\n"))}) | '"$1" "$errors"
}

explain() {
    error '"\([code, reason] | join(" ")): \(.message)",
        (detail("rpc.BadRequest").fieldViolations[]? | "  \(.field): \(.description)"),
        (detail("rpc.ResourceInfo") | select(.resourceName) | "  about: \(.resourceType) \(.resourceName)"),
        (detail("rpc.RetryInfo") | select(.retryDelay) | "  retry after: \(.retryDelay)")' >&2
}

# Goes on over broken connections and restarts of the server, and tells nothing twice; ends with untilTerminal only.
# To go on after a restart of this script, store the resumeToken of each message once it is processed.
watch_pending() { # REQUEST
    local request=$1 failures=0 token reason id revision type status words name wait
    declare -A seen=()
    while :; do
        # Without a deadline: it lasts. The separator is one that no text has, and keeps empty fields.
        if call WatchPending "$request" -keepalive-time 60 | jq --unbuffered -r '[
                .resumeToken // "", .bookmark.reason // "",
                (.event | .operation.requestId, (.operation.revision // "0"), .type, .operation.status,
                 .operation.certificateName, (.operation.error.message // .operation.statusDetails // ""))
            ] | map(. // "" | tostring) | join("\u001f")' |
            while IFS=$'\x1f' read -r token reason id revision type status name words; do
                failures=0
                type=${type#PENDING_EVENT_TYPE_} status=${status#PENDING_STATUS_}
                if [ "$reason" = BOOKMARK_REASON_CAUGHT_UP ]; then
                    echo "caught up: what follows is live" >&2
                elif [ -n "$id" ]; then
                    # A revision that is not above the last one of the same operation was told before.
                    if [[ $type == DELETED || $type == OVERWRITTEN ]]; then
                        unset "seen[$id]"
                        tell "$name #$revision $type $status $words"
                    elif ((revision > ${seen[$id]:-0})); then
                        seen[$id]=$revision
                        tell "$name #$revision $type $status $words"
                    fi
                    ended=$status
                fi
                [ -z "$token" ] || request=$(jq -c --arg token "$token" '.resumeToken = $token' <<<"$request")
            done; then
            return
        fi
        case $(error '[reason, code] | join(" ")') in
        RESUME_TOKEN_EXPIRED*)
            echo "the resume token has expired: starting again from a snapshot" >&2
            request=$(jq -c 'del(.resumeToken)' <<<"$request")
            seen=()
            ;;
        # The server went away, or the connection was cut, for which libraries and proxies have several codes.
        *UNAVAILABLE | *UNKNOWN | *INTERNAL | *CANCELLED)
            failures=$((failures + 1))
            wait=$(error 'detail("rpc.RetryInfo").retryDelay // empty | rtrimstr("s")')
            [ -n "$wait" ] || wait=$(backoff "$failures")
            printf 'watch interrupted (%s): resuming in %.1f s\n' "$(error '[reason, code][0]')" "$wait" >&2
            sleep "$wait"
            ;;
        *)
            explain
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

tell() { # LINE
    printf '%s\n' "${1% }"
}

create() { # NAME [ISSUER]
    local request created ended=''
    # The id of our own makes the call safe to repeat.
    request=$(jq -nc --arg name "$1" --arg issuer "${2:-Self}" --arg id "$(</proc/sys/kernel/random/uuid)" '{
        certificateName: $name, requestId: $id, policy: {issuer: {name: $issuer}, x509Properties: {
            subject: "CN=\($name).example", subjectAlternativeNames: {dnsNames: ["\($name).example"]}}}}')
    created=$(call CreateCertificate "$request" -max-time 30) || { explain; exit 1; }
    tell "$(jq -r '.operation | "\(.certificateName) #\(.revision) CREATED IN_PROGRESS \(.statusDetails)"' <<<"$created")"
    # From the token of the answer on, nothing is missed.
    watch_pending "$(jq -c '{requestId: .operation.requestId, resumeToken, untilTerminal: true}' <<<"$created")"
    [ "$ended" = COMPLETED ]
}

show() { # NAME
    local request shown
    request=$(jq -nc --arg name "$1" '{certificateName: $name}')
    shown=$(call GetCertificate "$request" -max-time 30) || { explain; exit 1; }
    jq -r '.certificate | "\(.certificateName) \(.certificateVersion) " +
        if .cer then "expires \(.attributes.expires[:10])" else "not issued yet" end' <<<"$shown"
}

case "${1:-}:$#" in
create:[23]) create "${@:2}" ;;
show:2) show "$2" ;;
watch:[12])
    watch_pending "$(jq -nc --arg prefix "${2:-}" '{certificateNamePrefix: $prefix, snapshot: "WATCH_SNAPSHOT_ALL"}')"
    ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
