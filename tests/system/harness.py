"""Runs the real programs for the system tests: generated configuration, fresh directory, free addresses and ports.

A test class derives from Case; a daemon is started by Case.start or by Gslbd directly and always ended by its own
process id. When a test fails, the logs of the daemons that it used are printed.
"""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import yaml

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("GSLB_BUILD", ROOT / "build"))
ASAN_BUILD = Path(os.environ.get("GSLB_ASAN_BUILD", ROOT / "build" / "asan"))
TOOLS = ROOT / "build" / "fake"

# what a sanitizer or a broken invariant leaves in a log
SIGNS_OF_DEFECT = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion", "stack smashing", "core dumped")


def eventually(condition, deadline_s=10.0, what="the condition", interval_s=0.02):
    """Calls condition until it returns something true, and returns that; fails the test after deadline_s."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {deadline_s} s; last seen: {value!r}")
        time.sleep(interval_s)


class Addresses:
    """Loopback addresses that no other test run uses: a /24 of 127/8 drawn by chance, counted upwards."""

    def __init__(self):
        self.prefix = f"127.{random.randint(16, 250)}.{random.randint(0, 255)}"
        self.next = 1

    def take(self):
        if self.next > 254:
            self.__init__()
        self.next += 1
        return f"{self.prefix}.{self.next - 1}"


addresses = Addresses()

# what a client meets while nobody serves
NO_ANSWER = (OSError, EOFError, http.client.HTTPException, dns.exception.DNSException)


def has_v6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False


def free_port(*hosts):
    """A port below the ephemeral range that is free for TCP and UDP on all hosts."""
    for _ in range(200):
        port = random.randint(10000, 30000)
        opened = []
        try:
            for host in hosts:
                family = socket.AF_INET6 if ":" in host else socket.AF_INET
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    opened.append(socket.socket(family, kind))
                    opened[-1].bind((host, port))
            return port
        except OSError:
            continue
        finally:
            for each in opened:
                each.close()
    raise AssertionError(f"no free port on {hosts}")


def end_process(process, deadline_s=10.0):
    """SIGTERM, then SIGKILL after the deadline; returns the exit status, or None when it had to be killed."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(deadline_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
    return process.returncode


class Member:
    """A local HTTP member in a process of its own."""

    def __init__(self, name, port, address=None):
        self.name, self.port = name, port
        self.address = address or addresses.take()
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-member-"))
        self.log = self.directory / "probes"
        self.process = None

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tests/fake/member.py", self.name, self.address, str(self.port), "--log", self.log]
        )
        eventually(self.is_open, 10, f"member {self.name} listens")
        return self

    def is_open(self):
        try:
            socket.create_connection((self.address, self.port), 1).close()
            return True
        except OSError:
            if self.process.poll() is not None:
                raise AssertionError(f"member {self.name} ended with {self.process.returncode}") from None
            return False

    def set_health(self, health):
        connection = http.client.HTTPConnection(self.address, self.port, timeout=5)
        connection.request("PUT", "/health", health)
        assert connection.getresponse().status == 200
        connection.close()

    def probes(self):
        """[(monotonic seconds, status word)] as the member saw them."""
        if not self.log.exists():
            return []
        lines = self.log.read_text().splitlines()
        return [(float(line.split()[0]), line.split()[1]) for line in lines]

    def last_good(self):
        return max((at for at, status in self.probes() if status == "200"), default=0.0)

    def end(self):
        if self.process:
            end_process(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def signal(self, number):
        self.process.send_signal(number)


class UnixHTTPConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Reply:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def json(self):
        return json.loads(self.text)


ZONE = """$TTL 300
$ORIGIN example.com.
@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 60
@ IN NS ns1
ns1 IN A 192.0.2.1
static IN A 192.0.2.80
static IN AAAA 2001:db8::80
"""


class Dumper(yaml.SafeDumper):
    """Writes what stands in two places twice, without YAML's anchors."""

    def ignore_aliases(self, _):
        return True


class Gslbd:
    """One gslbd with its directory. `extra` holds the monitors, services, sites of the configuration."""

    process_group = None  # 0: one of its own

    def __init__(self, extra=None, zone=ZONE, zones=None, build=None, v6=False, server=None, workers=2):
        self.build = Path(build or BUILD)
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-test-"))
        self.host = addresses.take()
        self.v6 = v6 and has_v6()
        hosts = (self.host, "::1") if self.v6 else (self.host,)
        self.port = free_port(*hosts)
        self.http_port = free_port(self.host)
        self.extra = dict(extra or {})
        # whoever runs the tests owns the fresh directory
        self.server = {**({"user": "root"} if os.getuid() == 0 else {}), **(server or {})}
        self.workers = workers
        self.zones = zones if zones is not None else {"example.com": zone}
        self.process = None
        self.log_path = self.directory / "gslbd.log"
        self.config_path = self.directory / "gslb.yaml"
        self.socket_path = self.directory / "control.sock"
        self.environment = {}
        self.failure_expected = False  # that it does not start, or does not end well
        for name, text in self.zones.items():
            self.write_zone(name, text)
        self.write_config()

    # configuration

    def configuration(self):
        listen = [f"{self.host}@{self.port}"] + ([f"::1@{self.port}"] if self.v6 else [])
        server = {"identity": "lb1.example.net", "state": "./state", "listen": listen, "workers": self.workers}
        return {
            "server": {**server, **self.server},
            "control": {"listen": f"{self.host}@{self.http_port}", "socket": "./control.sock"},
            "zones": [{"name": name, "file": f"{name}.zone"} for name in self.zones],
            **self.extra,
        }

    def write_config(self, text=None):
        if text is None:
            text = yaml.dump(self.configuration(), Dumper=Dumper, sort_keys=False)
        # replaced in one step, as an operator's tools do
        new = self.config_path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config_path)

    def write_zone(self, name, text):
        new = self.directory / f"{name}.zone.new"
        new.write_text(text)
        new.replace(self.directory / f"{name}.zone")

    # life

    def start(self, ready=True, deadline_s=30.0):
        assert self.process is None or self.process.poll() is not None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.build / "gslbd", "--config", self.config_path],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                env={**os.environ, **self.environment}, process_group=self.process_group,
            )
        if ready:
            eventually(self.is_ready, deadline_s, "gslbd is ready")
        return self

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"gslbd ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.api("/readyz").status == 200
        except NO_ANSWER:
            return False

    def stop(self, deadline_s=15.0):
        """Ends it by SIGTERM; returns the exit status, None when it had to be killed."""
        if self.process is None:
            return 0
        children = self.child_pids()
        status = end_process(self.process, deadline_s)
        if status is None:
            kill_each(children)
        return status

    def kill_all(self):
        """SIGKILL for the supervisor and its children at once, as when the power goes."""
        children = self.child_pids()
        self.process.kill()
        kill_each(children)
        self.process.wait()
        eventually(lambda: not any(is_alive(pid) for pid in children), 5, "the children are gone")

    def discard(self):
        """Removes its directory."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def child_pids(self):
        if self.process is None or self.process.poll() is not None:
            return []
        pids = []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            try:
                pids += [int(word) for word in task.read_text().split()]
            except OSError:
                pass
        return pids

    def processes(self):
        """{"dns": {"pid", "restarts", ...}, ...} from the API."""
        return {row["name"]: row for row in self.api("/v1/status").json["processes"]}

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def defects(self):
        return [line for line in self.log().splitlines() if any(sign in line for sign in SIGNS_OF_DEFECT)]

    # DNS

    def address(self, v6=False):
        return "::1" if v6 else self.host

    def ask(self, name, rdtype="A", tcp=False, v6=False, edns=None, timeout=3.0, **options):
        query = dns.message.make_query(name, rdtype, use_edns=edns, **options)
        return self.exchange(query, tcp, v6, timeout)

    def exchange(self, query, tcp=False, v6=False, timeout=3.0):
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, self.address(v6), timeout=timeout, port=self.port)

    def answers(self, name, rdtype="A", **options):
        """The data of the answer section's records of that type, sorted texts."""
        return data(self.ask(name, rdtype, **options).answer, rdtype)

    def datagram(self, packet, timeout=0.3, v6=False):
        """Sends bytes as they are; the bytes that come back, or None."""
        with socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            sock.connect((self.address(v6), self.port))
            sock.send(packet)
            try:
                return sock.recv(65535)
            except socket.timeout:
                return None

    def connect(self, timeout=3.0, v6=False):
        return socket.create_connection((self.address(v6), self.port), timeout)

    def load(self, *questions, rate=10000, seconds=60):
        return Load(self.host, self.port, rate, seconds, questions)

    # API and gslbctl

    def api(self, path, method="GET", body=None, unix=False, timeout=10.0):
        if unix:
            connection = UnixHTTPConnection(self.socket_path, timeout)
        else:
            connection = http.client.HTTPConnection(self.host, self.http_port, timeout=timeout)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def member(self, service, name):
        return self.api(f"/v1/members/{service}/{name}").json

    def set_member(self, service, name, state, reason="test", for_s=None):
        body = {"state": state, "reason": reason}
        if for_s is not None:
            body["for_s"] = for_s
        return self.api(f"/v1/admin/member/{service}/{name}", "PUT", body, unix=True)

    def clear_member(self, service, name):
        return self.api(f"/v1/admin/member/{service}/{name}", "DELETE", unix=True)

    def wait_states(self, service, deadline_s=15.0, **wanted):
        """Waits until the named members are in the named states; names with dashes go as name_with_underscores."""
        def reached():
            rows = {row["name"].replace("-", "_"): row["state"] for row in self.api(f"/v1/services/{service}").json["members"]}
            return all(rows[name] == state for name, state in wanted.items())
        eventually(reached, deadline_s, f"{service} is {wanted}")

    def ctl(self, *arguments, timeout=30):
        return subprocess.run(
            [self.build / "gslbctl", "--socket", self.socket_path, *arguments],
            capture_output=True, text=True, timeout=timeout, check=False,
        )


class Load:
    """tests/fake/load in the background."""

    def __init__(self, address, port, rate, seconds, questions):
        self.process = subprocess.Popen(
            [load_program(), address, str(port), str(rate), str(seconds), *questions], stdout=subprocess.PIPE, text=True
        )

    def finish(self):
        """Ends the sending and returns the account."""
        if self.process.poll() is None:
            self.process.terminate()
        text, _ = self.process.communicate(timeout=20)
        return json.loads(text)

    def abandon(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def load_program():
    source, program = ROOT / "tests/fake/load.c", TOOLS / "load"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        TOOLS.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(f".{os.getpid()}")
        subprocess.run([os.environ.get("CC", "gcc"), "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2",
                        source, "-o", new], check=True)
        new.replace(program)
    return program


def data(section, rdtype):
    rdtype = dns.rdatatype.from_text(rdtype) if isinstance(rdtype, str) else rdtype
    return sorted(item.to_text() for rrset in section if rrset.rdtype == rdtype for item in rrset)


def all_stand_still(pid):
    """Whether every thread of it is stopped."""
    return all(stat.read_text().rpartition(")")[2].split()[0] == "T" for stat in Path(f"/proc/{pid}/task").glob("*/stat"))


def is_alive(pid):
    """Whether any of its threads is: the first may end before the others, which hold the sockets until then."""
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[0] not in ("Z", "X"):
                return True
        except OSError:
            continue
    return False


def kill_each(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def framed(packet):
    """A DNS message as it goes over TCP."""
    return struct.pack("!H", len(packet)) + packet


def read_framed(sock):
    """One DNS message from a TCP connection, or None at its end."""
    def exactly(size):
        taken = b""
        while len(taken) < size:
            piece = sock.recv(size - len(taken))
            if not piece:
                return None
            taken += piece
        return taken
    head = exactly(2)
    return exactly(struct.unpack("!H", head)[0]) if head else None


class Case(unittest.TestCase):
    """Starts daemons and members, ends them, checks their logs, and shows the logs when a test failed."""

    maxDiff = None
    shared = ()  # daemons of the class, started in setUpClass

    def run(self, result=None):
        self.daemons = []
        before = len(result.failures) + len(result.errors) if result else 0
        outcome = super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            for daemon in [*self.daemons, *self.shared]:
                tail = daemon.log().splitlines()[-80:]
                print(f"--- {self.id()}: log of {daemon.config_path} ---", *tail, "---", sep="\n", file=sys.stderr)
        for daemon in self.daemons:
            daemon.discard()
        return outcome

    def start(self, extra=None, ready=True, **options):
        daemon = self.prepare(extra, **options)
        return daemon.start(ready)

    def prepare(self, extra=None, **options):
        daemon = Gslbd(extra, **options)
        self.daemons.append(daemon)
        self.addCleanup(self.end, daemon)
        return daemon

    def end(self, daemon):
        status = daemon.stop()
        self.assertEqual(daemon.defects(), [], "the log tells of a defect")
        if daemon.process is not None and not daemon.failure_expected:
            self.assertIn(status, (0, -signal.SIGKILL), "gslbd ends cleanly")

    def start_member(self, name, port, address=None):
        member = Member(name, port, address)
        self.addCleanup(member.end)
        return member.start()

    def start_load(self, daemon, *questions, **options):
        load = daemon.load(*questions, **options)
        self.addCleanup(load.abandon)
        return load

    @classmethod
    def share(cls, daemon):
        """A daemon for all tests of the class."""
        cls.shared = (*cls.shared, daemon)
        cls.addClassCleanup(cls.end_shared, daemon)
        return daemon.start()

    @classmethod
    def end_shared(cls, daemon):
        status = daemon.stop()
        assert daemon.defects() == [], f"the log tells of a defect: {daemon.defects()}"
        assert status == 0, f"gslbd ended with {status}:\n{daemon.log()[-4000:]}"
        daemon.discard()
