"""The targets of probes: tests/bench/probe_targets.c, which takes little of the processor that clients have."""
import json
import random
import socket
import subprocess

from tests.system import harness
from tests.system.harness import end_process, free_port

PROGRAM = harness.ROOT / "build/bench/probe_targets"


class Targets:
    """`count` addresses with one port, answered from start() to end(). All answer 200, or, from say("turn") to say("hold"),
    each another code than before; and one that fail() was called for 503 until mend(). interval_ms: in which probes are
    expected to come to an address."""

    def __init__(self, count, interval_ms):
        self.base = (127 << 24) + (random.randint(16, 250) << 16) + 1
        self.count, self.interval_ms, self.port = count, interval_ms, free_port("127.0.0.1")
        self.process = None

    def start(self):
        self.process = subprocess.Popen([PROGRAM, self.address(0), str(self.port), str(self.count), str(self.interval_ms), "0"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.line()
        return self

    def address(self, index):
        return socket.inet_ntoa((self.base + index).to_bytes(4, "big"))

    def line(self):
        text = self.process.stdout.readline()
        if not text:
            raise RuntimeError(f"the targets ended with {self.process.wait()}")
        return json.loads(text)

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def turned(self):
        """Answers that were others than the ones before, so far."""
        self.say("tell")
        return self.line()["turned"]

    def fail(self, index):
        self.say(f"fail {index}")

    def mend(self, index):
        self.say(f"mend {index}")

    def failed_at(self, index):
        """time.monotonic() of the first failing answer since fail(); None while there is none."""
        self.say(f"failed {index}")
        return self.line()["failed_s"] or None

    def end(self):
        if self.process:
            end_process(self.process)
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None
