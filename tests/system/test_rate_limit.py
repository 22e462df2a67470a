"""Response rate limiting: a flood from one address gains no more than twice what it sends, and others notice nothing."""
import select
import socket
import time
import unittest

from tests.system.account import tell
from tests.system.harness import ZONE, Case, addresses
from tests.system.length import count
from tests.system.message import COOKIE, TC, Reply, make, opt, option, over_tcp

ALONE = True  # floods

FLOOD_S = count(1.5, 10)
RATE = 10000
EXTRA = "".join(f'big IN TXT "{"x" * 100} {i:02}"\n' for i in range(10)) + "*.wild IN TXT \"" + "y" * 200 + '"\nsub IN NS ns.sub\nns.sub IN A 192.0.2.60\n' + "".join(f'many{i} IN TXT "{"z" * 200}"\n' for i in range(300))
SERVICES = {"services": [{"name": "www.example.com", "method": "all", "members": [
    {"name": f"m{i}", "addresses": [f"127.0.0.{i}"]} for i in range(1, 21)]}]}


class RateLimit(Case):
    def begin(self, **limit):
        return self.start(SERVICES, zone=ZONE + EXTRA, server={"rate_limit": {"exempt": [], **limit}})

    def sockets(self, daemon, host, amount=8):
        """Several ports of one address, so that all workers have a part of it."""
        opened = []
        for _ in range(amount):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind((host, 0))
            sock.connect((daemon.host, daemon.port))
            sock.setblocking(False)
            opened.append(sock)
        return opened

    def flood(self, daemon, packet_of, seconds=FLOOD_S, rate=RATE, meanwhile=None):
        """(bytes sent, replies) of a flood from one address; calls meanwhile() now and then."""
        socks = self.sockets(daemon, addresses.take())
        sent, number, replies, start = 0, 0, [], time.monotonic()

        def receive(timeout):
            for sock in select.select(socks, [], [], timeout)[0]:
                try:
                    while True:
                        replies.append(sock.recv(65535))
                except BlockingIOError:
                    pass
        while (passed := time.monotonic() - start) < seconds:
            for _ in range(min(200, int(passed * rate) - number)):
                packet = packet_of(number)
                socks[number % len(socks)].send(packet)
                sent += len(packet)
                number += 1
            receive(0.001)
            if meanwhile:
                meanwhile()
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            receive(0.05)
        return sent, replies

    def test_flood_gains_no_more_than_twice_what_it_sends(self):
        daemon = self.begin()
        floods = {
            "one big answer": lambda number: make("big.example.com", "TXT", additional=[opt(payload=4096)], ident=number % 65536),
            "a balanced name": lambda number: make("www.example.com", "A", additional=[opt()], ident=number % 65536),
            "names that are not there": lambda number: make(f"n{number}.example.com", "A", ident=number % 65536),
            "names by wildcard": lambda number: make(f"n{number}.wild.example.com", "TXT", ident=number % 65536),
            "many names": lambda number: make(f"many{number % 300}.example.com", "TXT", ident=number % 65536),
            "referrals": lambda number: make(f"n{number}.sub.example.com", "A", ident=number % 65536),
            "refusals": lambda number: make(f"n{number}.example.org", "A", additional=[opt()], ident=number % 65536),
        }
        for kind, packet_of in floods.items():
            with self.subTest(kind=kind):
                sent, replies = self.flood(daemon, packet_of)
                got = sum(map(len, replies))
                tell(f"{kind}: {sent} bytes sent, {got} gained, factor {got / sent:.2f}")
                self.assertGreater(sent, 0)
                self.assertLessEqual(got, 2 * sent)

    def test_other_addresses_notice_nothing(self):
        daemon = self.begin()
        quiet = self.sockets(daemon, addresses.prefix.rsplit(".", 1)[0] + ".251.7", 1)[0]
        quiet.setblocking(True)
        quiet.settimeout(2)
        took, last = [], [time.monotonic()]

        def ask():
            if time.monotonic() - last[0] < 0.02:
                return
            last[0] = time.monotonic()
            quiet.send(make("www.example.com", "A", ident=len(took)))
            reply = Reply(quiet.recv(4096))
            self.assertEqual((reply.ident, reply.has(TC), len(reply.texts("answer"))), (len(took), False, 20))
            took.append(time.monotonic() - last[0])
        self.flood(daemon, lambda number: make("www.example.com", "A", ident=number % 65536), meanwhile=ask)
        self.assertGreater(len(took), 20)
        self.assertLess(sorted(took)[len(took) // 2], 0.1)

    def test_slips_are_truncated_and_empty(self):
        daemon = self.begin(responses=20, slip=2)
        sent, replies = self.flood(daemon, lambda number: make("www.example.com", "A", ident=number % 65536), seconds=1, rate=2000)
        read = [Reply(wire) for wire in replies]
        slips = [reply for reply in read if reply.has(TC)]
        queries = sent // len(make("www.example.com", "A"))
        self.assertTrue(all(not any(reply.counts[1:]) for reply in slips))
        self.assertTrue(all(len(reply.texts("answer")) == 20 for reply in read if not reply.has(TC)))
        limited = queries - (len(read) - len(slips))
        self.assertAlmostEqual(len(slips) / limited, 1 / 2, delta=0.1)
        self.assertLess(len(read) - len(slips), 100)

    def test_slip_0_is_silence_and_slip_1_always_truncates(self):
        daemon = self.begin(responses=20, slip=0)
        _, replies = self.flood(daemon, lambda number: make("www.example.com", "A", ident=number % 65536), seconds=0.5, rate=2000)
        self.assertFalse(any(Reply(wire).has(TC) for wire in replies))
        self.assertLess(len(replies), 100)
        daemon = self.begin(responses=20, slip=1)
        sent, replies = self.flood(daemon, lambda number: make("www.example.com", "A", ident=number % 65536), seconds=0.5, rate=2000)
        self.assertEqual(len(replies), sent // len(make("www.example.com", "A")))

    def test_truncated_clients_are_served_by_tcp(self):
        daemon = self.begin(responses=1)
        for _ in range(20):
            reply = Reply(over_tcp((daemon.host, daemon.port), make("www.example.com", "A")))
            self.assertEqual(len(reply.texts("answer")), 20)

    def test_valid_cookie_is_exempt(self):
        daemon = self.begin(responses=5)
        sock = self.sockets(daemon, addresses.take(), 1)[0]
        sock.setblocking(True)
        sock.settimeout(2)
        sock.send(make("static.example.com", "A", additional=[opt(option(COOKIE, b"12345678"))]))
        value = Reply(sock.recv(4096)).options()[COOKIE]
        for _ in range(500):
            sock.send(make("static.example.com", "A", additional=[opt(option(COOKIE, value))]))
            self.assertFalse(Reply(sock.recv(4096)).has(TC))

    def test_loopback_is_exempt_unless_told_otherwise_and_0_is_no_limit(self):
        for limit in ({"responses": 5}, {"responses": 0, "exempt": []}):
            daemon = self.start(SERVICES, zone=ZONE + EXTRA, server={"rate_limit": limit})
            sent, replies = self.flood(daemon, lambda number: make("www.example.com", "A", ident=number % 65536), seconds=0.5, rate=2000)
            self.assertEqual(len(replies), sent // len(make("www.example.com", "A")))
            self.assertFalse(any(Reply(wire).has(TC) for wire in replies))

    def test_an_exempt_network_within_others(self):
        host = addresses.take()
        daemon = self.begin(responses=5, slip=1, exempt=[f"{host}/32"])
        for place, is_exempt in ((host, True), (addresses.take(), False)):
            sock = self.sockets(daemon, place, 1)[0]
            sock.setblocking(True)
            sock.settimeout(2)
            answered = 0
            for _ in range(60):
                sock.send(make("static.example.com", "A"))
                answered += not Reply(sock.recv(4096)).has(TC)
            self.assertEqual(answered == 60, is_exempt, f"{place}: {answered} of 60")

    def test_what_was_limited_is_counted(self):
        daemon = self.begin(responses=20)

        def counted():
            lines = daemon.api("/metrics").text.splitlines()
            return sum(float(line.rsplit(" ", 1)[1]) for line in lines if "limited" in line and not line.startswith("#"))
        before = counted()
        self.flood(daemon, lambda number: make("www.example.com", "A", ident=number % 65536), seconds=0.5, rate=2000)
        self.assertGreater(counted() - before, 300)


if __name__ == "__main__":
    unittest.main()
