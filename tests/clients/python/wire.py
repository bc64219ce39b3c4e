"""Plain HTTPS requests over one connection, to send what other programs send, as they send it."""

import http.client
import json
import ssl


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]


class Wire:
    """`version` goes with every request as `api-version`, the headers too."""

    def __init__(self, server, version, **headers):
        self.version = version
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        context = ssl.create_default_context(cafile=server.ca)
        self.connection = http.client.HTTPSConnection("localhost", server.port, context=context, timeout=120)

    def raw(self, method, target, body, headers):
        self.connection.request(method, target, body, headers)
        return Answer(self.connection.getresponse())

    def target(self, path):
        return f"{path}{'&' if '?' in path else '?'}api-version={self.version}"

    def send(self, method, path, body=None, token="any"):
        headers = {**self.headers, "Authorization": f"Bearer {token}"}
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
            body = json.dumps(body)
        return self.raw(method, self.target(path), body, headers)

    def close(self):
        self.connection.close()
