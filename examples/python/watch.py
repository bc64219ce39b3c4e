"""WatchPending that goes on over broken connections and restarts of the server, and tells nothing twice."""

import random
import time
from collections.abc import Callable, Iterator

import grpc
from certmint.v1.certificate_service_pb2_grpc import CertificateServiceStub
from certmint.v1.pending_pb2 import (
    PENDING_EVENT_TYPE_DELETED,
    PENDING_EVENT_TYPE_OVERWRITTEN,
    PendingEvent,
    WatchPendingRequest,
    WatchPendingResponse,
)
from errors import RichError

# The server went away, or the connection was cut, for which libraries and proxies have several codes.
INTERRUPTIONS = {"UNAVAILABLE", "UNKNOWN", "INTERNAL", "CANCELLED"}
ENDED = {PENDING_EVENT_TYPE_DELETED, PENDING_EVENT_TYPE_OVERWRITTEN}


def watch_pending(
    service: CertificateServiceStub, request: WatchPendingRequest, note: Callable[[str], None]
) -> Iterator[WatchPendingResponse]:
    """Yields events and bookmarks; ends only where the request has until_terminal.

    To go on after a restart of this program, store `resume_token` of each message once it is processed,
    and begin with the last one in the request. In a snapshot it is empty: half a snapshot cannot be resumed.
    """
    seen: dict[str, int] = {}
    failures = 0
    while True:
        try:
            for message in service.WatchPending(request):  # without a deadline: it lasts
                failures = 0
                if not (message.HasField("event") and is_repeat(message.event, seen)):
                    yield message
                if message.resume_token:
                    request.resume_token = message.resume_token
            return
        except grpc.RpcError as call:
            error = RichError.of(call)
            if error.reason == "RESUME_TOKEN_EXPIRED":
                note("the resume token has expired: starting again from a snapshot")
                request.resume_token = ""
                seen.clear()
            elif error.code in INTERRUPTIONS:
                failures += 1
                wait = error.retry_after
                if wait is None:
                    wait = random.uniform(0.1, min(5, 0.1 * 2**failures))
                note(f"watch interrupted ({error.reason or error.code}): resuming in {wait:.1f} s")
                time.sleep(wait)
            else:
                raise


def is_repeat(event: PendingEvent, seen: dict[str, int]) -> bool:
    """A revision that is not above the last one of the same operation was told before."""
    operation = event.operation
    if event.type in ENDED:
        seen.pop(operation.request_id, None)
        return False
    repeat = operation.revision <= seen.get(operation.request_id, 0)
    seen[operation.request_id] = max(operation.revision, seen.get(operation.request_id, 0))
    return repeat
