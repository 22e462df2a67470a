"""Point 5: what stands in master files is answered as RFC 1034 and 1035 say."""
import dns.flags
import dns.rcode
import dns.rdatatype

from tests.system.harness import Case, Gslbd, data

ZONE = """$TTL 300
$ORIGIN example.com.
@ IN SOA ns1 hostmaster (
    2026112101 ; serial
    3600 600
    86400 60 ) ; in parentheses
@ IN NS ns1
  IN NS ns2
  IN MX 10 mail
@ IN TXT "one" "two ; no comment"
  3600 IN CAA 0 issue "ca.example.net"
ns1 IN A 192.0.2.1
    IN AAAA 2001:db8::1
ns2 IN A 192.0.2.2
mail IN A 192.0.2.25
short 5 IN A 192.0.2.5
UPPER IN A 192.0.2.6
alias IN CNAME mail
chain IN CNAME alias
outside IN CNAME www.example.net.
dangling IN CNAME nothing
looped IN CNAME looped2
looped2 IN CNAME looped
to-service IN CNAME www
deep.empty.tree IN TXT "leaf"
*.wild IN A 192.0.2.90
*.wild IN TXT "any"
fixed.wild IN A 192.0.2.91
below.under.wild IN A 192.0.2.92
*.alias-wild IN CNAME mail
sub IN NS ns.sub
sub IN NS ns.elsewhere.example.net.
ns.sub IN A 192.0.2.60
hidden.sub IN A 192.0.2.61
_sip._tcp IN SRV 1 2 5060 mail
unknown IN TYPE65400 \\# 4 0A000001
odd\\.dot IN A 192.0.2.70
www IN TXT "beside a service"
$ORIGIN other.example.com.
inner IN A 192.0.2.71
$ORIGIN example.com.
$INCLUDE included.zone
$INCLUDE included.zone moved.example.com.
after IN A 192.0.2.72
"""
INCLUDED = "from-include IN A 192.0.2.73\n"
PLAIN = "$TTL 60\n@ IN SOA ns.example.com. h.example.com. 1 2 3 4 5\n@ IN NS ns1.example.com.\n@ IN A 192.0.2.99\n"
SERVICES = {
    "services": [
        {"name": "www.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all", "members": [
            {"name": "one", "addresses": ["127.0.0.1"]}, {"name": "two", "addresses": ["127.0.0.2"]}]},
        {"name": "deep.in.tree.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all",
         "members": [{"name": "one", "addresses": ["127.0.0.1"]}]},
    ]
}


class Zones(Case):
    @classmethod
    def setUpClass(cls):
        daemon = Gslbd(SERVICES, zones={"example.com": ZONE, "example.org": PLAIN, "child.example.org": PLAIN})
        (daemon.directory / "included.zone").write_text(INCLUDED)
        cls.gslbd = cls.share(daemon)

    def ask(self, name, rdtype="A", **options):
        return self.gslbd.ask(name, rdtype, **options)

    def check(self, name, rdtype, *expected):
        reply = self.ask(name, rdtype)
        self.assertEqual(reply.rcode(), dns.rcode.NOERROR)
        self.assertEqual(data(reply.answer, rdtype), sorted(expected))
        self.assertTrue(reply.flags & dns.flags.AA)
        return reply

    def check_negative(self, name, rdtype, rcode, soa="example.com."):
        reply = self.ask(name, rdtype)
        self.assertEqual(reply.rcode(), rcode)
        self.assertEqual(reply.answer, [])
        self.assertEqual([(str(rrset.name), rrset.rdtype) for rrset in reply.authority], [(soa, dns.rdatatype.SOA)])
        self.assertTrue(reply.flags & dns.flags.AA)
        return reply

    def check_nodata(self, name, rdtype, **options):
        return self.check_negative(name, rdtype, dns.rcode.NOERROR, **options)

    def check_nxdomain(self, name, rdtype="A", **options):
        return self.check_negative(name, rdtype, dns.rcode.NXDOMAIN, **options)

    def test_soa(self):
        self.check("example.com", "SOA", "ns1.example.com. hostmaster.example.com. 2026112101 3600 600 86400 60")

    def test_ns_comes_with_addresses(self):
        reply = self.check("example.com", "NS", "ns1.example.com.", "ns2.example.com.")
        self.assertEqual(data(reply.additional, "A"), ["192.0.2.1", "192.0.2.2"])
        self.assertEqual(data(reply.additional, "AAAA"), ["2001:db8::1"])

    def test_mx_comes_with_address(self):
        reply = self.check("example.com", "MX", "10 mail.example.com.")
        self.assertEqual(data(reply.additional, "A"), ["192.0.2.25"])

    def test_srv_of_the_zone(self):
        self.check("_sip._tcp.example.com", "SRV", "1 2 5060 mail.example.com.")

    def test_txt_keeps_its_strings(self):
        self.check("example.com", "TXT", '"one" "two ; no comment"')

    def test_ttl_of_the_record(self):
        self.assertEqual(self.ask("short.example.com").answer[0].ttl, 5)
        self.assertEqual(self.ask("example.com", "CAA").answer[0].ttl, 3600)
        self.assertEqual(self.ask("mail.example.com").answer[0].ttl, 300)

    def test_unknown_type(self):
        self.check("unknown.example.com", "TYPE65400", "\\# 4 0a000001")

    def test_escaped_dot_in_a_label(self):
        self.check("odd\\.dot.example.com", "A", "192.0.2.70")
        self.check_nxdomain("odd.dot.example.com")

    def test_case_does_not_matter_and_is_kept(self):
        self.check("upper.EXAMPLE.com", "A", "192.0.2.6")
        reply = self.ask("MaIl.ExAmPlE.cOm")
        self.assertEqual(str(reply.question[0].name), "MaIl.ExAmPlE.cOm.")
        self.assertEqual(str(reply.answer[0].name).lower(), "mail.example.com.")

    def test_origin_and_include(self):
        self.check("inner.other.example.com", "A", "192.0.2.71")
        self.check("from-include.example.com", "A", "192.0.2.73")
        self.check("from-include.moved.example.com", "A", "192.0.2.73")
        self.check("after.example.com", "A", "192.0.2.72")

    def test_nxdomain(self):
        reply = self.check_nxdomain("nothing.example.com")
        self.assertEqual(reply.authority[0].ttl, 60)

    def test_nodata(self):
        reply = self.check_nodata("mail.example.com", "AAAA")
        self.assertEqual(reply.authority[0].ttl, 60)

    def test_empty_non_terminal(self):
        self.check_nodata("empty.tree.example.com", "A")
        self.check_nodata("tree.example.com", "TXT")
        self.check("deep.empty.tree.example.com", "TXT", '"leaf"')
        self.check_nxdomain("other.empty.tree.example.com")

    def test_empty_non_terminal_above_a_service(self):
        self.check_nodata("in.tree.example.com", "A")
        self.check("deep.in.tree.example.com", "A", "127.0.0.1")

    def test_cname(self):
        reply = self.ask("alias.example.com")
        self.assertEqual(data(reply.answer, "CNAME"), ["mail.example.com."])
        self.assertEqual(data(reply.answer, "A"), ["192.0.2.25"])

    def test_cname_asked_for_itself(self):
        reply = self.ask("alias.example.com", "CNAME")
        self.assertEqual(data(reply.answer, "CNAME"), ["mail.example.com."])
        self.assertEqual(data(reply.answer, "A"), [])

    def test_chain_of_cnames(self):
        reply = self.ask("chain.example.com")
        self.assertEqual([str(rrset.name) for rrset in reply.answer],
                         ["chain.example.com.", "alias.example.com.", "mail.example.com."])

    def test_cname_to_the_outside(self):
        reply = self.ask("outside.example.com")
        self.assertEqual(reply.rcode(), dns.rcode.NOERROR)
        self.assertEqual(data(reply.answer, "CNAME"), ["www.example.net."])

    def test_cname_to_nothing_is_nxdomain(self):
        reply = self.ask("dangling.example.com")
        self.assertEqual(reply.rcode(), dns.rcode.NXDOMAIN)
        self.assertEqual(data(reply.answer, "CNAME"), ["nothing.example.com."])
        self.assertEqual(len(data(reply.authority, "SOA")), 1)

    def test_cname_without_the_type_is_nodata(self):
        reply = self.ask("alias.example.com", "AAAA")
        self.assertEqual(reply.rcode(), dns.rcode.NOERROR)
        self.assertEqual(data(reply.answer, "CNAME"), ["mail.example.com."])
        self.assertEqual(len(data(reply.authority, "SOA")), 1)

    def test_loop_of_cnames_ends(self):
        reply = self.ask("looped.example.com")
        self.assertIn("looped2.example.com.", data(reply.answer, "CNAME"))
        self.assertLess(sum(len(rrset) for rrset in reply.answer), 20)

    def test_cname_to_a_service(self):
        reply = self.ask("to-service.example.com")
        self.assertEqual(data(reply.answer, "A"), ["127.0.0.1", "127.0.0.2"])

    def test_wildcard(self):
        reply = self.check("anything.wild.example.com", "A", "192.0.2.90")
        self.assertEqual(str(reply.answer[0].name), "anything.wild.example.com.")
        self.check("more.than.one.wild.example.com", "TXT", '"any"')
        self.check("*.wild.example.com", "A", "192.0.2.90")

    def test_wildcard_without_the_type_is_nodata(self):
        self.check_nodata("anything.wild.example.com", "AAAA")

    def test_wildcard_gives_way_to_what_exists(self):
        self.check("fixed.wild.example.com", "A", "192.0.2.91")
        self.check_nodata("fixed.wild.example.com", "TXT")
        self.check_nxdomain("x.fixed.wild.example.com")
        # an empty non-terminal blocks the wildcard (RFC 4592 section 2.2.2)
        self.check_nodata("under.wild.example.com", "A")
        self.check_nxdomain("x.under.wild.example.com")
        self.check_nodata("wild.example.com", "A")

    def test_wildcard_cname(self):
        reply = self.ask("x.alias-wild.example.com")
        self.assertEqual(str(reply.answer[0].name), "x.alias-wild.example.com.")
        self.assertEqual(data(reply.answer, "A"), ["192.0.2.25"])

    def check_delegation(self, name, rdtype="A"):
        reply = self.ask(name, rdtype)
        self.assertEqual(reply.rcode(), dns.rcode.NOERROR)
        self.assertEqual(reply.answer, [])
        self.assertFalse(reply.flags & dns.flags.AA)
        self.assertEqual(data(reply.authority, "NS"), ["ns.elsewhere.example.net.", "ns.sub.example.com."])
        self.assertEqual(str(reply.authority[0].name), "sub.example.com.")
        self.assertEqual(data(reply.additional, "A"), ["192.0.2.60"])

    def test_delegation_with_glue(self):
        self.check_delegation("sub.example.com", "NS")
        self.check_delegation("sub.example.com", "A")
        self.check_delegation("host.sub.example.com")
        self.check_delegation("a.b.c.sub.example.com", "TXT")

    def test_glue_and_what_is_hidden_below_a_cut_are_no_answers(self):
        self.check_delegation("ns.sub.example.com")
        self.check_delegation("hidden.sub.example.com")

    def test_ds_at_a_cut_is_answered_from_the_parent(self):
        self.check_nodata("sub.example.com", "DS")

    def test_service_beside_static_records(self):
        self.check("www.example.com", "A", "127.0.0.1", "127.0.0.2")
        self.check("www.example.com", "TXT", '"beside a service"')
        self.check_nodata("www.example.com", "MX")
        self.check_nodata("www.example.com", "AAAA")

    def test_name_below_a_service_does_not_exist(self):
        self.check_nxdomain("x.www.example.com")

    def test_two_zones_and_a_zone_in_a_zone(self):
        self.check("example.org", "A", "192.0.2.99")
        self.check("child.example.org", "A", "192.0.2.99")
        self.check_nxdomain("x.child.example.org", soa="child.example.org.")
        self.check_nxdomain("x.example.org", soa="example.org.")

    def test_name_outside_of_every_zone_is_refused(self):
        for name in ("example.net", "com", ".", "notexample.com", "www.example.com.example.net"):
            reply = self.ask(name)
            self.assertEqual(reply.rcode(), dns.rcode.REFUSED, name)
            self.assertEqual((reply.answer, reply.authority), ([], []))
            self.assertFalse(reply.flags & dns.flags.AA)

    def test_longest_names(self):
        label = "a" * 63
        name = ".".join([label, label, label, "b" * (255 - 2 - 3 * 64 - len("example.com") - 2)]) + ".example.com"
        self.check_nxdomain(name)
        self.check(f"{label}.wild.example.com", "A", "192.0.2.90")


class BrokenZones(Case):
    """What is wrong in a zone is told with file and line, and gslbd does not start with it."""

    def refuse(self, text, *words):
        daemon = self.prepare(zone=ZONE.split("$INCLUDE")[0] + text)
        daemon.failure_expected = True
        daemon.start(ready=False)
        self.assertNotEqual(daemon.process.wait(20), 0)
        for word in words:
            self.assertIn(word, daemon.log())

    def line(self, offset):
        return ZONE.split("$INCLUDE")[0].count("\n") + offset

    def test_broken_record(self):
        self.refuse("fine IN A 192.0.2.1\nbroken IN A 1.2.3\n", f"example.com.zone:{self.line(2)}")

    def test_cname_beside_other_data(self):
        self.refuse("mail IN CNAME ns1\n", "example.com.zone", "mail.example.com")

    def test_name_outside_of_the_zone(self):
        self.refuse("www.example.net. IN A 192.0.2.1\n", f"example.com.zone:{self.line(1)}")

    def test_include_that_is_not_there(self):
        self.refuse("$INCLUDE missing.zone\n", "missing.zone")

    def test_error_in_an_included_file_is_told_there(self):
        daemon = self.prepare(zone=ZONE)
        daemon.failure_expected = True
        (daemon.directory / "included.zone").write_text("fine IN A 192.0.2.1\nbroken IN A x\n")
        daemon.start(ready=False)
        self.assertNotEqual(daemon.process.wait(20), 0)
        self.assertIn("included.zone:2", daemon.log())

    def test_zone_without_soa(self):
        daemon = self.prepare(zone="$TTL 60\n@ IN NS ns1.example.net.\n")
        daemon.failure_expected = True
        daemon.start(ready=False)
        self.assertNotEqual(daemon.process.wait(20), 0)
        self.assertIn("SOA", daemon.log())
