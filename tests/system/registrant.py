"""Registers resources as any program would: HTTP and JSON, with a token or a client's certificate."""
import http.client
import json
from urllib.parse import quote, urlencode

from tests.system.harness import Reply

PATCH = "application/merge-patch+json"


def registration(*addresses, service="app.example.com", port=8080, **more):
    """A registration for one service."""
    return {"addresses": list(addresses), "lease_s": 30, "services": [{"name": service, "port": port}], **more}


def create_token(daemon, name, resources="*", services="*", *more):
    """By gslbctl, which prints the token and nothing else."""
    done = daemon.ctl("token", "create", name, "--resources", resources, "--services", services, *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Registrant:
    """One who speaks to a balancer's HTTP API. Each call takes a connection of its own. tls: an ssl.SSLContext."""

    def __init__(self, daemon, token=None, tls=None, timeout=15):
        self.daemon, self.token, self.tls, self.timeout = daemon, token, tls, timeout

    def connect(self):
        where = {"host": self.daemon.host, "port": self.daemon.http_port, "timeout": self.timeout}
        return http.client.HTTPSConnection(context=self.tls, **where) if self.tls else http.client.HTTPConnection(**where)

    def headers(self, body, more):
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**own, **({"Content-Type": "application/json"} if body is not None else {}), **(more or {})}

    def call(self, method, path, body=None, headers=None):
        """body: a document, or bytes that go out as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection = self.connect()
        try:
            connection.request(method, path, data, self.headers(body, headers))
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def put(self, name, body, headers=None, **query):
        return self.call("PUT", path_of(name, query), body, headers)

    def patch(self, name, body, headers=None, **query):
        return self.call("PATCH", path_of(name, query), body, {"Content-Type": PATCH, **(headers or {})})

    def status(self, name, epoch, sequence, **report):
        return self.call("PUT", f"{path_of(name)}/status", {"epoch": epoch, "sequence": sequence, **report})

    def delete(self, name, headers=None, **query):
        return self.call("DELETE", path_of(name, query), headers=headers)

    def get(self, name, headers=None):
        return self.call("GET", path_of(name), headers=headers)

    def list(self, **query):
        return self.call("GET", "/v1/resources" + (f"?{urlencode(query)}" if query else ""))


def path_of(name, query=None):
    return f"/v1/resources/{quote(name, safe='')}" + (f"?{urlencode(query)}" if query else "")
