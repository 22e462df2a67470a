"""Point 6: the responder over UDP and TCP, IPv4 and IPv6."""
import os
import signal
import socket
import struct
import time
import unittest

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode

from tests.system.harness import NO_ANSWER, Case, Gslbd, ZONE, all_stand_still, data, eventually, framed, has_v6, read_framed

BIG = "".join(f"big IN TXT \"{'x' * 100} {i}\"\n" for i in range(40))
MIDDLE = "".join(f"middle IN TXT \"{'y' * 60} {i}\"\n" for i in range(10))
SERVICES = {"services": [{"name": "www.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all", "members": [
    {"name": f"m{i}", "addresses": [f"127.0.0.{i}"]} for i in range(1, 4)]}]}


class Responder(Case):
    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Gslbd(SERVICES, zone=ZONE + BIG + MIDDLE, v6=True, server={"workers": 2}))

    def test_four_ways_to_ask(self):
        ways = [(tcp, v6) for tcp in (False, True) for v6 in ((False, True) if has_v6() else (False,))]
        for tcp, v6 in ways:
            with self.subTest(tcp=tcp, v6=v6):
                reply = self.gslbd.ask("static.example.com", tcp=tcp, v6=v6)
                self.assertEqual(data(reply.answer, "A"), ["192.0.2.80"])
                reply = self.gslbd.ask("www.example.com", tcp=tcp, v6=v6)
                self.assertEqual(data(reply.answer, "A"), ["127.0.0.1", "127.0.0.2", "127.0.0.3"])

    def test_header_of_an_answer(self):
        reply = self.gslbd.ask("static.example.com")
        self.assertTrue(reply.flags & dns.flags.QR)
        self.assertTrue(reply.flags & dns.flags.AA)
        self.assertTrue(reply.flags & dns.flags.RD)  # as the query had it
        self.assertFalse(reply.flags & (dns.flags.RA | dns.flags.AD | dns.flags.TC))
        query = dns.message.make_query("static.example.com", "A")
        query.flags = 0
        self.assertFalse(self.gslbd.exchange(query).flags & dns.flags.RD)

    def test_edns_is_answered_with_edns(self):
        reply = self.gslbd.ask("static.example.com", edns=0, payload=4096)
        self.assertEqual((reply.edns, reply.payload), (0, 1232))
        self.assertEqual(self.gslbd.ask("static.example.com").edns, -1)

    def test_edns_on_errors_and_negative_answers(self):
        for name in ("nothing.example.com", "example.net"):
            self.assertEqual(self.gslbd.ask(name, edns=0).edns, 0)

    def test_unknown_edns_options_are_ignored(self):
        options = [dns.edns.GenericOption(65001, b"x" * 20), dns.edns.GenericOption(3, b"")]
        reply = self.gslbd.ask("static.example.com", edns=0, options=options)
        self.assertEqual(data(reply.answer, "A"), ["192.0.2.80"])

    def test_do_bit_comes_back(self):
        self.assertTrue(self.gslbd.ask("static.example.com", edns=0, want_dnssec=True).ednsflags & dns.flags.DO)

    def test_badvers(self):
        for version in (1, 7, 255):
            query = dns.message.make_query("static.example.com", "A", use_edns=0)
            query.ednsflags |= version << 16
            reply = self.gslbd.exchange(query)
            self.assertEqual(reply.rcode(), dns.rcode.BADVERS)
            self.assertEqual(reply.edns, 0)
            self.assertEqual(reply.answer, [])

    def test_truncation_and_the_way_to_all_of_it(self):
        for options in ({}, {"edns": 0, "payload": 1232}, {"edns": 0, "payload": 4096}):
            reply = self.gslbd.ask("big.example.com", "TXT", **options)
            self.assertTrue(reply.flags & dns.flags.TC, options)
        whole = self.gslbd.ask("big.example.com", "TXT", tcp=True)
        self.assertFalse(whole.flags & dns.flags.TC)
        self.assertEqual(len(data(whole.answer, "TXT")), 40)

    def test_retry_by_a_resolver(self):
        query = dns.message.make_query("big.example.com", "TXT")
        reply, over_tcp = dns.query.udp_with_fallback(query, self.gslbd.host, 3, self.gslbd.port)
        self.assertTrue(over_tcp)
        self.assertEqual(len(data(reply.answer, "TXT")), 40)

    def test_payload_bounds_the_answer(self):
        for payload, limit in ((0, 512), (100, 512), (512, 512), (700, 700), (1232, 1232), (65535, 1232)):
            query = dns.message.make_query("big.example.com", "TXT", use_edns=0, payload=payload)
            packet = self.gslbd.datagram(query.to_wire(), timeout=2)
            self.assertLessEqual(len(packet), limit)
            self.assertTrue(dns.message.from_wire(packet).flags & dns.flags.TC)
        self.assertTrue(self.gslbd.ask("middle.example.com", "TXT").flags & dns.flags.TC)
        reply = self.gslbd.ask("middle.example.com", "TXT", edns=0, payload=1232)
        self.assertEqual(len(data(reply.answer, "TXT")), 10)

    def test_refused_outside(self):
        for name in ("example.net", "www.example.org", "."):
            self.assertEqual(self.gslbd.ask(name).rcode(), dns.rcode.REFUSED)

    def test_other_classes_are_refused(self):
        for rdclass in ("CH", "HS"):
            query = dns.message.make_query("static.example.com", "A", rdclass)
            self.assertIn(self.gslbd.exchange(query).rcode(), (dns.rcode.REFUSED, dns.rcode.NOTIMP))

    def test_any_is_answered_small(self):
        reply = self.gslbd.ask("static.example.com", "ANY")
        self.assertIn(reply.rcode(), (dns.rcode.NOERROR, dns.rcode.NOTIMP, dns.rcode.REFUSED))
        self.assertLess(len(reply.to_wire()), 200)

    def test_transfers_are_refused(self):
        for rdtype in ("AXFR", "IXFR"):
            query = dns.message.make_query("example.com", rdtype)
            reply = dns.message.from_wire(self.tcp_bytes(query.to_wire()))
            self.assertIn(reply.rcode(), (dns.rcode.REFUSED, dns.rcode.NOTIMP), rdtype)
            self.assertEqual(reply.answer, [])

    def tcp_bytes(self, packet):
        with self.gslbd.connect() as sock:
            sock.sendall(framed(packet))
            return read_framed(sock)

    def test_notimp_for_other_opcodes(self):
        for opcode in (1, 2, 3, 6, 7, 15):
            query = dns.message.make_query("static.example.com", "A")
            query.set_opcode(opcode)
            reply = self.gslbd.datagram(query.to_wire(), timeout=2)
            self.assertEqual(reply[3] & 15, dns.rcode.NOTIMP, opcode)
            self.assertEqual(reply[2] >> 3 & 15, opcode)
        for opcode in (dns.opcode.NOTIFY, dns.opcode.UPDATE):
            query = dns.message.make_query("example.com", "SOA")
            query.set_opcode(opcode)
            reply = self.gslbd.datagram(query.to_wire(), timeout=2)
            self.assertIn(reply[3] & 15, (dns.rcode.NOTIMP, dns.rcode.REFUSED, 9))

    def test_formerr(self):
        good = dns.message.make_query("static.example.com", "A", id=77).to_wire()
        wrong = {
            "no question": struct.pack("!6H", 77, 0x0100, 0, 0, 0, 0),
            "two questions": struct.pack("!6H", 77, 0x0100, 2, 0, 0, 0) + good[12:] * 2,
            "cut in the question": good[:-3],
        }
        for what, packet in wrong.items():
            reply = self.gslbd.datagram(packet, timeout=2)
            self.assertIsNotNone(reply, what)
            self.assertEqual(reply[:2], packet[:2], what)
            self.assertEqual(reply[3] & 15, dns.rcode.FORMERR, what)

    def test_silence_for_responses_and_for_less_than_a_header(self):
        response = dns.message.make_query("static.example.com", "A")
        response.flags |= dns.flags.QR
        self.assertIsNone(self.gslbd.datagram(response.to_wire()))
        for size in range(12):
            self.assertIsNone(self.gslbd.datagram(b"\0" * size, timeout=0.03), size)
        self.assertEqual(self.gslbd.answers("static.example.com"), ["192.0.2.80"])

    def test_name_of_the_question_comes_back_byte_for_byte(self):
        packet = dns.message.make_query("StAtIc.eXample.COM", "A").to_wire()
        reply = self.gslbd.datagram(packet, timeout=2)
        self.assertEqual(reply[12:12 + 20], packet[12:12 + 20])

    def test_many_queries_on_one_connection(self):
        with self.gslbd.connect() as sock:
            names = ("static.example.com", "nothing.example.com") * 50
            queries = [dns.message.make_query(name, "A", id=number) for number, name in enumerate(names)]
            sock.sendall(b"".join(framed(query.to_wire()) for query in queries))
            replies = [dns.message.from_wire(read_framed(sock)) for _ in queries]
        wanted = {query.id: query for query in queries}
        for reply in replies:
            self.assertTrue(wanted.pop(reply.id).is_response(reply))

    def test_query_in_single_bytes(self):
        packet = framed(dns.message.make_query("static.example.com", "A").to_wire())
        with self.gslbd.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for i in range(len(packet)):
                sock.sendall(packet[i:i + 1])
            self.assertEqual(data(dns.message.from_wire(read_framed(sock)).answer, "A"), ["192.0.2.80"])

    def test_client_that_does_not_read_stops_nobody(self):
        slow = self.gslbd.connect()
        self.addCleanup(slow.close)
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(0.2)
        packet = framed(dns.message.make_query("big.example.com", "TXT").to_wire())
        try:
            for _ in range(200):
                slow.sendall(packet * 20)
        except (socket.timeout, OSError):
            pass  # it stopped reading, or it hung up: both are right
        for tcp in (False, True):
            self.assertEqual(self.gslbd.answers("static.example.com", tcp=tcp), ["192.0.2.80"])

    def test_counters_count(self):
        def counted():
            queries = self.gslbd.api("/v1/status").json["queries"]
            return {name: queries[name] for name in ("udp", "tcp", "nxdomain", "refused")}

        def at_rest():
            """What is counted, once nothing more of the tests before comes."""
            first = counted()
            time.sleep(0.1)
            return first if counted() == first else None
        before = eventually(at_rest, 5, "nothing is counted any more")
        for _ in range(5):
            self.gslbd.ask("nothing.example.com")
            self.gslbd.ask("example.net", tcp=True)
        after = counted()
        self.assertEqual({name: after[name] - before[name] for name in before}, {name: 5 for name in before})


class Trains(Case):
    """Answers that leave together; a socket with UDP_GRO sees what came as one."""

    UDP_GRO = 104
    COUNT = 16

    def sizes(self, daemon):
        """The sizes of what comes back for so many equal queries from one port that were answered together, and that of
        one answer."""
        query = dns.message.make_query("static.example.com", "A").to_wire()
        dns_pid = daemon.processes()["dns"]["pid"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect((daemon.host, daemon.port))
            sock.send(query)
            single = len(sock.recv(65535))
            sock.setsockopt(socket.IPPROTO_UDP, self.UDP_GRO, 1)
            os.kill(dns_pid, signal.SIGSTOP)
            try:
                eventually(lambda: all_stand_still(dns_pid), 5, "every thread stands still", interval_s=0.001)
                for _ in range(self.COUNT):
                    sock.send(query)
            finally:
                os.kill(dns_pid, signal.SIGCONT)
            sizes = []
            while sum(sizes) < self.COUNT * single:
                pieces = sock.recv(65535)
                sizes.append(len(pieces))
                for at in range(0, len(pieces), single):
                    self.assertEqual(data(dns.message.from_wire(pieces[at:at + single]).answer, "A"), ["192.0.2.80"])
        return sizes, single

    def test_answers_to_one_port_leave_as_one_train(self):
        sizes, single = self.sizes(self.start(workers=1))
        # the first query may have been taken by itself
        self.assertGreaterEqual(max(sizes), (self.COUNT - 2) * single)

    def test_trains_can_be_turned_off(self):
        daemon = self.start(workers=1, server={"udp_segmentation": False})
        sizes, single = self.sizes(daemon)
        self.assertEqual(sizes, [single] * self.COUNT)
        daemon.server["udp_segmentation"] = True
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        sizes, single = self.sizes(daemon)
        self.assertGreaterEqual(max(sizes), (self.COUNT - 2) * single)


class Limits(Case):
    def test_idle_connections_are_closed_and_others_served(self):
        daemon = self.start(SERVICES, server={"tcp": {"idle": "1s"}})
        with daemon.connect(timeout=5) as sock:
            self.assertEqual(sock.recv(1), b"")
        with daemon.connect(timeout=5) as sock:
            # half a message does not keep it open for ever
            sock.sendall(b"\0\x30ab")
            try:
                self.assertEqual(sock.recv(1), b"")
            except ConnectionResetError:
                pass

    def test_full_table_of_connections_still_serves_udp_and_recovers(self):
        daemon = self.start(SERVICES, server={"tcp": {"connections": 10}}, workers=1)
        held = [daemon.connect() for _ in range(10)]
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])
        for sock in held:
            sock.close()

        def served():
            try:
                return daemon.answers("static.example.com", tcp=True) == ["192.0.2.80"]
            except NO_ANSWER:
                return False
        eventually(served, 10, "TCP serves again")


if __name__ == "__main__":
    unittest.main()
