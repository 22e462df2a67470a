"""Outside judges: unbound resolves through a stub zone, and dig, kdig and dnspython agree."""
import re
import subprocess
import unittest

import dns.message
import dns.query
import dns.rcode

from tests.system.harness import NO_ANSWER, Case, Gslbd, addresses, data, end_process, eventually, free_port, has_v6

ZONE = """$TTL 300
$ORIGIN example.com.
@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 60
@ IN NS ns1
@ IN NS ns2
@ IN MX 10 mail
@ IN TXT "one" "two"
@ IN CAA 0 issue "ca.example.net"
ns1 IN A 192.0.2.1
ns2 IN AAAA 2001:db8::2
mail IN A 192.0.2.25
alias IN CNAME mail
to-service IN CNAME www
*.wild IN A 192.0.2.90
*.wild IN TXT "any"
leaf.empty IN TXT "leaf"
old IN DNAME new
host.new IN A 192.0.2.44
_sip._udp IN SRV 1 2 5060 mail
www IN TXT "beside"
""" + "".join(f'big IN TXT "{"x" * 100} {i}"\n' for i in range(40))

STATIC = [
    ("example.com", "SOA"), ("example.com", "NS"), ("example.com", "MX"), ("example.com", "TXT"), ("example.com", "CAA"),
    ("ns1.example.com", "A"), ("ns2.example.com", "AAAA"), ("mail.example.com", "A"), ("alias.example.com", "A"),
    ("alias.example.com", "CNAME"), ("any.wild.example.com", "A"), ("a.b.wild.example.com", "TXT"), ("leaf.empty.example.com", "TXT"),
    ("_sip._udp.example.com", "SRV"), ("www.example.com", "TXT"), ("big.example.com", "TXT"),
]
BALANCED = {  # all members are given, so that the answers can be compared
    ("www.example.com", "A"): ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
    ("www.example.com", "AAAA"): ["2001:db8::1"],
    ("to-service.example.com", "A"): ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
    ("api.example.com", "A"): ["127.0.0.21", "127.0.0.22"],
    ("a1.api.example.com", "A"): ["127.0.0.21"],
    ("a2.api.example.com", "A"): ["127.0.0.22"],
}
NEGATIVE = [("nothing.example.com", "A", "NXDOMAIN"), ("mail.example.com", "AAAA", "NOERROR"), ("empty.example.com", "A", "NOERROR"),
            ("www.example.com", "MX", "NOERROR"), ("x.www.example.com", "A", "NXDOMAIN")]
SERVICES = {"services": [
    {"name": "www.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all", "members": [
        {"name": "m1", "addresses": ["127.0.0.1", "2001:db8::1"]}, {"name": "m2", "addresses": ["127.0.0.2"]},
        {"name": "m3", "addresses": ["127.0.0.3"]}]},
    {"name": "api.example.com", "ttl": {"max": "60s", "min": "5s"}, "method": "all", "srv": "_https._tcp", "members": [
        {"name": "a1", "addresses": ["127.0.0.21"], "srv_port": 8443}, {"name": "a2", "addresses": ["127.0.0.22"], "srv_port": 8443}]},
    {"name": "draw.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "weighted", "answers": 1, "members": [
        {"name": "m1", "addresses": ["127.0.0.31"]}, {"name": "m2", "addresses": ["127.0.0.32"]}]},
]}


class Resolvers(Case):
    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Gslbd(SERVICES, zone=ZONE, v6=True))
        cls.start_unbound()

    @classmethod
    def start_unbound(cls):
        cls.host = addresses.take()
        cls.port = free_port(cls.host)
        path = cls.gslbd.directory / "unbound.conf"
        path.write_text(f"""
server:
  interface: {cls.host}
  port: {cls.port}
  access-control: 127.0.0.0/8 allow
  chroot: ""
  username: ""
  directory: "{cls.gslbd.directory}"
  pidfile: ""
  use-syslog: no
  logfile: "unbound.log"
  num-threads: 1
  do-daemonize: no
  do-ip6: no
  do-not-query-localhost: no
  module-config: "iterator"
  target-fetch-policy: "0 0 0 0 0"
  qname-minimisation-strict: yes
  harden-large-queries: yes
  use-caps-for-id: yes
  minimal-responses: no
stub-zone:
  name: "example.com"
  stub-addr: {cls.gslbd.host}@{cls.gslbd.port}
""")
        cls.unbound = subprocess.Popen(["unbound", "-d", "-c", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(end_process, cls.unbound)

        def is_up():
            if cls.unbound.poll() is not None:
                raise AssertionError(f"unbound ended with {cls.unbound.returncode}")
            try:
                return cls.resolve("example.com", "SOA", timeout=0.5)
            except NO_ANSWER:
                return None
        eventually(is_up, 20, "unbound answers")

    @classmethod
    def resolve(cls, name, rdtype, timeout=5.0):
        query = dns.message.make_query(name, rdtype, use_edns=0, payload=1232)
        return dns.query.udp_with_fallback(query, cls.host, timeout=timeout, port=cls.port)[0]

    def run_tool(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def ask_tool(self, tool, name, rdtype, *options, v6=False):
        """(rcode, sorted data of the answer's records of that type) as dig or kdig prints them."""
        words = ["+noall", "+answer", *(["+header", "+retry=1"] if tool == "kdig" else ["+comments", "+tries=2"]), *options]
        text = self.run_tool(tool, f"@{self.gslbd.address(v6)}", "-p", str(self.gslbd.port), name, rdtype, *words)
        self.assertNotIn("WARNING", text.replace(";; WARNING: recursion requested but not available", ""))
        rows = [line.split(None, 4) for line in text.splitlines() if line and not line.startswith(";")]
        rcode = re.search(r"status: (\w+)", text)[1]
        return rcode, sorted(row[4].strip() for row in rows if row[3] == rdtype)

    def ask_python(self, name, rdtype, **options):
        reply = self.gslbd.ask(name, rdtype, edns=0, **options)
        if reply.flags & dns.flags.TC:
            reply = self.gslbd.ask(name, rdtype, tcp=True)
        return dns.rcode.to_text(reply.rcode()), data(reply.answer, rdtype)

    def test_unbound_resolves_static_names(self):
        for name, rdtype in STATIC:
            with self.subTest(name=name, rdtype=rdtype):
                reply = self.resolve(name, rdtype)
                self.assertEqual(reply.rcode(), dns.rcode.NOERROR)
                self.assertEqual(data(reply.answer, rdtype), self.ask_python(name, rdtype)[1])
                self.assertTrue(data(reply.answer, rdtype))

    def test_unbound_resolves_balanced_names(self):
        for (name, rdtype), wanted in BALANCED.items():
            with self.subTest(name=name, rdtype=rdtype):
                self.assertEqual(data(self.resolve(name, rdtype).answer, rdtype), wanted)
        self.assertIn(data(self.resolve("draw.example.com", "A").answer, "A"), (["127.0.0.31"], ["127.0.0.32"]))
        targets = [item.target.to_text() for rrset in self.resolve("_https._tcp.api.example.com", "SRV").answer for item in rrset]
        self.assertEqual(sorted(targets), ["a1.api.example.com.", "a2.api.example.com."])

    def test_unbound_follows_dname(self):
        reply = self.resolve("host.old.example.com", "A")
        self.assertEqual((reply.rcode(), data(reply.answer, "A")), (dns.rcode.NOERROR, ["192.0.2.44"]))

    def test_unbound_takes_negative_answers(self):
        for name, rdtype, rcode in NEGATIVE:
            with self.subTest(name=name, rdtype=rdtype):
                reply = self.resolve(name, rdtype)
                self.assertEqual(dns.rcode.to_text(reply.rcode()), rcode)
                self.assertEqual(reply.answer, [])
                self.assertEqual(len(data(reply.authority, "SOA")), 1)

    def test_unbound_keeps_an_answer_for_its_ttl(self):
        reply = self.resolve("www.example.com", "A")
        self.assertLessEqual(reply.answer[0].ttl, 30)

    def test_tools_agree(self):
        questions = STATIC + list(BALANCED) + [(name, rdtype) for name, rdtype, _ in NEGATIVE] \
            + [("_https._tcp.api.example.com", "SRV")]
        for name, rdtype in questions:
            with self.subTest(name=name, rdtype=rdtype):
                wanted = self.ask_python(name, rdtype)
                for tool in ("dig", "kdig"):
                    self.assertEqual(self.ask_tool(tool, name, rdtype), wanted, tool)
        for (name, rdtype), wanted in BALANCED.items():
            self.assertEqual(self.ask_python(name, rdtype), ("NOERROR", wanted))

    def test_tools_agree_over_tcp_and_v6(self):
        for v6 in (False, True) if has_v6() else (False,):
            for options in ((), ("+tcp",)):
                for tool in ("dig", "kdig"):
                    with self.subTest(v6=v6, options=options, tool=tool):
                        got = self.ask_tool(tool, "www.example.com", "A", *options, v6=v6)
                        self.assertEqual(got, ("NOERROR", BALANCED["www.example.com", "A"]))

    def test_dig_traces_no_complaint_about_edns(self):
        for options in (("+edns=0",), ("+noedns",), ("+edns=0", "+ednsopt=65001:abcd"), ("+dnssec",), ("+cookie",), ("+nsid",)):
            with self.subTest(options=options):
                self.assertEqual(self.ask_tool("dig", "mail.example.com", "A", *options), ("NOERROR", ["192.0.2.25"]))


if __name__ == "__main__":
    unittest.main()
