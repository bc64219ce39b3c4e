"""The unmodified Azure SDK for Python: import, secrets and keys with real cryptography, sync and async."""

import asyncio
import base64
import hashlib
import time

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.certificates import CertificateClient, CertificateContentType, CertificatePolicy
from azure.keyvault.certificates.aio import CertificateClient as AsyncCertificateClient
from azure.keyvault.keys import KeyClient
from azure.keyvault.keys.aio import KeyClient as AsyncKeyClient
from azure.keyvault.keys.crypto import (
    CryptographyClient,
    EncryptionAlgorithm,
    KeyWrapAlgorithm,
    SignatureAlgorithm,
)
from azure.keyvault.keys.crypto.aio import CryptographyClient as AsyncCryptographyClient
from azure.keyvault.secrets import SecretClient
from azure.keyvault.secrets.aio import SecretClient as AsyncSecretClient
from bundles import Bundle
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import pkcs12


class Token:
    def get_token(self, *scopes, **kwargs):
        return AccessToken("any", int(time.time()) + 3600)


class AsyncToken:
    async def get_token(self, *scopes, **kwargs):
        return AccessToken("any", int(time.time()) + 3600)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *args):
        pass


@pytest.fixture(scope="module")
def options(server):
    return {"verify_challenge_resource": False, "connection_verify": server.ca}


@pytest.fixture(scope="module")
def certificates(server, options):
    with CertificateClient(server.url, Token(), **options) as client:
        yield client


@pytest.fixture(scope="module")
def secrets(server, options):
    with SecretClient(server.url, Token(), **options) as client:
        yield client


@pytest.fixture(scope="module")
def keys(server, options):
    with KeyClient(server.url, Token(), **options) as client:
        yield client


def public_bytes(key):
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("curve", [None, "P-256", "P-384", "P-521", "P-256K"])
def test_a_pfx_goes_in_and_comes_out_with_its_key(certificates, secrets, curve):
    bundle, name = Bundle("face", curve), f"py-face-{curve}"
    imported = certificates.import_certificate(name, bundle.pfx("secret"), password="secret", tags={"a": "b"})
    assert bytes(imported.cer) == bundle.der()
    assert imported.properties.tags == {"a": "b"}
    assert imported.policy.subject == "CN=face"
    secret = secrets.get_secret(name)
    assert secret.properties.content_type == "application/x-pkcs12" and secret.properties.managed
    key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), None)
    assert certificate == bundle.certificate
    assert public_bytes(key.public_key()) == public_bytes(bundle.key.public_key())
    assert secrets.get_secret(name, secret.properties.version).value == secret.value


def test_pem_with_an_encrypted_key_goes_in_and_plain_pem_comes_out(certificates, secrets):
    bundle = Bundle("pem", "P-256")
    chosen = CertificatePolicy("Unknown", subject="CN=x", content_type=CertificateContentType.pem)
    certificates.import_certificate("py-pem", bundle.pem("secret"), password="secret", policy=chosen)
    secret = secrets.get_secret("py-pem")
    assert secret.properties.content_type == "application/x-pem-file"
    assert secret.value.encode() == bundle.pem()


def test_a_certificate_that_was_created_here_is_a_secret_too(certificates, secrets):
    chosen = CertificatePolicy("Self", subject="CN=created", key_type="EC", key_curve_name="P-256", exportable=True)
    created = certificates.begin_create_certificate("py-created", chosen, _polling_interval=0).result()
    key, certificate, _ = pkcs12.load_key_and_certificates(
        base64.b64decode(secrets.get_secret("py-created").value), None
    )
    assert certificate == x509.load_der_x509_certificate(bytes(created.cer))
    assert public_bytes(key.public_key()) == public_bytes(certificate.public_key())
    pem = secrets.get_secret("py-created", out_content_type="application/x-pem-file")
    assert pem.value.startswith("-----BEGIN PRIVATE KEY-----\n")


def test_lists_show_secrets_and_keys_as_managed(certificates, secrets, keys):
    for number in range(3):
        certificates.import_certificate(f"py-list-{number}", Bundle("list", "P-256").pfx())
    certificates.import_certificate("py-list-1", Bundle("list", "P-256").pfx())
    named = lambda items: [item.name for item in items if item.name.startswith("py-list-")]
    assert named(secrets.list_properties_of_secrets(max_page_size=2)) == ["py-list-0", "py-list-1", "py-list-2"]
    assert named(keys.list_properties_of_keys(max_page_size=2)) == ["py-list-0", "py-list-1", "py-list-2"]
    assert all(item.managed for item in secrets.list_properties_of_secrets() if item.name.startswith("py-list-"))
    assert len(list(secrets.list_properties_of_secret_versions("py-list-1", max_page_size=1))) == 2
    assert len(list(keys.list_properties_of_key_versions("py-list-1", max_page_size=1))) == 2


def test_what_is_wrong_comes_as_the_errors_of_the_sdk(certificates, secrets, keys):
    with pytest.raises(HttpResponseError) as refused:
        certificates.import_certificate("py-wrong", Bundle("wrong", "P-256").pfx("secret"), password="other")
    assert (refused.value.status_code, refused.value.error.code) == (400, "BadParameter")
    assert "The password is wrong" in refused.value.message
    for read in (secrets.get_secret, keys.get_key):
        with pytest.raises(ResourceNotFoundError):
            read("py-nothing")
    certificates.import_certificate("py-owned", Bundle("owned", "P-256").pfx())
    for write in (lambda: secrets.set_secret("py-owned", "x"), lambda: keys.create_rsa_key("py-owned")):
        with pytest.raises(HttpResponseError) as refused:
            write()
        assert refused.value.status_code == 403 and "associated with a certificate" in refused.value.message
    certificates.begin_create_certificate("py-open", CertificatePolicy("Unknown", subject="CN=a"), _polling_interval=0)
    with pytest.raises(ResourceExistsError) as refused:
        certificates.import_certificate("py-open", Bundle("open", "P-256").pfx())
    assert "while a pending key vault certificate's status is inProgress" in refused.value.message


RSA_SIGNATURES = [
    SignatureAlgorithm.rs256,
    SignatureAlgorithm.rs384,
    SignatureAlgorithm.rs512,
    SignatureAlgorithm.ps256,
    SignatureAlgorithm.ps384,
    SignatureAlgorithm.ps512,
]
EC_SIGNATURES = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "P-256K": "ES256K"}
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def digest_of(algorithm, message):
    return hashlib.new(f"sha{str(algorithm)[2:5]}", message).digest()


def verifies(public_key, algorithm, message, signature):
    """Outside of the SDK: raises where the signature is not of this key."""
    name = str(getattr(algorithm, "value", algorithm))
    chosen = HASHES[name[2:5]]()
    if name.startswith("ES"):
        half = len(signature) // 2
        numbers = [int.from_bytes(part, "big") for part in (signature[:half], signature[half:])]
        public_key.verify(utils.encode_dss_signature(*numbers), message, ec.ECDSA(chosen))
    else:
        pss = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
        public_key.verify(signature, message, pss if name.startswith("PS") else padding.PKCS1v15(), chosen)


def remote(client):
    """The SDK verifies and encrypts by itself where it knows the key; this asks the server."""
    client._local_provider.supports = lambda *_: False
    return client


def test_an_rsa_key_signs_and_verifies(certificates, keys, options):
    bundle = Bundle("rsa")
    certificates.import_certificate("py-rsa", bundle.pfx())
    key = keys.get_key("py-rsa")
    numbers = bundle.key.public_key().public_numbers()
    assert int.from_bytes(key.key.n, "big") == numbers.n and int.from_bytes(key.key.e, "big") == numbers.e
    with CryptographyClient(key, Token(), **options) as client:
        for algorithm in RSA_SIGNATURES:
            digest = digest_of(algorithm.value, b"message")
            signed = client.sign(algorithm, digest)
            assert signed.key_id == key.id
            verifies(bundle.key.public_key(), algorithm, b"message", signed.signature)
            assert client.verify(algorithm, digest, signed.signature).is_valid
            assert remote(client).verify(algorithm, digest, signed.signature).is_valid
            assert not client.verify(algorithm, digest, bytes(len(signed.signature))).is_valid


@pytest.mark.parametrize("curve", EC_SIGNATURES)
def test_an_ec_key_signs_and_verifies(certificates, keys, options, curve):
    bundle, algorithm = Bundle("ec", curve), SignatureAlgorithm(EC_SIGNATURES[curve])
    certificates.import_certificate(f"py-ec-{curve}", bundle.pfx())
    key = keys.get_key(f"py-ec-{curve}")
    assert (key.key.crv, key.key_operations) == (curve, ["sign", "verify"])
    with CryptographyClient(key, Token(), **options) as client:
        digest = digest_of(algorithm.value, b"message")
        signed = client.sign(algorithm, digest)
        verifies(bundle.key.public_key(), algorithm, b"message", signed.signature)
        assert client.verify(algorithm, digest, signed.signature).is_valid
        assert remote(client).verify(algorithm, digest, signed.signature).is_valid


def test_an_rsa_key_encrypts_and_wraps(certificates, keys, options):
    bundle = Bundle("wrap")
    certificates.import_certificate("py-wrap", bundle.pfx())
    oaep = lambda chosen: padding.OAEP(padding.MGF1(chosen()), chosen(), None)
    known = {"RSA1_5": padding.PKCS1v15(), "RSA-OAEP": oaep(hashes.SHA1), "RSA-OAEP-256": oaep(hashes.SHA256)}
    with CryptographyClient(keys.get_key("py-wrap"), Token(), **options) as client:
        for name, scheme in known.items():
            local = client.encrypt(EncryptionAlgorithm(name), b"text").ciphertext
            assert client.decrypt(EncryptionAlgorithm(name), local).plaintext == b"text"
            foreign = bundle.key.public_key().encrypt(b"key", scheme)
            assert client.unwrap_key(KeyWrapAlgorithm(name), foreign).key == b"key"
        remote(client)
        for name, scheme in known.items():
            ciphertext = client.encrypt(EncryptionAlgorithm(name), b"text").ciphertext
            assert bundle.key.decrypt(ciphertext, scheme) == b"text"
            wrapped = client.wrap_key(KeyWrapAlgorithm(name), b"key").encrypted_key
            assert bundle.key.decrypt(wrapped, scheme) == b"key"


def test_a_key_that_cannot_leave_signs_all_the_same(certificates, secrets, keys, options):
    chosen = CertificatePolicy(
        "Self", subject="CN=kept", key_type="EC", key_curve_name="P-256", exportable=False, content_type="application/x-pem-file"
    )
    created = certificates.begin_create_certificate("py-kept", chosen, _polling_interval=0).result()
    assert "PRIVATE" not in secrets.get_secret("py-kept").value
    with CryptographyClient(keys.get_key("py-kept"), Token(), **options) as client:
        signed = client.sign(SignatureAlgorithm.es256, digest_of("ES256", b"message"))
    certificate = x509.load_der_x509_certificate(bytes(created.cer))
    verifies(certificate.public_key(), "ES256", b"message", signed.signature)


def test_the_async_clients_do_the_same(server, options):
    bundle = Bundle("aio")

    async def run():
        token = AsyncToken()
        async with (
            AsyncCertificateClient(server.url, token, **options) as certificates,
            AsyncSecretClient(server.url, token, **options) as secrets,
            AsyncKeyClient(server.url, token, **options) as keys,
        ):
            imported = await certificates.import_certificate("py-aio", bundle.pfx("secret"), password="secret")
            assert bytes(imported.cer) == bundle.der()
            secret = await secrets.get_secret("py-aio")
            key, certificate, _ = pkcs12.load_key_and_certificates(base64.b64decode(secret.value), None)
            assert certificate == bundle.certificate
            assert public_bytes(key.public_key()) == public_bytes(bundle.key.public_key())
            assert "py-aio" in [item.name async for item in secrets.list_properties_of_secrets()]
            assert "py-aio" in [item.name async for item in keys.list_properties_of_keys()]
            face = await keys.get_key("py-aio")
            async with AsyncCryptographyClient(face, token, **options) as client:
                digest = digest_of("RS256", b"message")
                signed = await client.sign(SignatureAlgorithm.rs256, digest)
                verifies(bundle.key.public_key(), SignatureAlgorithm.rs256, b"message", signed.signature)
                remote(client)
                assert (await client.verify(SignatureAlgorithm.rs256, digest, signed.signature)).is_valid
                wrapped = await client.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, b"key")
                assert (await client.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped.encrypted_key)).key == b"key"
                text = await client.encrypt(EncryptionAlgorithm.rsa_oaep, b"text")
                assert (await client.decrypt(EncryptionAlgorithm.rsa_oaep, text.ciphertext)).plaintext == b"text"

    asyncio.run(run())
