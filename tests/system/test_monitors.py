"""Each kind of monitor against real servers: what passes, what fails, and by which reason of the closed set; what monitors
do together, whom they probe, how often."""
import http.server
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from tests.system import namespace
from tests.system.harness import Case, addresses, end_process, eventually, free_port, has_v6, is_alive

FAST = {"interval": "1s", "timeout": "900ms", "rise": 1, "fall": 1}


def domain(name):
    return f"{name}.example.com"


def service(name, monitors, *members, **changes):
    return {"name": domain(name), "ttl": {"max": "30s", "min": "1s"}, "method": "all", "monitors": monitors, "when_down": "empty",
            "members": list(members), **changes}


def member(name, *given, **changes):
    return {"name": name, "addresses": list(given), **changes}


def openssl(*words, cwd=None):
    done = subprocess.run(["openssl", *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise AssertionError(f"openssl {words}: {done.stderr}")


class HttpTarget(http.server.ThreadingHTTPServer):
    """A web server that notes what it was asked; with a TLS context also by which name."""
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, port=None, tls=None):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address, self.port = address, port or free_port(address)
        self.seen, self.names, self.times, self.tls = {}, [], {}, tls
        if tls:
            tls.sni_callback = lambda _sock, name, _context: self.names.append(name)
        super().__init__((self.address, self.port), HttpRequest)
        self.thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, client_address):
        if self.tls:
            request.settimeout(5)
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        pass  # probers go away as they like

    def end(self):
        self.shutdown()
        self.server_close()
        self.thread.join()


class HttpRequest(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10

    def log_message(self, format, *arguments):
        pass

    def answer(self, status, text="", **fields):
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text.encode())

    def any_method(self):
        path, server = self.path, self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        server.seen[path] = (self.command, list(self.headers.items()), body)
        server.times.setdefault(path, []).append(time.monotonic())
        if path.startswith("/status/"):
            self.answer(int(path[8:]), "status")
        elif path.startswith("/hop/") and path != "/hop/0":
            self.answer(302, "redirect", Location=f"/hop/{int(path[5:]) - 1}")
        elif path == "/away":
            self.answer(301, "redirect", Location=f"http://elsewhere.example.net:{server.port}/hop/0")
        elif path == "/long":
            self.answer(200, "x" * 100_000 + "END")
        elif path == "/peer":
            self.answer(200, json.dumps(self.connection.getpeercert() or {}) if server.tls else "none")
        else:
            self.answer(200, {"/hop/0": "landed", "/error": "maintenance: disk full"}.get(path, "ready 42"))

    do_GET = do_HEAD = do_POST = do_PUT = do_OPTIONS = any_method


class MonitorCase(Case):
    def setUp(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-monitors-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.rows = {}

    def start_target(self, address=None, **options):
        target = HttpTarget(address or addresses.take(), **options)
        self.addCleanup(target.end)
        return target

    def start_program(self, *words, **options):
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, **options)
        self.addCleanup(end_process, process)
        return process

    def wait_open(self, address, port, process):
        def is_open():
            if process.poll() is not None:
                raise AssertionError(f"{process.args} ended with {process.returncode}")
            try:
                socket.create_connection((address, port), 1).close()
                return True
            except OSError:
                return False
        eventually(is_open, 10, f"{process.args[0]} listens")

    def row(self, name, target, reason, text, **monitor):
        """A monitor, the address that it is for, and the verdict: "passed" or the name of a reason, and words of the text."""
        address = target if isinstance(target, str) else target.address
        if monitor["type"] not in ("ping", "exec") and "port" not in monitor:
            monitor["port"] = target.port
        self.rows[name] = (address, reason, text, {"name": name, **FAST, **monitor})

    def judge_rows(self, **options):
        """Runs all rows in one daemon and compares the verdicts."""
        daemon = self.start({"monitors": [row[3] for row in self.rows.values()],
                             "services": [service(name, [name], member("m", row[0])) for name, row in self.rows.items()]},
                            **options)
        for name, (_, reason, text, _) in self.rows.items():
            with self.subTest(monitor=name):
                self.check_verdict(daemon, name, reason, text)
        return daemon

    def check_verdict(self, daemon, name, reason, text):
        probe = eventually(lambda: self.probe_of(daemon, name), 8, f"{name} was probed")
        self.assertEqual((probe["last_passed"], probe["state"]), (reason == "passed", "up" if reason == "passed" else "down"),
                         probe["reason"])
        self.assertRegex(probe["reason"], text or ".")
        figures = eventually(lambda: self.figures_of(daemon, name), 8, f"{name} has figures")
        errors = {key for key, value in figures.items() if key.startswith("errors.") and value}
        self.assertEqual(bool(errors), reason != "passed", errors)
        for error in errors:
            self.assertRegex(error, f"^errors[.]({reason})$")
        self.assertEqual(figures["loss"], 0 if reason == "passed" else 1)

    def probe_of(self, daemon, name, which="m"):
        probe = daemon.member(domain(name), which)["addresses"][0]["probes"][0]
        return probe if probe["last_at"] else None

    def figures_of(self, daemon, name, which="m"):
        sources = daemon.api(f"/v1/members/{domain(name)}/{which}/load").json["sources"]
        rows = [row for row in sources if row["source"] == "probe"]
        return {value["name"]: value["value"] for value in rows[0]["values"]} if rows else None


class HttpMonitors(MonitorCase):
    def test_requests_and_what_is_made_of_answers(self):
        target = self.start_target()
        header_of = dict
        body = '{"deep": "täglich"}'
        self.row("plain", target, "passed", "^status 200$", type="http")
        self.row("text", target, "passed", "^status 200$", type="http", path="/text", expect={"body": "ready"})
        self.row("absent", target, "no_match", '^body lacks "steady"', type="http", expect={"body": "steady"})
        self.row("regex", target, "passed", "200", type="http", expect={"regex": "^ready [0-9]+$"})
        self.row("regex-no", target, "no_match", "^body lacks /", type="http", expect={"regex": "^eady"})
        self.row("case", target, "no_match", "lacks", type="http", expect={"body": "READY"})
        self.row("not-text", target, "passed", "200", type="http", expect={"body": "error", "not": True})
        self.row("not-regex", target, "no_match", "^body has /", type="http", path="/error",
                 expect={"regex": "error|maintenance", "not": True})
        self.row("post", target, "passed", "200", type="http", method="POST", path="/post?a=1&b=%20", body=body,
                 host="shop.example.net", headers=["Content-Type: application/json", "X-Probe: yes: it is"])
        self.row("head", target, "passed", "200", type="http", method="HEAD", path="/head")
        self.row("put", target, "passed", "200", type="http", method="PUT", path="/put")
        self.row("options", target, "passed", "200", type="http", method="OPTIONS", path="/options")
        self.row("bad", target, "status", "^status 503, expected 200-399$", type="http", path="/status/503")
        self.row("good-503", target, "passed", "503", type="http", path="/status/503", expect={"status": "500-599,204"})
        self.row("two-codes", target, "status", "^status 200, expected 204,301$", type="http", expect={"status": "204,301"})
        self.row("closed", target, "refused", "refused", type="http", port=free_port(target.address))
        self.row("beyond", target, "no_match", "lacks", type="http", path="/long", expect={"body": "END"})
        self.row("within", target, "passed", "200", type="http", path="/long", expect={"body": "END"}, body_most=200_000)
        self.row("no-body", target, "passed", "200", type="http", path="/long", body_most=0)
        if has_v6():
            self.row("six", self.start_target("::1"), "passed", "200", type="http", expect={"body": "ready"})
        daemon = self.judge_rows()
        method, headers, got = target.seen["/post?a=1&b=%20"]
        fields = header_of(headers)
        self.assertEqual((method, got, fields["Host"], fields["Content-Type"], fields["X-Probe"]),
                         ("POST", body, "shop.example.net", "application/json", "yes: it is"))
        self.assertEqual(fields["Content-Length"], str(len(body.encode())))
        self.assertEqual(header_of(target.seen["/text"][1])["Host"], domain("text"))
        self.assertEqual([target.seen[f"/{name}"][0] for name in ("head", "put", "options")], ["HEAD", "PUT", "OPTIONS"])
        self.assertGreater(self.figures_of(daemon, "within")["bytes"], 100_000)
        beyond = self.figures_of(daemon, "beyond")
        self.assertGreaterEqual(beyond["bytes"] / beyond["errors.no_match"], 65536)
        self.assertLess(beyond["bytes"] / beyond["errors.no_match"], 65536 + 1000)
        self.assertLess(self.figures_of(daemon, "no-body")["bytes"], 20_000)
        # response times: the last, the mean, quantiles in their order
        eventually(lambda: self.figures_of(daemon, "plain")["response_time_ms"] > 0, 5, "a response time")
        figures = self.figures_of(daemon, "plain")
        p50, p95, p99 = (figures[f"response_time_p{rank}_ms"] for rank in (50, 95, 99))
        self.assertLessEqual(p50, p95)
        self.assertLessEqual(p95, p99)
        self.assertGreater(figures["response_time_mean_ms"], 0)

    def test_redirects_are_followed_as_often_as_allowed(self):
        target = self.start_target()
        self.row("judged", target, "passed", "^status 302$", type="http", path="/hop/1")
        self.row("refused", target, "status", "302, expected 200", type="http", path="/hop/1", expect={"status": "200"})
        self.row("one", target, "passed", "^status 200$", type="http", path="/hop/1", redirects=1, expect={"body": "landed"})
        self.row("three", target, "passed", "^status 200$", type="http", path="/hop/3", redirects=3, expect={"body": "landed"})
        self.row("too-many", target, "protocol", "redirect", type="http", path="/hop/3", redirects=2)
        # a redirect to another name is followed on the same host: it is this member that is judged
        self.row("away", target, "passed", "^status 200$", type="http", path="/away", redirects=1, expect={"body": "landed"})
        self.judge_rows()

    def test_http2(self):
        (self.directory / "index.html").write_text("two")
        address = addresses.take()
        clear, tls = free_port(address), free_port(address)
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=two", "-addext", "subjectAltName=DNS:two.example.net", "-keyout", "two.key", "-out", "two.pem",
                cwd=self.directory)
        plain = self.start_program("nghttpd", "--no-tls", "-a", address, "-d", self.directory, clear)
        secure = self.start_program("nghttpd", "-a", address, "-d", self.directory, tls, self.directory / "two.key",
                                    self.directory / "two.pem")
        self.wait_open(address, clear, plain)
        self.wait_open(address, tls, secure)
        with_ca = {"tls": {"ca": str(self.directory / "two.pem"), "server_name": "two.example.net"}}
        old = self.start_target()
        page = {"path": "/index.html", "expect": {"body": "two"}}
        self.row("clear", address, "passed", "200", type="http", port=clear, http2=True, **page)
        self.row("secure", address, "passed", "200", type="https", port=tls, http2=True, **with_ca, **page)
        self.row("missing", address, "status", "404", type="http", port=clear, http2=True, path="/nothing")
        self.row("one-to-two", address, "protocol", "", type="http", port=clear, **page)
        self.row("two-to-one", old, "closed|protocol", "", type="http", http2=True)
        self.judge_rows()


class HttpsMonitors(MonitorCase):
    def make_authority(self, name):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj",
                f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", f"{name}.key", "-out", f"{name}.pem",
                cwd=self.directory)
        (self.directory / f"{name}.index").touch()
        (self.directory / f"{name}.cnf").write_text(
            f"[ca]\ndefault_ca=d\n[d]\ndatabase={name}.index\nserial={name}.serial\nnew_certs_dir=.\ndefault_md=sha256\n"
            "policy=p\ncopy_extensions=copy\nunique_subject=no\n[p]\ncommonName=supplied\n")
        (self.directory / f"{name}.serial").write_text("10\n")

    def make_certificate(self, name, authority, alternative, start="20200101000000Z", end="20491231000000Z"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-addext",
                f"subjectAltName=DNS:{alternative}", "-keyout", f"{name}.key", "-out", f"{name}.csr", cwd=self.directory)
        openssl("ca", "-batch", "-notext", "-config", f"{authority}.cnf", "-cert", f"{authority}.pem", "-keyfile",
                f"{authority}.key", "-in", f"{name}.csr", "-startdate", start, "-enddate", end, "-out", f"{name}.pem",
                cwd=self.directory)

    def path(self, name):
        return str(self.directory / name)

    def start_s_server(self, name, *more):
        address = addresses.take()
        port = free_port(address)
        process = self.start_program("openssl", "s_server", "-accept", f"{address}:{port}", "-www", "-cert",
                                     self.path(f"{name}.pem"), "-key", self.path(f"{name}.key"), *more)
        self.wait_open(address, port, process)
        return {"address": address, "port": port}

    def secure_row(self, name, target, reason, text, tls, **monitor):
        self.row(name, target["address"], reason, text, type="https", port=target["port"], **({"tls": tls} if tls else {}),
                 **monitor)

    def test_certificates(self):
        self.make_authority("ca")
        self.make_authority("clients")
        self.make_certificate("good", "ca", "shop.example.net")
        self.make_certificate("old", "ca", "shop.example.net", end="20210101000000Z")
        self.make_certificate("early", "ca", "shop.example.net", start="20480101000000Z")
        self.make_certificate("prober", "clients", "prober.example.net")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                "/CN=self", "-addext", "subjectAltName=DNS:shop.example.net", "-keyout", "self.key", "-out", "self.pem",
                cwd=self.directory)
        good, old, early, self_signed = (self.start_s_server(name) for name in ("good", "old", "early", "self"))
        asks = self.start_s_server("good", "-Verify", "1", "-CAfile", self.path("clients.pem"), "-verify_return_error")
        ca, name = self.path("ca.pem"), "shop.example.net"
        right = {"ca": ca, "server_name": name}
        self.secure_row("good", good, "passed", "^status 200$", right)
        self.secure_row("by-host", good, "passed", "^status 200$", {"ca": ca}, host=name)
        self.secure_row("system", good, "certificate", "^certificate not accepted", {"server_name": name})
        self.secure_row("default", good, "certificate", "^certificate not accepted", None)
        self.secure_row("wrong-name", good, "name", "another name", {"ca": ca, "server_name": "other.example.net"})
        self.secure_row("own-name", good, "name", "another name", {"ca": ca})
        self.secure_row("expired", old, "certificate", "^certificate not accepted", right)
        self.secure_row("early", early, "certificate", "^certificate not accepted", right)
        self.secure_row("self-signed", self_signed, "certificate", "^certificate not accepted", right)
        self.secure_row("pinned", self_signed, "passed", "200", {"ca": self.path("self.pem"), "server_name": name})
        for case, target in (("good", good), ("expired", old), ("self", self_signed)):
            self.secure_row(f"unverified-{case}", target, "passed", "200", {"verify": False})
        self.secure_row("shown", asks, "passed", "200", {**right, "certificate": self.path("prober.pem"),
                                                         "key": self.path("prober.key")})
        plain = self.start_target()
        self.secure_row("no-tls", {"address": plain.address, "port": plain.port}, "protocol", "", right)
        self.judge_rows()

    def test_client_certificate_and_asked_name_reach_the_server(self):
        self.make_authority("ca")
        self.make_authority("clients")
        self.make_certificate("good", "ca", "shop.example.net")
        self.make_certificate("prober", "clients", "prober.example.net")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path("good.pem"), self.path("good.key"))
        context.load_verify_locations(self.path("clients.pem"))
        context.verify_mode = ssl.CERT_REQUIRED
        target = self.start_target(tls=context)
        row = {"address": target.address, "port": target.port}
        right = {"ca": self.path("ca.pem"), "server_name": "shop.example.net"}
        self.secure_row("shown", row, "passed", "200", {**right, "certificate": self.path("prober.pem"),
                                                        "key": self.path("prober.key")},
                        path="/peer", expect={"body": "prober.example.net"})
        self.secure_row("kept", row, "certificate|closed|protocol", "", right)
        daemon = self.start({"monitors": [each[3] for each in self.rows.values()],
                             "services": [service(name, [name], member("m", each[0])) for name, each in self.rows.items()]})
        self.check_verdict(daemon, "shown", "passed", "200")
        self.assertFalse(eventually(lambda: self.probe_of(daemon, "kept"), 8, "a verdict")["last_passed"])
        self.assertEqual(set(target.names), {"shop.example.net"})


class Dialogs(MonitorCase):
    """tcp and udp with what is sent and expected."""

    def start_tcp(self, answer):
        """A server that lets answer(connection) speak on each connection."""
        listener = socket.create_server((addresses.take(), 0), backlog=16)
        listener.settimeout(0.1)
        ended = threading.Event()

        def one(connection):
            with connection:
                connection.settimeout(5)
                try:
                    answer(connection)
                except OSError:
                    pass

        def serve():
            while not ended.is_set():
                try:
                    connection = listener.accept()[0]
                except OSError:
                    continue
                threading.Thread(target=one, args=(connection,), daemon=True).start()
        return self.serve(listener, serve, ended)

    def serve(self, sock, serve, ended):
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        def end():
            ended.set()
            thread.join()
            sock.close()
        self.addCleanup(end)
        address, port = sock.getsockname()[:2]
        return lambda name, reason, text, **monitor: self.row(name, address, reason, text, port=port, **monitor)

    def start_udp(self, answer):
        """Datagrams that come back for one that comes: answer(data) lists them."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((addresses.take(), 0))
        sock.settimeout(0.1)
        ended = threading.Event()

        def serve():
            while not ended.is_set():
                try:
                    got, sender = sock.recvfrom(65535)
                    for each in answer(got):
                        sock.sendto(each, sender)
                except OSError:
                    continue
        return self.serve(sock, serve, ended)

    def test_tcp(self):
        got = []

        def mail(connection):
            connection.sendall(b"220 mx ready\r\n")
            line = connection.recv(100)
            got.append(line)
            if line == b"EHLO gslb\r\n":
                connection.sendall(b"250-mx\r\n25")
                connection.sendall(b"0 OK\r\n")
            connection.recv(1)

        def echo(connection):
            connection.sendall(connection.recv(100)[::-1])
        mails, echoes = self.start_tcp(mail), self.start_tcp(echo)
        silent = self.start_tcp(lambda connection: connection.recv(1) and connection.recv(1))
        closing = self.start_tcp(lambda connection: None)
        mails("open", "passed", "connected", type="tcp")
        mails("banner", "passed", "answer", type="tcp", expect={"regex": "^220 "})
        mails("dialog", "passed", "answer", type="tcp", send=r"EHLO gslb\r\n", expect={"text": "250 OK"})
        mails("impolite", "no_match", '^answer lacks "250 OK"', type="tcp", send=r"HELP\r\n", expect={"text": "250 OK"})
        echoes("bytes", "passed", "answer of 4 bytes", type="tcp", send=r"\x01B\\\t", expect={"regex": "^\t[\\]B"})
        echoes("not-there", "passed", "answer", type="tcp", send="abc", expect={"text": "abc", "not": True})
        echoes("there", "no_match", '^answer has "cba"', type="tcp", send="abc", expect={"text": "cba", "not": True})
        silent("silent", "timeout_first_byte", "time-out waiting", type="tcp", expect={"text": "hello"})
        closing("closing", "closed", "closed", type="tcp", expect={"text": "hello"})
        host = addresses.take()
        self.row("nobody", host, "refused", "refused", type="tcp", port=free_port(host))
        self.judge_rows()
        self.assertIn(b"EHLO gslb\r\n", got)

    def test_udp(self):
        got = []

        def source(data):
            got.append(data)
            return [b"\xff\xff\xff\xffI Engine\x00" if data == b"\xff\xff\xff\xffTSource\x00" else b"what?"]
        games, late = self.start_udp(source), self.start_udp(lambda data: [b"noise", b"pong"])
        silent = self.start_udp(lambda data: [])
        games("game", "passed", "answer of 13 bytes", type="udp", send=r"\xff\xff\xff\xffTSource\x00", expect={"text": "Engine"})
        games("any", "passed", "answer of 5 bytes", type="udp", send="x")
        games("wrong", "no_match", '^answer lacks "Engine"', type="udp", send="x", expect={"text": "Engine"})
        games("regex", "passed", "answer", type="udp", send="x", expect={"regex": "^what[?]$"})
        games("not", "no_match", '^answer has "what"', type="udp", send="x", expect={"text": "what", "not": True})
        late("second", "passed", "answer of 4 bytes", type="udp", send="ping", expect={"text": "pong"})
        silent("silent", "timeout_first_byte", "time-out waiting", type="udp", send="x")
        host = addresses.take()
        self.row("nobody", host, "refused", "refused", type="udp", port=free_port(host), send="x")
        self.judge_rows()
        self.assertIn(b"\xff\xff\xff\xffTSource\x00", got)


class DnsMonitors(MonitorCase):
    def write_signed_zone(self):
        """signed.example, by dnssec-signzone, with signatures for three days."""
        (self.directory / "signed.example").write_text(
            "$ORIGIN signed.example.\n$TTL 300\n@ SOA ns hostmaster 7 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.7\n")
        for command in (["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "signed.example"],
                        ["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "signed.example"],
                        ["dnssec-signzone", "-q", "-S", "-e", "now+259200", "-o", "signed.example", "signed.example"]):
            subprocess.run(command, cwd=self.directory, check=True, capture_output=True, timeout=60)

    def start_unbound(self):
        address = addresses.take()
        port = free_port(address)
        self.write_signed_zone()
        records = ["www.test. A 192.0.2.1", "www.test. A 192.0.2.2", "www.test. AAAA 2001:db8::1", "www.test. MX 10 mail.test.",
                   "test. SOA ns.test. hostmaster.test. 2025010105 1 1 1 1", "txt.test. TXT v=probe", "alias.test. CNAME www.test."]
        (self.directory / "unbound.conf").write_text("\n".join((
            "server:", f"  interface: {address}@{port}", "  access-control: 127.0.0.0/8 allow", '  username: ""', '  chroot: ""',
            f'  directory: "{self.directory}"', '  pidfile: ""', "  use-syslog: no", '  module-config: "iterator"',
            '  local-zone: "test." static', '  local-zone: "shut." refuse', '  local-zone: "mute." deny',
            *(f"  local-data: '{record}'" for record in records),
            "auth-zone:", '  name: "signed.example."', '  zonefile: "signed.example.signed"', "  for-downstream: yes",
            "  for-upstream: no", "remote-control:", "  control-enable: no", "")))
        process = self.start_program("unbound", "-d", "-c", self.directory / "unbound.conf", cwd=self.directory)
        self.wait_open(address, port, process)
        return address, port

    def test_real_unbound(self):
        address, port = self.start_unbound()

        def ask(name, reason, text, question, rdtype="A", **expect):
            self.row(name, address, reason, text, type="dns", port=port, query={"name": question, "type": rdtype},
                     **({"expect": expect} if expect else {}))
        ask("plain", "passed", "^rcode NOERROR$", "www.test")
        ask("nxdomain", "status", "^rcode NXDOMAIN, expected NOERROR$", "nobody.test")
        ask("absent", "passed", "^rcode NXDOMAIN$", "nobody.test", rcode="NXDOMAIN")
        ask("refused", "passed", "^rcode REFUSED$", "www.shut", rcode="REFUSED")
        ask("wrong-rcode", "status", "^rcode REFUSED, expected NXDOMAIN$", "www.shut", rcode="NXDOMAIN")
        ask("mute", "timeout_first_byte", "time-out waiting", "www.mute")
        ask("one", "passed", "", "www.test", answer="192.0.2.2")
        ask("one-no", "no_match", "^no answer 192.0.2.3$", "www.test", answer="192.0.2.3")
        ask("part", "passed", "", "www.test", answers=["192.0.2.1"])
        ask("whole", "passed", "", "www.test", answers=["192.0.2.2", "192.0.2.1"], whole=True)
        ask("more", "no_match", "other records", "www.test", answers=["192.0.2.1"], whole=True)
        ask("less", "no_match", "^no answer 192.0.2.3$", "www.test", answers=["192.0.2.1", "192.0.2.2", "192.0.2.3"], whole=True)
        ask("six", "passed", "", "www.test", "AAAA", answer="2001:db8:0::1")
        ask("mx", "passed", "", "www.test", "MX", answer="10 MAIL.test.")
        ask("txt", "passed", "", "txt.test", "TXT", answer='"v=probe"')
        ask("cname", "passed", "", "alias.test", "CNAME", answer="www.test.")
        ask("serial", "passed", "", "test", "SOA", serial=2025010105)
        ask("serial-old", "no_match", "^serial 2025010105, expected 2025010106 or later$", "test", "SOA", serial=2025010106)
        ask("serial-around", "passed", "", "test", "SOA", serial=4294967295)  # RFC 1982: it comes before, around the end
        ask("signed", "passed", "", "signed.example", "SOA", signature_left="2d", serial=7)
        ask("signed-short", "no_match", "signature ends in", "signed.example", "SOA", signature_left="4d")
        ask("signed-www", "passed", "", "www.signed.example", "A", signature_left="2d", answers=["192.0.2.7"], whole=True)
        ask("unsigned", "no_match", "not signed", "www.test", "A", signature_left="1s")
        host = addresses.take()
        self.row("nobody", host, "refused", "refused", type="dns", port=free_port(host), query={"name": "www.test"})
        self.judge_rows()


FTP_SERVER = """import logging, sys
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer
logging.disable(logging.CRITICAL)
address, port, directory = sys.argv[1], int(sys.argv[2]), sys.argv[3]
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_user("probe", "s3cret#/%", directory)
FTPHandler.authorizer.add_anonymous(directory + "/pub")
FTPHandler.auth_failed_timeout = 0
FTPServer((address, port), FTPHandler).serve_forever()
"""


class FtpMonitors(MonitorCase):
    def test_real_ftp_server(self):
        (self.directory / "pub").mkdir()
        (self.directory / "pub" / "motd").write_text("welcome all\n")
        (self.directory / "own #1.txt").write_text("for the probe\n")
        (self.directory / "right").write_text("s3cret#/%\nnot this\n")
        (self.directory / "wrong").write_text("guess\n")
        address = addresses.take()
        port = free_port(address)
        server = self.start_program("/usr/bin/python3", "-c", FTP_SERVER, address, port, self.directory)
        self.wait_open(address, port, server)

        def fetch(name, reason, text, path, user=None, password="right", **more):
            own = {"user": user, "password_file": str(self.directory / password)} if user else {}
            self.row(name, address, reason, text, type="ftp", port=port, path=path, **own, **more)
        fetch("anonymous", "passed", "^12 bytes$", "/motd", expect={"text": "welcome"})
        fetch("user", "passed", "^14 bytes$", "/own%20#1.txt", "probe", expect={"regex": "^for the probe\n$"})
        fetch("deep", "passed", "", "/pub/motd", "probe")
        fetch("differs", "no_match", '^file lacks "goodbye"', "/motd", expect={"text": "goodbye"})
        fetch("not", "no_match", '^file has "welcome"', "/motd", expect={"text": "welcome", "not": True})
        fetch("missing", "status", "^file refused .550.$", "/nothing")
        fetch("login", "status", "^login refused .530.$", "/own%20#1.txt", "probe", "wrong")
        fetch("stranger", "status", "^login refused .530.$", "/motd", "nobody")
        fetch("closed", "refused", "refused", "/motd")
        self.rows["closed"][3]["port"] = free_port(address)
        self.judge_rows()


class PingMonitors(MonitorCase):
    def setUp(self):
        super().setUp()
        before = namespace.enter()
        if before is None:
            self.skipTest("no network namespaces here")
        self.addCleanup(namespace.leave, before)
        subprocess.run(["ip", "route", "add", "unreachable", "192.0.2.0/24"], check=True)

    @staticmethod
    def write_kernel(path, value):
        # the file shows the network of the thread that opens it
        Path("/proc/thread-self/net").stat()
        Path("/proc/sys/net", path).write_text(value)

    def sockets(self, daemon, table):
        pid = daemon.processes()["probe"]["pid"]
        return len(Path(f"/proc/{pid}/net/{table}").read_text().splitlines()) - 1

    def check_pings(self, daemon):
        for name in ("four", "six"):
            self.check_verdict(daemon, name, "passed", "^echo reply$")
        self.check_verdict(daemon, "away", "unreachable", "^unreachable: ")
        # nobody answers any more
        self.write_kernel("ipv4/icmp_echo_ignore_all", "1")
        self.write_kernel("ipv6/icmp/echo_ignore_all", "1")
        for name in ("four", "six"):
            daemon.wait_states(domain(name), m="down")
            self.assertEqual(self.probe_of(daemon, name)["reason"], "time-out waiting for answer")
            eventually(lambda: self.figures_of(daemon, name).get("errors.timeout_first_byte"), 5, "counted as a time-out")
        self.write_kernel("ipv4/icmp_echo_ignore_all", "0")
        self.write_kernel("ipv6/icmp/echo_ignore_all", "0")
        for name in ("four", "six"):
            daemon.wait_states(domain(name), m="up")

    def start_pings(self):
        monitor = {"name": "ping", "type": "ping", "interval": "500ms", "timeout": "400ms", "rise": 1, "fall": 1}
        return self.start({"monitors": [monitor], "services": [
            service("four", ["ping"], member("m", "127.9.9.9")), service("six", ["ping"], member("m", "::1")),
            service("away", ["ping"], member("m", "192.0.2.9"))]})

    def test_raw_socket_of_the_supervisor(self):
        self.write_kernel("ipv4/ping_group_range", "1 0")
        daemon = self.start_pings()
        self.check_pings(daemon)
        self.assertEqual((self.sockets(daemon, "raw"), self.sockets(daemon, "icmp")), (1, 0))
        status = Path(f"/proc/{daemon.processes()['probe']['pid']}/status").read_text()
        self.assertEqual(int(re.search(r"CapEff:\s*([0-9a-f]+)", status)[1], 16) >> 13 & 1, 0, "probe has no CAP_NET_RAW")

    def test_datagram_socket(self):
        self.write_kernel("ipv4/ping_group_range", "0 2147483647")
        daemon = self.start_pings()
        self.check_pings(daemon)
        self.assertEqual(self.sockets(daemon, "icmp"), 1)


class ExecMonitors(MonitorCase):
    def script(self, name, text):
        path = self.directory / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return str(path)

    def test_status_and_last_line(self):
        host = "127.0.0.77"
        self.row("good", host, "passed", "^exit status 0: fine$", type="exec",
                 command=[self.script("good", "echo first; echo fine; exit 0")])
        self.row("bad", host, "status", "^exit status 3: disk full$", type="exec",
                 command=[self.script("bad", "echo first; echo disk full; exit 3")])
        self.row("mute", host, "passed", "^exit status 0$", type="exec", command=["/bin/true"])
        self.row("mute-bad", host, "status", "^exit status 1$", type="exec", command=["/bin/false"])
        self.row("line", host, "passed", "OK 12", type="exec", command=["/bin/echo", "OK 12"], expect={"regex": "^OK [0-9]+$"})
        self.row("line-no", host, "no_match", '^last line lacks "OK"', type="exec", command=["/bin/echo", "WARN"],
                 expect={"line": "OK"})
        self.row("line-not", host, "no_match", '^last line has "WARN"', type="exec", command=["/bin/echo", "WARN"],
                 expect={"line": "WARN", "not": True})
        # arguments are arguments: no shell, unless asked for
        self.row("no-shell", host, "passed", r"^exit status 0: \$HOME; exit 7 \| cat$", type="exec",
                 command=["/bin/echo", "$HOME; exit 7 | cat"])
        self.row("shell", host, "status", "^exit status 7: piped$", type="exec", shell=True,
                 command="echo PIPED | tr A-Z a-z; exit 7")
        self.row("told", host, "passed", f"^exit status 0: told {host} 900$", type="exec", command=[
            self.script("told", "echo $GSLB_MONITOR $GSLB_ADDRESS $GSLB_TIMEOUT_MS")])
        self.row("signal", host, "status", "^ended by signal 15", type="exec", command=[self.script("signal", "kill -TERM $$")])
        self.row("loud", host, "passed", "^exit status 0: end$", type="exec",
                 command=[self.script("loud", "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end")])
        self.judge_rows()

    def test_program_that_is_not_there(self):
        self.row("absent", "127.0.0.77", "passed", "", type="exec", command=[str(self.directory / "nothing")])
        daemon = self.start({"monitors": [self.rows["absent"][3]], "services": [service("absent", ["absent"], member("m", "127.0.0.77"))]})
        eventually(lambda: "nothing cannot be run" in daemon.log(), 8, "the log tells it")
        self.assertEqual(daemon.member(domain("absent"), "m")["state"], "unknown")

    def test_killed_with_its_group_at_the_time_out(self):
        pids = self.directory / "pids"
        script = self.script("hang", f"sleep 300 &\necho $$ $! >> {pids}\necho started\ntrap '' TERM\nwait\nsleep 300")
        self.row("hang", "127.0.0.77", "killed", "^killed after 700 ms: started$", type="exec", command=[script], timeout="700ms")
        # one that ends in time leaves nothing behind either
        left = self.directory / "left"
        self.row("leaver", "127.0.0.77", "passed", "", type="exec",
                 command=[self.script("leaver", f"sleep 300 &\necho $! >> {left}\nexit 0")])
        daemon = self.judge_rows()
        self.assertGreater(daemon.member(domain("hang"), "m")["addresses"][0]["probes"][0]["failed"], 0)
        for path, timeout_s in ((pids, 0.7), (left, 0.0)):
            first = [int(word) for word in path.read_text().splitlines()[0].split()]
            eventually(lambda: not any(is_alive(pid) for pid in first), timeout_s + 2, f"the group of {path.name} is gone")
        # all of them, once the daemon is stopped
        daemon.stop()
        every = [int(word) for path in (pids, left) for word in path.read_text().split()]
        eventually(lambda: not any(is_alive(pid) for pid in every), 5, "all are gone")

    def test_so_many_at_once(self):
        running, log = self.directory / "running", self.directory / "log"
        running.mkdir()
        script = self.script("count", f"touch {running}/$$; ls {running} | wc -l >> {log}; sleep 1.9; rm {running}/$$")
        count = 40
        daemon = self.start({
            "monitors": [{"name": "count", "type": "exec", "command": [script], "interval": "100s", "timeout": "20s", "rise": 1,
                          "starts_as": "down"}],
            "services": [service("all", ["count"], *(member(f"m{i}", f"127.0.77.{i}") for i in range(1, count + 1)))]})
        self.assertEqual(daemon.api(f"/v1/services/{domain('all')}").json["members_total"], count)
        # all are asked for at once by a monitor of a shorter interval
        daemon.extra["monitors"][0].update(interval="4s", timeout="4s")
        daemon.write_config()
        self.assertEqual(daemon.api("/v1/admin/reload", "POST", {}, unix=True).status, 200)
        eventually(lambda: daemon.api(f"/v1/services/{domain('all')}").json["members_up"] == count, 20, "all have run")
        most = max(int(line) for line in log.read_text().split())
        self.assertLessEqual(most, 16)
        self.assertGreaterEqual(most, 12)  # so that the bound was near: 19 would run without it


class Together(MonitorCase):
    """Monitors of services, counts, weights, other subjects."""

    def web(self, target, name="web", **changes):
        return {"name": name, "type": "http", "port": target.port, "host": "any", "interval": "300ms", "timeout": "250ms", "rise": 1,
                "fall": 1, **changes}

    def test_service_passes_while_so_many_members_are_up(self):
        port = free_port("127.0.0.1")
        members = [self.start_member(f"m{i}", port) for i in range(1, 4)]
        health = {"name": "health", "type": "http", "port": port, "path": "/health", "expect": {"status": "200"}, **FAST,
                  "interval": "300ms", "timeout": "250ms"}
        daemon = self.start({
            "monitors": [health, {"name": "database", "type": "service", "service": domain("db"), "least": 2}],
            "services": [service("db", ["health"], *(member(each.name, each.address) for each in members)),
                         service("app", ["database"], member("a", "127.0.0.70"))]})
        daemon.wait_states(domain("db"), m1="up", m2="up", m3="up")
        daemon.wait_states(domain("app"), a="up")
        members[0].set_health("down")
        daemon.wait_states(domain("db"), m1="down")
        self.assertEqual(daemon.member(domain("app"), "a")["state"], "up")
        members[1].set_health("down")
        daemon.wait_states(domain("app"), a="down")
        self.assertEqual(daemon.answers(domain("app")), [])
        members[0].set_health("up")
        daemon.wait_states(domain("app"), a="up")
        eventually(lambda: daemon.answers(domain("app")) == ["127.0.0.70"], 5, "answered again")

    def test_weights_threshold_and_counts(self):
        port = free_port("127.0.0.1")
        parts = [self.start_member(f"p{i}", port) for i in range(1, 4)]
        monitors = [{"name": f"p{i}", "type": "http", "port": port, "path": "/health", "address": part.address, **FAST,
                     "interval": "300ms", "timeout": "250ms", "weight": weight}
                    for (i, weight), part in zip(((1, 0), (2, 0), (3, 1)), parts)]
        monitors += [{"name": "either", "type": "calculated", "of": ["p1", "p2"], "least": 1, "weight": 2},
                     {"name": "most", "type": "calculated", "of": ["p1", "p2", "p3"], "least": 2}]
        daemon = self.start({"monitors": monitors, "services": [
            service("weighed", ["p1", "p2", "p3", "either"], member("m", "127.0.0.70"), member("easy", "127.0.0.71", threshold=1),
                    member("hard", "127.0.0.72", threshold=3), threshold=2),
            service("every", ["p1", "p2", "p3", "either"], member("m", "127.0.0.70")),
            service("counted", ["p1", "p2", "p3", "most"], member("m", "127.0.0.70"), threshold=2)]})

        def check(down, **wanted):
            for part in parts:
                part.set_health("down" if part.name in down else "up")
            with self.subTest(down=down):
                for name, states in wanted.items():
                    daemon.wait_states(domain(name), **dict(states))
        up, gone = {"m": "up"}, {"m": "down"}
        everyone = {"m": "up", "easy": "up", "hard": "up"}
        check("", weighed=everyone, every=up, counted=up)
        check(("p1",), weighed=everyone, every=up, counted=up)                                   # either 2 + p3 1
        check(("p1", "p2"), weighed={"m": "down", "easy": "up", "hard": "down"}, every=gone, counted=gone)     # p3 1
        check(("p3",), weighed={"m": "up", "easy": "up", "hard": "down"}, every=gone, counted=gone)            # either 2
        check(("p1", "p2", "p3"), weighed={"m": "down", "easy": "down", "hard": "down"}, every=gone, counted=gone)
        check("", weighed=everyone, every=up, counted=up)

    def test_other_subjects(self):
        target = self.start_target()
        dead = free_port(target.address)
        daemon = self.start({
            "monitors": [self.web(target), self.web(target, "gateway", address=target.address, path="/gateway"),
                         self.web(target, "lost", address=target.address, port=dead)],
            "services": [service("moved", ["web"], member("m", "127.0.0.70", monitor_address=target.address), member("n", "127.0.0.71")),
                         service("behind", ["gateway"], *(member(f"m{i}", f"127.0.0.{80 + i}") for i in range(1, 9))),
                         service("cut-off", ["lost"], member("m", target.address))]})
        # what is probed is not what is answered
        daemon.wait_states(domain("moved"), m="up", n="down")
        eventually(lambda: daemon.answers(domain("moved")) == ["127.0.0.70"], 5, "the member's own address is answered")
        daemon.wait_states(domain("behind"), **{f"m{i}": "up" for i in range(1, 9)})
        daemon.wait_states(domain("cut-off"), m="down")
        # one subject for eight members is probed once
        self.check_rate(target, "/gateway", 0.3)

    def check_rate(self, target, path, interval_s, probes=6):
        """So many probes go to the path as one check makes."""
        first = len(target.times[path])
        times = eventually(lambda: len(target.times[path]) > first + probes and target.times[path][first:first + probes + 1], 20,
                           "probes")
        span = times[-1] - times[0]
        self.assertGreater(span, probes * interval_s * 0.9 - 0.1)
        self.assertLess(span, probes * interval_s + 0.3)

    def test_identical_probes_are_made_once(self):
        target = self.start_target()
        count = 20
        same = [self.web(target, f"same-{i}", path="/same", rise=i % 3 + 1) for i in range(count)]  # how they are judged may differ
        other = [self.web(target, "other", path="/other"), self.web(target, "named", path="/named", host="name.example.net"),
                 self.web(target, "again", path="/named")]
        daemon = self.start({"monitors": [*same, *other], "services": [
            *(service(f"s{i}", [f"same-{i}"], member("m", target.address)) for i in range(count)),
            *(service(f"o{i}", ["other", "named", "again"], member("m", target.address)) for i in range(2))]})
        for i in range(count):
            daemon.wait_states(domain(f"s{i}"), m="up")
        for i in range(2):
            daemon.wait_states(domain(f"o{i}"), m="up")
        self.check_rate(target, "/same", 0.3)
        self.check_rate(target, "/other", 0.3)
        self.check_rate(target, "/named", 0.15, 12)  # two hosts are two probes
        # one result reaches all of them
        target.end = lambda: None
        target.shutdown()
        target.server_close()
        for i in range(count):
            daemon.wait_states(domain(f"s{i}"), m="down")

    def test_starts_as(self):
        rows = {"up": "up", "down": "down", "unknown": "unknown"}
        monitors = [{"name": state, "type": "tcp", "port": 9, "interval": "1d", "starts_as": state} for state in rows]
        daemon = self.start({"monitors": monitors, "services": [
            service(state, [state], member("m", "127.0.0.70")) for state in rows]})
        for state in rows:
            self.assertEqual(daemon.member(domain(state), "m")["state"], state)
        self.assertEqual(daemon.answers(domain("up")), ["127.0.0.70"])
        self.assertEqual(daemon.answers(domain("down")), [])

    def test_idle_names_are_probed_less_often(self):
        target = self.start_target()
        daemon = self.start({"monitors": [self.web(target, path="/idle", idle_factor=8),
                                          self.web(target, "always", path="/always")],
                             "services": [service("idle", ["web"], member("m", target.address)),
                                          service("always", ["always"], member("m", target.address))]})

        def gap_of(path):
            times = target.times.get(path, [])
            return times[-1] - times[-2] if len(times) > 1 else 0
        eventually(lambda: gap_of("/idle") > 0.3 * 8 * 0.9 - 0.05, 20, "nobody asks: probed every 2.4 s")
        self.assertLess(gap_of("/idle"), 0.3 * 8 + 0.2)
        self.assertLess(gap_of("/always"), 0.3 + 0.2)
        since = time.monotonic()
        daemon.answers(domain("idle"))
        eventually(lambda: [at for at in target.times["/idle"] if at > since], 0.3 + 1.0 + 0.3, "probed soon after the first question")

        def asked():
            daemon.answers(domain("idle"))
            return [at for at in target.times["/idle"] if at > since][5:]
        at = eventually(asked, 6, "six probes while it is asked for")[0]
        self.assertLess(at - since, 6 * 0.3 + 1.6)
        eventually(lambda: gap_of("/idle") > 0.3 * 8 * 0.9 - 0.05, 20, "idle again")

    def test_overdue_probes_show(self):
        target = self.start_target()
        daemon = self.start({"monitors": [self.web(target)], "services": [service("www", ["web"], member("m", target.address))]})
        daemon.wait_states(domain("www"), m="up")
        self.assertFalse(self.probe_of(daemon, "www")["overdue"])
        pid = daemon.processes()["probe"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            eventually(lambda: self.probe_of(daemon, "www")["overdue"], 5, "it is told that no probe came")
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: not self.probe_of(daemon, "www")["overdue"], 5, "and that one came again")


if __name__ == "__main__":
    sys.exit(unittest.main())
