"""Balanced answers of other types than addresses: HTTPS with port and hints, CNAME, MX; and the types that a balanced name
does not have."""
import collections
import time
import unittest

import dns.rcode

from tests.system.harness import Case, Gslbd, data

ZONE = """$TTL 300
$ORIGIN example.com.
@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 60
@ IN NS ns1
ns1 IN A 192.0.2.1
static IN A 192.0.2.80
static IN AAAA 2001:db8::80
web IN TXT "beside"
web IN SVCB 1 static port=9999
mx IN A 192.0.2.99
"""


def members(*rows):
    return [{"name": f"m{i}", "addresses": addresses, **more} for i, (addresses, more) in enumerate(rows, 1)]


TTL = {"ttl": {"max": "30s", "min": "5s"}}
TWO = members((["127.0.0.1", "2001:db8::1"], {}), (["127.0.0.2", "127.0.0.22"], {}))
SERVICES = {"services": [
    {"name": "web.example.com", **TTL, "method": "all", "https": {"alpn": ["h2", "http/1.1"], "port": 8443}, "members": TWO},
    {"name": "bare.example.com", **TTL, "method": "all", "https": {}, "members": TWO},
    {"name": "h3.example.com", **TTL, "method": "weighted", "https": {"alpn": ["h3"]}, "members": TWO},
    {"name": "cdn.example.com", **TTL, "answer": "cname", "members": members(
        (["127.0.0.3"], {"target": "static.example.com", "weight": 3}), (["127.0.0.4"], {"target": "edge.example.net", "weight": 1}))},
    {"name": "inner.example.com", **TTL, "answer": "cname", "members": members((["127.0.0.3"], {"target": "web.example.com"}))},
    {"name": "self.example.com", **TTL, "answer": "cname", "members": members((["127.0.0.3"], {"target": "back.example.com"}))},
    {"name": "back.example.com", **TTL, "answer": "cname", "members": members((["127.0.0.3"], {"target": "self.example.com"}))},
    {"name": "*.many.example.com", **TTL, "answer": "cname", "members": members((["127.0.0.3"], {"target": "static.example.com"}))},
    {"name": "mx.example.com", **TTL, "method": "all", "answer": "mx", "srv_priority": 10, "members": members(
        (["127.0.0.5", "2001:db8::5"], {}), (["127.0.0.6"], {"target": "static.example.com"}), (["127.0.0.7"], {"target": "mail.example.net"}))},
    {"name": "ranked.example.com", **TTL, "method": "first", "answers": 3, "answer": "mx", "srv_priority": 5, "members": members(
        (["127.0.0.8"], {}), (["127.0.0.9"], {}), (["127.0.0.10"], {}))},
]}
FIRST = 'm1.{0}.example.com.{1} ipv4hint="127.0.0.1" ipv6hint="2001:db8::1"'
SECOND = 'm2.{0}.example.com.{1} ipv4hint="127.0.0.2,127.0.0.22"'


class BalancedTypes(Case):
    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Gslbd(SERVICES, zone=ZONE))

    def ask(self, name, rdtype, **options):
        return self.gslbd.ask(f"{name}.example.com", rdtype, edns=0, payload=1232, **options)

    def check_nodata(self, name, rdtype):
        reply = self.ask(name, rdtype)
        self.assertEqual((reply.rcode(), reply.answer), (dns.rcode.NOERROR, []), f"{name} {rdtype}")
        self.assertEqual(len(data(reply.authority, "SOA")), 1)

    def until(self, condition):
        end = time.monotonic() + 5
        while not condition() and time.monotonic() < end:
            time.sleep(0.02)
        self.assertTrue(condition())

    def while_down(self, service, member, condition):
        self.gslbd.set_member(f"{service}.example.com", member, "down")
        try:
            self.until(condition)
        finally:
            self.gslbd.clear_member(f"{service}.example.com", member)
        self.until(lambda: not condition())

    def test_https_has_protocols_port_and_hints(self):
        parameters = ' alpn="h2,http/1.1" port="8443"'
        reply = self.ask("web", "HTTPS")
        self.assertEqual(data(reply.answer, "HTTPS"), ["1 " + FIRST.format("web", parameters), "1 " + SECOND.format("web", parameters)])
        self.assertEqual(data(reply.additional, "A"), ["127.0.0.1", "127.0.0.2", "127.0.0.22"])
        self.assertEqual(data(reply.additional, "AAAA"), ["2001:db8::1"])
        self.assertTrue(5 <= reply.answer[0].ttl <= 30)

    def test_https_without_parameters_has_hints_alone(self):
        self.assertEqual(self.gslbd.answers("bare.example.com", "HTTPS"), ["1 " + FIRST.format("bare", ""), "1 " + SECOND.format("bare", "")])

    def test_https_names_the_members_drawn(self):
        counted = collections.Counter(tuple(self.gslbd.answers("h3.example.com", "HTTPS")) for _ in range(200))
        self.assertEqual(set(counted), {("1 " + FIRST.format("h3", ' alpn="h3"'),), ("1 " + SECOND.format("h3", ' alpn="h3"'),)})

    def test_https_leaves_out_who_is_down(self):
        self.while_down("web", "m1", lambda: len(self.gslbd.answers("web.example.com", "HTTPS")) == 1)

    def test_targets_of_https_resolve(self):
        self.assertEqual(self.gslbd.answers("m2.web.example.com"), ["127.0.0.2", "127.0.0.22"])
        self.assertEqual(self.gslbd.answers("m1.web.example.com", "AAAA"), ["2001:db8::1"])

    def test_static_svcb_and_text_beside_a_balanced_name(self):
        self.assertEqual(self.gslbd.answers("web.example.com", "TXT"), ['"beside"'])
        self.assertEqual(self.gslbd.answers("web.example.com", "SVCB"), ['1 static.example.com. port="9999"'])

    def test_what_a_balanced_name_lacks_is_nodata(self):
        for name in ("web", "bare", "h3", "mx"):
            for rdtype in ("CAA", "NAPTR", "SRV", "DS", "DNSKEY", "TYPE666", "PTR", "NS", "SOA"):
                self.check_nodata(name, rdtype)
        self.check_nodata("mx", "AAAA")
        self.check_nodata("mx", "HTTPS")
        self.check_nodata("web", "MX")

    def test_alias_is_drawn_by_weight(self):
        counted = collections.Counter(tuple(self.gslbd.answers("cdn.example.com", "CNAME")) for _ in range(2000))
        self.assertEqual(set(counted), {("static.example.com.",), ("edge.example.net.",)})
        self.assertAlmostEqual(counted[("static.example.com.",)] / 2000, 0.75, delta=0.05)

    def test_alias_is_followed_within_the_zone_for_every_type(self):
        seen = set()
        for _ in range(60):
            for rdtype, wanted in (("A", ["192.0.2.80"]), ("AAAA", ["2001:db8::80"])):
                reply = self.ask("cdn", rdtype)
                target = data(reply.answer, "CNAME")
                self.assertEqual(len(target), 1)
                seen.add(target[0])
                self.assertEqual(data(reply.answer, rdtype), wanted if target == ["static.example.com."] else [])
                self.assertTrue(5 <= reply.answer[0].ttl <= 30)
        self.assertEqual(len(seen), 2)
        for rdtype in ("MX", "TXT", "HTTPS", "TYPE666"):
            self.assertEqual(len(data(self.ask("cdn", rdtype).answer, "CNAME")), 1)

    def test_alias_to_a_balanced_name_and_by_wildcard(self):
        reply = self.ask("inner", "A")
        self.assertEqual((data(reply.answer, "CNAME"), len(data(reply.answer, "A"))), (["web.example.com."], 3))
        self.assertEqual(len(data(self.ask("inner", "HTTPS").answer, "HTTPS")), 2)
        reply = self.ask("x.y.many", "A")
        self.assertEqual(reply.answer[0].name.to_text(), "x.y.many.example.com.")
        self.assertEqual(data(reply.answer, "A"), ["192.0.2.80"])

    def test_loop_of_balanced_aliases_ends(self):
        reply = self.ask("self", "A")
        self.assertLessEqual(len(data(reply.answer, "CNAME")), 20)

    def test_alias_whose_member_is_down_leads_elsewhere(self):
        self.while_down("cdn", "m1", lambda: {tuple(self.gslbd.answers("cdn.example.com", "CNAME")) for _ in range(20)}
                        == {("edge.example.net.",)})

    def test_mail_exchangers(self):
        reply = self.ask("mx", "MX")
        self.assertEqual(data(reply.answer, "MX"), ["10 m1.mx.example.com.", "10 mail.example.net.", "10 static.example.com."])
        self.assertEqual(data(reply.additional, "A"), ["127.0.0.5", "192.0.2.80"])
        self.assertEqual(data(reply.additional, "AAAA"), ["2001:db8::5", "2001:db8::80"])
        self.assertEqual(self.gslbd.answers("m1.mx.example.com"), ["127.0.0.5"])
        self.assertEqual(self.gslbd.answers("mx.example.com", "A"), ["192.0.2.99"], "static addresses beside")

    def test_mail_exchangers_in_order(self):
        self.assertEqual(self.gslbd.answers("ranked.example.com", "MX"),
                         ["5 m1.ranked.example.com.", "6 m2.ranked.example.com.", "7 m3.ranked.example.com."])
        self.while_down("ranked", "m1", lambda: [row.split()[1] for row in self.gslbd.answers("ranked.example.com", "MX")]
                        == ["m2.ranked.example.com.", "m3.ranked.example.com."])

    def test_big_answers_are_whole_over_tcp(self):
        for name, rdtype, count in (("web", "HTTPS", 2), ("mx", "MX", 3), ("inner", "A", 3)):
            self.assertEqual(len(data(self.gslbd.ask(f"{name}.example.com", rdtype, tcp=True).answer, rdtype)), count)


class Refused(Case):
    def refuse(self, service, *words, zone=ZONE):
        daemon = self.prepare({"services": [service]}, zone=zone)
        daemon.failure_expected = True
        daemon.start(ready=False)
        self.assertEqual(daemon.process.wait(20), 1)
        for word in words:
            self.assertIn(word, daemon.log())

    def test_alias_with_what_an_alias_cannot_have(self):
        alias = {"name": "a.example.com", "answer": "cname", "members": members((["127.0.0.3"], {"target": "static.example.com"}))}
        self.refuse({**alias, "method": "all"}, "gslb.yaml:", "method all")
        self.refuse({**alias, "answers": 2}, "answers")
        self.refuse({**alias, "https": {}}, "https")
        self.refuse({**alias, "srv": "_http._tcp"}, "srv")
        self.refuse({**alias, "name": "example.com"}, "gslb.yaml:", "cname")
        self.refuse({**alias, "members": members((["127.0.0.3"], {}))}, "target")
        self.refuse(alias, "a.example.com", zone=ZONE + 'a IN TXT "beside"\n')
        self.refuse({**alias, "answer": "addresses"}, "target")


if __name__ == "__main__":
    unittest.main()
