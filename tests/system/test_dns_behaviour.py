"""The behaviour of an authoritative server, point by point: a table of checks, each with its level and the text that asks
for it. A must or should that fails is a test that fails; a could is told of and counted."""
import socket
import struct
import unittest

import dns.exception

from tests.system.account import tell
from tests.system.harness import Case, Gslbd, framed
from tests.system.message import (AA, AD, BADVERS, CD, CH, COOKIE, DO, EXTENDED_ERROR, FORMERR, HS, KEEPALIVE, NOERROR, NOTAUTH, NOTIMP,
                                  NSID, NXDOMAIN, QR, RA, RD, REFUSED, TC, Z, Reply, make, opt, option, over_tcp, over_udp,
                                  receive, subnet)

LONG_TARGET = ".".join(letter * 63 for letter in "abc") + ".example.org."
DIGEST = "12345 13 2 " + "ab" * 32
ZONE = f"""$TTL 3600
$ORIGIN example.com.
@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 120
@ IN NS ns1
@ IN NS ns2
@ IN MX 10 mail
@ IN TXT "one" "two"
@ IN CAA 0 issue "ca.example.net"
ns1 IN A 192.0.2.1
ns1 IN AAAA 2001:db8::1
ns2 IN A 192.0.2.2
mail IN A 192.0.2.25
mail IN AAAA 2001:db8::25
leaf.b.c IN TXT "leaf"
alias IN CNAME mail
chain1 IN CNAME chain2
chain2 IN CNAME chain3
chain3 IN CNAME mail
dangling IN CNAME nothing
to-text IN CNAME text
text IN TXT "only"
out IN CNAME www.example.org.
to-net IN CNAME host.example.net.
loop1 IN CNAME loop2
loop2 IN CNAME loop1
to-service IN CNAME www
to-cut IN CNAME host.sub
*.wild IN A 192.0.2.90
*.wild IN TXT "any"
fixed.wild IN TXT "fixed"
below.ent.wild IN TXT "below"
*.wildalias IN CNAME mail
old IN DNAME new
old IN TXT "at the DNAME"
host.new IN A 192.0.2.44
far IN DNAME {LONG_TARGET}
sub IN NS ns.sub
sub IN NS ns.elsewhere.example.org.
sub IN DS {DIGEST}
ns.sub IN A 192.0.2.60
ns.sub IN AAAA 2001:db8::60
sibling IN NS ns.sub
child IN NS ns.child
child IN DS {DIGEST}
ns.child IN A 192.0.2.61
unknown IN TYPE65400 \\# 4 0A000001
svcb IN SVCB 1 mail alpn=h2 port=8443
https IN HTTPS 1 . alpn=h3,h2 ipv4hint=192.0.2.80
_sip._udp IN SRV 1 2 5060 mail
Upper IN A 192.0.2.6
loc IN LOC 50 6 0.000 N 8 41 0.000 E 112.00m 1m 10000m 10m
naptr IN NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp
uri IN URI 10 1 "https://www.example.com/"
sshfp IN SSHFP 4 2 {"cd" * 32}
_443._tcp.mail IN TLSA 3 1 1 {"ef" * 32}
two-ttls 60 IN TXT "a"
two-ttls 60 IN TXT "b"
www IN TXT "beside"
www IN MX 10 mail
www IN CAA 0 issue "ca.example.net"
fixed.dyn IN TXT "fixed"
wide IN MX 10 wide1
""" + "".join(f'big IN TXT "{"x" * 100} {i:02}"\n' for i in range(40)) \
    + "".join(f"many IN NS n{i}.many\nn{i}.many IN A 192.0.2.{100 + i}\nn{i}.many IN AAAA 2001:db8::{100 + i}\n" for i in range(10)) \
    + "".join(f"wide1 IN A 198.51.100.{i}\n" for i in range(1, 40)) \
    + "".join(f"step{i} IN CNAME step{i + 1}\n" for i in range(40)) + "step40 IN A 192.0.2.40\n"
CHILD = """$TTL 600
@ IN SOA ns hostmaster 7 3600 600 86400 30
@ IN NS ns
ns IN A 192.0.2.61
host IN A 192.0.2.62
"""
NET = """$TTL 600
@ IN SOA ns hostmaster 8 3600 600 86400 30
@ IN NS ns
ns IN A 192.0.2.71
host IN A 192.0.2.72
"""


def service(name, count=2, **more):
    return {"name": name, "ttl": {"max": "30s", "min": "5s"}, "method": "all",
            "members": [{"name": f"m{i}", "addresses": [f"127.0.0.{i}"]} for i in range(1, count + 1)], **more}


SERVICES = {"services": [
    {"name": "www.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all", "srv": "_https._tcp",
     "https": {"alpn": ["h2"], "port": 8443}, "members": [
         {"name": "m1", "addresses": ["127.0.0.1", "2001:db8::1"], "srv_port": 8443},
         {"name": "m2", "addresses": ["127.0.0.2"], "srv_port": 8443}]},
    service("four.example.com"), service("*.dyn.example.com", 1), service("example.com", 1), service("deep.in.tree.example.com", 1),
    {"name": "cdn.example.com", "ttl": {"max": "30s", "min": "5s"}, "answer": "cname", "members": [
        {"name": "m1", "addresses": ["127.0.0.4"], "target": "mail.example.com"}]},
    {"name": "in.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all", "answer": "mx", "members": [
        {"name": "m1", "addresses": ["127.0.0.5"]}, {"name": "m2", "addresses": ["127.0.0.6"], "target": "mail.example.com"}]},
]}

# what is expected of a reply: each returns None, or what is wrong


def expect(what, holds):
    return lambda reply: None if holds(reply) else what


def rcode(wanted):
    return lambda reply: None if reply.rcode == wanted else f"rcode {reply.rcode} instead of {wanted}"


def section(where, rdtype, *wanted):
    def judge(reply):
        got = reply.texts(where, rdtype)
        return None if got == sorted(wanted) else f"{where} {rdtype}: {got}"
    return judge


def answer(rdtype, *wanted):
    return section("answer", rdtype, *wanted)


def additional(rdtype, *wanted):
    return section("additional", rdtype, *wanted)


def owners(*wanted):
    """The owners in the answer section in order, as it is written."""
    def judge(reply):
        got = [rrset.name.to_text() for rrset in reply.message.answer]
        return None if got == list(wanted) else f"owners {got}"
    return judge


def soa(zone="example.com.", ttl=None):
    def judge(reply):
        rows = reply.records("authority", "SOA")
        if len(rows) != 1 or len(reply.message.authority) != 1:
            return f"authority {reply.texts('authority')}"
        if rows[0][0] != zone:
            return f"SOA of {rows[0][0]}"
        return None if ttl is None or rows[0][1] == ttl else f"negative TTL {rows[0][1]}"
    return judge


def ttl(wanted):
    return expect(f"TTL is not {wanted}", lambda reply: {each[1] for each in reply.records("answer")} == {wanted})


def extended(code):
    return expect(f"no extended error {code}", lambda reply: reply.options().get(EXTENDED_ERROR, b"\xff\xff")[:2] == struct.pack("!H", code))


def flag(bit):
    return expect(f"flag {bit:#x} is not set", lambda reply: reply.has(bit))


def no_flag(bit):
    return expect(f"flag {bit:#x} is set", lambda reply: not reply.has(bit))


authoritative, not_authoritative, truncated, whole = flag(AA), no_flag(AA), flag(TC), no_flag(TC)
nothing = expect("there is an answer", lambda reply: not reply.message.answer)
no_authority = expect("there is an authority section", lambda reply: not reply.message.authority)
no_opt = expect("OPT for a query without", lambda reply: reply.version == -1)
has_opt = expect("no OPT", lambda reply: reply.version == 0)
nodata = (rcode(NOERROR), authoritative, nothing, soa(ttl=120))
nxdomain = (rcode(NXDOMAIN), authoritative, nothing, soa(ttl=120))
SUB_NS = ("ns.elsewhere.example.org.", "ns.sub.example.com.")
referral = (rcode(NOERROR), not_authoritative, nothing, section("authority", "NS", *SUB_NS))
glue = (additional("A", "192.0.2.60"), additional("AAAA", "2001:db8::60"))


def up_to(size):
    return expect(f"more than {size} bytes", lambda reply: len(reply.wire) <= size)


class Question:
    """Asks once by UDP (or TCP) and judges the reply."""

    def __init__(self, name, rdtype, *judges, tcp=False, edns=None, wire=None, **options):
        self.tcp, self.judges = tcp, judges
        if edns is not None:
            options["additional"] = [opt(**edns)]
        self.packet = wire if wire is not None else make(name, rdtype, **options)

    def __call__(self, place):
        wire = (over_tcp if self.tcp else over_udp)(place, self.packet)
        if wire is None:
            return "no answer"
        reply = Reply(wire)
        return "; ".join(found for judge in self.judges if (found := judge(reply))) or None


class Silence:
    def __init__(self, packet):
        self.packet = packet

    def __call__(self, place):
        return None if over_udp(place, self.packet, timeout=0.15, tries=1) is None else "an answer"


def pieces(place, stream, sizes, count):
    """The replies when the stream goes out in pieces of these sizes."""
    with socket.create_connection(place, 5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        at = 0
        while at < len(stream):
            size = sizes[at % len(sizes)]
            sock.sendall(stream[at:at + size])
            at += size
        return [Reply(receive(sock)) for _ in range(count)]


def pipelined(place):
    queries = [make(name, rdtype, ident=i) for i, (name, rdtype) in enumerate(
        [("mail.example.com", "A"), ("www.example.com", "A"), ("nothing.example.com", "A"), ("big.example.com", "TXT")] * 10)]
    replies = pieces(place, b"".join(map(framed, queries)), [1 << 20], len(queries))
    return None if sorted(reply.ident for reply in replies) == list(range(len(queries))) else "replies are missing"


def sliced(place):
    queries = [make("mail.example.com", "A", ident=i) for i in range(5)]
    for sizes in ([1], [2, 1, 7], [3, 50]):
        if len(pieces(place, b"".join(map(framed, queries)), sizes, len(queries))) != len(queries):
            return "replies are missing"
    return None


def whole_by_tcp(place):
    reply = Reply(over_tcp(place, make("big.example.com", "TXT")))
    return None if len(reply.texts("answer", "TXT")) == 40 and not reply.has(TC) else "not whole"


def case_is_kept(place):
    name = b"\4mAiL\7ExAmPlE\3cOm\0"
    wire = over_udp(place, struct.pack("!6H", 7, RD, 1, 0, 0, 0) + name + struct.pack("!HH", 1, 1))
    reply = Reply(wire)
    return None if wire[12:12 + len(name)] == name and reply.texts("answer", "A") == ["192.0.2.25"] else "case is not kept"


def names_are_compressed(place):
    wire = over_udp(place, make("mail.example.com", "A"))
    return None if wire[12 + 18 + 4:][:2] == b"\xc0\x0c" else "the owner is written out"


def cookie_is_given(place):
    client = b"12345678"
    first = Reply(over_udp(place, make("mail.example.com", "A", additional=[opt(option(COOKIE, client))]))).options().get(COOKIE)
    if first is None or len(first) != 24 or first[:8] != client:
        return f"cookie {first}"
    again = Reply(over_udp(place, make("mail.example.com", "A", additional=[opt(option(COOKIE, first))])))
    return None if again.rcode == NOERROR and again.options().get(COOKIE, b"")[:8] == client else "the cookie is not taken back"


def balanced_any(place):
    reply = Reply(over_udp(place, make("four.example.com", "ANY")))
    return None if reply.rcode == NOERROR and len(reply.message.answer) == 1 else f"answer {reply.texts('answer')}"


def no_leak_of_ttl(place):
    rows = Reply(over_udp(place, make("www.example.com", "A"))).records("answer", "A")
    return None if rows and all(5 <= each[1] <= 30 for each in rows) else f"{rows}"


def truncated_is_empty(place):
    reply = Reply(over_udp(place, make("big.example.com", "TXT", additional=[opt()])))
    rows = len(reply.texts("answer", "TXT"))
    return None if reply.has(TC) and rows == 0 and reply.version == 0 else f"{rows} records"


def axfr_is_refused(place):
    reply = Reply(over_tcp(place, make("example.com", "AXFR")))
    return None if reply.rcode in (REFUSED, NOTAUTH) and not reply.counts[1] else f"rcode {reply.rcode}"


def too_long(place):
    name = ".".join(["p" * 60] * 3) + ".far.example.com"
    reply = Reply(over_udp(place, make(name, "A", additional=[opt()])))
    return None if reply.rcode == 6 else f"rcode {reply.rcode}"


def idle_connection_goes_on(place):
    with socket.create_connection(place, 5) as sock:
        for i in range(3):
            sock.sendall(framed(make("mail.example.com", "A", ident=i)))
            if Reply(receive(sock)).ident != i:
                return "another reply"
    return None


def synthesized(place):
    reply = Reply(over_udp(place, make("host.old.example.com", "A", additional=[opt()])))
    cnames = [(owner, item.to_text(), seconds) for owner, seconds, item in reply.records("answer", "CNAME")]
    if cnames != [("host.old.example.com.", "host.new.example.com.", 3600)]:
        return f"CNAME {cnames}"
    return None if reply.texts("answer", "A") == ["192.0.2.44"] and reply.texts("answer", "DNAME") == ["new.example.com."] else f"{reply}"


def loop_ends(place):
    reply = Reply(over_udp(place, make("loop1.example.com", "A")))
    return None if len(reply.records("answer")) <= 20 else "too many records"


def long_chain_is_bounded(place):
    reply = Reply(over_udp(place, make("step0.example.com", "A", additional=[opt()])))
    return None if 5 <= len(reply.records("answer")) <= 41 else f"{len(reply.records('answer'))} records"


M, S, C = "must", "should", "could"
NOTIFY_PACKET = make("example.com", "SOA", opcode=4)
CHECKS = [
    # finding names
    (M, "RFC 1034 4.3.2", "an existing RRset", Question("mail.example.com", "A", rcode(NOERROR), authoritative,
     answer("A", "192.0.2.25"), ttl(3600))),
    (M, "RFC 1034 4.3.2", "all records of the RRset", Question("example.com", "NS", authoritative,
     answer("NS", "ns1.example.com.", "ns2.example.com."))),
    (M, "RFC 2308 2.1", "NXDOMAIN with the SOA and its negative TTL", Question("nothing.example.com", "A", *nxdomain)),
    (M, "RFC 2308 2.2", "NODATA with the SOA and its negative TTL", Question("text.example.com", "A", *nodata)),
    (M, "RFC 8020 2", "an empty non-terminal is NODATA", Question("b.c.example.com", "A", *nodata)),
    (M, "RFC 8020 2", "and so is the one above", Question("c.example.com", "TXT", *nodata)),
    (M, "RFC 1034 4.3.2", "a name below a leaf does not exist", Question("x.text.example.com", "A", *nxdomain)),
    (M, "RFC 4343", "letters of either case are the same", Question("UPPER.example.COM", "A", answer("A", "192.0.2.6"))),
    (M, "draft-vixie-dnsext-dns0x20", "the case of the query's name is kept", case_is_kept),
    (M, "RFC 1035 3.3.14", "the strings of a TXT record stay apart", Question("example.com", "TXT",
     answer("TXT", '"one" "two"'))),
    (M, "RFC 3597 5", "a record of unknown type", Question("unknown.example.com", 65400, answer(65400, "\\# 4 0a000001"))),
    (M, "RFC 3597 2", "a type that nobody knows is NODATA", Question("mail.example.com", 65399, *nodata)),
    (M, "RFC 1034 4.2.1", "a name outside of all zones is refused",
     Question("example.org", "A", rcode(REFUSED), nothing, not_authoritative)),
    (M, "RFC 1034 4.2.1", "so is the root", Question(".", "NS", rcode(REFUSED), nothing, not_authoritative)),
    (M, "RFC 1034 4.2", "another zone of the same server", Question("host.example.net", "A", authoritative,
     answer("A", "192.0.2.72"))),
    (M, "RFC 2308 3", "negative answers carry their own zone's SOA", Question("nothing.example.net", "A", rcode(NXDOMAIN),
     soa("example.net.", 30))),
    # aliases
    (M, "RFC 1034 3.6.2", "an alias is followed within the zone", Question("alias.example.com", "A", authoritative,
     answer("CNAME", "mail.example.com."), answer("A", "192.0.2.25"))),
    (M, "RFC 1034 3.6.2", "an alias asked for itself is not followed", Question("alias.example.com", "CNAME",
     answer("CNAME", "mail.example.com."), answer("A"))),
    (M, "RFC 1034 4.3.2", "a chain of aliases", Question("chain1.example.com", "A", answer("A", "192.0.2.25"),
     answer("CNAME", "chain2.example.com.", "chain3.example.com.", "mail.example.com."))),
    (M, "RFC 6604 3", "an alias to nothing is NXDOMAIN", Question("dangling.example.com", "A", rcode(NXDOMAIN),
     answer("CNAME", "nothing.example.com."), soa(ttl=120))),
    (M, "RFC 2308 2.2.1", "an alias to a name without the type is NODATA", Question("to-text.example.com", "A", rcode(NOERROR),
     answer("CNAME", "text.example.com."), soa(ttl=120))),
    (M, "RFC 1034 3.6.2", "an alias to the outside ends there", Question("out.example.com", "A", rcode(NOERROR), authoritative,
     answer("CNAME", "www.example.org."), no_authority)),
    (M, "RFC 1034 3.6.2", "a loop of aliases ends", loop_ends),
    (M, "RFC 1034 5.2.2", "a long chain of aliases is bounded", long_chain_is_bounded),
    (M, "RFC 6672 3.1", "a DNAME makes an alias, with its TTL", synthesized),
    (M, "RFC 6672 2.3", "a DNAME does not rename its own name", Question("old.example.com", "TXT",
     answer("TXT", '"at the DNAME"'), answer("CNAME"))),
    (M, "RFC 6672 2.3", "the DNAME itself", Question("old.example.com", "DNAME", answer("DNAME", "new.example.com."))),
    (M, "RFC 6672 2.2", "a name that becomes too long is YXDOMAIN", too_long),
    # wildcards
    (M, "RFC 4592 2.1", "a wildcard, with the name asked for", Question("x.wild.example.com", "A", answer("A", "192.0.2.90"),
     owners("x.wild.example.com."))),
    (M, "RFC 4592 2.1.1", "a wildcard covers several labels", Question("x.y.wild.example.com", "TXT", answer("TXT", '"any"'))),
    (M, "RFC 4592 2.2.1", "a wildcard without the type is NODATA", Question("x.wild.example.com", "AAAA", *nodata)),
    (M, "RFC 4592 3.3.1", "a wildcard gives way to a name that exists", Question("fixed.wild.example.com", "A", *nodata)),
    (M, "RFC 4592 2.2.2", "and to an empty non-terminal", Question("ent.wild.example.com", "A", *nodata)),
    (M, "RFC 4592 3.3.1", "and to what is below it", Question("x.ent.wild.example.com", "A", *nxdomain)),
    (M, "RFC 4592 4.4", "an alias by wildcard", Question("x.wildalias.example.com", "A", answer("CNAME", "mail.example.com."),
     answer("A", "192.0.2.25"))),
    (M, "RFC 4592 2.1", "a balanced wildcard", Question("x.y.dyn.example.com", "A", authoritative, answer("A", "127.0.0.1"),
     owners("x.y.dyn.example.com."))),
    (M, "RFC 4592 2.2.1", "a balanced wildcard gives way too, and is NODATA for other types",
     Question("fixed.dyn.example.com", "A", *nodata)),
    # delegations
    (M, "RFC 1034 4.3.2", "a referral with glue", Question("host.sub.example.com", "A", *referral, *glue)),
    (M, "RFC 1034 4.3.2", "a referral at the cut itself", Question("sub.example.com", "NS", *referral, *glue)),
    (M, "RFC 1034 4.2.1", "glue is no answer", Question("ns.sub.example.com", "A", *referral)),
    (M, "RFC 4035 3.1.4.1", "DS at a cut comes from the parent's side", Question("sub.example.com", "DS", authoritative,
     answer("DS", DIGEST))),
    (M, "RFC 1034 4.2.1", "a zone and its child side by side: the child answers", Question("host.child.example.com", "A",
     authoritative, answer("A", "192.0.2.62"))),
    (M, "RFC 2308 3", "and its SOA is in its negative answers", Question("no.child.example.com", "A", rcode(NXDOMAIN),
     soa("child.example.com.", 30))),
    (M, "RFC 4035 3.1.4.1", "DS of the child comes from the parent", Question("child.example.com", "DS", authoritative,
     answer("DS", DIGEST))),
    (M, "RFC 9471 3", "a referral whose glue does not fit is truncated",
     Question("x.many.example.com", "A", truncated, up_to(512))),
    # balanced names
    (M, "gslb", "a balanced name", Question("www.example.com", "A", authoritative,
     answer("A", "127.0.0.1", "127.0.0.2"), no_authority)),
    (M, "gslb", "its other family", Question("www.example.com", "AAAA", answer("AAAA", "2001:db8::1"))),
    (M, "RFC 2308 2.2", "a family without addresses is NODATA", Question("four.example.com", "AAAA", rcode(NOERROR),
     authoritative, nothing, soa())),
    (M, "RFC 2308 2.2", "a type that it has no records of is NODATA", Question("www.example.com", "NAPTR", *nodata)),
    (M, "RFC 1034 3.6", "static records beside it", Question("www.example.com", "TXT", authoritative, answer("TXT", '"beside"'))),
    (M, "RFC 2782", "SRV, with the addresses of its targets", Question("_https._tcp.www.example.com", "SRV",
     additional("A", "127.0.0.1", "127.0.0.2"), expect("no two records", lambda reply: len(reply.texts("answer", "SRV")) == 2),
     edns={})),
    (M, "RFC 9460 7", "HTTPS with port and hints", Question("www.example.com", "HTTPS",
     answer("HTTPS", '1 m1.www.example.com. alpn="h2" port="8443" ipv4hint="127.0.0.1" ipv6hint="2001:db8::1"',
     '1 m2.www.example.com. alpn="h2" port="8443" ipv4hint="127.0.0.2"'), edns={})),
    (M, "RFC 1034 3.6.2", "a balanced alias for any type", Question("cdn.example.com", "A", answer("CNAME", "mail.example.com."),
     answer("A", "192.0.2.25"))),
    (M, "RFC 5321 5.1", "balanced MX", Question("in.example.com", "MX",
     answer("MX", "0 m1.in.example.com.", "0 mail.example.com."))),
    (M, "RFC 1034 3.6.2", "an alias to a balanced name", Question("to-service.example.com", "A",
     answer("CNAME", "www.example.com."), answer("A", "127.0.0.1", "127.0.0.2"))),
    (M, "RFC 8020 2", "what is above a balanced name exists", Question("tree.example.com", "A", *nodata)),
    (M, "RFC 1034 4.3.2", "what is below it does not", Question("x.four.example.com", "A", *nxdomain)),
    (M, "RFC 1034 4.3.2", "a balanced zone name", Question("example.com", "A", authoritative, answer("A", "127.0.0.1"))),
    # header and EDNS
    (M, "RFC 1035 4.1.1", "RA, AD and Z are zero, whatever was asked",
     Question("mail.example.com", "A", no_flag(RA), no_flag(AD), no_flag(Z), flags=RA | AD | Z)),
    (M, "RFC 1035 4.1.1", "RD is copied", Question("mail.example.com", "A", flag(RD), flags=RD)),
    (M, "RFC 1035 4.1.1", "and not set otherwise", Question("mail.example.com", "A", no_flag(RD))),
    (M, "RFC 4035 3.1.6", "CD is copied", Question("mail.example.com", "A", flag(CD), flags=CD)),
    (M, "RFC 9619 2", "no question is FORMERR", Question("", "A", rcode(FORMERR), wire=struct.pack("!6H", 9, 0, 0, 0, 0, 0))),
    (M, "RFC 9619 2", "two questions are FORMERR", Question("mail.example.com", "A", rcode(FORMERR), questions=2)),
    (M, "RFC 1035 4.1.1", "an unknown opcode is NOTIMP", Question("mail.example.com", "A", rcode(NOTIMP), opcode=2)),
    (M, "RFC 1035 7.3", "a response is not answered", Silence(make("mail.example.com", "A", flags=QR))),
    (M, "RFC 1035 4.1.1", "less than a header is not answered", Silence(b"\1\2\3\4\5\6\7\10\11\12\13")),
    (M, "RFC 6891 6.1.1", "EDNS is answered with EDNS, payload 1232", Question("mail.example.com", "A", has_opt,
     expect("payload", lambda reply: reply.payload == 1232), edns={"payload": 4096})),
    (M, "RFC 6891 7", "and nothing else is", Question("mail.example.com", "A", no_opt)),
    (M, "RFC 6891 6.1.3", "another version is BADVERS", Question("mail.example.com", "A", rcode(BADVERS), has_opt, nothing,
     edns={"version": 1})),
    (M, "RFC 6891 6.1.2", "an unknown option is ignored", Question("mail.example.com", "A", answer("A", "192.0.2.25"),
     expect("it came back", lambda reply: not reply.option_codes()), edns={"options": option(65001, b"abc")})),
    (M, "RFC 6891 6.1.1", "two OPTs are FORMERR", Question("mail.example.com", "A", rcode(FORMERR), additional=[opt(), opt()])),
    (M, "RFC 3225 3", "DO comes back", Question("mail.example.com", "A", expect("no DO", lambda reply: reply.edns_flags & DO),
     edns={"flags": DO})),
    (M, "RFC 7871 7.1.2", "a malformed Client Subnet is FORMERR", Question("mail.example.com", "A", rcode(FORMERR),
     edns={"options": subnet(1, 33, 0, b"\1\2\3\4\5")})),
    (M, "RFC 7871 7.2.1", "a static name has scope 0", Question("mail.example.com", "A",
     expect("option", lambda reply: reply.options().get(8) == struct.pack("!HBB", 1, 24, 0) + b"\xc0\0\2"),
     edns={"options": subnet(1, 24, 0, b"\xc0\0\2")})),
    (M, "RFC 2181 9", "TC without EDNS beyond 512 bytes", Question("big.example.com", "TXT", truncated, up_to(512))),
    (M, "RFC 2181 9", "no TC when only additional records do not fit", Question("wide.example.com", "MX", whole,
     answer("MX", "10 wide1.example.com."), up_to(512))),
    (M, "RFC 2181 5", "an RRset is sent whole or not at all", truncated_is_empty),
    (M, "RFC 9715 3", "never more than 1232 bytes by UDP", Question("big.example.com", "TXT", truncated, up_to(1232),
     edns={"payload": 65535})),
    # TCP
    (M, "RFC 7766 5", "the whole answer by TCP", whole_by_tcp),
    (M, "RFC 7766 6.2.1.1", "many queries at once on a connection", pipelined),
    (M, "RFC 7766 8", "queries in any slices", sliced),
    (M, "RFC 7766 6.2.1", "one query after the other on a connection", idle_connection_goes_on),
    (M, "RFC 5936 5", "no transfer for strangers", axfr_is_refused),
    # should
    (S, "RFC 9471 2", "addresses of sibling name servers in a referral", Question("x.sibling.example.com", "A", not_authoritative,
     additional("A", "192.0.2.60"))),
    (S, "RFC 1035 3.3.9", "the addresses of a mail exchanger", Question("example.com", "MX", answer("MX", "10 mail.example.com."),
     additional("A", "192.0.2.25"), additional("AAAA", "2001:db8::25"))),
    (S, "RFC 2782", "the addresses of a service", Question("_sip._udp.example.com", "SRV",
     answer("SRV", "1 2 5060 mail.example.com."), additional("A", "192.0.2.25"))),
    (S, "RFC 1035 3.3.11", "the addresses of name servers", Question("example.com", "NS",
     additional("A", "192.0.2.1", "192.0.2.2"), additional("AAAA", "2001:db8::1"))),
    (S, "RFC 9460 4.1", "the addresses of an SVCB target", Question("svcb.example.com", "SVCB", additional("A", "192.0.2.25"),
     additional("AAAA", "2001:db8::25"))),
    (S, "RFC 9460 2.2", "a static SVCB record", Question("svcb.example.com", "SVCB",
     answer("SVCB", '1 mail.example.com. alpn="h2" port="8443"'))),
    (S, "RFC 9460 9", "a static HTTPS record", Question("https.example.com", "HTTPS",
     answer("HTTPS", '1 . alpn="h3,h2" ipv4hint="192.0.2.80"'))),
    (S, "RFC 5321 5.1", "the addresses of balanced mail exchangers", Question("in.example.com", "MX",
     additional("A", "127.0.0.5", "192.0.2.25"), edns={})),
    (S, "RFC 9460 4.1", "the addresses of balanced HTTPS targets", Question("www.example.com", "HTTPS",
     additional("A", "127.0.0.1", "127.0.0.2"), additional("AAAA", "2001:db8::1"), edns={})),
    (S, "RFC 8482 4.1", "ANY is answered by one RRset", Question("example.com", "ANY", rcode(NOERROR),
     expect("not one RRset", lambda reply: len(reply.message.answer) == 1))),
    (S, "RFC 8482 4.1", "ANY of nothing is NXDOMAIN", Question("nothing.example.com", "ANY", *nxdomain)),
    (S, "RFC 8482 4.1", "ANY at an alias gives the alias", Question("alias.example.com", "ANY",
     answer("CNAME", "mail.example.com."))),
    (S, "RFC 1034 6.2.1", "nothing that was not asked for comes along", Question("mail.example.com", "A", no_authority,
     expect("additional records", lambda reply: reply.counts[3] == 0))),
    (S, "RFC 1034 3.6.2", "an alias into another zone of the server is followed", Question("to-net.example.com", "A",
     answer("CNAME", "host.example.net."), answer("A", "192.0.2.72"))),
    (S, "RFC 1034 4.3.2", "an alias into a delegation ends with the referral", Question("to-cut.example.com", "A", authoritative,
     answer("CNAME", "host.sub.example.com."), section("authority", "NS", *SUB_NS))),
    (S, "RFC 1035 4.1.4", "names are compressed", names_are_compressed),
    (S, "RFC 1035 3.7.1", "class HS is refused", Question("example.com", "SOA", rcode(REFUSED), rdclass=HS)),
    (S, "RFC 7873 5.2", "a cookie is given and taken back", cookie_is_given),
    (S, "RFC 7873 5.2.2", "a malformed cookie is FORMERR", Question("mail.example.com", "A", rcode(FORMERR),
     edns={"options": option(COOKIE, b"1234567")})),
    (S, "RFC 5001 2.2", "NSID when asked for", Question("mail.example.com", "A",
     expect("no NSID", lambda reply: reply.options().get(NSID) == b"lb1.example.net"), edns={"options": option(NSID)})),
    (S, "RFC 5001 2.1", "and not otherwise", Question("mail.example.com", "A",
     expect("NSID", lambda reply: NSID not in reply.options()), edns={})),
    (S, "RFC 8914 4.21", "an extended error tells why it was refused", Question("example.org", "A", rcode(REFUSED), extended(20),
     edns={})),
    (S, "RFC 7828 3.3.2", "keepalive by TCP", Question("mail.example.com", "A",
     expect("no keepalive", lambda reply: reply.options().get(KEEPALIVE) == struct.pack("!H", 100)), tcp=True,
     edns={"options": option(KEEPALIVE)})),
    (S, "RFC 7828 3.2.1", "but not by UDP", Question("mail.example.com", "A",
     expect("keepalive", lambda reply: KEEPALIVE not in reply.options()), edns={"options": option(KEEPALIVE)})),
    (S, "RFC 1996 3.10", "a NOTIFY from a stranger is refused", Question("", "SOA",
     expect("rcode", lambda reply: reply.rcode in (REFUSED, NOTAUTH, NOTIMP)), wire=NOTIFY_PACKET)),
    (S, "RFC 6891 7", "refusals carry EDNS too", Question("example.org", "A", rcode(REFUSED), has_opt, edns={})),
    (S, "gslb", "the TTL of a balanced name lies in its bounds", no_leak_of_ttl),
    (S, "RFC 2308 5", "NODATA that members may end is not kept long", Question("four.example.com", "AAAA",
     expect("kept too long", lambda reply: reply.records("authority", "SOA")[0][1] <= 30))),
    # could
    (C, "RFC 4892 2", "version.bind in class CH", Question("version.bind", "TXT", answer("TXT", '"gslb"'), rdclass=CH)),
    (C, "RFC 4892 2", "id.server in class CH", Question("id.server", "TXT", answer("TXT", '"lb1.example.net"'), rdclass=CH)),
    (C, "RFC 4892 2", "hostname.bind in class CH", Question("hostname.bind", "TXT",
     answer("TXT", '"lb1.example.net"'), rdclass=CH)),
    (C, "RFC 4892 2", "other names in class CH are refused", Question("authors.bind", "TXT", rcode(REFUSED), rdclass=CH)),
    (C, "RFC 1035 3.2.5", "class ANY is answered from class IN", Question("mail.example.com", "A",
     answer("A", "192.0.2.25"), rdclass=255)),
    (C, "RFC 1876", "LOC", Question("loc.example.com", "LOC", rcode(NOERROR),
     expect("no LOC", lambda reply: len(reply.texts("answer", "LOC")) == 1))),
    (C, "RFC 3403", "NAPTR", Question("naptr.example.com", "NAPTR",
     answer("NAPTR", '10 20 "s" "SIP+D2U" "" _sip._udp.example.com.'))),
    (C, "RFC 7553", "URI", Question("uri.example.com", "URI", answer("URI", '10 1 "https://www.example.com/"'))),
    (C, "RFC 4255", "SSHFP", Question("sshfp.example.com", "SSHFP", answer("SSHFP", "4 2 " + "cd" * 32))),
    (C, "RFC 6698", "TLSA below a host", Question("_443._tcp.mail.example.com", "TLSA", answer("TLSA", "3 1 1 " + "ef" * 32))),
    (C, "RFC 8482 4.1", "ANY at a balanced name is one RRset", balanced_any),
    (C, "RFC 8914 4.19", "an extended error tells strangers of transfers why", Question("example.com", "AXFR", extended(18),
     edns={}, tcp=True)),
    (C, "RFC 7314 4", "EXPIRE is not given by a primary that has none asked", Question("mail.example.com", "A",
     expect("EXPIRE", lambda reply: 9 not in reply.options()), edns={"options": option(9)})),
]


class DnsBehaviour(Case):
    @classmethod
    def setUpClass(cls):
        zones = {"example.com": ZONE, "child.example.com": CHILD, "example.net": NET}
        cls.gslbd = cls.share(Gslbd(SERVICES, zones=zones))
        cls.place = (cls.gslbd.host, cls.gslbd.port)

    def test_every_must_and_should_holds(self):
        reached, all_of = dict.fromkeys((M, S, C), 0), dict.fromkeys((M, S, C), 0)
        for level, source, title, check in CHECKS:
            try:
                problem = check(self.place)
            except (OSError, dns.exception.DNSException, AttributeError, IndexError) as failure:
                problem = f"{type(failure).__name__}: {failure}"
            all_of[level] += 1
            reached[level] += problem is None
            if problem and level == C:
                tell(f"could: {title} ({source}): {problem}")
            elif level != C:
                with self.subTest(level=level, title=title, source=source):
                    self.assertIsNone(problem)
        tell(", ".join(f"{level} {reached[level]}/{all_of[level]}" for level in (M, S, C)))

    def test_the_table_is_complete(self):
        levels = [row[0] for row in CHECKS]
        self.assertGreaterEqual(levels.count(M), 61)
        self.assertGreaterEqual(levels.count(S), 25)
        self.assertGreaterEqual(levels.count(C), 11)
        self.assertEqual(len({(row[1], row[2]) for row in CHECKS}), len(CHECKS), "each row is named once")


if __name__ == "__main__":
    unittest.main()
