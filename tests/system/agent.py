"""Runs gslb-agent for the system tests, in a directory of its own, and what agents need: tokens, certificates, balancers
that one certificate opens, a server of notices whose signatures are checked by code of the tests' own."""
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path

from tests.system.harness import (
    BUILD,
    NO_ANSWER,
    SIGNS_OF_DEFECT,
    Case,
    Gslbd,
    Reply,
    addresses,
    end_process,
    eventually,
    kill_each,
)

APP = "app.example.com"
SHOWN_MOST = 12  # daemons and agents whose logs are shown when a test failed


def unix_time(text):
    """Of a time as the API writes it, seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def accepting(name=APP, tokens=("app",), **more):
    """A service that resources register for; all of them are answered."""
    return {"name": name, "srv": "_http._tcp", "method": "all", "when_down": "empty", "ttl": {"max": "2s", "min": "1s"},
            "accept": {"tokens": list(tokens)}, **more}


def make_token(daemon, name="app", resources="*", services="*"):
    said = daemon.ctl("token", "create", name, "--resources", resources, "--services", services)
    assert said.returncode == 0, said.stderr
    return said.stdout.strip()


def dig(daemon, name, rdtype="A"):
    """The lines of `dig +short`."""
    said = subprocess.run(["dig", f"@{daemon.host}", "-p", str(daemon.port), "+short", "+time=1", "+tries=1", name, rdtype],
                          capture_output=True, text=True, timeout=10, check=True)
    return sorted(said.stdout.split("\n"))[1:]


class Agent:
    """One gslb-agent. It is told nothing but what is given here: `at` are the balancers that are its DNS servers."""

    def __init__(self, *services, at=(), domain="example.com", token=None, ident=None, address=None, lease="5s", config=None,
                 options=(), build=None):
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-agent-"))
        self.socket_path = self.directory / "agent.sock"
        self.state_path = self.directory / "state"
        self.state_path.mkdir()
        self.log_path = self.directory / "agent.log"
        self.config_path = self.directory / "agent.yaml"
        self.program = Path(build or BUILD) / "gslb-agent"
        self.address = address or addresses.take()
        self.environment = {"GSLB_TOKEN": token} if token else {}
        self.arguments = ["--socket", self.socket_path, "--state", self.state_path]
        if domain:
            self.arguments += ["--domain", domain]
        for daemon in at:
            self.arguments += ["--dns", f"{daemon.host}@{daemon.port}"]
        for service in services:
            name, _, port = service.partition(":")
            self.arguments += ["--service", name, *(["--port", port] if port else [])]
        if ident:
            self.arguments += ["--id", ident]
        if address != "":  # an empty one: it finds out by itself
            self.arguments += ["--address", self.address]
        if lease:
            self.arguments += ["--lease", lease]
        if config is not None:
            self.config_path.write_text(json.dumps(config))  # JSON is YAML
            self.arguments += ["--config", self.config_path]
        self.arguments += [str(option) for option in options]
        self.ident = ident
        self.process = None
        self.started = 0.0
        self.before = 0  # what the log had when it was started last

    def start(self):
        with open(self.log_path, "ab") as log:
            self.started, self.before = time.time(), len(self.log())
            self.process = subprocess.Popen([self.program, *self.arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd="/", env={**os.environ, **self.environment})
        return self

    def stop(self, deadline_s=10.0):
        """Ends it at once, without waiting for clients that may still come; returns the exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            # a second one, once it lingers
            end = time.monotonic() + deadline_s
            while self.process.poll() is None and "deregistered" not in self.log()[self.before:] and time.monotonic() < end:
                time.sleep(0.02)
        return end_process(self.process, deadline_s)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def ctl(self, *words):
        said = subprocess.run([self.program, "ctl", "--socket", self.socket_path, *map(str, words)], capture_output=True,
                              text=True, timeout=20, check=False)
        if said.returncode != 0:
            raise AssertionError(f"gslb-agent ctl {words}: {said.returncode}: {said.stdout}{said.stderr}\n{self.log()}")
        return json.loads(said.stdout)

    def status(self):
        """What ctl tells; None while it does not listen yet."""
        if self.process.poll() is not None:
            raise AssertionError(f"gslb-agent ended with {self.process.returncode}:\n{self.log()}")
        return self.ctl("status") if self.socket_path.exists() else None

    def is_registered(self):
        status = self.status()
        return status if status and status["state"] == "registered" else None

    def wait_registered(self, deadline_s=10):
        return eventually(self.is_registered, deadline_s, "the agent is registered")

    def where(self):
        """host:port of the balancers that it is registered with, from its log, cheaper than a status."""
        return re.findall(r"registered with (\S+) as", self.log())

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def defects(self):
        return [line for line in self.log().splitlines() if any(sign in line for sign in SIGNS_OF_DEFECT)]

    def discard(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class AgentCase(Case):
    """A Case that ends its agents before its daemons, and shows their logs as well."""

    def prepare_agent(self, *services, **options):
        agent = Agent(*services, **options)
        if len(self.daemons) < SHOWN_MOST:
            self.daemons.append(agent)
        else:  # nobody reads the logs of so many
            self.addCleanup(agent.discard)
        self.addCleanup(self.end_agent, agent)
        return agent

    def start_agent(self, *services, **options):
        return self.prepare_agent(*services, **options).start()

    def end_agent(self, agent):
        was_alive = agent.process is not None and agent.process.poll() is None
        status = agent.stop()
        self.assertEqual(agent.defects(), [], "the log tells of a defect")
        if was_alive:
            self.assertEqual(status, 0, "gslb-agent ends cleanly")

    def wait_answers(self, daemon, wanted, name=APP, rdtype="A", deadline_s=5.0):
        """Until the answers are these; returns when they were seen first (Unix time)."""
        wanted, seen = sorted(wanted), []

        def reached():
            seen[:] = [daemon.answers(name, rdtype)]
            return time.time() if seen[0] == wanted else None
        try:
            return eventually(reached, deadline_s, f"{name} {rdtype}", 0.005)
        except AssertionError:
            self.assertEqual(seen[0], wanted, f"{name} {rdtype}, {deadline_s} s later")
            raise


# certificates


class Authority:
    """A certificate authority in a directory: `ca.pem`, and NAME.pem with NAME.key for each name that was signed."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-ca-"))
        self.ca = self.directory / "ca.pem"
        self.openssl("req", "-x509", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=the tests' authority", "-keyout", "ca.key", "-out", "ca.pem")

    def openssl(self, *words):
        said = subprocess.run(["openssl", *words], cwd=self.directory, capture_output=True, text=True, timeout=30, check=False)
        assert said.returncode == 0, said.stderr

    def sign(self, name, *alternatives):
        """Paths of the certificate and key for these alternative names, such as "DNS:…" and "IP:…"."""
        (self.directory / "names").write_text("subjectAltName=" + ",".join(alternatives) + "\n")
        self.openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                     "-keyout", f"{name}.key", "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-days", "2", "-extfile", "names", "-out", f"{name}.pem")
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def discard(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class FleetBalancer(Gslbd):
    """A balancer with TLS that knows its resources by the certificate "fleet.test", as each of a group of peers does: a
    token is known to the balancer alone that made it."""

    def __init__(self, number, authority, control=None, **options):
        super().__init__(**options)
        self.identity = f"lb{number}.example.net"
        # peers know it by its identity, resources by the target of the SRV record, or by the address where a balancer named it
        certificate, key = authority.sign(f"lb{number}", f"DNS:{self.identity}", f"DNS:gslb-lb{number}.example.com",
                                           f"IP:{self.host}")
        # in the state directory, which the daemon reaches however it is fenced in
        place = self.directory / "state"
        place.mkdir()
        self.certificate, self.key, self.ca = (shutil.copy(path, place) for path in (certificate, key, authority.ca))
        self.authority, self.control, self.peers = authority, control or {}, []
        self.server["identity"] = self.identity

    def configuration(self):
        document = super().configuration()
        if not hasattr(self, "peers"):
            return document
        document["control"] |= {
            "tls": {"certificate": str(self.certificate), "key": str(self.key), "client_ca": str(self.ca)},
            "clients": [{"name": "fleet", "certificate": "fleet.test", "resources": ["*"]}], **self.control}
        document["peers"] = [{"identity": peer.identity, "address": f"{peer.host}@{peer.http_port}", "tls": True,
                              "ca": str(self.ca), **more} for peer, more in self.peers]
        return document

    def api(self, path, method="GET", body=None, unix=True, timeout=10.0):
        return super().api(path, method, body, unix=True, timeout=timeout)

    def register(self, ident, registration):
        """As a resource of the fleet does, over TLS."""
        context = ssl.create_default_context(cafile=self.authority.ca)
        context.load_cert_chain(*self.authority.fleet)
        connection = http.client.HTTPSConnection(self.host, self.http_port, timeout=10, context=context)
        with contextlib.closing(connection):
            connection.request("PUT", f"/v1/resources/{ident}", json.dumps(registration), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode())

    def resources(self, state="live"):
        """Ids of what is registered."""
        rows, after = [], ""
        while True:
            page = self.api(f"/v1/resources?limit=1000&state={state}{after}").json
            rows += [row["id"] for row in page["resources"]]
            if not page["next"]:
                return rows
            after = f"&after={page['next']}"

    def accepting_in_dns(self):
        """Targets of the SRV records that tell where to register."""
        return [row.split()[3] for row in self.answers("_gslb-register._tcp.example.com", "SRV")]

    @property
    def target(self):
        return f"gslb-{self.identity.split('.')[0]}.example.com."

    def kill_all(self):
        """As the power goes: the supervisor cannot notice that its children are gone."""
        children = self.child_pids()
        self.process.kill()
        kill_each(children)
        self.process.wait()


class FleetCase(AgentCase):
    """Balancers that are peers of each other, and agents that know them by certificates."""

    @classmethod
    def setUpClass(cls):
        cls.authority = Authority()
        cls.addClassCleanup(cls.authority.discard)
        cls.authority.fleet = cls.authority.sign("fleet", "DNS:fleet.test")

    def start_fleet(self, count, priorities=None, **options):
        """`priorities` of the balancers in SRV records, as each tells of itself and the others of it."""
        priorities = priorities or [0] * count
        balancers = []
        for number, priority in enumerate(priorities, 1):
            balancer = FleetBalancer(number, self.authority, {"advertise": {"priority": priority}}, workers=1, **options)
            self.daemons.append(balancer)
            self.addCleanup(self.end, balancer)
            balancers.append(balancer)
        for balancer in balancers:
            balancer.peers = [(peer, {"priority": priority}) for peer, priority in zip(balancers, priorities) if peer is not balancer]
            balancer.write_config()
            balancer.start(ready=False)
        for balancer in balancers:
            eventually(balancer.is_ready, 30, "gslbd is ready")
        everybody = sorted(balancer.target for balancer in balancers)
        for balancer in balancers:
            eventually(lambda one=balancer: sorted(one.accepting_in_dns()) == everybody, 10, "the peers know each other")
        return balancers

    def fleet_agent(self, *services, at, ident, options=(), **more):
        certificate, key = self.authority.fleet
        return self.start_agent(*services, at=at, ident=ident, **more, options=[
            "--ca", self.authority.ca, "--certificate", certificate, "--key", key, *options])


# notices


def signature_fits(key, header, body):
    """Whether "t=UNIX,v1=HEX" is the HMAC-SHA256 of "UNIX.BODY" under the key, and of this minute."""
    at, _, given = header.partition(",")
    if not at.startswith("t=") or not given.startswith("v1="):
        return False
    wanted = hmac.new(key.encode(), at[2:].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(wanted, given[3:]) and abs(time.time() - int(at[2:])) < 60


def sign(key, body, at=None):
    at = int(time.time() if at is None else at)
    return f"t={at},v1=" + hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


class NoticeServer:
    """Takes notices at an address of its own; `heard` are (time, signature, body), answered with `statuses` in turn, the
    last of them ever after."""

    def __init__(self, statuses=(204,)):
        self.heard, self.statuses = [], list(statuses)
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = server.statuses[min(len(server.heard), len(server.statuses) - 1)]
                server.heard.append((time.monotonic(), self.headers.get("Gslb-Signature", ""), body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.address = addresses.take()
        self.http = http.server.ThreadingHTTPServer((self.address, 0), Handler)
        self.url = f"http://{self.address}:{self.http.server_port}/notice"
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()


# one client of several balancers


class Watcher(threading.Thread):
    """Asks the given balancers for each of the names all the time, in this order; keeps what was not answered, and which
    members were in no balancer's answer of a round. Who leaves is asked first: what it lets go of is with another already."""

    def __init__(self, balancers, members):
        """members: {name: addresses}"""
        super().__init__()
        self.lock = threading.Lock()
        self.balancers, self.members = list(balancers), members
        self.counts = True  # whether members that are missing count
        self.rounds, self.unanswered, self.missing = 0, [], []
        self.is_ending = False
        self.start()

    def ask(self, balancers, counts=True):
        """Only these from now on; returns once nobody else is being asked."""
        with self.lock:
            self.balancers, self.counts = list(balancers), counts

    def look(self, balancer, name):
        try:
            return balancer.answers(name, edns=0, payload=4096, timeout=1.0)
        except NO_ANSWER as problem:
            # one that ended meanwhile is not alive
            if balancer.process.poll() is None:
                self.unanswered.append((time.time(), balancer.identity, repr(problem)))
            return []

    def run(self):
        while not self.is_ending:
            with self.lock:
                for name, wanted in self.members.items():
                    seen = {address for balancer in self.balancers for address in self.look(balancer, name)}
                    if self.counts and not set(wanted) <= seen:
                        self.missing.append((time.time(), sorted(set(wanted) - seen)))
                self.rounds += 1
            time.sleep(0.01)

    def finish(self):
        self.is_ending = True
        self.join()
