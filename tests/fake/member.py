#!/usr/bin/python3
"""A member of a service for tests and for the example: a small HTTP server whose health can be switched.

    member.py NAME ADDRESS PORT [--log FILE]

GET  /health   200 "ok", or what was set
PUT  /health   the body sets it: "up", "down" (503), "wrong" (200 with another body), "hang" (no answer at all)
GET  /         says which member it is

Each probe is noted in the log as one line "MONOTONIC_SECONDS STATUS", written right after the answer left.
"""
import argparse
import http.server
import signal
import socket
import sys
import threading
import time

ANSWERS = {"up": (200, "ok\n"), "down": (503, "out of order\n"), "wrong": (200, "maintenance\n"), "hang": None}


class Member(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, name, address, port, log):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.name = name
        self.health = "up"
        self.log = log
        self.log_lock = threading.Lock()
        super().__init__((address, port), Request)

    def server_bind(self):
        # the base class would look its own name up in the DNS
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address[:2]

    def note(self, status):
        if self.log:
            with self.log_lock:
                self.log.write(f"{time.monotonic():.6f} {status}\n")
                self.log.flush()

    def handle_error(self, request, client_address):
        pass  # a prober that went away is no fault of the member


class Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, format, *arguments):
        pass

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        if self.path != "/health":
            self.answer(200, f"this is {self.server.name}\n")
            return
        answer = ANSWERS[self.server.health]
        if answer is None:
            self.server.note("hang")
            time.sleep(20)
            self.close_connection = True
            return
        self.answer(*answer)
        self.server.note(answer[0])

    do_HEAD = do_GET

    def do_PUT(self):
        wanted = self.rfile.read(min(int(self.headers.get("Content-Length", "0")), 64)).decode("ascii", "replace").strip()
        if self.path != "/health" or wanted not in ANSWERS:
            self.answer(400, f"say one of: {', '.join(ANSWERS)}\n")
            return
        self.server.health = wanted
        self.answer(200, f"{self.server.name} is now {wanted}\n")


def main():
    parser = argparse.ArgumentParser(description="a local HTTP member whose health can be switched")
    parser.add_argument("name")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--log", help="file that gets a line a probe")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    signal.signal(signal.SIGINT, lambda number, frame: sys.exit(0))
    log = open(options.log, "a", encoding="ascii") if options.log else None
    try:
        server = Member(options.name, options.address, options.port, log)
    except OSError as error:
        sys.exit(f"member {options.name}: {options.address} port {options.port}: {error.strerror}")
    server.serve_forever(poll_interval=0.2)


if __name__ == "__main__":
    main()
