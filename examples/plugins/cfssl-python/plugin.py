"""A plug-in of certmint for CFSSL: orders go to the `sign` or `authsign` endpoint of its API.

    plugin.py unix:/run/certmint/cfssl.sock
    plugin.py HOST:PORT CA.pem CHAIN.pem KEY.pem      (TLS; callers need a certificate of CA.pem)
"""

import base64
import hashlib
import hmac
import json
import os
import signal
import ssl
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import grpc
from certmint.issuer.v1 import orders_pb2 as orders
from certmint.issuer.v1 import issuers_pb2 as issuers
from certmint.issuer.v1 import plugin_pb2 as plugin
from certmint.issuer.v1.plugin_pb2_grpc import IssuerPluginServiceServicer, add_IssuerPluginServiceServicer_to_server
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

SERVICE = plugin.DESCRIPTOR.services_by_name["IssuerPluginService"].full_name
OPTIONS = [
    plugin.Option(
        name="url", kind=plugin.OPTION_KIND_URL, required=True, description="The address of CFSSL, without a path."
    ),
    plugin.Option(
        name="profile", kind=plugin.OPTION_KIND_TEXT, description="The profile of CFSSL's configuration to sign with."
    ),
    plugin.Option(
        name="auth_key", kind=plugin.OPTION_KIND_SECRET, description="The profile's authentication key, in hex."
    ),
    plugin.Option(name="ca_file", kind=plugin.OPTION_KIND_FILE, description="CAs of an https address, PEM."),
]


class Refused(Exception):
    """What CFSSL answered, with its first code."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Cfssl:
    """One issuer object's CFSSL, for one call."""

    def __init__(self, issuer, context):
        self.url = issuer.options["url"].rstrip("/")
        self.profile = issuer.options.get("profile", "")
        self.key = bytes.fromhex(issuer.secret_options.get("auth_key", "").strip())
        self.tls = ssl.create_default_context(cadata=issuer.options.get("ca_file") or None)
        self.patience = min(context.time_remaining() or 30, 30)

    def post(self, endpoint, body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v1/cfssl/{endpoint}", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self.patience, context=self.tls) as response:
                answer = json.loads(response.read(1 << 20))
        except urllib.error.HTTPError as error:
            # Refusals come with a status and the same body.
            answer = json.loads(error.read(1 << 20))
        if answer.get("success"):
            return answer["result"]
        error = (answer.get("errors") or [{}])[0]
        raise Refused(error.get("code", 0), error.get("message", "no reason"))

    def sign(self, body):
        if not self.key:
            return self.post("sign", body)
        text = json.dumps(body).encode()
        token = hmac.new(self.key, text, hashlib.sha256).digest()
        encode = lambda part: base64.b64encode(part).decode()
        return self.post("authsign", {"token": encode(token), "request": encode(text)})

    def chain(self, order):
        spec = order.spec
        lines = base64.encodebytes(order.csr_der).decode()
        request = f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}-----END CERTIFICATE REQUEST-----\n"
        hosts = [*spec.dns_names, *spec.ip_addresses, *spec.emails, *spec.uris]
        leaf = self.sign({"certificate_request": request, "hosts": hosts, "profile": self.profile})["certificate"]
        issuer = self.post("info", {"label": "", "profile": self.profile})["certificate"]
        return [ssl.PEM_cert_to_DER_cert(text) for text in (leaf, issuer)]


class Plugin(IssuerPluginServiceServicer):
    def Describe(self, request, context):
        return plugin.DescribeResponse(
            protocol_versions=plugin.VersionRange(minimum=1, maximum=1),
            summary="A CA that is run by CFSSL.",
            plugin_version="1",
            options=OPTIONS,
            # CFSSL signs a request again, without asking whether it has seen it.
            submit_semantics=plugin.SUBMIT_SEMANTICS_AT_LEAST_ONCE,
        )

    def ValidateIssuer(self, request, context):
        problems = []
        try:
            bytes.fromhex(request.issuer.secret_options.get("auth_key", "").strip())
        except ValueError:
            problems.append(issuers.FieldProblem(field="auth_key", problem="Not hexadecimal."))
        message = ""
        if request.ask_ca and not problems:
            with translated(context):
                info = Cfssl(request.issuer, context).post("info", {"label": ""})
                message = f"CFSSL answers, with usages {', '.join(info.get('usages') or [])}."
        return issuers.ValidateIssuerResponse(problems=problems, message=message)

    def Advance(self, request, context):
        progress = orders.Progress()
        if request.checkpoint:
            # CFSSL decides at once, so no answer of this plug-in has one.
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The checkpoint is not of this plug-in.")
        try:
            with translated(context):
                progress.issued.chain_der.extend(Cfssl(request.issuer, context).chain(request.order))
        except Refused as refusal:
            # CSRs and policies have codes of their own; what is left is the CA's.
            rejected = 9000 <= refusal.code < 10000 or 5000 <= refusal.code < 6000
            whose = orders.FAILURE_CLASS_REQUEST_REJECTED if rejected else orders.FAILURE_CLASS_ISSUER_ERROR
            setattr(progress.failed, "class", whose)  # a word of Python
            progress.failed.message = f"CFSSL refused the request: {refusal}."
            progress.failed.provider_code = str(refusal.code)
        return orders.AdvanceResponse(progress=progress)

    def Cancel(self, request, context):
        # An order is never open at CFSSL.
        return orders.CancelResponse(progress=orders.Progress(cancelled=orders.Cancelled()))


class translated:
    """Ends the call with the status that says what is to be done; refusals of the request pass."""

    def __init__(self, context):
        self.context = context

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, Refused) and any(word in str(error) for word in ("token", "authentication", "profile")):
            self.context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"CFSSL says: {error}.")
        if isinstance(error, (OSError, ValueError, KeyError)):
            self.context.abort(grpc.StatusCode.UNAVAILABLE, f"CFSSL cannot be asked: {error}.")
        return False


def main(address, *files):
    os.umask(0o007)  # of the socket: its owner and group
    server = grpc.server(ThreadPoolExecutor(16))
    add_IssuerPluginServiceServicer_to_server(Plugin(), server)
    status = health.HealthServicer()
    status.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(status, server)
    if files:
        ca, chain, key = (open(file, "rb").read() for file in files)
        server.add_secure_port(address, grpc.ssl_server_credentials([(key, chain)], ca, require_client_auth=True))
    else:
        server.add_insecure_port(address)
    server.start()
    print(f"listening on {address}", flush=True)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    stop.wait()
    server.stop(grace=10).wait()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 5) or (len(sys.argv) == 2) != sys.argv[1].startswith("unix:"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
