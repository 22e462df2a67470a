"""Four resolvers find sixteen kinds of names each. They begin at a root server of the test's own (also gslbd), so they
follow two delegations, with qname minimisation, and with letters in random case (0x20) where they can. All stands on port 53 in a network
of its own; where that is not allowed, they ask gslbd at its port directly."""
import unittest

import dns.flags
import dns.rcode

from tests.system import namespace
from tests.system.account import tell
from tests.system.harness import NO_ANSWER, Case, Gslbd, data
from tests.system.peers import BindResolver, KnotResolver, PowerDnsRecursor, Unbound

ROOT = """$TTL 3600
. IN SOA ns0.root-servers.example. hostmaster.example. 1 3600 600 86400 60
. IN NS ns0.root-servers.example.
ns0.root-servers.example. IN A {root}
example.com. IN NS ns1.example.com.
ns1.example.com. IN A {host}
"""
CHILD = """$TTL 300
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A {root}
host IN A 192.0.2.130
"""
ZONE = """$TTL 300
$ORIGIN example.com.
@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 60
@ IN NS ns1
@ IN MX 10 mail
ns1 IN A {host}
mail IN A 192.0.2.25
mail IN AAAA 2001:db8::25
text IN TXT "one" "two"
alias IN CNAME second
second IN CNAME mail
*.wild IN A 192.0.2.90
leaf.empty.deep IN TXT "leaf"
old IN DNAME new
host.new IN A 192.0.2.44
www IN TXT "beside"
child IN NS ns.child
ns.child IN A {root}
""" + "".join(f'big IN TXT "{"x" * 100} {i:02}"\n' for i in range(40))
SERVICES = {"services": [
    {"name": "www.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all", "srv": "_https._tcp",
     "https": {"alpn": ["h2"], "port": 8443}, "members": [
         {"name": "m1", "addresses": ["127.0.0.1", "2001:db8::1"], "srv_port": 8443},
         {"name": "m2", "addresses": ["127.0.0.2"], "srv_port": 8443}]},
    {"name": "*.any.example.com", "method": "all", "members": [{"name": "m1", "addresses": ["127.0.0.3"]}]},
    {"name": "cdn.example.com", "answer": "cname", "members": [
        {"name": "m1", "addresses": ["127.0.0.4"], "target": "mail.example.com"}]},
]}
# name, type, rcode, data in the answer (None: any number, at least one)
KINDS = (
    ("example.com", "SOA", "NOERROR", None),
    ("mail.example.com", "AAAA", "NOERROR", ["2001:db8::25"]),
    ("example.com", "MX", "NOERROR", ["10 mail.example.com."]),
    ("text.example.com", "TXT", "NOERROR", ['"one" "two"']),
    ("alias.example.com", "A", "NOERROR", ["192.0.2.25"]),
    ("some.wild.example.com", "A", "NOERROR", ["192.0.2.90"]),
    ("host.old.example.com", "A", "NOERROR", ["192.0.2.44"]),
    ("leaf.empty.deep.example.com", "TXT", "NOERROR", ['"leaf"']),
    ("big.example.com", "TXT", "NOERROR", [f'"{"x" * 100} {i:02}"' for i in range(40)]),
    ("host.child.example.com", "A", "NOERROR", ["192.0.2.130"]),
    ("nothing.example.com", "A", "NXDOMAIN", []),
    ("www.example.com", "MX", "NOERROR", []),
    ("www.example.com", "A", "NOERROR", ["127.0.0.1", "127.0.0.2"]),
    ("_https._tcp.www.example.com", "SRV", "NOERROR", None),
    ("a.b.any.example.com", "A", "NOERROR", ["127.0.0.3"]),
    ("cdn.example.com", "A", "NOERROR", ["192.0.2.25"]),
)
HTTPS = {'1 m1.www.example.com. alpn="h2" port="8443" ipv4hint="127.0.0.1" ipv6hint="2001:db8::1"',
         '1 m2.www.example.com. alpn="h2" port="8443" ipv4hint="127.0.0.2"'}


class ManyResolvers(Case):
    @classmethod
    def setUpClass(cls):
        before = namespace.enter()
        cls.is_apart = before is not None
        if cls.is_apart:
            cls.addClassCleanup(namespace.leave, before)
        cls.gslbd, root = Gslbd(), None
        if cls.is_apart:
            root = cls.root = Gslbd()
            for daemon in (cls.gslbd, root):
                daemon.port = 53
        places = {"host": cls.gslbd.host, "root": root.host if root else cls.gslbd.host}
        cls.gslbd.extra = SERVICES
        zones = {"example.com": ZONE}
        if cls.is_apart:
            root.zones = {".": ROOT, "child.example.com": CHILD}
        else:
            zones["child.example.com"] = CHILD
        for daemon, texts in ((cls.gslbd, zones), *(((root, root.zones),) if root else ())):
            daemon.zones = {name: text.format(**places) for name, text in texts.items()}
            for name, text in daemon.zones.items():
                daemon.write_zone(name, text)
            daemon.write_config()
            cls.share(daemon)
        options = {"roots": [root.host]} if cls.is_apart else {"stub": (cls.gslbd.host, cls.gslbd.port)}
        cls.resolvers = {}
        for kind in (Unbound, BindResolver, KnotResolver, PowerDnsRecursor):
            port = None if cls.is_apart or kind is not BindResolver else cls.gslbd.port
            resolver = kind(**options, port=port)
            cls.addClassCleanup(resolver.end)
            cls.resolvers[kind.__name__] = resolver
            resolver.start()

    def resolve(self, resolver, name, rdtype):
        reply = resolver.ask(name, rdtype, timeout=10, use_edns=0, payload=1232)
        if reply.flags & dns.flags.TC:
            reply = resolver.ask(name, rdtype, timeout=10, tcp=True)
        return reply

    def judge(self, resolver, name, rdtype, rcode, wanted):
        """None when all is well, else what is not."""
        try:
            reply = self.resolve(resolver, name, rdtype)
        except NO_ANSWER as problem:
            return f"no answer: {problem}"
        got = data(reply.answer, rdtype)
        if dns.rcode.to_text(reply.rcode()) != rcode:
            return dns.rcode.to_text(reply.rcode())
        if wanted is None and got or got == wanted:
            return None
        return f"answers {got}"

    def test_sixteen_kinds_of_names(self):
        found = 0
        for word, resolver in self.resolvers.items():
            for name, rdtype, rcode, wanted in KINDS:
                with self.subTest(resolver=word, name=name, rdtype=rdtype):
                    problem = self.judge(resolver, name, rdtype, rcode, wanted)
                    found += problem is None
                    self.assertIsNone(problem)
        tell(f"{found} of {len(KINDS) * len(self.resolvers)} resolved", "from the root" if self.is_apart else "by stub")
        self.assertEqual(len(KINDS) * len(self.resolvers), 64)

    def test_https_records_arrive(self):
        for word, resolver in self.resolvers.items():
            with self.subTest(resolver=word):
                reply = self.resolve(resolver, "www.example.com", "HTTPS")
                self.assertEqual(set(data(reply.answer, "HTTPS")), HTTPS)

    def test_negative_answers_carry_the_soa(self):
        for word, resolver in self.resolvers.items():
            for name, rdtype in (("absent.example.com", "A"), ("www.example.com", "CAA"), ("empty.deep.example.com", "A")):
                with self.subTest(resolver=word, name=name):
                    reply = self.resolve(resolver, name, rdtype)
                    self.assertEqual(len(data(reply.authority, "SOA")), 1)


if __name__ == "__main__":
    unittest.main()
