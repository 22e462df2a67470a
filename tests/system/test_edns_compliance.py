"""What scanners check in name servers for EDNS compliance: versions, flags, options, opcodes, types, TC, classes, TSIG.
Each check is one query about the zone's name and what its reply must be like; any finding fails."""
import base64
import struct
import time
import unittest

import dns.message
import dns.tsig
import dns.tsigkeyring

from tests.system.account import tell
from tests.system.harness import Case, Gslbd
from tests.system.message import (AA, AD, ANY, BADVERS, CD, CH, COOKIE, DO, EXPIRE, HS, IN, KEEPALIVE, NOERROR, NOTAUTH, NOTIMP,
                                  NSID, PADDING, QR, RA, RD, REFUSED, TC, Z, Reply, make, number, opt, option, over_tcp, over_udp,
                                  subnet)

ZONE = """$TTL 300
$ORIGIN example.com.
@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 60
@ IN NS ns1
@ IN NS ns2
@ IN A 192.0.2.80
@ IN MX 10 mail
mail IN A 192.0.2.25
ns1 IN A 192.0.2.1
ns2 IN A 192.0.2.2
""" + "".join(f'@ IN TXT "{"x" * 200} {i}"\n' for i in range(8))
SECRET = base64.b64encode(b"secret of the compliance tests!!").decode()
CLIENT_COOKIE = bytes.fromhex("0102030405060708")
UNKNOWN_CODE = 100
UNKNOWN = option(UNKNOWN_CODE)
ALL_OPTIONS = option(NSID) + subnet(1, 0, 0, b"") + option(COOKIE, CLIENT_COOKIE) + option(EXPIRE) + option(PADDING, b"\0" * 16)
# flags that a reply never has to a plain query
SPURIOUS = AD | RA | Z | TC


def soa(rcode=NOERROR, forbidden=SPURIOUS, flags=AA, copied=0):
    """A reply with the SOA: these flags and no others."""
    def judge(reply):
        if reply.rcode != rcode:
            yield f"rcode {reply.rcode}"
        if not reply.records("answer", "SOA"):
            yield "no SOA"
        if reply.flags & forbidden:
            yield f"flags {reply.flags & forbidden:#x}"
        if reply.flags & (flags | copied) != flags | copied:
            yield "flags are missing"
        if not reply.has(RD) and copied & RD:
            yield "RD is not copied"
    return judge


def edns(*judges, payload=True, do=False, codes=None):
    """EDNS version 0 with DO as asked; and, when given, options of these codes at most."""
    def judge(reply):
        if reply.version != 0:
            yield f"EDNS version {reply.version}"
            return
        if bool(reply.edns_flags & DO) != do:
            yield "DO is not as asked" if do else "DO"
        if reply.edns_flags & ~DO & 0xFFFF:
            yield f"unknown EDNS flags {reply.edns_flags:#x}"
        if payload and reply.payload < 512:
            yield f"payload {reply.payload}"
        if codes is not None and set(reply.option_codes()) - set(codes):
            yield f"options {reply.option_codes()}"
        for each in judges:
            yield from each(reply)
    return judge


def plain(*judges):
    def judge(reply):
        if reply.version != -1:
            yield "OPT in a reply to a query without"
        for each in judges:
            yield from each(reply)
    return judge


def badvers(do=False):
    def judge(reply):
        if reply.rcode != BADVERS:
            yield f"rcode {reply.rcode}"
        if reply.version != 0:
            yield f"EDNS version {reply.version}"
        if reply.counts[1]:
            yield "an answer of an unknown version"
        if reply.edns_flags & ~DO or bool(reply.edns_flags & DO) != do:
            yield f"EDNS flags {reply.edns_flags:#x}"
        if UNKNOWN_CODE in reply.option_codes():
            yield "the unknown option came back"
    return judge


def notimp(reply):
    """RFC 1035 section 4.1.1; nothing of a query that is not understood is believed."""
    if reply.rcode != NOTIMP:
        yield f"rcode {reply.rcode}"
    if reply.flags & (TC | RA | AA | AD | Z):
        yield f"flags {reply.flags:#06x}"
    if any(reply.counts[1:]):
        yield "records"


def rcodes(*allowed):
    def judge(reply):
        if reply.rcode not in allowed:
            yield f"rcode {reply.rcode}"
    return judge


def no_data(reply):
    if reply.rcode != NOERROR:
        yield f"rcode {reply.rcode}"
    if reply.counts[1]:
        yield "an answer"
    if not reply.records("authority", "SOA"):
        yield "no SOA in the authority section"
    if not reply.has(AA):
        yield "not authoritative"
    if reply.flags & SPURIOUS:
        yield f"flags {reply.flags & SPURIOUS:#x}"


def with_cookie(reply):
    value = reply.options().get(COOKIE)
    if value is None or not 16 <= len(value) <= 40 or value[:8] != CLIENT_COOKIE:
        yield f"cookie {value}"


def within(size, *judges):
    def judge(reply):
        if len(reply.wire) > size:
            yield f"{len(reply.wire)} bytes"
        for each in judges:
            yield from each(reply)
    return judge


def truncated(reply):
    if not reply.has(TC):
        yield "not truncated"


def without_echo(judge_first):
    def judge(reply):
        if UNKNOWN_CODE in reply.option_codes():
            yield "the unknown option came back"
        yield from judge_first(reply)
    return judge


# name of the check, query, judge, whether over TCP
CHECKS = [
    ("dns", make("example.com"), plain(soa()), False),
    ("aa", make("example.com", flags=AA), plain(soa()), False),
    ("ad", make("example.com", flags=AD), plain(soa()), False),
    ("cd", make("example.com", flags=CD), plain(soa()), False),
    ("ra", make("example.com", flags=RA), plain(soa()), False),
    ("rd", make("example.com", flags=RD), plain(soa(copied=RD)), False),
    ("tc", make("example.com", flags=TC), plain(soa()), False),
    ("zflag", make("example.com", flags=Z), plain(soa()), False),
    ("all flags", make("example.com", flags=AA | AD | CD | RA | RD | TC | Z), plain(soa(copied=RD)), False),
    ("type666", make("example.com", 666), plain(no_data), False),
    ("type1000", make("example.com", 1000), plain(no_data), False),
    ("dnstcp", make("example.com"), plain(soa()), True),
    ("zflag with EDNS", make("example.com", flags=Z, additional=[opt()]), edns(soa()), False),
    ("edns", make("example.com", additional=[opt()]), edns(soa(), codes=()), False),
    ("edns ad", make("example.com", flags=AD, additional=[opt()]), edns(soa()), False),
    ("edns cd", make("example.com", flags=CD, additional=[opt()]), edns(soa()), False),
    ("edns1", make("example.com", additional=[opt(version=1)]), edns(badvers()), False),
    ("edns2", make("example.com", additional=[opt(version=2)]), edns(badvers()), False),
    ("edns255", make("example.com", additional=[opt(version=255)]), edns(badvers()), False),
    ("ednsopt", make("example.com", additional=[opt(UNKNOWN)]), edns(without_echo(soa()), codes=()), False),
    ("ednsopt with data", make("example.com",
     additional=[opt(option(UNKNOWN_CODE, b"abcd") * 3)]), edns(without_echo(soa())), False),
    ("edns1opt", make("example.com", additional=[opt(UNKNOWN, version=1)]), edns(badvers()), False),
    ("edns1 do", make("example.com", additional=[opt(version=1, flags=DO)]),
     lambda reply: badvers(do=bool(reply.edns_flags & DO))(reply), False),
    ("do", make("example.com", additional=[opt(flags=DO)]), edns(soa(), do=True), False),
    ("ednsflags", make("example.com", additional=[opt(flags=0x0080)]), edns(soa()), False),
    ("ednsflags all but DO", make("example.com", additional=[opt(flags=0x7FFF)]), edns(soa()), False),
    ("docookie", make("example.com", additional=[opt(option(COOKIE, CLIENT_COOKIE), flags=DO)]),
     edns(soa(), with_cookie, do=True, codes=(COOKIE,)), False),
    ("ednscookie", make("example.com", additional=[opt(option(COOKIE, CLIENT_COOKIE))]), edns(soa(), with_cookie), False),
    ("edns1cookie", make("example.com", additional=[opt(option(COOKIE, CLIENT_COOKIE), version=1)]), edns(badvers()), False),
    ("ednsnsid", make("example.com", additional=[opt(option(NSID))]), edns(soa(), codes=(NSID,)), False),
    ("ednsexpire", make("example.com", additional=[opt(option(EXPIRE))]), edns(soa(), codes=(EXPIRE,)), False),
    ("ednssubnet", make("example.com", additional=[opt(subnet(1, 0, 0, b""))]), edns(soa()), False),
    ("ednspadding", make("example.com", additional=[opt(option(PADDING, b"\0" * 4))]), edns(soa()), False),
    ("optlist", make("example.com", additional=[opt(ALL_OPTIONS)]), edns(soa(), with_cookie), False),
    ("optlist with unknown", make("example.com", additional=[opt(UNKNOWN + ALL_OPTIONS)]), edns(without_echo(soa())), False),
    ("ednstcp", make("example.com", additional=[opt()]), edns(soa()), True),
    ("ednstcp keepalive", make("example.com", additional=[opt(option(KEEPALIVE))]), edns(soa()), True),
    ("edns1tcp", make("example.com", additional=[opt(version=1)]), edns(badvers()), True),
    ("do in TCP", make("example.com", additional=[opt(flags=DO)]), edns(soa(), do=True), True),
    ("edns@512", make("example.com", "TXT",
     additional=[opt(payload=512, flags=DO)]), edns(within(512, truncated), do=True), False),
    ("edns@0", make("example.com", "TXT", additional=[opt(payload=0, flags=DO)]), edns(within(512, truncated), do=True), False),
    ("edns@1232", make("example.com", "TXT", additional=[opt(payload=1232)]), edns(within(1232, truncated)), False),
    ("edns@65535", make("example.com", "TXT", additional=[opt(payload=65535)]), edns(within(1232)), False),
    ("dns@512", make("example.com", "TXT"), plain(within(512, truncated)), False),
    ("big in TCP", make("example.com", "TXT", additional=[opt(payload=512)]), edns(rcodes(NOERROR)), True),
    ("ANY", make("example.com", "ANY"), plain(rcodes(NOERROR, REFUSED, NOTIMP)), False),
    ("ANY with EDNS", make("example.com", "ANY",
     additional=[opt()]), edns(within(1232, rcodes(NOERROR, REFUSED, NOTIMP))), False),
    ("class ANY", make("example.com", "SOA", ANY), plain(rcodes(NOERROR, REFUSED)), False),
    ("class CH", make("version.bind", "TXT", CH), plain(rcodes(NOERROR, REFUSED)), False),
    ("class CH of the zone's name", make("example.com", "SOA", CH), plain(rcodes(REFUSED, NOTIMP, NOTAUTH)), False),
    ("class HS", make("example.com", "SOA", HS), plain(rcodes(REFUSED, NOTIMP, NOTAUTH)), False),
    ("class unknown", make("example.com", "SOA", 1000), plain(rcodes(REFUSED, NOTIMP, NOTAUTH)), False),
    ("another zone", make("example.net"), plain(rcodes(REFUSED)), False),
    ("another zone with EDNS", make("example.net", additional=[opt()]), edns(rcodes(REFUSED)), False),
]
CHECKS += [(f"type {name}", make("example.com", name, additional=[opt(flags=DO)]), edns(rcodes(NOERROR), do=True), False)
           for name in ("A", "AAAA", "NS", "MX", "CNAME", "DNAME", "PTR", "SRV", "TXT", "HINFO", "RP", "AFSDB", "NAPTR", "KX", "CERT", "APL",
                        "DS", "SSHFP", "IPSECKEY", "RRSIG", "NSEC", "DNSKEY", "DHCID", "NSEC3", "NSEC3PARAM", "TLSA", "SMIMEA", "CDS", "CDNSKEY",
                        "OPENPGPKEY", "CSYNC", "ZONEMD", "SVCB", "HTTPS", "SPF", "EUI48", "EUI64", "URI", "CAA", "AVC", "TA", "DLV", "LOC", "X25")]
CHECKS += [(f"opcode {opcode}", make("example.com", opcode=opcode), plain(notimp), False)
           for opcode in range(1, 16) if opcode not in (4, 5)]
CHECKS += [(f"opcode {opcode} with all flags", make("example.com", opcode=opcode, flags=AA | AD | CD | RA | RD | TC | Z), plain(notimp), False)
           for opcode in (3, 6, 15)]
CHECKS += [
    ("opcode 15 without a question", make("example.com", opcode=15, questions=0)[:12], plain(notimp), False),
    ("opcode 4 from a stranger", make("example.com", opcode=4), plain(rcodes(NOTIMP, REFUSED, NOTAUTH)), False),
    ("opcode 5 from a stranger", make("example.com", opcode=5), plain(rcodes(NOTIMP, REFUSED, NOTAUTH)), False),
]


class EdnsCompliance(Case):
    @classmethod
    def setUpClass(cls):
        extra = {"keys": [{"name": "known-key", "algorithm": "hmac-sha256", "secret": SECRET}]}
        cls.gslbd = cls.share(Gslbd(extra, zone=ZONE))
        cls.place = (cls.gslbd.host, cls.gslbd.port)

    def findings(self, packet, judge, tcp):
        wire = (over_tcp if tcp else over_udp)(self.place, packet)
        if wire is None:
            return ["no answer"]
        reply = Reply(wire)
        found = list(judge(reply))
        if reply.ident != struct.unpack("!H", packet[:2])[0] or not reply.has(QR):
            found.append("not a reply to this query")
        if reply.opcode != packet[2] >> 3 & 15:
            found.append(f"opcode {reply.opcode}")
        return found

    def test_every_check_is_ok(self):
        for name, packet, judge, tcp in CHECKS:
            with self.subTest(check=name):
                self.assertEqual(self.findings(packet, judge, tcp), [])
        tell(f"{len(CHECKS)} checks")

    def test_a_response_is_not_answered(self):
        for flags in (QR, QR | AA, QR | RD | RA):
            for opcode in (0, 4, 5, 15):
                packet = make("example.com", flags=flags, opcode=opcode, additional=[opt()])
                self.assertIsNone(over_udp(self.place, packet, timeout=0.2, tries=1), f"{flags:#x} {opcode}")

    def test_classes_answered_for_any(self):
        reply = Reply(over_udp(self.place, make("example.com", "SOA", ANY)))
        if reply.rcode == NOERROR:
            self.assertTrue(reply.records("answer", "SOA"))
            self.assertEqual({int(rrset.rdclass) for rrset in reply.message.answer}, {IN})

    def ask_signed(self, key_name, secret, name="example.com"):
        query = dns.message.make_query(name, "SOA")
        ring = dns.tsigkeyring.from_text({key_name: secret})
        query.use_tsig(ring, keyname=key_name, algorithm=dns.tsig.HMAC_SHA256)
        packet = query.to_wire()
        return query, ring, packet, over_udp(self.place, packet)

    def tsig_of(self, wire):
        """(MAC, error) of a reply's TSIG record, taken apart by hand."""
        at = wire.index(b"\x0bhmac-sha256\0")
        rdata = wire[at + 13:]
        size = struct.unpack("!H", rdata[8:10])[0]
        mac = rdata[10:10 + size]
        _, error, _ = struct.unpack("!HHH", rdata[10 + size:16 + size])
        return mac, error

    def test_unknown_tsig_key_is_badkey(self):
        _, _, packet, wire = self.ask_signed("unknown-key", SECRET)
        self.assertIsNotNone(wire)
        self.assertEqual(wire[3] & 15, NOTAUTH)
        self.assertEqual(self.tsig_of(wire), (b"", 17))
        self.assertEqual(wire[:2], packet[:2])
        self.assertFalse(struct.unpack("!H", wire[6:8])[0], "an answer")

    def test_wrong_signature_is_badsig(self):
        wrong = base64.b64encode(b"another secret, which is wrong!!").decode()
        _, _, _, wire = self.ask_signed("known-key", wrong)
        self.assertIsNotNone(wire)
        self.assertEqual(wire[3] & 15, NOTAUTH)
        self.assertEqual(self.tsig_of(wire), (b"", 16))
        self.assertFalse(struct.unpack("!H", wire[6:8])[0], "an answer")

    def test_old_signature_is_badtime_and_tells_the_time(self):
        query = dns.message.make_query("example.com", "SOA")
        ring = dns.tsigkeyring.from_text({"known-key": SECRET})
        query.use_tsig(ring, keyname="known-key", algorithm=dns.tsig.HMAC_SHA256)
        now, real = time.time(), time.time
        try:
            time.time = lambda: now - 4000
            packet = query.to_wire()
        finally:
            time.time = real
        wire = over_udp(self.place, packet)
        self.assertIsNotNone(wire)
        self.assertEqual(wire[3] & 15, NOTAUTH)
        mac, error = self.tsig_of(wire)
        self.assertEqual((len(mac), error), (32, 18))
        self.assertAlmostEqual(int.from_bytes(wire[-6:], "big"), time.time(), delta=5)

    def test_right_signature_is_answered_and_signed(self):
        query, ring, _, wire = self.ask_signed("known-key", SECRET)
        self.assertIsNotNone(wire)
        reply = dns.message.from_wire(wire, keyring=ring, request_mac=query.mac)
        self.assertTrue(reply.had_tsig)
        self.assertEqual(reply.rcode(), NOERROR)
        self.assertEqual([int(rrset.rdtype) for rrset in reply.answer], [number("SOA")])


if __name__ == "__main__":
    unittest.main()
