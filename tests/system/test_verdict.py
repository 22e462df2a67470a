"""From a verdict to the last answer with the dead address, counted from the fact as it is stored."""
import datetime
import socket
import threading
import time
import unittest

from tests.system.harness import Case, eventually, free_port
from tests.system.message import make

ALONE = True  # measures time

ROUNDS = 5
USUAL_S = 0.05
# whatever else the machine does; one of the rounds must do with the usual
MOST_S = 2.0
NAME = "www.example.com"


class Asker(threading.Thread):
    """Asks all the time; knows when an address was answered last."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.settimeout(0.2)
        self.sock.connect((daemon.host, daemon.port))
        self.last, self.asked, self.is_ending = {}, 0, False

    def run(self):
        packet = make(NAME, "A")
        while not self.is_ending:
            try:
                self.sock.send(packet)
                reply = self.sock.recv(512)
            except OSError:
                continue
            self.asked += 1
            # one answer with four bytes of data, the last of the reply
            self.last[socket.inet_ntoa(reply[-4:])] = time.monotonic()

    def end(self):
        self.is_ending = True
        self.join()
        self.sock.close()


class Verdict(Case):
    def begin(self):
        port = free_port("127.0.0.1")
        self.members = [self.start_member(f"m{number}", port) for number in (1, 2)]
        monitor = {"name": "web", "type": "http", "port": port, "path": "/health", "interval": "100ms", "timeout": "90ms",
                   "rise": 1, "fall": 1}
        rows = [{"name": member.name, "addresses": [member.address]} for member in self.members]
        daemon = self.start({"monitors": [monitor], "services": [{"name": NAME, "monitors": ["web"], "members": rows}]})
        daemon.wait_states(NAME, m1="up", m2="up")
        self.asker = Asker(daemon)
        self.asker.start()
        self.addCleanup(self.asker.end)
        return daemon

    def until_answered(self, address):
        begun = time.monotonic()
        eventually(lambda: self.asker.last.get(address, 0) > begun, 10, f"{address} is answered")

    def last_after(self, address, since):
        """Seconds from then to the last answer with the address."""
        def is_quiet():
            return self.asker.asked > asked + 200 and time.monotonic() - self.asker.last[address] > 0.3
        asked = self.asker.asked
        eventually(is_quiet, 10, f"{address} is answered no more")
        return self.asker.last[address] - since

    def judge(self, taken):
        self.assertLess(max(taken), MOST_S, taken)
        self.assertLess(min(taken), USUAL_S, taken)

    def test_dead_address_is_answered_no_more_once_the_fact_is_stored(self):
        daemon, (dead, _) = self.begin(), self.members
        taken = []
        for _ in range(ROUNDS):
            self.until_answered(dead.address)
            dead.set_health("down")
            daemon.wait_states(NAME, m1="down")
            stored = datetime.datetime.fromisoformat(daemon.member(NAME, "m1")["addresses"][0]["probes"][0]["since_at"])
            ago = time.time() - stored.timestamp()
            taken.append(self.last_after(dead.address, time.monotonic() - ago))
            dead.set_health("up")
            daemon.wait_states(NAME, m1="up")
        self.judge(taken)

    def test_member_that_is_taken_down_is_answered_no_more_once_that_is_told(self):
        daemon, (dead, _) = self.begin(), self.members
        taken = []
        for _ in range(ROUNDS):
            self.until_answered(dead.address)
            self.assertEqual(daemon.set_member(NAME, "m1", "down").status, 200)
            taken.append(self.last_after(dead.address, time.monotonic()))
            daemon.clear_member(NAME, "m1")
        self.judge(taken)


if __name__ == "__main__":
    unittest.main()
