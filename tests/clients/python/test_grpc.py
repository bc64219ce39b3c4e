"""A gRPC client generated from the contract: create, watch with resume over kill -9, rich errors."""

import uuid

import grpc
import pytest


@pytest.fixture(scope="module")
def api(stubs):
    from certmint.v1 import certificate_service_pb2_grpc, certificates_pb2, pending_pb2, policy_pb2

    return certificate_service_pb2_grpc, certificates_pb2, pending_pb2, policy_pb2


def message(name):
    """A request by its name, whichever file of the contract defines it."""
    from google.protobuf import symbol_database

    return symbol_database.Default().GetSymbol(f"certmint.v1.{name}")


@pytest.fixture
def service(server, api):
    credentials = grpc.ssl_channel_credentials(open(server.ca, "rb").read())
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
        yield api[0].CertificateServiceStub(channel)


def request(name, issuer, **more):
    policy = message("CertificatePolicy")(
        key_properties=message("KeyProperties")(key_type="KEY_TYPE_EC"),
        x509_properties=message("X509Properties")(subject=f"CN={name}.example"),
        issuer=message("IssuerParameters")(name=issuer),
    )
    return message("CreateCertificateRequest")(certificate_name=name, policy=policy, **more)


def statuses(stream):
    names = message("PendingOperation").DESCRIPTOR.fields_by_name["status"].enum_type.values_by_number
    return [names[item.event.operation.status].name for item in stream if item.HasField("event")]


def test_every_transition_is_pushed(service):
    created = service.CreateCertificate(request("grpc-self", "Self"))
    watch = message("WatchPendingRequest")(
        certificate_names=["grpc-self"], resume_token=created.resume_token, until_terminal=True
    )
    assert statuses(service.WatchPending(watch, timeout=120)) == ["PENDING_STATUS_COMPLETED"]


def test_a_repeat_with_the_same_request_id_is_the_same_operation(service):
    request_id = str(uuid.uuid4())
    first = service.CreateCertificate(request("grpc-repeat", "Unknown", request_id=request_id))
    second = service.CreateCertificate(request("grpc-repeat", "Unknown", request_id=request_id))
    assert first.operation == second.operation
    assert first.operation.request_id == request_id.replace("-", "")
    with pytest.raises(grpc.RpcError) as reused:
        service.CreateCertificate(request("grpc-other", "Unknown", request_id=request_id))
    assert reused.value.code() == grpc.StatusCode.ALREADY_EXISTS


def test_errors_carry_their_reason(service):
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    service.CreateCertificate(request("grpc-conflict", "Unknown"))
    with pytest.raises(grpc.RpcError) as refused:
        service.CreateCertificate(request("grpc-conflict", "Unknown"))
    assert refused.value.code() == grpc.StatusCode.ABORTED
    details = rpc_status.from_call(refused.value).details
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in details)
    assert (info.reason, info.domain) == ("PENDING_IN_PROGRESS", "certmint.v1")
    assert (info.metadata["httpStatus"], info.metadata["azureCode"]) == ("409", "Forbidden")


def test_a_watch_goes_on_where_it_was_after_kill_9(service, server):
    created = service.CreateCertificate(request("grpc-kill", "Unknown"))
    token = created.resume_token
    server.kill()
    server.start()
    service.CancelPending(message("CancelPendingRequest")(certificate_name="grpc-kill"), wait_for_ready=True, timeout=120)
    watch = message("WatchPendingRequest")(certificate_names=["grpc-kill"], resume_token=token, until_terminal=True)
    seen = statuses(service.WatchPending(watch, timeout=120, wait_for_ready=True))
    assert seen == ["PENDING_STATUS_IN_PROGRESS", "PENDING_STATUS_CANCELLED"]
