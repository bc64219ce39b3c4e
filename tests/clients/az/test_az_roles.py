"""`az keyvault role` as it is published, against the server: grants as role assignments."""

import json

import pytest
from conftest import Refused

OFFICER = "Key Vault Certificates Officer"


def role(az, server, *arguments):
    printed = az.run("keyvault", "role", "assignment", *arguments, "--id", server.url)
    return json.loads(printed) if printed.strip() else None


def test_an_assignment_is_made_listed_and_deleted(az, server):
    named = ["--scope", "/certificates/shop-*", "--role", OFFICER, "--assignee-object-id", "token:shop"]
    made = role(az, server, "create", *named)
    assert (made["scope"], made["roleName"], made["principalId"]) == ("/certificates/shop-*", OFFICER, "token:shop")
    listed = role(az, server, "list", "--scope", "/certificates/shop-*")
    assert [(one["name"], one["roleName"]) for one in listed] == [(made["name"], OFFICER)]
    role(az, server, "delete", *named)
    assert role(az, server, "list", "--scope", "/certificates/shop-*") == []


def test_a_role_that_is_not_there_is_refused(az, server):
    named = ["--scope", "/", "--role", "Nobody", "--assignee-object-id", "token:shop"]
    with pytest.raises(Refused, match="Unknown role"):
        role(az, server, "create", *named)
