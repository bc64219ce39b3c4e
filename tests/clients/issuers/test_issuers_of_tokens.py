"""Tokens of an OpenID-certified provider, with unmodified clients: the credential for workload identities of the Azure
SDK, which takes the token from a file, and certmint's own command line.
"""

import json
import os
import socket
import subprocess

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError
from azure.identity import DefaultAzureCredential, WorkloadIdentityCredential
from azure.keyvault.certificates import CertificateClient, CertificatePolicy
from azure.keyvault.secrets import SecretClient
from server import BINARY


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("AZURE_", "IDENTITY_", "MSI_", "CERTMINT_")) and name != "CERTMINT_BINARY":
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    real = socket.getaddrinfo

    def below_the_base_domain(host, *arguments, **options):
        return real("127.0.0.1" if str(host).endswith(".kv.test") else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", below_the_base_domain)
    return monkeypatch


def workload(server, environment, token):
    """As in a pod: everything is in the environment, and the token in a file."""
    server.file("token", token.encode())
    environment.setenv("REQUESTS_CA_BUNDLE", server.ca)
    environment.setenv("AZURE_AUTHORITY_HOST", f"https://default.kv.test:{server.port}")
    environment.setenv("AZURE_TENANT_ID", "adfs")
    environment.setenv("AZURE_CLIENT_ID", "shop")
    environment.setenv("AZURE_FEDERATED_TOKEN_FILE", str(server.folder / "token"))


def create(server, credential, name):
    url = f"https://default.kv.test:{server.port}"
    policy = CertificatePolicy(issuer_name="Self", subject=f"CN={name}.example", san_dns_names=[f"{name}.example"])
    policy._key_type, policy._key_curve_name = "EC", "P-256"
    with CertificateClient(url, credential) as certificates, SecretClient(url, credential) as secrets:
        certificate = certificates.begin_create_certificate(name, policy, _polling_interval=0.1).result()
        assert certificate.properties.version == secrets.get_secret(name).properties.version


def certmint(server, token, *arguments):
    server.file("token", token.encode())
    command = [BINARY, "--server", server.url, "--ca", server.ca, "--output", "json", *arguments]
    environment = {**os.environ, "CERTMINT_TOKEN_FILE": str(server.folder / "token")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("alg", ["ES256", "RS256", "PS256"])
def test_a_program_of_the_azure_sdk_uses_the_token_of_its_file(issuer, guarded, environment, alg):
    issuer.start(alg)
    server = guarded()
    workload(server, environment, issuer.token())
    for number, credential in enumerate([WorkloadIdentityCredential(), DefaultAzureCredential()]):
        create(server, credential, f"shop-{number}")
    with pytest.raises(HttpResponseError) as refused:
        create(server, WorkloadIdentityCredential(), "billing")
    assert refused.value.status_code == 403 and "name=jwt:oidc:shop;iss=certmint" in str(refused.value)


def test_the_command_line_says_who_the_token_is_of(issuer, guarded):
    issuer.start()
    server = guarded()
    who = json.loads(certmint(server, issuer.token(), "access", "whoami").stdout)
    assert who["principal"] == "jwt:oidc:shop" and len(who["grants"]) == 2
    assert who["credential"]["groups"] == ["group:oidc:shop-team"] and who["credential"]["provider"] == "oidc"
    doctor = json.loads(certmint(server, issuer.token(), "doctor").stdout)
    [identity] = [check["detail"] for check in doctor["checks"] if check["name"] == "identity"]
    assert identity.startswith("jwt:oidc:shop (token of oidc, until ") and "Key Vault Certificates Officer" in identity
    stranger = json.loads(certmint(server, issuer.token("stranger"), "access", "whoami").stdout)
    assert stranger["principal"] == "jwt:oidc:stranger" and stranger["grants"] == []


def test_a_token_for_another_service_is_refused_with_the_reason(issuer, guarded, environment):
    issuer.start()
    server = guarded()
    token = issuer.token(resource="https://other.example")
    refused = certmint(server, token, "list")
    assert refused.returncode == 1 and "AKV10022: Invalid audience" in refused.stderr
    workload(server, environment, token)
    with pytest.raises(ClientAuthenticationError, match="AKV10022"):
        create(server, WorkloadIdentityCredential(), "shop-x")
    assert token not in server.log()


def test_keys_that_change_and_an_outage_go_unnoticed(issuer, guarded):
    issuer.start()
    server = guarded()
    first = issuer.token()
    assert certmint(server, first, "list").returncode == 0
    issuer.stop()
    assert certmint(server, first, "list").returncode == 0
    server.stop()
    server.start()
    assert certmint(server, first, "list").returncode == 0, "the keys were kept"
    issuer.start()
    second = issuer.token()
    assert certmint(server, second, "list").returncode == 0, "the new key is fetched"
    assert certmint(server, first, "list").returncode == 0, "what the old one signed is still good"
