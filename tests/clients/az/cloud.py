"""A cloud for `az` on loopback: it gives out tokens and knows one subscription; the vault is the server's.

`az` takes tokens from a managed identity (plain HTTP, as on App Service) and asks Azure Resource Manager for its
subscriptions (HTTPS, or it refuses to send the token). One handler plays both, and Microsoft Graph, which knows
nobody.
"""

import base64
import contextlib
import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
HEADER = "secret-of-the-identity"


def _part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(resource):
    """In the form of a JSON web token, since `az` reads the tenant in it; nobody checks the signature."""
    claims = {"aud": resource, "tid": TENANT, "oid": TENANT, "appid": TENANT, "exp": int(time.time()) + 3600}
    return ".".join([_part({"alg": "none"}), _part(claims), "unsigned"])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/token" and self.headers.get("X-IDENTITY-HEADER") == HEADER:
            resource, expires = query["resource"], str(int(time.time()) + 3600)
            self.server.asked.append(resource)
            kind = {"resource": resource, "expires_on": expires, "token_type": "Bearer"}
            self.answer(200, {"access_token": token(resource), **kind})
        elif url.path == "/subscriptions":
            named = {"subscriptionId": SUBSCRIPTION, "displayName": "Loopback", "tenantId": TENANT}
            here = {"id": f"/subscriptions/{SUBSCRIPTION}", "state": "Enabled"}
            self.answer(200, {"value": [{**named, **here}]})
        else:
            self.answer(404, {"error": {"code": "NotFound", "message": f"{self.path} is not played here"}})

    def do_POST(self):
        """Microsoft Graph, which `az` asks for the names of principals: it knows none."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = urllib.parse.urlsplit(self.path).path.endswith("/directoryObjects/getByIds")
        self.answer(200 if known else 404, {"value": []})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def _certificate(folder):
    """A self-signed certificate for localhost, as a file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback cloud")])
    now = datetime.datetime.now(datetime.timezone.utc)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "cloud.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*plain))
    return path


def _listen(tls=None):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Cloud:
    def __init__(self, folder):
        self.certificate = _certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate)
        self.identity, self.manager = _listen(), _listen(context)
        self.manager_url = f"https://localhost:{self.manager.server_port}"
        self.identity_url = f"http://127.0.0.1:{self.identity.server_port}/token"

    @property
    def resources(self):
        """What tokens were asked for."""
        return self.identity.asked


@contextlib.contextmanager
def running(folder):
    cloud = Cloud(folder)
    try:
        yield cloud
    finally:
        cloud.identity.shutdown()
        cloud.manager.shutdown()
