"""One life of a server, told by every program at once: killed, drained, and restored in the middle of their watches."""

import base64
import json
import ssl
import subprocess
import urllib.request

from authority import Authority
from programs import Run
from server import BINARY


class Story:
    """`watches[program]` and `creates[program]` are the runs through the whole of it, `calls[program, what]` the short
    ones. What happens comes over REST."""

    def __init__(self, server, programs, folder):
        self.server, self.programs, self.folder = server, programs, folder
        self.watches, self.creates, self.calls = {}, {}, {}

    def play(self):
        self.issuer("hold")
        self.issuer("fail")
        self.follow()
        self.kill_9()
        self.drain()
        self.restore()
        self.call()

    def end(self):
        for run in [*self.watches.values(), *self.creates.values(), *self.calls.values()]:
            run.end()

    def follow(self):
        """Every program watches what begins with its name, and creates a certificate that is merged by hand."""
        for program in self.programs:
            if program.watches:
                self.watches[program] = self.run(program, "watch", f"{program}-")
        self.all(self.watches, lambda run: "caught up" in run.notes(), "the end of the snapshot")
        for program in self.programs:
            self.creates[program] = self.run(program, "create", f"{program}-made", "Unknown")
        self.all(self.creates, lambda run: run.lines(), "its certificate")
        for program in self.watches:
            self.create(f"{program}-held", "hold")
        self.all(self.watches, told("-held #2 UPDATED IN_PROGRESS"), "what the issuer said")

    def kill_9(self):
        self.server.kill()
        for runs in (self.watches, self.creates):
            self.all(runs, lambda run: "interrupted" in run.notes(), "the end of the connection")
        self.server.start()
        authority = Authority()
        for program in self.watches:
            self.rest("PATCH", f"certificates/{program}-held/pending", {"cancellation_requested": True})
        for program in self.programs:
            pending = self.rest("GET", f"certificates/{program}-made/pending")
            chain = authority.chain(base64.b64decode(pending["csr"]))
            x5c = [base64.b64encode(certificate).decode() for certificate in chain]
            self.rest("POST", f"certificates/{program}-made/pending/merge", {"x5c": x5c})
        self.all(self.watches, told("-held #4 UPDATED CANCELLED"), "the cancellation")
        self.all(self.watches, told("-made #2 UPDATED COMPLETED"), "the merge")
        for run in self.creates.values():
            run.wait()

    def drain(self):
        self.server.stop()
        self.all(self.watches, lambda run: "SERVER_DRAINING" in run.notes(), "the drain")
        self.server.start()
        for program in self.watches:
            self.rest("DELETE", f"certificates/{program}-held/pending")
        self.all(self.watches, told("-held #5 DELETED CANCELLED"), "the deletion")

    def restore(self):
        """What an operator does after a restore: the resume tokens of before belong to another log."""
        self.server.kill()
        subprocess.run([BINARY, "new-epoch", "--data-dir", self.server.folder], check=True, capture_output=True)
        self.server.start()
        self.all(self.watches, lambda run: "caught up" in run.notes().partition("expired")[2], "a new snapshot")
        for program in self.watches:
            self.create(f"{program}-last", "fail")
        self.all(self.watches, told("-last #2 UPDATED FAILED"), "the failure")

    def call(self):
        """The short ones, one program after the other."""
        for program in self.programs:
            short = {
                "signed": ["create", f"{program}-self"],
                "failed": ["create", f"{program}-fails", "fail"],
                "bad": ["create", f"{program}-bad", "nowhere"],
                "missing": ["show", f"{program}-missing"],
            }
            for what, arguments in short.items():
                self.calls[program, what] = self.run(program, *arguments)
            for what in short:
                self.calls[program, what].wait()
            self.calls[program, "shown"] = self.run(program, "show", f"{program}-self")
            self.calls[program, "shown"].wait()

    def run(self, program, *arguments):
        return Run(program, self.folder, self.server, *arguments)

    def all(self, runs, happened, what):
        for run in runs.values():
            run.until(happened, what)

    def issuer(self, account):
        self.rest("PUT", f"certificates/issuers/{account}", {"provider": "Test", "credentials": {"account_id": account}})

    def create(self, name, issuer):
        policy = {"key_props": {"kty": "EC"}, "x509_props": {"subject": "CN=x.example"}, "issuer": {"name": issuer}}
        self.rest("POST", f"certificates/{name}/create", {"policy": policy})

    def rest(self, method, path, body=None):
        headers = {"Authorization": "Bearer story", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.server.url}/{path}?api-version=7.4", data, headers, method=method)
        with urllib.request.urlopen(request, context=ssl.create_default_context(cafile=self.server.ca)) as answer:
            return json.load(answer)


def told(text):
    return lambda run: any(text in line for line in run.lines())
