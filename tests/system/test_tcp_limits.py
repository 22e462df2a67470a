"""DNS over TCP (RFC 7766) under people who are slow, idle, greedy or hostile: others are served, memory stays bounded."""
import random
import resource
import select
import socket
import struct
import time
import unittest

from tests.system.account import tell
from tests.system.harness import ASAN_BUILD, BUILD, ZONE, Case, addresses, eventually, framed
from tests.system.length import count
from tests.system.message import KEEPALIVE, Reply, make, opt, option, over_udp, receive

ALONE = True  # measures memory and time-outs

CONNECTIONS = count(600, 3000)
GROWTH_MOST = 5 << 20
BIG = "".join(f'big IN TXT "{"x" * 200} {i:03}"\n' for i in range(70))
HUGE = "".join(f'huge IN TXT "{"x" * 240} {i:03}"\n' for i in range(220))


class TcpLimits(Case):
    @classmethod
    def setUpClass(cls):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < CONNECTIONS + 500:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS + 500), hard))

    def begin(self, workers=2, **tcp):
        return self.start(zone=ZONE + BIG + HUGE, workers=workers, server={"tcp": tcp} if tcp else {})

    def connect(self, daemon, host=None, timeout=5.0, receive_buffer=None):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(sock.close)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(timeout)
        if host:
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((host, 0))
        sock.connect((daemon.host, daemon.port))
        return sock

    def query(self, sock, name="static.example.com", rdtype="A"):
        """The reply to one query on the connection, None when it is closed."""
        packet = make(name, rdtype)
        try:
            sock.sendall(framed(packet))
            wire = receive(sock)
        except (ConnectionResetError, BrokenPipeError):
            return None
        if wire is None:
            return None
        self.assertEqual(wire[:2], packet[:2])
        return Reply(wire)

    def is_served(self, sock):
        reply = self.query(sock)
        return reply is not None and reply.texts("answer", "A") == ["192.0.2.80"]

    def is_closed(self, sock):
        """Whether the other side closed it; what is there to read before that is passed over."""
        sock.setblocking(False)
        try:
            while sock.recv(65536):
                pass
            return True
        except BlockingIOError:
            return False
        except OSError:
            return True
        finally:
            sock.setblocking(True)
            sock.settimeout(5)

    def memory(self, daemon):
        """Resident bytes of the dns process."""
        with open(f"/proc/{daemon.processes()['dns']['pid']}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) * 1024

    def test_five_hundred_queries_at_once(self):
        daemon = self.begin()
        sock = self.connect(daemon)
        names = ["static.example.com", "nothing.example.com", "example.com", "big.example.com"]
        stream = b"".join(framed(make(names[i % 4], "TXT" if i % 4 == 3 else "A", ident=i)) for i in range(500))
        got, sent = {}, 0
        taken = b""
        while len(got) < 500:
            readable, writable, _ = select.select([sock], [sock] if sent < len(stream) else [], [], 5)
            self.assertTrue(readable or writable, f"{len(got)} of 500")
            if writable:
                sent += sock.send(stream[sent:sent + 4096])
            if readable:
                piece = sock.recv(65536)
                self.assertTrue(piece, f"closed after {len(got)}")
                taken += piece
            while len(taken) >= 2 and len(taken) >= 2 + (size := struct.unpack("!H", taken[:2])[0]):
                reply = Reply(taken[2:2 + size])
                got[reply.ident] = reply
                taken = taken[2 + size:]
        self.assertEqual(len(got[3].texts("answer", "TXT")), 70)
        self.assertEqual({got[i].rcode for i in range(1, 500, 4)}, {3})

    def test_any_slicing(self):
        daemon = self.begin()
        chance = random.Random(7)
        stream = b"".join(framed(make("static.example.com", "A", ident=i)) for i in range(20))
        cuts = [sorted(chance.sample(range(1, len(stream)), chance.randint(1, 60))) for _ in range(count(20, 200))]
        cuts.append(list(range(1, len(stream))))
        for cut in cuts:
            sock = self.connect(daemon)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for first, last in zip([0, *cut], [*cut, len(stream)]):
                sock.sendall(stream[first:last])
            idents = [Reply(receive(sock)).ident for _ in range(20)]
            self.assertEqual(sorted(idents), list(range(20)), cut)
            sock.close()

    def test_half_closed_connection_gets_its_answers(self):
        daemon = self.begin()
        sock = self.connect(daemon)
        sock.sendall(b"".join(framed(make("static.example.com", "A", ident=i)) for i in range(5)))
        sock.shutdown(socket.SHUT_WR)
        self.assertEqual(sorted(Reply(receive(sock)).ident for _ in range(5)), list(range(5)))
        self.assertIsNone(receive(sock))

    def test_idle_connection_is_closed_in_time(self):
        daemon = self.begin(idle="1s")
        silent, used = self.connect(daemon), self.connect(daemon)
        dripping = self.connect(daemon)
        packet, started, at = framed(make("static.example.com", "A")), time.monotonic(), 0
        closed = {}
        while time.monotonic() - started < 2.5:
            self.assertTrue(self.is_served(used))
            if "dripping" not in closed:
                try:
                    dripping.send(packet[at % 20:at % 20 + 1])
                    at += 1
                except OSError:
                    pass
            for name, sock in (("silent", silent), ("dripping", dripping)):
                if name not in closed and self.is_closed(sock):
                    closed[name] = time.monotonic() - started
            time.sleep(0.1)
        self.assertEqual(set(closed), {"silent", "dripping"})
        self.assertGreater(closed["silent"], 0.8)
        self.assertLess(closed["silent"], 2.3)

    def test_keepalive_tells_the_idle_time(self):
        daemon = self.begin(idle="7s")
        sock = self.connect(daemon)
        sock.sendall(framed(make("static.example.com", "A", additional=[opt(option(KEEPALIVE))])))
        self.assertEqual(Reply(receive(sock)).options()[KEEPALIVE], struct.pack("!H", 70))

    def test_oldest_idle_one_gives_way_to_a_new_one(self):
        daemon = self.begin(workers=1, connections=10, per_client=100)
        held = []
        for _ in range(10):
            held.append(self.connect(daemon))
            self.assertTrue(self.is_served(held[-1]))
        # the first is no longer the one that was idle longest
        self.assertTrue(self.is_served(held[0]))
        fresh = self.connect(daemon)
        self.assertTrue(self.is_served(fresh))
        eventually(lambda: self.is_closed(held[1]), 3, "the second, now oldest, is closed")
        for sock in (held[0], *held[2:]):
            self.assertTrue(self.is_served(sock))

    def test_one_client_cannot_hold_more_than_its_share(self):
        daemon = self.begin(workers=1, connections=50, per_client=5)
        greedy, other = addresses.take(), addresses.take()
        served = 0
        held = []
        for _ in range(20):
            try:
                held.append(self.connect(daemon, greedy))
                served += self.is_served(held[-1])
            except OSError:
                pass
        self.assertEqual(served, 5)
        self.assertTrue(self.is_served(self.connect(daemon, other)))
        held[0].close()
        eventually(lambda: self.is_served(self.connect(daemon, greedy)), 3, "its share is free again")

    def test_reader_that_is_slow_gets_all_in_the_end(self):
        daemon = self.begin()
        sock = self.connect(daemon, receive_buffer=4096)
        for i in range(60):
            sock.sendall(framed(make("big.example.com", "TXT", ident=i)))
        for i in range(60):
            if i % 10 == 0:
                time.sleep(0.05)
            reply = Reply(receive(sock))
            self.assertEqual((reply.ident, len(reply.texts("answer"))), (i, 70))

    def hold(self, daemon, kind, host, name="big.example.com"):
        """A connection of a bad kind."""
        if kind != "not reading":
            return self.connect(daemon, host)
        sock = self.connect(daemon, host, receive_buffer=2304)
        sock.setblocking(False)
        try:
            sock.send(b"".join(framed(make(name, "TXT")) for _ in range(100)))
        except OSError:
            pass
        return sock

    def drip(self, held, packet, turn):
        for kind, sock in held:
            try:
                if kind == "dripping":
                    sock.send(packet[turn % len(packet):][:1])
            except OSError:
                pass  # closed meanwhile

    def test_thousands_that_misbehave_leave_others_served(self):
        daemon = self.begin()
        # what is allocated once by first use is not growth
        for _ in range(20):
            self.assertTrue(self.is_served(self.connect(daemon)))
        before = self.memory(daemon)
        hosts = [addresses.take() for _ in range(max(8, CONNECTIONS // 40))]
        packet = framed(make("static.example.com", "A"))
        held, tried, served, asked, answered, most = [], 0, 0, 0, 0, 0
        good = addresses.take()

        def judge():
            nonlocal tried, served, asked, answered, most
            tried += 1
            try:
                sock = self.connect(daemon, good, timeout=3)
                served += self.is_served(sock)
                sock.close()
            except OSError:
                pass
            asked += 1
            wire = over_udp((daemon.host, daemon.port), make("static.example.com", "A"), timeout=2, tries=1)
            answered += wire is not None
        for number in range(CONNECTIONS):
            kind = ("idle", "dripping", "not reading")[number % 3]
            try:
                held.append((kind, self.hold(daemon, kind, hosts[number % len(hosts)])))
            except OSError:
                pass  # it may be refused
            if number % 5 == 0:
                judge()
            if number % 100 == 0:
                self.drip(held, packet, number // 100)
        for turn in range(count(100, 300)):
            self.drip(held, packet, turn)
            judge()
            if turn % 20 == 0:
                most = max(most, self.memory(daemon))
        growth = max(most, self.memory(daemon)) - before
        tell(f"{len(held)} bad connections: {served}/{tried} fresh ones served, {answered}/{asked} by UDP, "
              f"memory grew by {growth / (1 << 20):.1f} MB")
        self.assertGreaterEqual(served, 0.99 * tried)
        self.assertEqual(answered, asked)
        if BUILD != ASAN_BUILD:  # a sanitizer keeps books of its own
            self.assertLess(growth, GROWTH_MOST)
        for _, sock in held:
            sock.close()
        self.assertTrue(self.is_served(self.connect(daemon)))

    def test_answers_that_nobody_takes_do_not_fill_the_memory(self):
        daemon = self.begin()
        for _ in range(20):
            self.assertTrue(self.is_served(self.connect(daemon)))
        before = self.memory(daemon)
        hosts = [addresses.take() for _ in range(max(8, CONNECTIONS // 40))]
        held = []
        for number in range(CONNECTIONS):
            try:
                held.append(self.hold(daemon, "not reading", hosts[number % len(hosts)], "huge.example.com"))
            except OSError:
                pass  # it may be refused
            if number % 20 == 0:
                self.assertTrue(self.is_served(self.connect(daemon)))
        time.sleep(0.5)
        growth = self.memory(daemon) - before
        tell(f"{len(held)} connections that do not read answers of 55 kB: memory grew by {growth / (1 << 20):.1f} MB")
        if BUILD != ASAN_BUILD:
            self.assertLess(growth, GROWTH_MOST)
        # who reads, though slowly, is served whole
        sock = self.connect(daemon, receive_buffer=4096)
        for i in range(5):
            sock.sendall(framed(make("huge.example.com", "TXT", ident=i)))
        for i in range(5):
            time.sleep(0.05)
            reply = Reply(receive(sock))
            self.assertEqual((reply.ident, len(reply.texts("answer"))), (i, 220))


if __name__ == "__main__":
    unittest.main()
