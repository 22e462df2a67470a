"""Servers that tell figures, run by a test: over HTTP, and one line over TCP as HAProxy's agents do. Both note what they said."""
import http.server
import json
import os
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from tests.system.harness import addresses, free_port

TEXT = "text/plain; version=0.0.4"


class Quiet(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that went away is none of ours."""


class FigureServer:
    """Answers each path with what `set` gave it: a document, a text, or a list of these, one after the other, whose last stays.

    `asked` has (monotonic seconds, path, headers) of each request; `said` what was answered, by path."""

    def __init__(self, address=None, port=None):
        self.address = address or addresses.take()
        self.port = port or free_port(self.address)
        self.answers, self.asked, self.said, self.server = {}, [], {}, None

    def set(self, path, answer, status=200):
        self.answers[path] = ([*answer] if isinstance(answer, list) else [answer], status)
        return self

    def answer(self, path):
        """(status, type, body) for one request."""
        if path not in self.answers:
            return 404, TEXT, b""
        left, status = self.answers[path]
        now = left.pop(0) if len(left) > 1 else left[0]
        self.said.setdefault(path, []).append(now)
        return (status, TEXT, now.encode()) if isinstance(now, str) else (status, "application/json", json.dumps(now).encode())

    def start(self):
        told = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                told.asked.append((time.monotonic(), self.path, dict(self.headers)))
                status, kind, body = told.answer(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = True

            def log_message(self, *_):
                pass

        self.server = Quiet((self.address, self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def end(self):
        """Nobody is there any more: connections are refused."""
        if self.server:
            self.server.shutdown()
            self.server.server_close()
        self.server = None

    def times(self, path):
        return [at for at, asked, _ in self.asked if asked == path]


class LineServer:
    """An agent as HAProxy asks it: says its line to whoever connects, and closes. With `waits_for` it hears that line first."""

    def __init__(self, line, waits_for=None):
        self.line, self.waits_for = line, waits_for
        self.address = addresses.take()
        self.port = free_port(self.address)
        self.said, self.heard, self.socket = [], [], None

    def start(self):
        self.socket = socket.create_server((self.address, self.port))
        threading.Thread(target=self.serve, args=(self.socket,), daemon=True).start()
        return self

    def serve(self, listening):
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    if self.waits_for is not None:
                        self.heard.append(connection.makefile("rb").readline())
                    line = self.line
                    self.said.append(line)
                    connection.sendall(line if isinstance(line, bytes) else line.encode())
                except OSError:
                    pass

    def end(self):
        if self.socket:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes accept
            self.socket.close()
        self.socket = None


CLOCK = r"""
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long shift_s(void) {
  static long shift;
  static int is_read;
  const char *text = is_read ? NULL : getenv("TEST_CLOCK_SHIFT_S");
  if (text)
    shift = atol(text);
  is_read = 1;
  return shift;
}

int clock_gettime(clockid_t id, struct timespec *out) {
  long got = syscall(SYS_clock_gettime, id, out);
  if (got == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
    out->tv_sec += shift_s();
  return (int)got;
}

time_t time(time_t *out) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (out)
    *out = now.tv_sec;
  return now.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}
"""


class ShiftedClock:
    """Has the programs that run with `environment()` see another wall clock than the system's, by whole seconds."""

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="gslb-clock-")
        source, self.library = Path(self.directory.name, "clock.c"), Path(self.directory.name, "clock.so")
        source.write_text(CLOCK)
        subprocess.run([os.environ.get("CC", "gcc"), "-D_GNU_SOURCE", "-O1", "-shared", "-fPIC", source, "-o", self.library],
                       check=True)
        self.shift_s = 0

    def set(self, unix_s):
        """The clock shows this, up to a second more, when a program starts right now."""
        self.shift_s = int(unix_s - time.time())
        return self

    def now(self):
        return time.time() + self.shift_s

    def environment(self):
        options = os.environ.get("ASAN_OPTIONS", "")
        return {"LD_PRELOAD": str(self.library), "TEST_CLOCK_SHIFT_S": str(self.shift_s),
                "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0".lstrip(":")}

    def remove(self):
        self.directory.cleanup()
