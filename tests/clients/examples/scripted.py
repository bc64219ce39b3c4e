"""A server of the contract that does what a real one rarely does: it cuts a snapshot in half, repeats itself, uses enum
values of a later contract, and refuses for reasons that are not certmint's."""

import os
import sys
from concurrent import futures

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from guarded import self_signed
from programs import PROGRAMS
from server import free_port


class Scripted:
    """`tokens` are the resume tokens of the streams that were asked for."""

    def __init__(self, folder):
        sys.path.append(str(PROGRAMS[0].home))  # the code generated for the Python program
        from certmint.v1 import certificate_service_pb2_grpc as service

        self.port, self.ca, self.tokens = free_port(), str(folder / "ca.pem"), []
        key, certificate = self_signed("localhost")
        (folder / "ca.pem").write_bytes(certificate)
        script = self

        class Servicer(service.CertificateServiceServicer):
            def WatchPending(self, request, context):
                script.tokens.append(request.resume_token)
                parts = [half_a_snapshot, the_rest, repeats]
                yield from parts[min(len(script.tokens), len(parts)) - 1](context)

        self.grpc = grpc.server(futures.ThreadPoolExecutor(2))
        service.add_CertificateServiceServicer_to_server(Servicer(), self.grpc)
        self.grpc.add_secure_port(f"127.0.0.1:{self.port}", grpc.ssl_server_credentials([(key, certificate)]))

    def environment(self):
        return {**os.environ, "CERTMINT_CA": self.ca}


def half_a_snapshot(context):
    yield event("a", 1, "SNAPSHOT")
    info = error_details_pb2.ErrorInfo(reason="STORE_UNAVAILABLE", domain="certmint.v1")
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(nanos=300_000_000))
    refuse(context, grpc.StatusCode.UNAVAILABLE, info, retry)


def the_rest(context):
    yield event("a", 1, "SNAPSHOT")
    yield event("b", 2, "SNAPSHOT")
    yield response(resume_token="snapshot", bookmark={"reason": "BOOKMARK_REASON_CAUGHT_UP"})
    yield event("b", 3, "UPDATED", "one")
    later = response(resume_token="two", event={"type": 99, "operation": operation("c", 1, status=42)})
    yield later
    refuse(context, grpc.StatusCode.UNKNOWN)


def repeats(context):
    yield event("b", 3, "UPDATED", "one")
    yield event("a", 2, "UPDATED", "three")
    yield event("b", 3, "DELETED", "four")
    # As of a message that is too large; no reason of certmint.
    refuse(context, grpc.StatusCode.OUT_OF_RANGE)


def event(name, revision, kind, token=""):
    body = {"type": f"PENDING_EVENT_TYPE_{kind}", "operation": operation(name, revision, "PENDING_STATUS_IN_PROGRESS")}
    return response(resume_token=token, event=body)


def operation(name, revision, status):
    return {"certificate_name": name, "request_id": name * 32, "revision": revision, "status": status}


def response(**fields):
    from certmint.v1.pending_pb2 import WatchPendingResponse

    return WatchPendingResponse(**fields)


def refuse(context, code, *details):
    packed = [Any() for _ in details]
    for into, detail in zip(packed, details):
        into.Pack(detail)
    context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=code.value[0], message="so", details=packed)))
