"""The credential classes of azure-identity, unmodified and set by their environment alone, against the places where a
program gets its token; with each of them a certificate is created and its secret read.
"""

import contextlib
import hashlib
import logging
import os
import socket

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import (
    ClientSecretCredential,
    DefaultAzureCredential,
    EnvironmentCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.secrets import SecretClient

TOKEN = "5up3r-s3cret.Token_1"


@pytest.fixture
def environment(server, monkeypatch):
    for name in list(os.environ):
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", server.ca)
    # Neither a browser, nor a command line, nor a service of a cloud is asked.
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    real = socket.getaddrinfo

    def below_localhost(host, *arguments, **options):
        """*.localhost, which not every machine resolves."""
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", below_localhost)
    return monkeypatch


def app_service(server, environment, token="dev"):
    environment.setenv("IDENTITY_ENDPOINT", f"{server.url}/identity/token")
    environment.setenv("IDENTITY_HEADER", token)


def service_principal(server, environment, secret="dev", tenant="adfs"):
    environment.setenv("AZURE_AUTHORITY_HOST", server.url)
    environment.setenv("AZURE_TENANT_ID", tenant)
    environment.setenv("AZURE_CLIENT_ID", "any")
    environment.setenv("AZURE_CLIENT_SECRET", secret)


def works(url, credential, name):
    with contextlib.ExitStack() as stack:
        certificates = stack.enter_context(CertificateClient(url, credential))
        secrets = stack.enter_context(SecretClient(url, credential))
        policy = CertificatePolicy(issuer_name="Self", subject=f"CN={name}.example", san_dns_names=[f"{name}.example"])
        policy._key_type, policy._key_curve_name = "EC", "P-256"
        certificate = certificates.begin_create_certificate(name, policy, _polling_interval=0.1).result()
        assert certificate.properties.version == secrets.get_secret(name).properties.version


def hosts(server):
    """A vault by its name, and the address alone; the check of the challenge is on."""
    return [f"https://default.localhost:{server.port}", f"https://127.0.0.1:{server.port}"]


def test_a_managed_identity_by_two_variables(server, environment):
    app_service(server, environment)
    for number, url in enumerate(hosts(server)):
        works(url, ManagedIdentityCredential(), f"identity-managed-{number}")
        works(url, DefaultAzureCredential(), f"identity-default-{number}")


def test_a_service_principal_of_the_tenant_adfs(server, environment):
    service_principal(server, environment)
    for number, url in enumerate(hosts(server)):
        works(url, EnvironmentCredential(), f"identity-environment-{number}")
        works(url, DefaultAzureCredential(), f"identity-chain-{number}")
    explicit = ClientSecretCredential("adfs", "any", "dev", authority=server.url)
    works(hosts(server)[0], explicit, "identity-explicit")


def test_a_federated_token_file(server, environment, tmp_path):
    file = tmp_path / "token"
    file.write_text("dev")
    environment.setenv("AZURE_AUTHORITY_HOST", server.url)
    environment.setenv("AZURE_TENANT_ID", "adfs")
    environment.setenv("AZURE_CLIENT_ID", "any")
    environment.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    works(hosts(server)[0], WorkloadIdentityCredential(), "identity-federated")


def test_the_token_is_the_callers_own_and_is_in_no_log(server, environment, caplog):
    app_service(server, environment, TOKEN)
    with caplog.at_level(logging.DEBUG):
        scope = f"https://localhost:{server.port}/.default"
        assert ManagedIdentityCredential().get_token(scope).token == TOKEN
    service_principal(server, environment, TOKEN)
    assert EnvironmentCredential().get_token(scope).token == TOKEN
    assert TOKEN not in server.log()
    assert hashlib.sha256(TOKEN.encode()).hexdigest() not in server.log()


def test_a_refusal_is_shown_with_its_reason(server, environment):
    service_principal(server, environment, "a b")
    with pytest.raises(ClientAuthenticationError, match="client_secret .* is not accepted"):
        EnvironmentCredential().get_token(f"https://localhost:{server.port}/.default")
    app_service(server, environment, "a b")
    with pytest.raises((ClientAuthenticationError, HttpResponseError)):
        ManagedIdentityCredential().get_token(f"https://localhost:{server.port}/.default")
