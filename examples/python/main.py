"""A client of certmint.

    main.py create NAME [ISSUER]   creates a certificate and prints each transition until the end
                                   (issuer Self unless another is given; Unknown: somebody merges it by hand)
    main.py show NAME              shows the newest version of a certificate
    main.py watch [PREFIX]         prints each transition of certificates with this name prefix

Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else gRPC's own roots),
CERTMINT_TOKEN (dev).
"""

import os
import pathlib
import sys
import uuid

import grpc
from certmint.v1.certificate_service_pb2_grpc import CertificateServiceStub
from certmint.v1.certificates_pb2 import GetCertificateRequest
from certmint.v1.pending_pb2 import (
    BOOKMARK_REASON_CAUGHT_UP,
    PENDING_STATUS_COMPLETED,
    WATCH_SNAPSHOT_ALL,
    CreateCertificateRequest,
    PendingEventType,
    PendingOperation,
    PendingStatus,
    WatchPendingRequest,
)
from certmint.v1.policy_pb2 import CertificatePolicy, IssuerParameters, SubjectAlternativeNames, X509Properties
from errors import RichError
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from watch import watch_pending

DEADLINE = 30  # seconds, for a call that is no stream


def connect() -> CertificateServiceStub:
    """A connection of its own: a stream that is not read holds up other calls on the same one."""
    ca = os.environ.get("CERTMINT_CA")
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(pathlib.Path(ca).read_bytes() if ca else None),
        grpc.access_token_call_credentials(os.environ.get("CERTMINT_TOKEN", "dev")),
    )
    options = [
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.keepalive_time_ms", 60_000),  # notices a connection that died without a word
        ("grpc.max_reconnect_backoff_ms", 5_000),  # two minutes otherwise
    ]
    address = os.environ.get("CERTMINT_SERVER", "localhost:8443").removeprefix("https://")
    return CertificateServiceStub(grpc.secure_channel(address, credentials, options))


def create(name: str, issuer: str = "Self") -> int:
    policy = CertificatePolicy(
        x509_properties=X509Properties(
            subject=f"CN={name}.example",
            subject_alternative_names=SubjectAlternativeNames(dns_names=[f"{name}.example"]),
        ),
        issuer=IssuerParameters(name=issuer),
    )
    # The id of our own makes the call safe to repeat.
    request = CreateCertificateRequest(certificate_name=name, policy=policy, request_id=str(uuid.uuid4()))
    created = connect().CreateCertificate(request, timeout=DEADLINE)
    operation = created.operation
    tell("CREATED", operation)
    # From the token of the answer on, nothing is missed.
    request = WatchPendingRequest(
        request_id=operation.request_id, resume_token=created.resume_token, until_terminal=True
    )
    for message in watch_pending(connect(), request, note):
        if message.HasField("event"):
            operation = message.event.operation
            tell(word(PendingEventType, message.event.type), operation)
    return 0 if operation.status == PENDING_STATUS_COMPLETED else 1


def show(name: str) -> int:
    request = GetCertificateRequest(certificate_name=name)
    certificate = connect().GetCertificate(request, timeout=DEADLINE).certificate
    expires = f"expires {certificate.attributes.expires.ToDatetime():%Y-%m-%d}" if certificate.cer else "not issued yet"
    print(certificate.certificate_name, certificate.certificate_version, expires)
    return 0


def watch(prefix: str = "") -> int:
    request = WatchPendingRequest(certificate_name_prefix=prefix, snapshot=WATCH_SNAPSHOT_ALL)
    for message in watch_pending(connect(), request, note):
        if message.HasField("event"):
            tell(word(PendingEventType, message.event.type), message.event.operation)
        elif message.bookmark.reason == BOOKMARK_REASON_CAUGHT_UP:
            note("caught up: what follows is live")
    return 0


def tell(event: str, operation: PendingOperation) -> None:
    status = word(PendingStatus, operation.status)
    words = operation.error.message or operation.status_details
    print(f"{operation.certificate_name} #{operation.revision} {event} {status} {words}".rstrip(), flush=True)


def word(enum: EnumTypeWrapper, value: int) -> str:
    """The name without its prefix; the number where a newer server sends one that is not known here."""
    name = enum.Name(value) if value in enum.values() else str(value)
    return name.removeprefix("PENDING_STATUS_").removeprefix("PENDING_EVENT_TYPE_")


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    match sys.argv[1:]:
        case ["create", name, *issuer] if len(issuer) <= 1:
            return create(name, *issuer)
        case ["show", name]:
            return show(name)
        case ["watch", *prefix] if len(prefix) <= 1:
            return watch(*prefix)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as call:
        sys.exit(str(RichError.of(call)))
    except KeyboardInterrupt:
        sys.exit(130)
