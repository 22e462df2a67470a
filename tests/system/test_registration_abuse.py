"""Registration under people who are not allowed, wrong, greedy, slow or hostile: each is refused with its reason, and
meanwhile others register, renew and are answered in time, and the memory of the server stays bounded."""
import contextlib
import http.client
import json
import resource
import select
import socket
import struct
import threading
import time
import unittest

from tests.system.account import tell
from tests.system.harness import ASAN_BUILD, BUILD, NO_ANSWER, Case, Gslbd, Reply, addresses, eventually
from tests.system.length import count

ALONE = True  # measures times and memory

IDLE = 10_000
SLOW = count(3000, 6000)  # more than the default of control.limits.connections
SOURCES = 40              # addresses that they come from
# one request of somebody else, whatever goes on
SERVED_WITHIN_S = 12.0 if BUILD == ASAN_BUILD else 4.0
GROWTH_MOST = 160 << 20   # 2000 connections with 32 KiB each, and what the allocator keeps of it
BODY_MOST = 64 << 10
DOCUMENT_MOST = 16 << 10
MEMBERS = {"tokens": ["app", "other", "short", "both-1", "both-2", "wide"], "members": 1000}
SERVICES = {
    "sites": [{"name": "fra"}, {"name": "nyc"}],
    "services": [
        {"name": "app.example.com", "when_down": "empty", "srv": "_http._tcp", "accept": MEMBERS},
        {"name": "narrow.example.com", "when_down": "empty",
         "accept": {"tokens": ["app"], "sites": ["fra"], "networks": ["127.0.0.0/16"], "weight": {"least": 2, "most": 5},
                    "tier": {"most": 3}, "lease": {"least": "10s", "most": "1m"}}},
        {"name": "fixed.example.com", "members": [{"name": "app-f", "addresses": ["127.0.0.9"]}]},
        {"name": "mixed.example.com", "members": [{"name": "app-f", "addresses": ["127.0.0.9"]}], "accept": {"tokens": ["app"]}},
    ],
}


class Registrar(Gslbd):
    """Takes registrations; stops at once, since its resources have nowhere to go."""

    def __init__(self, extra=None, limits=None, control=None, **options):
        self.control = {**({"limits": limits} if limits else {}), "leave": "0ms", **(control or {})}
        super().__init__(extra or SERVICES, **options)

    def configuration(self):
        config = super().configuration()
        config["control"].update(self.control)
        return config

    def token(self, name, resources=("app-*",), services=("*",), **more):
        body = {"name": name, "resources": list(resources), "services": list(services), **more}
        reply = self.api("/v1/tokens", "POST", body, unix=True)
        assert reply.status == 201, reply.text
        return reply.json["token"]


def registration(**changes):
    """A good one with changes; None takes a member out."""
    body = {"addresses": ["127.0.0.77"], "lease_s": 30, "services": [{"name": "app.example.com", "port": 8080}], **changes}
    return {key: value for key, value in body.items() if value is not None}


def connect(daemon, source=None, timeout=10.0):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout)
        if source:
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((source, 0))
        sock.connect((daemon.host, daemon.http_port))
        return sock
    except OSError:
        sock.close()
        raise


class Client:
    """Asks over TCP from an address of its own, with a token or without."""

    def __init__(self, daemon, token=None, source=None, timeout=10.0):
        self.daemon, self.token, self.source, self.timeout = daemon, token, source or addresses.take(), timeout

    def ask(self, method, path, body=None, headers=None):
        """A body that is bytes goes as it is."""
        connection = http.client.HTTPConnection(self.daemon.host, self.daemon.http_port, timeout=self.timeout,
                                                source_address=(self.source, 0))
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            sent = {"Content-Type": "application/json"} if body is not None else {}
            if self.token:
                sent["Authorization"] = f"Bearer {self.token}"
            connection.request(method, path, data, {**sent, **(headers or {})})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()

    def register(self, ident, body=None, **options):
        return self.ask("PUT", f"/v1/resources/{ident}", registration() if body is None else body, **options)

    def report(self, ident, epoch, sequence, **more):
        return self.ask("PUT", f"/v1/resources/{ident}/status", {"epoch": epoch, "sequence": sequence, **more})

    def raw(self, data, until=None):
        """Sends bytes as they are; what comes back until it closes, or until so many seconds are over."""
        got = b""
        with connect(self.daemon, self.source, until or self.timeout) as sock:
            try:
                sock.sendall(data)
                while piece := sock.recv(65536):
                    got += piece
            except OSError:
                pass  # it hung up on us, or says no more
        return got


class Witness(threading.Thread):
    """Somebody else, who registers, renews, looks, and asks the DNS, one after the other as long as it lasts; every
    request on a connection of its own, or it would not meet those who keep newcomers out."""

    def __init__(self, daemon, token, ident):
        super().__init__(daemon=True)
        self.daemon_under_test = daemon
        self.client = Client(daemon, token, timeout=30)
        self.resource, self.address = ident, addresses.take()
        self.stopping = threading.Event()
        self.slowest, self.slowest_dns, self.rounds, self.wrong = 0.0, 0.0, 0, []

    def timed(self, status, call, *arguments):
        started = time.monotonic()
        reply = call(*arguments)
        self.slowest = max(self.slowest, time.monotonic() - started)
        if reply.status != status:
            self.wrong.append(f"{call.__name__} {arguments}: {reply.status} {reply.text}")
        return reply

    def go_round(self):
        body = registration(addresses=[self.address], lease_s=60)
        epoch = self.timed(200 if self.rounds else 201, self.client.register, self.resource, body).json["epoch"]
        self.timed(200, self.client.report, self.resource, epoch, self.rounds + 1)
        self.timed(200, self.client.ask, "GET", f"/v1/resources/{self.resource}")
        started = time.monotonic()
        eventually(self.is_answered, SERVED_WITHIN_S, f"{self.resource} is answered", 0.005)
        self.slowest_dns = max(self.slowest_dns, time.monotonic() - started)
        self.rounds += 1

    def is_answered(self):
        return self.daemon_under_test.answers(f"{self.resource}.app.example.com") == [self.address]

    def run(self):
        try:
            while not self.stopping.is_set() and not self.wrong:
                self.go_round()
                self.stopping.wait(0.05)
        except (AssertionError, *NO_ANSWER) as error:
            self.wrong.append(f"after {self.rounds} rounds: {error!r}")


def memory(daemon):
    """Resident bytes of all its processes."""
    total = 0
    for pid in (daemon.process.pid, *daemon.child_pids()):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            total += sum(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))
    return total


class AbuseCase(Case):
    def begin(self, extra=None, limits=None, **options):
        daemon = Registrar(extra, limits, **options)
        self.daemons.append(daemon)
        self.addCleanup(self.end, daemon)
        return daemon.start()

    def refused(self, reply, status, *words, pointer=None, code=None):
        """A problem document (RFC 9457) that says why."""
        self.assertEqual(reply.status, status, reply.text)
        self.assertEqual(reply.headers["Content-Type"], "application/problem+json")
        problem = reply.json
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["title"])
        self.assertTrue(problem["detail"])
        for word in words:
            self.assertIn(word, reply.text)
        if status == 401:
            self.assertTrue(reply.headers["WWW-Authenticate"].startswith("Bearer"))
        if status in (429, 503):
            self.assertGreaterEqual(int(reply.headers["Retry-After"]), 1)
        if pointer is not None:
            found = {error["pointer"]: error["detail"] for error in problem["errors"]}
            self.assertIn(pointer, found, reply.text)
            self.assertTrue(found[pointer])
        if code is not None:
            self.assertEqual(problem["code"], code)
        return problem

    def accepted(self, reply, *statuses):
        self.assertIn(reply.status, statuses or (200, 201), reply.text)
        return reply.json

    @contextlib.contextmanager
    def others_served(self, daemon, token, ident="app-witness"):
        """Meanwhile somebody else gets every answer within the bound, over HTTP and DNS."""
        witness = Witness(daemon, token, ident)
        witness.start()
        eventually(lambda: witness.rounds or witness.wrong, 10, "the witness is served at first")
        try:
            yield witness
        finally:
            witness.stopping.set()
            witness.join(60)
        tell(f"{self._testMethodName}: another client was served {witness.rounds} times meanwhile, at the slowest in "
             f"{witness.slowest * 1000:.0f} ms (DNS {witness.slowest_dns * 1000:.0f} ms)")
        self.assertFalse(witness.is_alive(), "the witness hangs")
        self.assertEqual(witness.wrong, [])
        self.assertGreater(witness.rounds, 2)
        self.assertLess(witness.slowest, SERVED_WITHIN_S)
        self.assertLess(witness.slowest_dns, SERVED_WITHIN_S)

    @contextlib.contextmanager
    def bounded(self, daemon):
        """Grows by no more than what connections at their limit may take."""
        before, seen, done = memory(daemon), [], threading.Event()

        def look():
            while not done.wait(0.2):
                seen.append(memory(daemon))
        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        try:
            yield
        finally:
            done.set()
            looking.join(10)
        growth = max([memory(daemon), *seen]) - before
        tell(f"{self._testMethodName}: memory grew by {growth / (1 << 20):.1f} MB of {before / (1 << 20):.0f} MB")
        if BUILD != ASAN_BUILD:  # a sanitizer keeps books of its own
            self.assertLess(growth, GROWTH_MOST)


class Refusals(AbuseCase):
    """Each with its reason, and nothing changes by it."""

    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Registrar())
        cls.token = cls.gslbd.token("app")
        cls.others = cls.gslbd.token("other", ["other-*"])
        cls.pids = set(cls.gslbd.child_pids())

    def setUp(self):
        self.app, self.other = Client(self.gslbd, self.token), Client(self.gslbd, self.others)
        self.nobody = Client(self.gslbd)
        self.before = self.registered()

    def tearDown(self):
        self.assertEqual(self.registered(), self.before, "what was refused left something behind")
        reply = self.app.register("app-good")
        self.assertIn(reply.status, (200, 201), reply.text)
        eventually(lambda: self.gslbd.answers("app.example.com") == ["127.0.0.77"], 2, "it is answered")
        self.assertEqual(self.app.ask("DELETE", "/v1/resources/app-good").status, 202)
        self.assertEqual(set(self.gslbd.child_pids()), self.pids, "no process ended")

    def registered(self):
        reply = self.nobody.ask("GET", "/v1/resources?limit=1000")
        return {row["id"]: (row["revision"], row["owner"]) for row in reply.json["resources"] if row["id"] != "app-good"}

    def held(self, ident="app-held", **changes):
        """A resource of the app token for this test."""
        reply = self.app.register(ident, registration(**changes))
        self.addCleanup(self.app.ask, "DELETE", f"/v1/resources/{ident}")
        document = self.accepted(reply)
        self.before = self.registered()
        eventually(lambda: self.gslbd.answers(f"{ident}.app.example.com") == ["127.0.0.77"], 2, f"{ident} is answered")
        return document

    def test_without_a_token(self):
        held = self.held()
        asked = [("PUT", "/v1/resources/app-r1", registration()), ("PATCH", "/v1/resources/app-held", {"weight": 9}),
                 ("DELETE", "/v1/resources/app-held", None),
                 ("PUT", "/v1/resources/app-held/status", {"epoch": held["epoch"], "sequence": 1}),
                 ("POST", "/v1/resources/app-held/allow", None), ("GET", "/v1/tokens", None),
                 ("POST", "/v1/tokens", {"name": "mine", "admin": True}), ("DELETE", "/v1/tokens/app", None),
                 ("PUT", "/v1/admin/leave", {"for_s": 60}), ("POST", "/v1/admin/reload", None),
                 ("PUT", "/v1/admin/member/app.example.com/app-held", {"state": "down", "reason": "x"}),
                 ("DELETE", "/v1/admin/member/app.example.com/app-held", None)]
        for method, path, body in asked:
            with self.subTest(method=method, path=path):
                self.refused(self.nobody.ask(method, path, body), 401, "token")
        self.assertEqual(self.gslbd.answers("app-held.app.example.com"), ["127.0.0.77"])

    def test_tokens_that_are_none(self):
        last = "A" if self.token[-1] != "A" else "B"
        texts = {"of another balancer": "Bearer gslb_" + "A" * 43, "one letter off": f"Bearer {self.token[:-1]}{last}",
                 "without its end": f"Bearer {self.token[:-1]}", "with more": f"Bearer {self.token}A",
                 "another case": f"Bearer {self.token.lower()}", "empty": "Bearer ", "blank": "Bearer    ", "alone": "Bearer",
                 "another scheme": f"Basic {self.token}", "no scheme": self.token, "name": "Bearer app",
                 "two": f"Bearer {self.token} {self.token}", "quoted": f'Bearer "{self.token}"', "long": "Bearer " + "x" * 20000,
                 "pattern": "Bearer gslb_*", "bytes": "Bearer gslb_\xe4\xf6\xfc"}
        for kind, text in texts.items():
            with self.subTest(kind=kind):
                reply = self.nobody.ask("PUT", "/v1/resources/app-r1", registration(), {"Authorization": text})
                self.refused(reply, 401)
                self.assertNotIn(self.token, reply.text)

    def test_anothers_token(self):
        held = self.held()
        asked = [("PUT", "/v1/resources/app-held", registration(weight=9)), ("PATCH", "/v1/resources/app-held", {"weight": 9}),
                 ("DELETE", "/v1/resources/app-held", None), ("DELETE", "/v1/resources/app-held?remove=1", None),
                 ("PUT", "/v1/resources/app-held/status", {"epoch": held["epoch"], "sequence": 1, "state": "maint"}),
                 ("PUT", "/v1/resources/app-new", registration()), ("POST", "/v1/resources/app-held/allow", None)]
        for method, path, body in asked:
            with self.subTest(method=method, path=path):
                self.refused(self.other.ask(method, path, body), 403)
        self.assertEqual(self.gslbd.answers("app-held.app.example.com"), ["127.0.0.77"])
        # and the renewal was none: its owner's first sequence is still to come
        self.accepted(self.app.report("app-held", held["epoch"], 1))

    def test_two_tokens_for_the_same_ids(self):
        first, second = (Client(self.gslbd, self.gslbd.token(name, ["both-*"])) for name in ("both-1", "both-2"))
        epoch = self.accepted(first.register("both-a"))["epoch"]
        self.addCleanup(first.ask, "DELETE", "/v1/resources/both-a")
        self.before = self.registered()
        self.refused(second.register("both-a"), 403, "another")
        self.refused(second.register("both-a", registration(addresses=["127.0.0.66"])), 403)
        self.refused(second.ask("PATCH", "/v1/resources/both-a", {"addresses": ["127.0.0.66"]}), 403)
        self.refused(second.report("both-a", epoch, 1), 403)
        self.refused(second.ask("DELETE", "/v1/resources/both-a"), 403)
        self.assertNotIn("notice_key", second.ask("GET", "/v1/resources/both-a").json, "its owner's secret")
        self.assertIn("notice_key", first.ask("GET", "/v1/resources/both-a").json)

    def test_who_registers_does_not_steer(self):
        self.held()
        asked = [("GET", "/v1/tokens", None), ("POST", "/v1/tokens", {"name": "mine", "admin": True}),
                 ("DELETE", "/v1/tokens/other", None), ("PUT", "/v1/admin/leave", {"for_s": 60}),
                 ("POST", "/v1/admin/reload", None), ("DELETE", "/v1/resources/app-held?remove=1", None),
                 ("PUT", "/v1/admin/member/app.example.com/app-held", {"state": "down", "reason": "x"})]
        for method, path, body in asked:
            with self.subTest(method=method, path=path):
                self.refused(self.app.ask(method, path, body), 403, "operator")
        self.assertEqual(self.gslbd.answers("app-held.app.example.com"), ["127.0.0.77"])

    def test_token_of_another_service(self):
        wide = Client(self.gslbd, self.gslbd.token("wide", ["*"], ["fixed.example.com"]))
        self.refused(wide.register("wide-1"), 403, "app.example.com")
        stranger = Client(self.gslbd, self.gslbd.token("stranger", ["*"], ["*"]))
        self.refused(stranger.register("stranger-1"), 403, "stranger", "app.example.com")

    def test_expired_token(self):
        short = Client(self.gslbd, self.gslbd.token("short", ["short-*"], for_s=1))
        epoch = self.accepted(short.register("short-1", registration(lease_s=5)))["epoch"]
        reply = eventually(lambda: (got := short.report("short-1", epoch, time.monotonic_ns())).status == 401 and got, 5,
                           "the token ends", 0.1)
        self.refused(reply, 401, "over")
        self.refused(short.register("short-2"), 401, "over")
        self.refused(short.ask("DELETE", "/v1/resources/short-1"), 401, "over")
        # nobody can renew it now, so it goes with its lease
        eventually(lambda: "short-1" not in self.registered(), 8, "its lease ends")

    def test_deleted_token(self):
        gone = Client(self.gslbd, self.gslbd.token("wide-gone", ["*"]))
        self.assertEqual(gone.ask("GET", "/v1/resources").status, 200)
        self.assertEqual(self.gslbd.api("/v1/tokens/wide-gone", "DELETE", unix=True).status, 204)
        self.refused(gone.register("app-x"), 401)
        self.refused(gone.ask("GET", "/v1/resources"), 401)

    def test_replayed_status(self):
        epoch = self.held()["epoch"]
        self.accepted(self.app.report("app-held", epoch, 7, cpu_utilization=0.5))
        for sequence in (7, 6, 1):
            reply = self.app.report("app-held", epoch, sequence, state="maint", cpu_utilization=0.9)
            self.refused(reply, 409, code="replayed")
        shown = self.app.ask("GET", "/v1/resources/app-held").json
        self.assertEqual((shown["lease"]["sequence"], shown["metrics"]["cpu_utilization"]), (7, 0.5))
        self.assertEqual(self.gslbd.answers("app-held.app.example.com"), ["127.0.0.77"])
        self.accepted(self.app.report("app-held", epoch, 8))

    def test_status_of_an_earlier_life(self):
        epoch = self.held()["epoch"]
        self.assertEqual(self.app.ask("DELETE", "/v1/resources/app-held").status, 202)
        self.refused(self.app.report("app-held", epoch, 1), 404, code="unknown-lease")
        fresh = self.held()["epoch"]
        self.assertNotEqual(fresh, epoch)
        for wrong in (epoch, fresh + 1 if fresh < 2**53 - 1 else 1):
            self.refused(self.app.report("app-held", wrong, 1), 404, code="unknown-lease")
        self.refused(self.app.report("app-never", fresh, 1), 404, code="unknown-lease")

    def test_oversized_bodies(self):
        filled = json.dumps(registration()).encode()
        for kind, body in {"blanks": b" " * BODY_MOST + filled, "a long text": json.dumps(registration(version="x" * BODY_MOST)).encode(),
                           "one byte too many": filled.ljust(BODY_MOST + 1), "much": filled.ljust(400_000)}.items():
            with self.subTest(kind=kind):
                self.refused(self.sent(body), 413, "64 KiB")
        # a document is smaller still
        self.refused(self.sent(filled.ljust(DOCUMENT_MOST + 1)), 413, str(DOCUMENT_MOST))
        self.assertEqual(self.app.ask("PUT", "/v1/resources/app-good", filled.ljust(DOCUMENT_MOST)).status, 201)

    def sent(self, body):
        """The answer, although the server may hang up before it took the whole body."""
        head = (f"PUT /v1/resources/app-big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode()
        with connect(self.gslbd) as sock:
            with contextlib.suppress(OSError):
                sock.sendall(head + body)
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            return Reply(answer.status, answer.headers, answer.read().decode())

    def test_bodies_that_lie_about_their_size(self):
        head = f"PUT /v1/resources/app-lie HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n".encode()
        body = json.dumps(registration()).encode()
        chunk = b"%x\r\n%s\r\n" % (60000, b" " * 60000)
        cases = {
            "a terabyte is told": (head + b"Content-Length: 1099511627776\r\n\r\n", (413,)),
            "more than any number": (head + b"Content-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
            "negative": (head + b"Content-Length: -5\r\n\r\n" + body, (400,)),
            "no number": (head + b"Content-Length: many\r\n\r\n" + body, (400,)),
            "two that differ": (head + b"Content-Length: 3\r\nContent-Length: 300\r\n\r\n" + body, (400,)),
            "chunks above the bound": (head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 2 + b"0\r\n\r\n", (413,)),
            "a chunk of a terabyte": (head + b"Transfer-Encoding: chunked\r\n\r\n10000000000\r\n", ()),
            "chunks without an end": (head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20, ()),
            "no chunks": (head + b"Transfer-Encoding: chunked\r\n\r\nhello\r\n\r\n", (400,)),
        }
        for kind, (request, statuses) in cases.items():
            with self.subTest(kind=kind):
                got = self.app.raw(request, until=1.0)
                if got or statuses:  # hanging up without a word is right as well where there is no whole request
                    self.assertIn(int(got.split()[1]), statuses or (400, 413), got)

    def test_bodies_that_are_no_json(self):
        good = json.dumps(registration())
        bodies = {
            "nothing": b"", "blank": b"  \n", "a word": b"hello", "a list": b"[]", "a text": b'"app"', "a number": b"7",
            "null": b"null", "cut": good[:-1].encode(), "twice": good.encode() * 2, "a comma too many": b'{"weight":1,}',
            "single quotes": b"{'weight':1}", "a comment": b'{"weight":1/*one*/}', "a member without value": b'{"weight"}',
            "not UTF-8": good.replace("8080}", '8080,"instance":"b\xfcro"}').encode("latin-1"),
            "UTF-8 cut": b'{"site":"\xe2\x82"}', "UTF-8 too long": b'{"site":"\xc0\xaf"}', "surrogate": b'{"site":"\xed\xa0\x80"}',
            "above Unicode": b'{"site":"\xf4\x90\x80\x80"}', "half a pair": b'{"site":"\\ud800"}', "UTF-16": good.encode("utf-16"),
            "with a mark": b"\xef\xbb\xbf" + good.encode(), "zero byte": b'{"site":"a\x00b"}', "escaped zero": b'{"site":"a\\u0000b"}',
            "zero behind": good.encode() + b"\x00", "control character": b'{"site":"a\x01b"}', "not a number": b'{"weight":NaN}',
            "infinite": b'{"lease_s":Infinity}', "too large a number": b'{"capacity":1e999}', "leading zero": b'{"weight":01}',
            "hexadecimal": b'{"weight":0x10}', "too large a whole number": b'{"weight":99999999999999999999}',
            "deep lists": b'{"labels":' + b"[" * 9 + b"]" * 9 + b"}", "deep objects": b'{"a":' * 20 + b"1" + b"}" * 20,
            "deep and never closed": b"[" * 16000, "deep objects never closed": b'{"a":' * 3200,
            "deep behind a text": b'{"a":"]]]]\\"","b":' + b"[" * 8000 + b"]" * 8000 + b"}",
            "a member twice": b'{"weight":1,"weight":2}',
            "a member twice, deeper": good.replace('"port"', '"port": 1, "port"').encode(),
            "a member twice by escapes": b'{"weight":1,"w\\u0065ight":2}',
            "twice in labels": good.replace('"lease_s"', '"labels": {"a": "1", "a": "2"}, "lease_s"').encode(),
        }
        for kind, body in bodies.items():
            with self.subTest(kind=kind):
                self.refused(self.app.ask("PUT", "/v1/resources/app-r1", body), 400)
                self.refused(self.app.ask("PATCH", "/v1/resources/app-r1", body), 400)
                self.refused(self.app.ask("PUT", "/v1/resources/app-r1/status", body), 400)

    def test_bodies_of_another_type(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "json"):
            with self.subTest(kind=kind):
                self.refused(self.app.register("app-r1", headers={"Content-Type": kind}), 415, "JSON")

    def test_members_that_are_wrong(self):
        service = {"name": "app.example.com", "port": 8080}
        long_label = "x" * 200
        cases = [
            ({"addresses": None}, "/addresses"), ({"addresses": []}, "/addresses"), ({"addresses": "127.0.0.77"}, "/addresses"),
            ({"addresses": [f"127.0.1.{i}" for i in range(1, 18)]}, "/addresses"), ({"addresses": [7]}, "/addresses/0"),
            ({"addresses": ["127.0.0.77", "127.0.0.77"]}, "/addresses/1"), ({"addresses": ["localhost"]}, "/addresses/0"),
            ({"addresses": ["127.0.0.256"]}, "/addresses/0"), ({"addresses": ["0.0.0.0"]}, "/addresses/0"),
            ({"addresses": ["::"]}, "/addresses/0"), ({"addresses": ["224.0.0.1"]}, "/addresses/0"),
            ({"addresses": ["255.255.255.255"]}, "/addresses/0"), ({"addresses": ["ff02::1"]}, "/addresses/0"),
            ({"addresses": ["::ffff:127.0.0.77"]}, "/addresses/0"), ({"addresses": ["127.0.0.77:80"]}, "/addresses/0"),
            ({"addresses": ["127.77"]}, "/addresses/0"), ({"addresses": ["0177.0.0.1"]}, "/addresses/0"),
            ({"addresses": ["fe80::1%lo"]}, "/addresses/0"),
            ({"services": None}, "/services"), ({"services": []}, "/services"), ({"services": {}}, "/services"),
            ({"services": [{**service, "name": f"s{i}.example.com"} for i in range(17)]}, "/services"),
            ({"services": ["app.example.com"]}, "/services/0"), ({"services": [{"port": 80}]}, "/services/0/name"),
            ({"services": [{"name": "a..b", "port": 80}]}, "/services/0/name"),
            ({"services": [{"name": "x" * 64 + ".example.com", "port": 80}]}, "/services/0/name"),
            ({"services": [{"name": "", "port": 80}]}, "/services/0/name"),
            ({"services": [service, service]}, "/services/1/name"),
            ({"services": [service, {"name": "APP.example.com.", "port": 80}]}, "/services/1/name"),
            ({"services": [{**service, "port": 65536}]}, "/services/0/port"), ({"services": [{**service, "port": -1}]}, "/services/0/port"),
            ({"services": [{**service, "port": 80.5}]}, "/services/0/port"), ({"services": [{**service, "port": "80"}]}, "/services/0/port"),
            ({"services": [{**service, "weight": 65536}]}, "/services/0/weight"),
            ({"services": [{**service, "weight": -1}]}, "/services/0/weight"), ({"services": [{**service, "tier": 256}]}, "/services/0/tier"),
            ({"services": [{**service, "instance": "x" * 64}]}, "/services/0/instance"),
            ({"services": [{**service, "instance": "a\tb"}]}, "/services/0/instance"),
            ({"services": [{**service, "extra": 1}]}, "/services/0/extra"),
            ({"lease_s": 4.9}, "/lease_s"), ({"lease_s": -1}, "/lease_s"), ({"lease_s": 1e18}, "/lease_s"), ({"lease_s": "30"}, "/lease_s"),
            ({"lease_s": True}, "/lease_s"), ({"weight": 65536}, "/weight"), ({"weight": -1}, "/weight"), ({"weight": 1.5}, "/weight"),
            ({"weight": 2**63 - 1}, "/weight"), ({"weight": "1"}, "/weight"), ({"tier": 256}, "/tier"), ({"tier": -1}, "/tier"),
            ({"capacity": -1}, "/capacity"), ({"capacity": 1e300}, "/capacity"), ({"capacity": "many"}, "/capacity"),
            ({"kind": "robot"}, "/kind"), ({"kind": 7}, "/kind"), ({"site": ""}, "/site"), ({"site": "x" * 64}, "/site"),
            ({"site": "atlantis"}, "/site"), ({"site": 7}, "/site"), ({"version": "x" * 65}, "/version"), ({"version": "a\nb"}, "/version"),
            ({"capabilities": "tls13"}, "/capabilities"), ({"capabilities": ["c"] * 33}, "/capabilities"),
            ({"capabilities": ["x" * 65]}, "/capabilities/0"), ({"capabilities": [7]}, "/capabilities/0"),
            ({"labels": []}, "/labels"), ({"labels": {f"k{i}": "v" for i in range(33)}}, "/labels"),
            ({"labels": {"rack": 7}}, "/labels/rack"), ({"labels": {"rack": "x" * 201}}, "/labels/rack"),
            ({"labels": {"": "v"}}, "/labels/"), ({"labels": {"a/b": "v"}}, "/labels/a~1b"), ({"labels": {"a=b": "v"}}, "/labels/a=b"),
            ({"labels": {"k" * 64: long_label}}, "/labels/" + "k" * 64), ({"labels": {"rack": "a\x7fb"}}, "/labels/rack"),
            ({"path": ["lb7.example.net"]}, "/path"), ({"kind": "balancer", "path": [f"lb{i}.example" for i in range(17)]}, "/path"),
            ({"kind": "balancer", "path": ["not a name"]}, "/path/0"), ({"surprise": 1}, "/surprise"), ({"id": "app-r1"}, "/id"),
            ({"owner": "other"}, "/owner"), ({"epoch": 1}, "/epoch"), ({"notice_key": "00"}, "/notice_key"),
        ]
        for changes, pointer in cases:
            with self.subTest(changes=str(changes)[:80]):
                self.refused(self.app.register("app-r1", registration(**changes)), 422, pointer=pointer)

    def test_everything_wrong_is_told_at_once(self):
        body = registration(addresses=["nowhere"], weight=-1, lease_s=1, services=[{"name": "app.example.com", "port": 0.5}], odd=1)
        problem = self.refused(self.app.register("app-r1", body), 422)
        pointers = {error["pointer"] for error in problem["errors"]}
        self.assertEqual(pointers, {"/addresses/0", "/weight", "/lease_s", "/services/0/port", "/odd"})
        # a thousand mistakes make no answer of a megabyte
        reply = self.app.register("app-r1", registration(**{f"odd{i}": i for i in range(900)}))
        self.assertEqual(reply.status, 422)
        self.assertLess(len(reply.text), BODY_MOST)

    def test_reports_that_are_wrong(self):
        epoch = self.held()["epoch"]
        good = {"epoch": epoch, "sequence": 1}
        cases = [
            ({"epoch": None}, "/epoch"), ({"epoch": 0}, "/epoch"), ({"epoch": -1}, "/epoch"), ({"epoch": 2**53}, "/epoch"),
            ({"epoch": str(epoch)}, "/epoch"), ({"epoch": float(epoch)}, "/epoch"), ({"sequence": None}, "/sequence"),
            ({"sequence": 0}, "/sequence"), ({"sequence": -3}, "/sequence"), ({"sequence": 1.5}, "/sequence"), ({"state": "asleep"}, "/state"),
            ({"state": 1}, "/state"), ({"reason": "x" * 200}, "/reason"), ({"reason": "a\nb"}, "/reason"),
            ({"cpu_utilization": -0.1}, "/cpu_utilization"), ({"cpu_utilization": "0.5"}, "/cpu_utilization"),
            ({"cpu_utilization": 1e301}, "/cpu_utilization"), ({"mem_utilization": [1]}, "/mem_utilization"),
            ({"application_utilization": True}, "/application_utilization"), ({"eps": -1}, "/eps"),
            ({"named_metrics": []}, "/named_metrics"), ({"named_metrics": {"x": "1"}}, "/named_metrics/x"),
            ({"named_metrics": {"": 1}}, "/named_metrics/"), ({"named_metrics": {"a\u0001": 1}}, "/named_metrics/a\u0001"),
            ({"named_metrics": {"n" * 300: 1}}, None), ({"named_metrics": {"x": None}}, "/named_metrics/x"),
            ({"jobs": 3}, "/jobs"), ({"jobs": {"done": -1}}, "/jobs/done"), ({"jobs": {"last_ended_at": "yesterday"}}, "/jobs/last_ended_at"),
            ({"jobs": {"odd": 1}}, "/jobs/odd"), ({"services": {"app.example.com": 1}}, "/services/app.example.com"),
            ({"services": {"app.example.com": {"odd": 1}}}, "/services/app.example.com/odd"), ({"odd": 1}, "/odd"),
        ]
        for changes, pointer in cases:
            with self.subTest(changes=str(changes)[:80]):
                body = {key: value for key, value in {**good, **changes}.items() if value is not None}
                self.refused(self.app.ask("PUT", "/v1/resources/app-held/status", body), 422, pointer=pointer)
        many = {"named_metrics": {f"m{i}": i for i in range(65)}}
        self.refused(self.app.ask("PUT", "/v1/resources/app-held/status", {**good, **many}), 422, "64")
        self.assertEqual(self.app.ask("GET", "/v1/resources/app-held").json["metrics"], {}, "nothing of all that was kept")
        self.accepted(self.app.report("app-held", epoch, 1))

    def test_what_the_service_does_not_take(self):
        narrow = {"name": "narrow.example.com", "weight": 3}
        good = {"site": "fra", "lease_s": 30, "services": [narrow]}
        self.accepted(self.app.ask("PUT", "/v1/resources/app-n?dry_run=1", registration(**good)), 200)
        cases = [({"site": None}, 403, None), ({"site": "nyc"}, 403, None), ({"addresses": ["127.1.0.1"]}, 403, None),
                 ({"addresses": ["127.0.0.1", "10.0.0.1"]}, 403, None), ({"addresses": ["::1"]}, 403, None),
                 ({"lease_s": 9}, 422, "/lease_s"), ({"lease_s": 61}, 422, "/lease_s"), ({"lease_s": 0}, 422, "/lease_s"),
                 ({"services": [{**narrow, "weight": 1}]}, 422, "/services/0/weight"),
                 ({"services": [{**narrow, "weight": 6}]}, 422, "/services/0/weight"),
                 ({"services": [{**narrow, "tier": 4}]}, 422, "/services/0/tier")]
        for changes, status, pointer in cases:
            with self.subTest(changes=str(changes)):
                self.refused(self.app.register("app-n", registration(**{**good, **changes})), status, "narrow.example.com", pointer=pointer)

    def test_unknown_services(self):
        cases = {"nowhere.example.com": 422, "app.example.org": 422, "fixed.example.com": 422, "static.example.com": 422,
                 "example.com": 422, "_http._tcp.app.example.com": 422, "*.example.com": 422}
        for name, status in cases.items():
            with self.subTest(name=name):
                body = registration(services=[{"name": name, "port": 80}])
                self.refused(self.app.register("app-r1", body), status, pointer="/services/0/name")
        # one of two is enough, and then neither gets a member
        body = registration(services=[{"name": "app.example.com", "port": 80}, {"name": "nowhere.example.com", "port": 80}])
        self.refused(self.app.register("app-r1", body), 422, pointer="/services/1/name")
        self.assertEqual(self.gslbd.answers("app-r1.app.example.com"), [])

    def test_name_of_a_configured_member(self):
        reply = self.app.register("app-f", registration(services=[{"name": "mixed.example.com", "port": 80}]))
        self.refused(reply, 422, "configured member", pointer="/services/0/name")
        self.assertEqual(self.gslbd.answers("mixed.example.com"), ["127.0.0.9"])

    def test_foreign_callback_urls(self):
        urls = ["http://127.0.0.78/", "http://127.0.0.1:22/", "http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::1]/",
                "http://app.example.com/", "http://localhost/", "http://127.0.0.77.example.com/", "http://127.0.0.77@10.0.0.1/",
                "http://127.0.0.77:80@10.0.0.1/", "http://user:secret@127.0.0.77/", "http://10.0.0.1#127.0.0.77", "http://10.0.0.1\\@127.0.0.77/",
                "http://2130706509/", "http://0x7f00004d/", "http://127.77/", "http://0177.0.0.77/", "http://[::ffff:127.0.0.77]/",
                "http://127.0.0.77:0/", "http://127.0.0.77:65536/", "http://127.0.0.77:/", "http://127.0.0.77:80x/", "http:///", "http://",
                "//127.0.0.77/", "127.0.0.77", "ftp://127.0.0.77/", "file:///etc/passwd", "gopher://127.0.0.77:70/", "javascript:alert(1)",
                "http://127.0.0.77/\r\nX: y", "http://127.0.0.77/a b", "http://127.0.0.77/\u00e4", "http://127.0.0.77/" + "x" * 2000,
                " http://127.0.0.77/", 7, ""]
        for member in ("utilization_url", "notice_url"):
            for url in urls:
                with self.subTest(member=member, url=str(url)[:60]):
                    self.refused(self.app.register("app-r1", registration(**{member: url})), 422, pointer=f"/{member}")
        self.held("app-called", utilization_url="http://127.0.0.77:1/load?x=1", notice_url="http://127.0.0.77:1/notice")
        # neither does a change of addresses leave calls to somebody who is not registered any more
        self.refused(self.app.ask("PATCH", "/v1/resources/app-called", {"addresses": ["127.0.0.78"]}), 422, pointer="/notice_url")

    def test_ids_that_are_none(self):
        for ident in ("-a", "a-", "app_1", "app.1", "a" * 64, "%C3%BC", "app%00", "app%20x", "app*", "%2e%2e", "app%2fx"):
            with self.subTest(ident=ident):
                self.assertIn(self.app.register(ident).status, (400, 404))
        self.refused(self.app.register("elsewhere"), 403, "elsewhere")

    def test_conditions_that_fail(self):
        revision = self.held()["revision"]
        self.refused(self.app.register("app-held", headers={"If-None-Match": "*"}), 412)
        self.refused(self.app.register("app-held", registration(weight=2), headers={"If-Match": f'"{revision + 1}"'}), 412)
        self.refused(self.app.register("app-new", headers={"If-Match": '"1"'}), 412)
        self.refused(self.app.ask("PATCH", "/v1/resources/app-new", {"weight": 2}), 404)
        for text in ("1", '"x"', "W/\"1\"", '"-1"', '"1", "2"', '"99999999999999999999999"', ""):
            with self.subTest(text=text):
                self.refused(self.app.register("app-held", registration(weight=2), headers={"If-Match": text}), 400)

    def test_requests_that_are_no_http(self):
        token = f"Authorization: Bearer {self.token}\r\n".encode()
        body = json.dumps(registration()).encode()
        put = b"PUT /v1/resources/app-odd HTTP/1.1\r\nHost: x\r\n" + token
        requests = {
            "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x11" * 600, "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "no version": b"PUT /v1/resources/app-odd\r\n\r\n", "version 9": put.replace(b"1.1", b"9.9") + b"\r\n",
            "no Host": put.replace(b"Host: x\r\n", b"") + b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
            "endless field": put + b"X: " + b"a" * 100_000, "endless fields": put + b"X: a\r\n" * 20_000,
            "long path": b"PUT /v1/resources/" + b"a" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "length and chunks": put + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPUT /v1/resources/app-odd2 HTTP/1.1\r\nHost: x\r\n"
                                 + token + b"Content-Length: %d\r\n\r\n%s" % (len(body), body),
            "blank before the colon": put + b"Content-Length : %d\r\n\r\n%s" % (len(body), body),
            "folded field": put + b"Content-Length:\r\n %d\r\n\r\n%s" % (len(body), body),
        }
        for kind, request in requests.items():
            with self.subTest(kind=kind):
                got = self.app.raw(request, until=1.0)
                self.assertNotIn(b" 500 ", got[:20])
                self.assertNotIn(b" 201 ", got[:20])
                self.assertEqual(self.nobody.ask("GET", "/healthz").status, 200)


class Bounds(AbuseCase):
    """How much one may have."""

    def test_resources_of_one_token(self):
        daemon = self.begin(limits={"resources_per_token": 5, "resources": 8})
        app, other = Client(daemon, daemon.token("app")), Client(daemon, daemon.token("other", ["other-*"]))
        for number in range(5):
            self.accepted(app.register(f"app-{number}", registration(addresses=[f"127.0.0.{number + 1}"])), 201)
        self.refused(app.register("app-5"), 429, "app", "5")
        self.accepted(app.register("app-4", registration(weight=7)), 200)  # those that are there may change
        for number in range(3):
            self.accepted(other.register(f"other-{number}"), 201)
        self.refused(other.register("other-3"), 429, "8")
        self.assertEqual(len(daemon.answers("_http._tcp.app.example.com", "SRV")), 8)
        self.assertEqual(app.ask("DELETE", "/v1/resources/app-0").status, 202)
        self.accepted(app.register("app-5"), 201)
        self.refused(app.register("app-6"), 429)
        # an operator is not bound by a token's share, but by the whole
        self.assertEqual(daemon.api("/v1/resources/op-1", "PUT", registration(), unix=True).status, 429)

    def test_registrations_at_once_do_not_overrun_the_bound(self):
        daemon = self.begin(limits={"resources_per_token": 10})
        token = daemon.token("app")
        statuses = []

        def register(number):
            statuses.append(Client(daemon, token).register(f"app-{number}").status)
        threads = [threading.Thread(target=register, args=(number,), daemon=True) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        self.assertEqual((statuses.count(201), statuses.count(429)), (10, 30), statuses)
        self.assertEqual(len(daemon.api("/v1/resources?limit=1000").json["resources"]), 10)

    def test_members_of_one_service(self):
        accept = {"tokens": ["app"], "members": 3}
        daemon = self.begin({"services": [{"name": "app.example.com", "accept": accept, "when_down": "empty"},
                                          {"name": "*.dyn.example.com", "accept": {"tokens": ["app"], "services": 2}}]})
        app = Client(daemon, daemon.token("app"))
        for number in range(3):
            self.accepted(app.register(f"app-{number}"), 201)
        self.refused(app.register("app-3"), 429, "app.example.com", "3")
        for name in ("a", "b"):
            self.accepted(app.register(f"app-{name}", registration(services=[{"name": f"{name}.dyn.example.com"}])), 201)
        self.refused(app.register("app-c", registration(services=[{"name": "c.dyn.example.com"}])), 429, "dyn.example.com")
        self.refused(app.register("app-c", registration(services=[{"name": "c.d.dyn.example.com"}])), 422)
        self.assertEqual(app.ask("DELETE", "/v1/resources/app-a").status, 202)
        self.accepted(app.register("app-c", registration(services=[{"name": "c.dyn.example.com"}])), 201)

    def test_rate_of_one_source(self):
        daemon = self.begin(limits={"requests_per_s": 20})
        token = daemon.token("app")
        greedy, other = Client(daemon, token), Client(daemon, token)
        epoch = self.accepted(other.register("app-other"), 201)["epoch"]
        started, statuses = time.monotonic(), []
        for number in range(150):
            statuses.append(greedy.register(f"app-{number % 10}").status)
        took = time.monotonic() - started
        allowed = len([status for status in statuses if status in (200, 201)])
        self.assertEqual(len(statuses) - allowed, statuses.count(429), set(statuses))
        self.assertLessEqual(allowed, 20 + 20 * took + 1, f"in {took:.2f} s")
        self.assertGreaterEqual(allowed, 20)
        self.refused(next(reply for reply in iter(lambda: greedy.register("app-1"), None) if reply.status == 429), 429, "address")
        # others, readers and the operator do not pay for it
        self.accepted(other.report("app-other", epoch, 1))
        self.assertEqual(greedy.ask("GET", "/v1/resources/app-1").status, 200)
        self.assertEqual(daemon.api("/v1/resources/op-1", "PUT", registration(), unix=True).status, 201)
        # who asks in vain pays as well: guessing at tokens is bounded
        guessing = Client(daemon, "gslb_" + "B" * 43)
        statuses = [guessing.register("app-1").status for _ in range(60)]
        self.assertGreater(statuses.count(429), 10)
        self.assertEqual(set(statuses), {401, 429})
        eventually(lambda: greedy.register("app-1").status == 200, 3, "it may again, once it has been quiet", 0.2)


class Siege(AbuseCase):
    """Thousands who hold connections and do not get on."""

    def setUp(self):
        self.held = []
        self.addCleanup(self.let_go)
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, self.limit)

    def begin(self, extra=None, limits=None, **options):
        # the server takes care of its own limits: it is started with those of a login
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, self.limit[1]))
        daemon = super().begin(extra, limits, **options)
        wanted = IDLE + 2000
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(wanted, self.limit[1])))
        self.token = daemon.token("app")
        Client(daemon, self.token).register("app-first")  # what is allocated once is not growth
        return daemon

    def let_go(self):
        for sock in self.held:
            sock.close()
        self.held.clear()

    def hold(self, daemon, number, sources, first=b""):
        """So many connections, each having said so much. Those that the server does not take are not there."""
        hosts = [addresses.take() for _ in range(sources)]
        for index in range(number):
            try:
                sock = connect(daemon, hosts[index % sources], timeout=5)
                self.held.append(sock)
                if first:
                    sock.sendall(first)
            except OSError:
                pass
        return len(self.held)

    def open_ones(self):
        """How many of them the server has not closed."""
        poll = select.poll()
        for sock in self.held:
            poll.register(sock, select.POLLRDHUP)
        return len(self.held) - len(poll.poll(0))

    def settled(self, limit):
        """Soon no more than the limit of the configuration are open; some wait in the listening queue at first."""
        eventually(lambda: self.open_ones() <= limit, 8, f"no more than {limit} are open", 0.1)

    def drip(self, packet, at):
        """One further byte on each that is open."""
        byte = packet[at:at + 1]
        for sock in self.held:
            with contextlib.suppress(OSError):
                sock.send(byte, socket.MSG_DONTWAIT)

    def test_ten_thousand_idle_connections(self):
        daemon = self.begin()
        with self.others_served(daemon, self.token), self.bounded(daemon):
            self.assertEqual(self.hold(daemon, IDLE, SOURCES), IDLE)
            self.settled(2000)
            eventually(lambda: self.open_ones() == 0, 20, "who says nothing is put out", 0.2)

    def test_ten_thousand_connections_that_rest(self):
        daemon = self.begin()
        with self.others_served(daemon, self.token), self.bounded(daemon):
            self.assertEqual(self.hold(daemon, IDLE, SOURCES, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), IDLE)
            self.settled(2000)

    def test_one_source_with_ten_thousand(self):
        daemon = self.begin()
        with self.others_served(daemon, self.token), self.bounded(daemon):
            self.hold(daemon, IDLE, 1)
            self.settled(1000)

    def test_slow_heads(self):
        daemon = self.begin()
        head = b"PUT /v1/resources/app-slow HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 100
        with self.others_served(daemon, self.token), self.bounded(daemon):
            self.hold(daemon, SLOW, SOURCES, head[:1])
            self.drip_until_gone(head)

    def test_slow_bodies(self):
        daemon = self.begin()
        body = json.dumps(registration()).encode()
        head = (f"PUT /v1/resources/app-slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode()
        with self.others_served(daemon, self.token), self.bounded(daemon):
            self.hold(daemon, SLOW, SOURCES, head)
            self.drip_until_gone(body)
        self.assertEqual(Client(daemon).ask("GET", "/v1/resources/app-slow").status, 404)

    def drip_until_gone(self, packet):
        """A byte a second; none of them lasts as long as the whole would take."""
        at, deadline = 1, time.monotonic() + 30
        while self.open_ones():
            self.assertLess(time.monotonic(), deadline, f"{self.open_ones()} are still served slowly")
            self.drip(packet, at)
            at += 1
            time.sleep(1)  # that is their pace
        self.assertLess(at, len(packet))

    def test_slow_bodies_from_a_few(self):
        """Fewer than the limit: they keep nobody out, and go by their time alone."""
        daemon = self.begin()
        with self.others_served(daemon, self.token):
            self.hold(daemon, 200, 4, b"PUT /v1/resources/app-slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n")
            self.assertEqual(self.open_ones(), 200)
            started = time.monotonic()
            self.drip_until_gone(b"{" + b" " * 99)
            self.assertGreater(time.monotonic() - started, 5, "who is merely slow gets some time")

    def test_watchers_that_fill_the_house(self):
        """Long polls and streams are held for long; there is room for others all the same."""
        daemon = self.begin()
        position = Client(daemon).ask("GET", "/v1/watch").json["position"]
        poll = f"GET /v1/watch?since={position}&wait_s=55&kind=notice HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        stream = b"GET /v1/watch HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n"
        with self.others_served(daemon, self.token), self.bounded(daemon):
            self.hold(daemon, SLOW // 2, SOURCES, poll)
            self.hold(daemon, SLOW // 2, SOURCES, stream)
            self.settled(2000)
            time.sleep(2)  # held for a while

    def test_answers_that_nobody_takes(self):
        daemon = self.begin()
        for number in range(50):
            labels = {f"k{index}": "x" * 190 for index in range(30)}
            reply = Client(daemon, self.token).register(f"app-big-{number}", registration(labels=labels))
            self.assertEqual(reply.status, 201, reply.text)
        with self.others_served(daemon, self.token), self.bounded(daemon):
            hosts = [addresses.take() for _ in range(SOURCES)]
            for index in range(60):
                sock = connect(daemon, hosts[index % SOURCES], timeout=5)
                self.held.append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
                sock.send(b"GET /v1/resources?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n", socket.MSG_DONTWAIT)
            time.sleep(4)  # not taken for a while

    def test_connections_that_vanish(self):
        daemon = self.begin()
        put = (f"PUT /v1/resources/app-gone HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
               "Content-Length: 5000\r\n\r\n{").encode()
        with self.others_served(daemon, self.token), self.bounded(daemon):
            for first in (b"", put[:20], put, b"GET /v1/watch HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n") * 4:
                self.hold(daemon, 500, 10, first)
                for sock in self.held:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset at close
                self.let_go()


if __name__ == "__main__":
    unittest.main()
