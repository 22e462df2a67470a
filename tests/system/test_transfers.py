"""Zone transfers: out to anyone's tools and secondaries, in from anyone's primaries; signed, in steps or whole, and never
half of one. The others are BIND, Knot and NSD, each with a configuration of its own."""
import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
import unittest

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.xfr
import dns.zone

from tests.system.harness import NO_ANSWER, Case, addresses, eventually, framed, free_port
from tests.system.message import NOTAUTH, REFUSED, Reply, make, over_tcp, over_udp, receive
from tests.system.peers import KEY_NAME, KEY_SECRET, Bind, Knot, Nsd

KEYS = {"keys": [{"name": KEY_NAME, "algorithm": "hmac-sha256", "secret": KEY_SECRET},
                 {"name": "other-key", "algorithm": "hmac-sha512", "secret": "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz"}]}
RING = dns.tsigkeyring.from_text({KEY_NAME: KEY_SECRET, "other-key": "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz"})
SERVICES = {"services": [
    {"name": "www.example.com", "method": "weighted", "members": [
        {"name": "m1", "addresses": ["127.0.0.1", "2001:db8::1"]}, {"name": "m2", "addresses": ["127.0.0.2"]}]}]}
LINES = ["@ IN NS ns1", "ns1 IN A 192.0.2.1", "static IN A 192.0.2.80", "mail IN MX 10 static", '@ IN TXT "one" "two"',
         "alias IN CNAME static", "*.wild IN A 192.0.2.90", "leaf.empty IN TXT \"leaf\"", "sub IN NS ns.sub", "ns.sub IN A 192.0.2.60",
         "old IN DNAME new", "unknown IN TYPE65400 \\# 4 0A000001", "_sip._udp IN SRV 1 2 5060 static", "UPPER IN A 192.0.2.6",
         "https IN HTTPS 1 . alpn=h2"] + [f"host{i:03} IN A 198.51.100.{i}" for i in range(200)]
OTHERS = (Bind, Knot, Nsd)


def zone(serial, *more, refresh=3600, retry=600, expire=86400):
    head = ["$TTL 300", "$ORIGIN example.com.", f"@ IN SOA ns1 hostmaster {serial} {refresh} {retry} {expire} 60"]
    return "\n".join([*head, *LINES, *more]) + "\n"


def entry(**more):
    return {"name": "example.com", "file": "example.com.zone", **more}


def secondary_of(host, port, **more):
    return {"name": "example.com", "primaries": [f"{host}@{port}"], **more}


def contents(text_or_zone, origin="example.com"):
    """All records but the SOA, as texts; owners in lower case, in which they may be transferred."""
    if isinstance(text_or_zone, str):
        text_or_zone = dns.zone.from_text(text_or_zone, dns.name.from_text(origin), relativize=False)
    return sorted(f"{str(name).lower()} {ttl} {rdata.rdtype} {rdata}" for name, ttl, rdata in text_or_zone.iterate_rdatas() if rdata.rdtype != 6)


class Recorder:
    """A secondary in Python that takes NOTIFY messages."""

    def __init__(self):
        self.host = addresses.take()
        self.port = free_port(self.host)
        self.messages, self.silent = [], False
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((self.host, self.port))
        self.sock.settimeout(0.1)
        self.is_over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while not self.is_over:
            try:
                wire, peer = self.sock.recvfrom(65535)
            except socket.timeout:
                continue
            message = dns.message.from_wire(wire, keyring=RING)
            self.messages.append((time.monotonic(), message))
            if not self.silent:
                self.sock.sendto(dns.message.make_response(message).to_wire(), peer)

    def end(self):
        self.is_over = True
        self.thread.join(5)
        self.sock.close()


class FakePrimary:
    """Answers SOA queries and transfers with the bytes that the test gives it."""

    def __init__(self):
        self.host = addresses.take()
        self.port = free_port(self.host)
        self.serial = 1
        self.transfers = 0
        self.stream = lambda query: []  # the messages of a transfer; an exception ends the connection
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.host, self.port))
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((self.host, self.port))
        self.tcp.listen(16)
        self.is_over = False
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def soa(self, serial=None):
        return f"example.com. 300 IN SOA ns1.example.com. hostmaster.example.com. {serial or self.serial} 3600 600 86400 60"

    def reply(self, query, rows):
        message = dns.message.make_response(query)
        message.flags |= dns.flags.AA
        for row in rows:
            owner, ttl, rdclass, rdtype, data = row.split(None, 4)
            message.answer.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, data))
        return message.to_wire()

    def answer(self, wire):
        query = dns.message.from_wire(wire)
        if query.question[0].rdtype == dns.rdatatype.SOA:
            return [self.reply(query, [self.soa()])]
        self.transfers += 1
        return self.stream(query)

    def serve(self):
        while not self.is_over:
            for sock in select.select([self.udp, self.tcp], [], [], 0.1)[0]:
                with contextlib.suppress(OSError, EOFError, dns.exception.DNSException):
                    if sock is self.udp:
                        wire, peer = sock.recvfrom(65535)
                        self.udp.sendto(self.answer(wire)[0], peer)
                    else:
                        self.serve_connection(sock.accept()[0])

    def serve_connection(self, sock):
        with sock:
            sock.settimeout(3)
            while (wire := receive(sock)) is not None:
                for message in self.answer(wire):
                    sock.sendall(message if isinstance(message, bytearray) else framed(message))

    def end(self):
        self.is_over = True
        self.thread.join(5)
        self.udp.close()
        self.tcp.close()


class Transfers(Case):
    def begin(self, zones, extra=None, text=None, **options):
        """gslbd with these entries of zones."""
        daemon = self.prepare({**KEYS, **(extra or {})}, zone=text or zone(1), **options)
        daemon.extra["zones"] = zones
        daemon.write_config()
        return daemon.start()

    def other(self, kind, **options):
        peer = kind(options.pop("zones", {"example.com": zone(1)}), **options)
        self.addCleanup(peer.end)
        return peer.start()

    def fake(self, kind):
        fake = kind()
        self.addCleanup(fake.end)
        return fake

    def axfr(self, daemon, key=None, serial=None, source=None, name="example.com"):
        """The zone as dnspython takes it; the number of messages is not looked at."""
        taken = dns.zone.Zone(dns.name.from_text(name), relativize=False)
        query = dns.message.make_query(name, "AXFR")
        if key:
            query.use_tsig(RING, keyname=key, algorithm=dns.tsig.HMAC_SHA256 if key == KEY_NAME else dns.tsig.HMAC_SHA512)
        dns.query.inbound_xfr(daemon.host, taken, query, port=daemon.port, timeout=5, lifetime=20, source=source)
        return taken

    def serial_of(self, daemon):
        try:
            rows = daemon.answers("example.com", "SOA")
            return int(rows[0].split()[2]) if rows else None
        except NO_ANSWER:
            return None

    def check_contents(self, taken, text):
        got, wanted = set(contents(taken)), set(contents(text))
        self.assertEqual((sorted(wanted - got)[:5], sorted(got - wanted)[:5]), ([], []), "what is missing, and what is too much")

    def until_serial(self, server, serial, deadline_s=20):
        read = server.serial if hasattr(server, "serial") else lambda: self.serial_of(server)
        eventually(lambda: read() == serial, deadline_s, f"serial {serial}")

    def tool(self, daemon, tool, *words, rdtype="AXFR"):
        done = subprocess.run([tool, f"@{daemon.host}", "-p", str(daemon.port), "example.com", *([rdtype] if tool == "dig" else
                              ["-t", rdtype]), *words], capture_output=True, text=True, timeout=20, check=False)
        return [line for line in done.stdout.splitlines() if line and not line.startswith(";")], done.stdout

    def reload(self, daemon, text):
        daemon.write_zone("example.com", text)
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Out(Transfers):
    def test_denied_by_default(self):
        daemon = self.begin([entry()])
        for rdtype in ("AXFR", "IXFR"):
            for tool in ("dig", "kdig"):
                rows, text = self.tool(daemon, tool, rdtype="IXFR=1" if rdtype == "IXFR" else "AXFR")
                self.assertEqual(rows, [], text)
        reply = Reply(over_tcp((daemon.host, daemon.port), make("example.com", "AXFR")))
        self.assertEqual((reply.rcode, reply.counts[1]), (REFUSED, 0))

    def test_whole_zone_to_dig_and_kdig(self):
        daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"]})])
        for tool in ("dig", "kdig"):
            rows, text = self.tool(daemon, tool)
            self.assertEqual(len(rows), len(LINES) + 2, text[-2000:])
            self.assertIn("SOA", rows[0])
            self.assertEqual(rows[0].split(), rows[-1].split())
        self.check_contents(self.axfr(daemon), zone(1))

    def test_what_stands_in_the_zone_arrives_as_it_is(self):
        daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"]})])
        soa = self.axfr(daemon).find_rdataset("example.com.", "SOA")
        self.assertEqual((soa[0].serial, soa.ttl), (1, 300))

    def test_by_address(self):
        allowed = addresses.take()
        daemon = self.begin([entry(transfer={"allow": [f"{allowed}/32"]})])
        self.check_contents(self.axfr(daemon, source=allowed), zone(1))
        with self.assertRaises(dns.query.TransferError):
            self.axfr(daemon, source=addresses.take())

    def test_by_key_with_dig_and_kdig(self):
        daemon = self.begin([entry(transfer={"keys": [KEY_NAME]})])
        for tool in ("dig", "kdig"):
            rows, text = self.tool(daemon, tool, "-y", f"hmac-sha256:{KEY_NAME}:{KEY_SECRET}")
            self.assertEqual(len([row for row in rows if "TSIG" not in row]), len(LINES) + 2, text[-2000:])
            self.assertNotIn("WARNING", text)
            self.assertNotIn("could not", text.lower())
            rows, text = self.tool(daemon, tool)
            self.assertEqual(rows, [], text)
            # a key that is ours but not the zone's, and one with a wrong secret
            rows, text = self.tool(daemon, tool, "-y", "hmac-sha512:other-key:YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz")
            self.assertEqual([row for row in rows if "TSIG" not in row], [], text)
            rows, text = self.tool(daemon, tool, "-y", f"hmac-sha256:{KEY_NAME}:d3Jvbmcgc2VjcmV0IG9mIHRoZSB0ZXN0cw==")
            self.assertEqual([row for row in rows if "TSIG" not in row], [], text)
        self.check_contents(self.axfr(daemon, KEY_NAME), zone(1))

    def test_address_and_key_are_both_needed(self):
        allowed = addresses.take()
        daemon = self.begin([entry(transfer={"allow": [f"{allowed}/32"], "keys": [KEY_NAME]})])
        self.check_contents(self.axfr(daemon, KEY_NAME, source=allowed), zone(1))
        for key, source in ((None, allowed), (KEY_NAME, addresses.take())):
            with self.assertRaises(dns.query.TransferError):
                self.axfr(daemon, key, source=source)

    def test_zone_of_others_is_notauth(self):
        daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"]})])
        for name in ("example.org", "static.example.com"):
            reply = Reply(over_tcp((daemon.host, daemon.port), make(name, "AXFR")))
            self.assertIn(reply.rcode, (NOTAUTH, REFUSED))

    def test_axfr_by_udp_is_not_answered_with_a_zone(self):
        daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"]})])
        wire = over_udp((daemon.host, daemon.port), make("example.com", "AXFR"))
        self.assertIsNotNone(wire)
        self.assertLess(len(wire), 513)
        self.assertIn(Reply(wire).rcode, (1, 4, 5))

    def ixfr(self, daemon, serial):
        """(style, records) of an IXFR by dig."""
        rows, _ = self.tool(daemon, "dig", rdtype=f"IXFR={serial}")
        soas = [row for row in rows if row.split()[3] == "SOA"]
        return ("current" if len(rows) == 1 else "steps" if len(soas) > 2 else "whole"), rows

    def test_ixfr_in_steps(self):
        daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"]})])
        self.reload(daemon, zone(2, "fresh IN A 192.0.2.81"))
        self.reload(daemon, zone(3, "fresh IN A 192.0.2.82"))
        style, rows = self.ixfr(daemon, 1)
        self.assertEqual(style, "steps", rows[:10])
        self.assertLess(len(rows), 20)
        self.assertTrue(any("192.0.2.82" in row for row in rows))
        self.assertEqual(self.ixfr(daemon, 3)[0], "current")
        style, rows = self.ixfr(daemon, 4_000_000_000)
        self.assertIn(style, ("whole", "current"))
        text = zone(1)
        # what dnspython had as serial 1 becomes serial 3 by the steps
        held = dns.zone.from_text(text, dns.name.from_text("example.com"), relativize=False)
        query, _ = dns.xfr.make_query(held)
        dns.query.inbound_xfr(daemon.host, held, query, port=daemon.port, timeout=5, lifetime=20)
        self.check_contents(held, zone(3, "fresh IN A 192.0.2.82"))

    def test_ixfr_without_history_is_whole(self):
        daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"]})], text=zone(5))
        style, rows = self.ixfr(daemon, 2)
        self.assertEqual((style, len(rows)), ("whole", len(LINES) + 2))

    def test_balanced_names_are_left_out_or_frozen(self):
        for policy, wanted in (("omit", []), ("freeze", ["127.0.0.1", "127.0.0.2"])):
            daemon = self.begin([entry(transfer={"allow": ["127.0.0.0/8"], "balanced": policy})], SERVICES,
                                text=zone(1, 'www IN TXT "beside"'))
            taken = self.axfr(daemon)
            found = taken.get_rdataset("www.example.com.", "A")
            self.assertEqual(sorted(map(str, found or [])), wanted, policy)
            found = taken.get_rdataset("www.example.com.", "AAAA")
            self.assertEqual(list(map(str, found or [])), ["2001:db8::1"] if wanted else [], policy)
            self.assertEqual(list(map(str, taken.get_rdataset("www.example.com.", "TXT"))), ['"beside"'])

    def test_serial_by_the_clock(self):
        daemon = self.begin([entry(serial="unixtime", transfer={"allow": ["127.0.0.0/8"]})])
        first = self.serial_of(daemon)
        self.assertAlmostEqual(first, time.time(), delta=10)
        time.sleep(1.1)
        self.reload(daemon, zone(1, "fresh IN A 192.0.2.81"))
        self.assertGreater(self.serial_of(daemon), first)

    def test_notify_is_sent_at_a_change_and_repeated_until_answered(self):
        recorder = self.fake(Recorder)
        daemon = self.begin([entry(notify=[f"{recorder.host}@{recorder.port}"], notify_key=KEY_NAME)])
        eventually(lambda: recorder.messages, 10, "a NOTIFY at the start")
        count = len(recorder.messages)
        self.reload(daemon, zone(2))
        eventually(lambda: len(recorder.messages) > count, 10, "a NOTIFY at the change")
        _, message = recorder.messages[-1]
        self.assertEqual(message.opcode(), dns.opcode.NOTIFY)
        self.assertTrue(message.had_tsig)
        self.assertTrue(message.flags & dns.flags.AA)
        self.assertEqual([str(row.name) for row in message.question], ["example.com."])
        if message.answer:
            self.assertEqual(message.answer[0][0].serial, 2)
        time.sleep(0.5)
        count = len(recorder.messages)
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 0)
        time.sleep(1)
        self.assertEqual(len(recorder.messages), count, "nothing changed, nobody is told")
        recorder.silent = True
        self.reload(daemon, zone(3))
        eventually(lambda: len(recorder.messages) >= count + 2, 30, "who does not answer is told again")

    def test_secondaries_of_other_makers_follow(self):
        for kind in OTHERS:
            for keyed in (True, False):
                with self.subTest(secondary=kind.__name__, keyed=keyed):
                    host = kind.only_host or addresses.take()
                    port = free_port(host)
                    transfer = {"keys": [KEY_NAME]} if keyed else {"allow": ["127.0.0.0/8"]}
                    notify = {"notify": [f"{host}@{port}"], **({"notify_key": KEY_NAME} if keyed else {})}
                    daemon = self.begin([entry(transfer=transfer, **notify)])
                    peer = self.other(kind, primary=(daemon.host, daemon.port), keyed=keyed, host=host, port=port)
                    self.until_serial(peer, 1)
                    # by NOTIFY and in steps, long before the refresh time
                    for serial in (2, 3):
                        self.reload(daemon, zone(serial, f"fresh{serial} IN A 192.0.2.81"))
                        self.until_serial(peer, serial, 15)
                        self.assertEqual(peer.answers(f"fresh{serial}.example.com"), ["192.0.2.81"])
                    self.assertEqual(peer.answers("fresh2.example.com"), [])
                    self.assertEqual(peer.answers("host199.example.com"), ["198.51.100.199"])
                    self.assertEqual(peer.answers("x.wild.example.com"), ["192.0.2.90"])
                    query = dns.message.make_query("example.com", "AXFR")
                    if keyed:
                        query.use_tsig(RING, keyname=KEY_NAME, algorithm=dns.tsig.HMAC_SHA256)
                    held = dns.zone.Zone(dns.name.from_text("example.com"), relativize=False)
                    dns.query.inbound_xfr(peer.host, held, query, port=peer.port, timeout=5, lifetime=20)
                    self.check_contents(held, zone(3, "fresh3 IN A 192.0.2.81"))


class In(Transfers):
    def follow(self, primary, extra=None, keyed=True, **more):
        key = {"primary_key": KEY_NAME} if keyed else {}
        return self.begin([secondary_of(primary.host, primary.port, **key, **more)], extra)

    def test_primaries_of_other_makers_are_followed(self):
        for kind in OTHERS:
            for keyed in (True, False):
                with self.subTest(primary=kind.__name__, keyed=keyed):
                    daemon = self.prepare({**KEYS, **SERVICES}, zones={})
                    primary = self.other(kind, keyed=keyed, notify=(daemon.host, daemon.port))
                    key = {"primary_key": KEY_NAME} if keyed else {}
                    daemon.extra["zones"] = [secondary_of(primary.host, primary.port, transfer={"allow": ["127.0.0.0/8"]}, **key)]
                    daemon.write_config()
                    daemon.start()
                    self.until_serial(daemon, 1)
                    self.check_contents(self.axfr(daemon), zone(1))
                    # told by NOTIFY, in steps
                    for serial in (2, 3):
                        primary.change("example.com", zone(serial, f"fresh{serial} IN A 192.0.2.81"))
                        self.until_serial(daemon, serial)
                    self.check_contents(self.axfr(daemon), zone(3, "fresh3 IN A 192.0.2.81"))
                    self.assertEqual(daemon.ask("fresh2.example.com").rcode(), 3)
                    # the balanced name lives in the secondary zone
                    self.assertIn(daemon.answers("www.example.com"), (["127.0.0.1"], ["127.0.0.2"]))

    def test_refresh_without_notify(self):
        primary = self.other(Knot, zones={"example.com": zone(1, refresh=2, retry=1)})
        daemon = self.follow(primary)
        self.until_serial(daemon, 1)
        primary.change("example.com", zone(2, refresh=2, retry=1))
        self.until_serial(daemon, 2)

    def test_second_primary_when_the_first_is_dead(self):
        primary = self.other(Knot)
        dead = addresses.take()
        daemon = self.begin([{"name": "example.com", "primaries": [f"{dead}@{free_port(dead)}", f"{primary.host}@{primary.port}"],
                              "primary_key": KEY_NAME}])
        self.until_serial(daemon, 1, 30)

    def test_copy_outlives_a_restart_without_the_primary(self):
        primary = self.other(Knot)
        daemon = self.follow(primary)
        self.until_serial(daemon, 1)
        primary.process.send_signal(signal.SIGKILL)
        primary.process.wait()
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertEqual(self.serial_of(daemon), 1)
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])

    def test_zone_expires(self):
        primary = self.other(Knot, zones={"example.com": zone(1, refresh=1, retry=1, expire=4)})
        daemon = self.follow(primary)
        self.until_serial(daemon, 1)
        primary.process.send_signal(signal.SIGKILL)
        primary.process.wait()
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])
        eventually(lambda: daemon.ask("static.example.com").rcode() == 2, 20, "SERVFAIL after the expiry")
        # and it comes back with its primary
        primary.start()
        eventually(lambda: daemon.answers("static.example.com") == ["192.0.2.80"], 30, "the zone is back")

    def test_wrong_key_takes_nothing(self):
        primary = self.other(Knot)
        daemon = self.begin([secondary_of(primary.host, primary.port, primary_key="other-key")])
        time.sleep(2)
        self.assertEqual(daemon.ask("static.example.com").rcode(), 2)

    def notify(self, daemon, source, key=None):
        query = dns.message.make_query("example.com", "SOA")
        query.set_opcode(dns.opcode.NOTIFY)
        query.flags = dns.flags.AA | dns.opcode.to_flags(dns.opcode.NOTIFY)
        if key:
            query.use_tsig(RING, keyname=key, algorithm=dns.tsig.HMAC_SHA256)
        return dns.query.udp(query, daemon.host, timeout=3, port=daemon.port, source=source).rcode()

    def test_notice_is_taken_from_primaries_alone_and_signed(self):
        fake = self.fake(FakePrimary)
        fake.stream = lambda query: [fake.reply(query, [fake.soa(), "example.com. 300 IN NS ns1.example.com.", fake.soa()])]
        plain = self.begin([secondary_of(fake.host, fake.port)])
        self.until_serial(plain, 1)
        fake.serial = 2
        self.assertIn(self.notify(plain, addresses.take()), (dns.rcode.REFUSED, dns.rcode.NOTAUTH))
        time.sleep(1)
        self.assertEqual(self.serial_of(plain), 1)
        self.assertEqual(self.notify(plain, fake.host), dns.rcode.NOERROR)
        self.until_serial(plain, 2)
        primary = self.other(Knot)
        signed = self.follow(primary)
        self.until_serial(signed, 1)
        self.assertIn(self.notify(signed, primary.host), (dns.rcode.REFUSED, dns.rcode.NOTAUTH))
        self.assertEqual(self.notify(signed, primary.host, KEY_NAME), dns.rcode.NOERROR)

    def test_broken_transfer_changes_nothing(self):
        fake = self.fake(FakePrimary)
        rows = ["example.com. 300 IN NS ns1.example.com.", "ns1.example.com. 300 IN A 192.0.2.1", "kept.example.com. 300 IN A 192.0.2.80"]
        fake.stream = lambda query: [fake.reply(query, [fake.soa(), *rows, fake.soa()])]
        daemon = self.begin([secondary_of(fake.host, fake.port)])
        self.until_serial(daemon, 1)
        new = ["example.com. 300 IN NS ns1.example.com.", "new.example.com. 300 IN A 192.0.2.99"]

        def cut(query):
            wire = fake.reply(query, [fake.soa(), *new, fake.soa()])
            return [bytearray(framed(wire)[:len(wire) // 2]), *self.hang_up()]

        def wrong_id(query):
            wire = fake.reply(query, [fake.soa(), *new, fake.soa()])
            return [struct.pack("!H", query.id ^ 1) + wire[2:]]

        def refused(query):
            message = dns.message.make_response(query)
            message.set_rcode(dns.rcode.REFUSED)
            return [message.to_wire()]

        broken = {
            "nothing": lambda query: self.hang_up(),
            "cut in the middle": cut,
            "no SOA at the end": lambda query: [fake.reply(query, [fake.soa(), *new]), *self.hang_up()],
            "no SOA at the beginning": lambda query: [fake.reply(query, [*new, fake.soa()])],
            "another serial at the end": lambda query: [fake.reply(query, [fake.soa(), *new, fake.soa(77)]), *self.hang_up()],
            "another ID": wrong_id,
            "refused": refused,
            "noise": lambda query: [os.urandom(200)],
            "only the SOAs": lambda query: [fake.reply(query, [fake.soa(), fake.soa()])],
            "record cut": lambda query: [fake.reply(query, [fake.soa(), *new, fake.soa()])[:-5]],
            "CNAME beside others": lambda query: [fake.reply(query, [fake.soa(), *new, "new.example.com. 300 IN CNAME x.example.com.", fake.soa()])],
        }
        for number, (kind, stream) in enumerate(broken.items(), 2):
            with self.subTest(kind=kind):
                fake.serial, fake.stream, before = number, stream, fake.transfers
                self.ask_again(daemon, fake)
                eventually(lambda: fake.transfers > before, 20, "it tried")
                time.sleep(0.3)
                self.assertEqual(self.serial_of(daemon), 1)
                self.assertEqual(daemon.answers("kept.example.com"), ["192.0.2.80"])
                self.assertEqual(daemon.ask("new.example.com").rcode(), 3)
        fake.serial = 100
        fake.stream = lambda query: [fake.reply(query, [fake.soa(), *new, "ns1.example.com. 300 IN A 192.0.2.1", fake.soa()])]
        self.ask_again(daemon, fake)
        self.until_serial(daemon, 100)

    def ask_again(self, daemon, fake):
        time.sleep(1.05)  # a zone is not asked for twice in a second
        self.assertEqual(self.notify(daemon, fake.host), dns.rcode.NOERROR)

    def hang_up(self):
        raise EOFError
        yield  # a stream that ends the connection

    def test_zone_in_many_messages(self):
        fake = self.fake(FakePrimary)
        names = [f"n{i}.example.com. 300 IN A 192.0.2.{i % 250 + 1}" for i in range(400)]

        def stream(query):
            rows = [fake.soa(), "example.com. 300 IN NS ns1.example.com.", "ns1.example.com. 300 IN A 192.0.2.1", *names, fake.soa()]
            return [fake.reply(query, rows[at:at + 7]) for at in range(0, len(rows), 7)]
        fake.stream = stream
        daemon = self.begin([secondary_of(fake.host, fake.port)])
        self.until_serial(daemon, 1)
        self.assertEqual(daemon.answers("n399.example.com"), ["192.0.2.150"])

    def test_older_version_is_not_taken(self):
        fake = self.fake(FakePrimary)
        fake.serial = 10
        fake.stream = lambda query: [fake.reply(query, [fake.soa(), "example.com. 300 IN NS ns1.example.com.", fake.soa()])]
        daemon = self.begin([secondary_of(fake.host, fake.port)])
        self.until_serial(daemon, 10)
        fake.serial, before = 9, fake.transfers
        self.ask_again(daemon, fake)
        time.sleep(1.5)
        self.assertEqual((self.serial_of(daemon), fake.transfers), (10, before))

    def test_chain_of_ours(self):
        """A primary of ours, a secondary of ours, and a secondary of that one."""
        first = self.prepare(KEYS, zone=zone(1))
        second, third = self.prepare(KEYS, zones={}), self.prepare(KEYS, zones={})
        first.extra["zones"] = [entry(transfer={"keys": [KEY_NAME]}, notify=[f"{second.host}@{second.port}"], notify_key=KEY_NAME)]
        second.extra["zones"] = [secondary_of(first.host, first.port, primary_key=KEY_NAME, transfer={"keys": [KEY_NAME]},
                                              notify=[f"{third.host}@{third.port}"], notify_key=KEY_NAME)]
        third.extra["zones"] = [secondary_of(second.host, second.port, primary_key=KEY_NAME)]
        for daemon in (first, second, third):
            daemon.write_config()
            daemon.start()
        self.until_serial(third, 1, 30)
        self.reload(first, zone(2, "fresh IN A 192.0.2.81"))
        self.until_serial(third, 2, 30)
        self.assertEqual(third.answers("fresh.example.com"), ["192.0.2.81"])


if __name__ == "__main__":
    unittest.main()
