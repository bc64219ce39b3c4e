"""The unmodified azure-keyvault-administration against the server: grants and roles as Azure has them, and what they mean
for callers with tokens of their own.
"""

import hashlib
import uuid

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.keyvault.administration import ApiVersion, KeyVaultAccessControlClient, KeyVaultPermission, KeyVaultRoleScope
from azure.keyvault.certificates import CertificateClient
from guarded import Guarded

OFFICER = "Key Vault Certificates Officer"
SHOP = "token-of-the-shop"


class Bearer:
    """A credential with one token."""

    def __init__(self, token):
        self.token = token

    def get_token(self, *scopes, **options):
        return AccessToken(self.token, 4_000_000_000)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    server = Guarded(tmp_path_factory.mktemp("guarded"))
    with open(server.folder / "tokens", "a") as tokens:
        tokens.write(f"shop {hashlib.sha256(SHOP.encode()).hexdigest()}\n")
    server.start()
    yield server
    server.stop()


def connect(kind, server, token, **more):
    return kind(server.url, Bearer(token), verify_challenge_resource=False, connection_verify=server.ca, **more)


@pytest.fixture(params=list(ApiVersion))
def client(guarded, request):
    administrator = guarded.tokens["good"]
    with connect(KeyVaultAccessControlClient, guarded, administrator, api_version=request.param) as client:
        yield client


@pytest.fixture
def shop(guarded):
    with connect(CertificateClient, guarded, SHOP) as client:
        yield client


def status(client, name):
    with pytest.raises(HttpResponseError) as refused:
        client.get_certificate(name)
    return refused.value.status_code


def test_an_assignment_lets_a_caller_in_until_it_is_deleted(client, shop):
    role = next(role for role in client.list_role_definitions(KeyVaultRoleScope.GLOBAL) if role.role_name == OFFICER)
    assert role.role_type == "AKVBuiltInRole"
    assert "Microsoft.KeyVault/vaults/certificates/*" in role.permissions[0].data_actions
    assert client.get_role_definition("/", role.name).id == role.id
    assert (status(shop, "shop-1"), status(shop, "web")) == (403, 403)

    made = client.create_role_assignment("/certificates/shop-*", role.id, "token:shop")
    assert made.properties.scope == "/certificates/shop-*"
    assert made.properties.principal_id == "token:shop"
    assert made.properties.role_definition_id == role.id
    assert (status(shop, "shop-1"), status(shop, "web")) == (404, 403)
    read = client.get_role_assignment("/certificates/shop-*", made.name)
    assert (read.name, read.role_assignment_id) == (made.name, made.role_assignment_id)
    names = {one.name for one in client.list_role_assignments("/certificates/shop-*")}
    assert made.name in names and "administrator-1" in names

    client.delete_role_assignment("/certificates/shop-*", made.name)
    client.delete_role_assignment("/certificates/shop-*", made.name)  # one that is gone is no error
    assert status(shop, "shop-1") == 403
    with pytest.raises(ResourceNotFoundError):
        client.get_role_assignment("/certificates/shop-*", made.name)


def test_a_role_of_ones_own_is_made_changed_and_deleted(client, shop):
    name = uuid.uuid4()

    def role(*actions):
        permission = KeyVaultPermission(data_actions=[f"Microsoft.KeyVault/vaults/certificates/{it}" for it in actions])
        return client.set_role_definition("/", name=name, role_name=f"Own {name}", permissions=[permission])

    made = role("read")
    assert (made.name, made.role_type, made.assignable_scopes) == (str(name), "CustomRole", ["/"])
    assignment = client.create_role_assignment("/", made.id, "token:shop", name=uuid.uuid4())
    assert status(shop, "web") == 404
    role("delete")
    assert status(shop, "web") == 403
    with pytest.raises(ResourceExistsError, match="RoleDefinitionHasAssignments"):
        client.delete_role_definition("/", name)
    client.delete_role_assignment("/", assignment.name)
    client.delete_role_definition("/", name)
    assert str(name) not in {role.name for role in client.list_role_definitions("/")}


def test_many_assignments_come_in_pages(client):
    role = next(role for role in client.list_role_definitions("/") if role.role_name == OFFICER)
    made = [client.create_role_assignment("/certificates/web", role.id, "token:other") for _ in range(30)]
    listed = [one.name for one in client.list_role_assignments("/")]
    assert {one.name for one in made} <= set(listed)
    assert len(listed) == len(set(listed))
    for one in made:
        client.delete_role_assignment("/", one.name)


def test_who_may_not_grant_is_told_so(guarded):
    with connect(KeyVaultAccessControlClient, guarded, SHOP) as client:
        role = next(role for role in client.list_role_definitions("/") if role.role_name == OFFICER)
        with pytest.raises(HttpResponseError, match="roleAssignments/write") as refused:
            client.create_role_assignment("/", role.id, "token:shop")
        assert refused.value.status_code == 403
