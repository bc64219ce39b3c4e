"""The generated Python client: import, secrets and keys over gRPC."""

import hashlib

import grpc
import pytest
from bundles import Bundle
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import pkcs12
from test_grpc import message


@pytest.fixture
def stub(server, stubs):
    from certmint.v1 import certificate_service_pb2_grpc, keys_pb2_grpc, secrets_pb2_grpc

    credentials = grpc.ssl_channel_credentials(open(server.ca, "rb").read())
    with grpc.secure_channel(f"localhost:{server.port}", credentials) as channel:
        yield {
            "certificates": certificate_service_pb2_grpc.CertificateServiceStub(channel),
            "secrets": secrets_pb2_grpc.SecretServiceStub(channel),
            "keys": keys_pb2_grpc.KeyServiceStub(channel),
        }


def put(stub, name, bundle, **more):
    request = message("ImportCertificateRequest")(certificate_name=name, pkcs12=bundle.pfx("secret"), password="secret", **more)
    return stub["certificates"].ImportCertificate(request).certificate


def reason(error):
    from google.rpc import error_details_pb2
    from grpc_status import rpc_status

    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in rpc_status.from_call(error.value).details)
    return info.reason, info.metadata["httpStatus"]


def test_what_is_imported_is_a_certificate_a_secret_and_a_key(stub):
    bundle = Bundle("grpc")
    certificate = put(stub, "grpc-face", bundle, tags={"a": "b"})
    assert certificate.cer == bundle.der() and certificate.policy.x509_properties.subject == "CN=grpc"
    secret = stub["secrets"].GetSecret(message("GetSecretRequest")(secret_name="grpc-face")).secret
    assert (secret.id, secret.key_id, dict(secret.tags)) == (certificate.secret_id, certificate.key_id, {"a": "b"})
    key, found, _ = pkcs12.load_key_and_certificates(secret.pkcs12, None)
    assert found == bundle.certificate
    pem = message("GetSecretRequest")(secret_name="grpc-face", out_content_type="application/x-pem-file")
    assert stub["secrets"].GetSecret(pem).secret.pem.encode() == bundle.pem()
    jwk = stub["keys"].GetKey(message("GetKeyRequest")(key_name="grpc-face")).key.key
    assert int.from_bytes(jwk.n, "big") == bundle.key.public_key().public_numbers().n
    assert (jwk.key_id, len(jwk.key_operations)) == (certificate.key_id, 6)


def test_the_key_signs_verifies_encrypts_and_wraps(stub):
    bundle = Bundle("grpc-use")
    put(stub, "grpc-use", bundle)
    keys, name = stub["keys"], {"key_name": "grpc-use"}
    digest = hashlib.sha256(b"message").digest()
    rs256 = {**name, "algorithm": "SIGNATURE_ALGORITHM_RS256", "digest": digest}
    signed = keys.Sign(message("SignRequest")(**rs256))
    bundle.key.public_key().verify(signed.signature, b"message", padding.PKCS1v15(), hashes.SHA256())
    assert keys.Verify(message("VerifyRequest")(**rs256, signature=signed.signature)).valid
    assert not keys.Verify(message("VerifyRequest")(**rs256, signature=b"x")).valid
    for algorithm in ["ENCRYPTION_ALGORITHM_RSA1_5", "ENCRYPTION_ALGORITHM_RSA_OAEP", "ENCRYPTION_ALGORITHM_RSA_OAEP_256"]:
        chosen = {**name, "algorithm": algorithm}
        text = keys.Encrypt(message("EncryptRequest")(**chosen, plaintext=b"text")).ciphertext
        assert keys.Decrypt(message("DecryptRequest")(**chosen, ciphertext=text)).plaintext == b"text"
        wrapped = keys.WrapKey(message("WrapKeyRequest")(**chosen, key=b"key")).encrypted_key
        assert keys.UnwrapKey(message("UnwrapKeyRequest")(**chosen, encrypted_key=wrapped)).key == b"key"


def test_lists_go_on_with_their_tokens(stub):
    for number in range(3):
        put(stub, f"grpc-list-{number}", Bundle("list", "P-256"))
    for service, call, request, items in [
        ("secrets", "ListSecrets", "ListSecretsRequest", "secrets"),
        ("keys", "ListKeys", "ListKeysRequest", "keys"),
    ]:
        found, token = [], ""
        while True:
            page = getattr(stub[service], call)(message(request)(page_size=1, page_token=token))
            found += [item.id if service == "secrets" else item.key_id for item in getattr(page, items)]
            token = page.next_page_token
            if not token:
                break
        assert [path.rsplit("/", 1)[1] for path in found if "grpc-list-" in path] == [f"grpc-list-{n}" for n in range(3)]
    versions = message("ListKeyVersionsRequest")(key_name="grpc-list-0")
    assert len(stub["keys"].ListKeyVersions(versions).keys) == 1
    versions = message("ListSecretVersionsRequest")(secret_name="grpc-list-0")
    assert len(stub["secrets"].ListSecretVersions(versions).secrets) == 1


def test_refusals_carry_their_reasons(stub):
    keys = stub["keys"]
    with pytest.raises(grpc.RpcError) as missing:
        keys.GetKey(message("GetKeyRequest")(key_name="grpc-nothing"))
    assert (missing.value.code(), reason(missing)) == (grpc.StatusCode.NOT_FOUND, ("KEY_NOT_FOUND", "404"))
    with pytest.raises(grpc.RpcError) as missing:
        stub["secrets"].GetSecret(message("GetSecretRequest")(secret_name="grpc-nothing"))
    assert reason(missing) == ("SECRET_NOT_FOUND", "404")
    put(stub, "grpc-off", Bundle("off", "P-256"), attributes=message("CertificateAttributes")(enabled=False))
    with pytest.raises(grpc.RpcError) as disabled:
        stub["secrets"].GetSecret(message("GetSecretRequest")(secret_name="grpc-off"))
    assert (disabled.value.code(), reason(disabled)) == (grpc.StatusCode.FAILED_PRECONDITION, ("SECRET_DISABLED", "403"))
    with pytest.raises(grpc.RpcError) as disabled:
        keys.GetKey(message("GetKeyRequest")(key_name="grpc-off"))
    assert reason(disabled) == ("KEY_DISABLED", "403")
    put(stub, "grpc-ec", Bundle("ec", "P-256"))
    chosen = {"key_name": "grpc-ec", "algorithm": "ENCRYPTION_ALGORITHM_RSA_OAEP"}
    with pytest.raises(grpc.RpcError) as forbidden:
        keys.Encrypt(message("EncryptRequest")(**chosen, plaintext=b"x"))
    assert reason(forbidden) == ("KEY_OPERATION_FORBIDDEN", "403")
    with pytest.raises(grpc.RpcError) as wrong:
        keys.Sign(message("SignRequest")(key_name="grpc-ec", digest=bytes(32)))
    assert (wrong.value.code(), reason(wrong)) == (grpc.StatusCode.INVALID_ARGUMENT, ("BAD_PARAMETER", "400"))
    with pytest.raises(grpc.RpcError) as empty:
        stub["certificates"].ImportCertificate(message("ImportCertificateRequest")(certificate_name="grpc-empty"))
    assert reason(empty) == ("BAD_PARAMETER", "400")
