"""Targets that behave badly: each fails by its reason of the closed set, and makes no probe of another one late."""
import os
import re
import selectors
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

from tests.system.account import tell
from tests.system.harness import BUILD, Case, addresses, eventually, free_port

ALONE = True  # measures time

LONG = os.environ.get("GSLB_TEST_LONG") == "1"
HANGING = 500 if LONG else 150
MARGIN_S = 0.1
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
RESET = struct.pack("ii", 1, 0)


def reset(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def request(connection):
    """Reads until the end of a request's header."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(4096)
        if not piece:
            raise OSError("gone")
        got += piece
    return got


def silent(connection):
    while connection.recv(4096):
        pass


def byte_a_second(connection):
    request(connection)
    drip(connection, HEAD)


def body_byte_a_second(connection):
    request(connection)
    connection.sendall(HEAD + b"Content-Length: 60\r\n\r\n")
    drip(connection, b"x" * 60)


def drip(connection, text):
    for byte in text:
        connection.sendall(bytes([byte]))
        time.sleep(1)  # what the name says


def endless_body(connection):
    request(connection)
    connection.sendall(HEAD + b"\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def endless_chunks(connection):
    request(connection)
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"1000\r\n" + b"x" * 4096 + b"\r\n")


def endless_headers(connection):
    request(connection)
    connection.sendall(HEAD)
    while True:
        connection.sendall(b"X-More: " + b"x" * 1000 + b"\r\n")


def endless_line(connection):
    request(connection)
    connection.sendall(HEAD + b"X-More: ")
    while True:
        connection.sendall(b"x" * 4096)


def endless_interim(connection):
    request(connection)
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20)


def reset_at_once(connection):
    reset(connection)


def reset_after_request(connection):
    request(connection)
    reset(connection)


def reset_in_body(connection):
    request(connection)
    connection.sendall(HEAD + b"Content-Length: 60\r\n\r\nready")
    time.sleep(0.05)  # so that the part is read before the reset takes it away
    reset(connection)


def closed_at_once(connection):
    pass


def closed_in_body(connection):
    request(connection)
    connection.sendall(HEAD + b"Content-Length: 60\r\n\r\nready")


def garbage(connection):
    request(connection)
    connection.sendall(bytes(range(256)) * 4)


def reset_in_handshake(connection):
    connection.recv(4096)
    reset(connection)


def plain_bytes(connection):
    connection.recv(4096)
    connection.sendall(b"220 this is no TLS\r\n" * 10)
    silent(connection)  # a close would take away what was not read yet


def ftp_silent_after_login(connection):
    connection.sendall(b"220 hello\r\n")
    silent(connection)


def ftp_endless_greeting(connection):
    while True:
        connection.sendall(b"220-and more\r\n" * 100)


class BadTarget:
    """One address; each connection gets a thread that misbehaves."""

    def __init__(self, manner):
        self.manner, self.address = manner, addresses.take()
        self.listener = socket.create_server((self.address, 0), backlog=32)
        self.port = self.listener.getsockname()[1]
        self.listener.settimeout(0.1)
        self.ended = threading.Event()
        self.connections = set()
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.ended.is_set():
            try:
                connection = self.listener.accept()[0]
            except OSError:
                continue
            threading.Thread(target=self.misbehave, args=(connection,), daemon=True).start()

    def misbehave(self, connection):
        connection.settimeout(20)
        self.connections.add(connection)
        with connection:
            try:
                self.manner(connection)
            except OSError:
                pass
        self.connections.discard(connection)

    def end(self):
        self.ended.set()
        self.thread.join()
        self.listener.close()
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Hangers:
    """Accepts on one port of every loopback address, and never says a word."""

    def __init__(self, port):
        self.listener = socket.create_server(("0.0.0.0", port), backlog=1024)
        self.listener.setblocking(False)
        self.ended = threading.Event()
        self.accepted, self.most = 0, 0
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        selector, opened = selectors.DefaultSelector(), 0
        selector.register(self.listener, selectors.EVENT_READ)
        while not self.ended.is_set():
            for key, _ in selector.select(0.1):
                if key.fileobj is self.listener:
                    connection = self.listener.accept()[0]
                    selector.register(connection, selectors.EVENT_READ)
                    self.accepted, opened = self.accepted + 1, opened + 1
                elif not self.drain(key.fileobj):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
                    opened -= 1
                self.most = max(self.most, opened)
        for key in list(selector.get_map().values()):
            key.fileobj.close()

    @staticmethod
    def drain(connection):
        try:
            return connection.recv(4096)
        except OSError:
            return b""

    def end(self):
        self.ended.set()
        self.thread.join()


def service(name, monitors, members):
    return {"name": f"{name}.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all", "monitors": monitors,
            "when_down": "empty", "members": members}


class TargetCase(Case):
    def judge(self, rows, good_interval="500ms"):
        """rows: [(manner, {monitor}, reason, text)]. All in one daemon, beside a member whose probes must stay on time."""
        port = free_port("127.0.0.1")
        good = self.start_member("good", port)
        monitors = [{"name": "good", "type": "http", "port": port, "path": "/health", "expect": {"status": "200", "body": "ok"},
                     "interval": good_interval, "timeout": "400ms", "rise": 1, "fall": 1}]
        services = [service("good", ["good"], [{"name": "m", "addresses": [good.address]}])]
        names = []
        for i, (manner, monitor, _, _) in enumerate(rows):
            target = BadTarget(manner)
            self.addCleanup(target.end)
            name = f"{manner.__name__.replace('_', '-')}-{monitor['type']}-{i}"
            names.append(name)
            monitors.append({"name": name, "port": target.port, "interval": "2500ms", "timeout": "2500ms", "rise": 1, "fall": 1,
                             **monitor})
            services.append(service(name, [name], [{"name": "m", "addresses": [target.address]}]))
        daemon = self.start({"monitors": monitors, "services": services})
        daemon.wait_states("good.example.com", m="up")
        since = time.monotonic()
        for name, (_, _, reason, text) in zip(names, rows):
            with self.subTest(target=name):
                self.check_reason(daemon, name, reason, text)
        eventually(lambda: time.monotonic() - since > 6, 8, "two rounds")
        self.check_on_time(good, since, 0.5, 0.2)  # the endless ones keep a processor busy
        self.assertEqual(daemon.member("good.example.com", "m")["addresses"][0]["probes"][0]["failed"], 0)
        return daemon, names

    def check_reason(self, daemon, name, reason, text):
        def probed():
            probe = daemon.member(f"{name}.example.com", "m")["addresses"][0]["probes"][0]
            return probe if probe["last_at"] else None
        probe = eventually(probed, 10, f"{name} was probed")
        self.assertRegex(probe["reason"], text)
        self.assertEqual(probe["last_passed"], reason == "passed")
        figures = eventually(lambda: self.figures_of(daemon, name), 5, "figures")
        errors = {key for key, value in figures.items() if key.startswith("errors.") and value}
        self.assertEqual(errors, set() if reason == "passed" else {f"errors.{reason}"})

    def figures_of(self, daemon, name):
        sources = daemon.api(f"/v1/members/{name}.example.com/m/load").json["sources"]
        rows = [row for row in sources if row["source"] == "probe"]
        return {value["name"]: value["value"] for value in rows[0]["values"]} if rows else None

    def gaps_of(self, member, since):
        times = [at for at, _ in member.probes() if at >= since]
        return [b - a for a, b in zip(times, times[1:])]

    def check_on_time(self, member, since, interval_s, margin_s=MARGIN_S):
        gaps = self.gaps_of(member, since)
        self.assertGreaterEqual(len(gaps), 5)
        self.assertGreater(min(gaps), interval_s * 0.9 - margin_s)
        self.assertLess(max(gaps), interval_s + margin_s)
        self.assertEqual({status for at, status in member.probes() if at >= since}, {"200"})
        return max(gaps)


class BadTargets(TargetCase):
    def test_http(self):
        http = {"type": "http", "expect": {"body": "ready"}}
        daemon, names = self.judge([
            (silent, http, "timeout_first_byte", "^time-out waiting for answer$"),
            (byte_a_second, http, "timeout_body", "^time-out before the answer was whole$"),
            (body_byte_a_second, http, "timeout_body", "^time-out before the answer was whole$"),
            (endless_body, http, "no_match", '^body lacks "ready"$'),
            (endless_body, {"type": "http"}, "passed", "^status 200$"),
            (endless_chunks, http, "no_match", '^body lacks "ready"$'),
            (endless_headers, http, "protocol", "^answer breaks the protocol"),
            (endless_line, http, "protocol", "^answer breaks the protocol"),
            (endless_interim, http, "protocol", "^answer breaks the protocol"),
            (reset_at_once, http, "closed", "^connection closed"),
            (reset_after_request, http, "closed", "^connection closed"),
            (reset_in_body, http, "closed", "^connection closed"),
            (closed_at_once, http, "closed", "^connection closed"),
            (closed_in_body, http, "closed", "^connection closed"),
            (garbage, http, "protocol", "^answer breaks the protocol"),
        ])
        # no more is read than the bound
        figures = self.figures_of(daemon, names[3])
        self.assertLess(figures["bytes"] / figures["errors.no_match"], 65536 + 1000)

    def test_https(self):
        https = {"type": "https", "tls": {"verify": False}}
        self.judge([
            (silent, https, "timeout_tls", "^time-out in TLS handshake$"),
            (reset_at_once, https, "closed", "^connection closed"),
            (reset_in_handshake, https, "closed", "^connection closed"),
            (closed_at_once, https, "closed", "^connection closed"),
            (plain_bytes, https, "protocol", "^answer breaks the protocol"),
        ])

    def test_http2(self):
        two = {"type": "http", "http2": True}
        self.judge([
            (silent, two, "timeout_first_byte", "^time-out waiting for answer$"),
            (reset_after_request, two, "closed", "^connection closed"),
            (closed_at_once, two, "closed", "^connection closed"),
            (garbage, two, "closed", "^connection closed"),
        ])

    def test_tcp_ftp_and_dns(self):
        tcp = {"type": "tcp", "send": "hello", "expect": {"text": "ready"}}
        ftp = {"type": "ftp", "path": "/state"}

        def endless(connection):
            while True:
                connection.sendall(b"x" * 65536)

        def greeting_drips(connection):
            drip(connection, b"220 hello\r\n")
        self.judge([
            (silent, tcp, "timeout_first_byte", "^time-out waiting for answer$"),
            (greeting_drips, tcp, "no_match", '^answer lacks "ready"$'),
            (endless, tcp, "no_match", '^answer lacks "ready"$'),
            (reset_at_once, tcp, "closed", "^connection closed"),
            (closed_at_once, tcp, "closed", "^connection closed"),
            (silent, ftp, "timeout_first_byte", "^time-out waiting for answer$"),
            (greeting_drips, ftp, "timeout_first_byte", "^time-out"),
            (ftp_silent_after_login, ftp, "timeout_first_byte", "^time-out"),
            (ftp_endless_greeting, ftp, "protocol", "^answer breaks the protocol"),
            (reset_at_once, ftp, "closed", "^connection closed"),
            (closed_at_once, ftp, "closed", "^connection closed"),
        ])

    def test_backlog_that_is_full(self):
        host = addresses.take()
        listener = socket.socket()
        self.addCleanup(listener.close)
        listener.bind((host, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(3):  # what the kernel takes by itself
            filler = socket.socket()
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex((host, port))
        fast = {"port": port, "interval": "1s", "timeout": "900ms", "rise": 1, "fall": 1}
        daemon = self.start({
            "monitors": [{"name": "tcp", "type": "tcp", **fast}, {"name": "http", "type": "http", **fast},
                         {"name": "https", "type": "https", **fast}],
            "services": [service(name, [name], [{"name": "m", "addresses": [host]}]) for name in ("tcp", "http", "https")]})
        for name in ("tcp", "http", "https"):
            with self.subTest(monitor=name):
                self.check_reason(daemon, name, "timeout_connect", "^time-out in connect$")


def all_down(daemon):
    return {row["state"] for row in daemon.api("/v1/services/bad.example.com").json["members"]} == {"down"}


class Hanging(TargetCase):
    def start_among(self, hanging, build=None, members=3):
        """Good members, and so many that hang, all judged by the same monitor but for the port."""
        port, hanging_port = free_port("127.0.0.1"), free_port("0.0.0.0")
        good = [self.start_member(f"good{i}", port) for i in range(1, members + 1)]
        hangers = Hangers(hanging_port)
        self.addCleanup(hangers.end)
        fast = {"type": "http", "path": "/health", "interval": "1s", "rise": 1, "fall": 1}
        bad = [{"name": f"bad{i}", "addresses": [f"127.251.{i // 250}.{i % 250 + 1}"]} for i in range(hanging)]
        services = [service("good", ["good"], [{"name": each.name, "addresses": [each.address]} for each in good])]
        services += [service("bad", ["bad"], bad)] if bad else []
        daemon = self.start({"monitors": [
            {"name": "good", "port": port, "timeout": "500ms", **fast}, {"name": "bad", "port": hanging_port, "timeout": "1s", **fast}],
            "services": services}, build=build)
        daemon.wait_states("good.example.com", **{each.name: "up" for each in good})
        if bad:
            eventually(lambda: all_down(daemon), 30, "all of them are down", interval_s=0.2)
        return daemon, good, hangers

    def measure(self, hanging, build=None, seconds=10):
        daemon, good, hangers = self.start_among(hanging, build)
        since = time.monotonic()
        eventually(lambda: time.monotonic() - since > seconds, seconds + 2, "the time of measuring")
        worst = max(self.check_on_time(each, since, 1.0) for each in good)
        for each in good:
            probe = daemon.member("good.example.com", each.name)["addresses"][0]["probes"][0]
            self.assertEqual((probe["failed"], probe["state"]), (0, "up"))
        late = float(re.search(r"^gslb_probe_late_seconds ([0-9.e+-]+)$", daemon.api("/metrics").text, re.MULTILINE)[1])
        return worst, late, hangers

    def test_hanging_targets_change_nothing_for_others(self):
        alone, late_alone, _ = self.measure(0)
        among, late_among, hangers = self.measure(HANGING)
        self.assertGreaterEqual(hangers.most, HANGING * 0.8, "they hang at the same time")
        tell(f"{HANGING} hanging targets: longest gap between probes of 1 s {among:.3f} s, without them {alone:.3f} s; "
             f"most late {late_among * 1000:.1f} ms, without them {late_alone * 1000:.1f} ms")

    def limited(self, descriptors):
        """The programs, with room for so few descriptors."""
        directory = Path(tempfile.mkdtemp(prefix="gslb-limited-"))
        self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
        program = directory / "gslbd"
        program.write_text(f'#!/bin/sh\nexec prlimit --nofile={descriptors}:{descriptors} {BUILD.resolve()}/gslbd "$@"\n')
        program.chmod(0o755)
        (directory / "gslbctl").symlink_to(BUILD.resolve() / "gslbctl")
        return directory

    @unittest.skipUnless(LONG, "takes half a minute")
    def test_more_hang_than_there_is_room_for(self):
        daemon, good, hangers = self.start_among(HANGING, self.limited(HANGING // 2 + 64))
        limits = Path(f"/proc/{daemon.processes()['probe']['pid']}/limits").read_text()
        self.assertEqual(int(re.search(r"Max open files\s+(\d+)", limits)[1]), HANGING // 2 + 64)
        since = time.monotonic()
        eventually(lambda: time.monotonic() - since > 10, 12, "the time of measuring")
        worst = max(self.check_on_time(each, since, 1.0) for each in good)
        self.assertLessEqual(hangers.most, HANGING // 2)
        self.assertGreater(hangers.most, HANGING // 4)
        tell(f"{HANGING} hanging targets and room for {HANGING // 2}: longest gap between probes of others {worst:.3f} s")


if __name__ == "__main__":
    sys.exit(unittest.main())
