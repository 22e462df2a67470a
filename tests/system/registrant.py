"""Registers resources as any program would: HTTP and JSON, with a token or a client's certificate; and the case that several
files of tests about registrations derive from."""
import datetime
import http.client
import json
from urllib.parse import quote, urlencode

from tests.system.harness import Case, Gslbd, Reply, eventually

PATCH = "application/merge-patch+json"
TTL = {"max": "30s", "min": "1s"}
SHARED_SERVICES = 60


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


def service(name, **more):
    return {"name": name, "ttl": TTL, "method": "all", "answers": 1, "when_down": "empty", "srv": "_http._tcp",
            "accept": {"tokens": ["app", "other"]}, **more}


class Registering(Case):
    """Several tests share one daemon; each takes services and ids of its own."""

    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Gslbd({
            "sites": [{"name": "fra"}, {"name": "nyc"}],
            "networks": [{"network": "198.51.100.0/24", "sites": ["nyc", "fra"]},
                         {"network": "203.0.113.0/24", "sites": ["fra", "nyc"]}],
            "services": [
                *(service(f"s{i}.example.com") for i in range(SHARED_SERVICES)),
                service("strict.example.com", accept={
                    "tokens": ["app"], "sites": ["fra"], "networks": ["127.0.0.0/8"], "members": 2,
                    "weight": {"least": 1, "most": 10}, "tier": {"most": 3}, "lease": {"least": "10s", "most": "1h"}}),
                service("near.example.com", nearest=True),
                service("share.example.com", method="weighted"),
                service("mixed.example.com", members=[{"name": "m1", "addresses": ["127.0.0.1"], "srv_port": 80}]),
                service("*.dyn.example.com", accept={"tokens": ["app"], "services": 3}),
                service("closed.example.com", accept={"tokens": ["nobody"]}),
                {"name": "plain.example.com", "ttl": TTL, "members": [{"name": "m1", "addresses": ["127.0.0.1"]}]},
            ],
        }))
        cls.app = Registrant(cls.gslbd, create_token(cls.gslbd, "app"))
        cls.other = Registrant(cls.gslbd, create_token(cls.gslbd, "other"))
        cls.names = iter(f"s{i}.example.com" for i in range(SHARED_SERVICES))

    def setUp(self):
        self.name = next(self.names)

    def register(self, name, *where, status=201, by=None, headers=None, **more):
        reply = (by or self.app).put(name, registration(*where, **{"service": self.name, **more}), headers)
        self.assertEqual(reply.status, status, reply.text)
        return reply.json

    def refused(self, reply, status, *pointers):
        self.assertEqual(reply.status, status, reply.text)
        self.assertIn("application/problem+json", reply.headers["Content-Type"])
        problem = reply.json
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["title"])
        self.assertTrue(problem["detail"])
        if pointers:
            self.assertEqual([error["pointer"] for error in problem["errors"]], list(pointers))
            self.assertTrue(all(error["detail"] for error in problem["errors"]))
        return problem

    def until_answers(self, *wanted, name=None, rdtype="A", deadline_s=5):
        eventually(lambda: self.gslbd.answers(name or self.name, rdtype) == sorted(wanted), deadline_s, f"answers are {wanted}")

    def seconds_until(self, text):
        at = datetime.datetime.fromisoformat(text)
        return (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
