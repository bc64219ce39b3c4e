"""Requests made at random from the two descriptions of the REST face, ours and Key Vault's, by schemathesis.

No 500, no hang, no status, type or body that the description does not have. CERTMINT_FUZZ_SECONDS (20) bounds the run of
each description, CERTMINT_FUZZ_SEED (1) repeats one; with more than a minute the boundaries of every value and sequences
of calls are tried too.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import requests

from server import ROOT, running

SECONDS = int(os.environ.get("CERTMINT_FUZZ_SECONDS", "20"))
SEED = os.environ.get("CERTMINT_FUZZ_SEED", "1")
LONG = SECONDS > 60
CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]
DESCRIPTIONS = {
    "ours": "src/transport/rest/openapi.json",
    "key vault": "tests/data/azure/certificates-2026-04-01.json",
}
# Names that requests have in common, so that they meet each other's objects.
NAMES = ["web", "mail", "none"]


def meeting(value):
    """The description with few names in the place of all possible ones, in most requests."""
    if isinstance(value, list):
        return [meeting(item) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("in") == "path" and value["name"].replace("-", "_").endswith("_name"):
        if "schema" in value:
            return {**value, "schema": {"anyOf": [{"enum": NAMES}, {"enum": [*NAMES, "issuers", "a" * 127]}, value["schema"]]}}
        return {**value, "enum": NAMES}
    return {name: meeting(member) for name, member in value.items()}


def known_differences(document):
    """Key Vault sends null at the end of a list, which Swagger 2.0 cannot say."""
    for definition in document.get("definitions", {}).values():
        link = definition.get("properties", {}).get("nextLink")
        if link:
            link["x-nullable"] = True
    return document


def prepare(server):
    """A certificate, an operation that waits for a merge, and an issuer."""
    key = {"kty": "EC", "crv": "P-256"}
    for method, path, body in [
        ("PUT", "issuers/mail", {"provider": "Test", "credentials": {"account_id": "hold"}}),
        ("POST", "web/create", {"policy": {"key_props": key, "x509_props": {"subject": "CN=a"}, "issuer": {"name": "Self"}}}),
        ("POST", "mail/create", {"policy": {"key_props": key, "x509_props": {"subject": "CN=a"}, "issuer": {"name": "Unknown"}}}),
    ]:
        url = f"{server.url}/certificates/{path}?api-version=7.4"
        answer = requests.request(method, url, json=body, headers={"Authorization": "Bearer token"}, verify=server.ca, timeout=30)
        assert answer.ok, answer.text


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_whatever_is_asked_is_answered_as_it_is_described(name, tmp_path):
    document = json.loads((ROOT / DESCRIPTIONS[name]).read_text())
    description = tmp_path / "description.json"
    description.write_text(json.dumps(known_differences(meeting(document))))
    data = tmp_path / "data"
    data.mkdir()
    with running(data) as server:
        prepare(server)
        program = pathlib.Path(sys.executable).with_name("schemathesis")
        command = [program, "--config-file", pathlib.Path(__file__).with_name("schemathesis.toml"), "run", description]
        command += ["--url", server.url, "--tls-verify", server.ca, "--header", "Authorization: Bearer token"]
        command += ["--checks", ",".join(CHECKS), "--request-timeout", "30", "--max-response-time", "30"]
        command += ["--phases", "examples,coverage,fuzzing,stateful" if LONG else "examples,fuzzing"]
        command += ["--max-examples", "100" if LONG else "10", "--max-time", str(SECONDS), "--seed", SEED]
        # A stream has no end, and the tests of the watch read it.
        command += ["--exclude-path-regex", "/pending/watch$", "--generation-database", "none"]
        command += ["--continue-on-failure", "--no-shrink", "--warnings", "off", "--no-color"]
        # It leaves its cache where it runs.
        run = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=2 * SECONDS + 240)
        assert run.returncode == 0, run.stdout
        print(run.stdout[run.stdout.index("= SUMMARY ="):])
        # What would be hidden by an answer is not hidden in the log.
        assert "panic" not in server.log(), server.log()
        assert requests.get(f"{server.url}/certificates", verify=server.ca, timeout=30).status_code == 401
