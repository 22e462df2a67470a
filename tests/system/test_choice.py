"""Point 8, the choice: methods, weights, SRV answers."""
import collections
import socket
import time

import dns.message

from tests.system.harness import Case, Gslbd, data, eventually

QUERIES = 10000


def service(name, method, members, answers=1, **more):
    return {"name": f"{name}.example.com", "ttl": {"max": "30s", "min": "5s"}, "answers": answers, "method": method,
            "members": members, **more}


def members(count, **columns):
    return [{"name": f"m{i}", "addresses": [f"127.0.0.{i}"], **{key: values[i - 1] for key, values in columns.items()}}
            for i in range(1, count + 1)]


SERVICES = {"services": [
    service("weighted", "weighted", members(4, weight=[5, 3, 1, 1])),
    service("three-to-one", "weighted", members(2, weight=[3, 1])),
    service("two-of-four", "weighted", members(4, weight=[1, 1, 1, 1]), answers=2),
    service("spare", "weighted", members(3, weight=[1, 1, 0])),
    service("round", "round_robin", members(3)),
    service("round-two", "round_robin", members(3), answers=2),
    service("first", "first", members(3)),
    service("first-two", "first", members(3), answers=2),
    service("all", "all", members(3)),
    service("families", "all", [
        {"name": "both", "addresses": ["127.0.0.1", "127.0.0.11", "2001:db8::1"]},
        {"name": "four", "addresses": ["127.0.0.2"]},
        {"name": "six", "addresses": ["2001:db8::3"]},
    ]),
    service("one-member", "weighted", [
        {"name": "both", "addresses": ["127.0.0.1", "127.0.0.11", "2001:db8::1"]},
        {"name": "other", "addresses": ["127.0.0.2", "127.0.0.12"]},
    ]),
    service("only-six", "weighted", [{"name": "six", "addresses": ["2001:db8::3"]}]),
    service("api", "all", [
        {"name": "a1", "addresses": ["127.0.0.21", "2001:db8::21"], "srv_port": 8443, "weight": 3},
        {"name": "a2", "addresses": ["127.0.0.22"], "srv_port": 8444},
        {"name": "a3", "addresses": ["127.0.0.23"], "srv_port": 8443},
        {"name": "hidden", "addresses": ["127.0.0.24"]},
    ], srv="_https._tcp"),
]}


class Choice(Case):
    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Gslbd(SERVICES))

    def many(self, name, count=QUERIES):
        """How often each set of addresses came in count answers; decoded by dnspython."""
        query = bytearray(dns.message.make_query(f"{name}.example.com", "A").to_wire())
        counted = collections.Counter()
        socks = []
        for _ in range(8):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.connect((self.gslbd.host, self.gslbd.port))
            sock.settimeout(3)
            self.addCleanup(sock.close)
            socks.append(sock)
        for start in range(0, count, 80):
            for i in range(80):
                query[0:2] = (start + i).to_bytes(2, "big")
                socks[i % 8].send(query)
            for i in range(80):
                reply = dns.message.from_wire(socks[i % 8].recv(4096))
                counted[tuple(data(reply.answer, "A"))] += 1
        return counted

    def check_shares(self, counted, shares, tolerance=0.02):
        total = sum(counted.values())
        self.assertEqual(set(counted), set(shares))
        for addresses, share in shares.items():
            self.assertAlmostEqual(counted[addresses] / total, share, delta=tolerance, msg=str(counted))

    def test_weights_hold_over_ten_thousand_queries(self):
        shares = {(f"127.0.0.{i}",): weight / 10 for i, weight in enumerate((5, 3, 1, 1), 1)}
        self.check_shares(self.many("weighted"), shares)
        self.check_shares(self.many("three-to-one"), {("127.0.0.1",): 0.75, ("127.0.0.2",): 0.25})

    def test_members_of_one_answer_are_different(self):
        counted = self.many("two-of-four", 4000)
        self.assertEqual({len(set(addresses)) for addresses in counted}, {2})
        self.assertEqual(len(counted), 6)

    def test_weight_nought_is_a_spare(self):
        self.assertEqual(set(self.many("spare", 800)), {("127.0.0.1",), ("127.0.0.2",)})
        self.gslbd.set_member("spare.example.com", "m1", "down")
        self.gslbd.set_member("spare.example.com", "m2", "down")
        try:
            self.gslbd.wait_states("spare.example.com", m1="down", m2="down")
            self.until_answers("spare", ["127.0.0.3"])
        finally:
            self.gslbd.clear_member("spare.example.com", "m1")
            self.gslbd.clear_member("spare.example.com", "m2")

    def until_answers(self, name, wanted, rdtype="A"):
        end = time.monotonic() + 5
        while (got := self.gslbd.answers(f"{name}.example.com", rdtype)) != wanted and time.monotonic() < end:
            time.sleep(0.02)
        self.assertEqual(got, wanted)

    def test_round_robin_is_even(self):
        self.check_shares(self.many("round", 6000), {(f"127.0.0.{i}",): 1 / 3 for i in (1, 2, 3)}, 0.01)

    def test_round_robin_of_two_is_even(self):
        pairs = {("127.0.0.1", "127.0.0.2"): 1 / 3, ("127.0.0.2", "127.0.0.3"): 1 / 3, ("127.0.0.1", "127.0.0.3"): 1 / 3}
        self.check_shares(self.many("round-two", 6000), pairs, 0.01)

    def test_first_is_the_first_that_is_up(self):
        self.assertEqual(set(self.many("first", 800)), {("127.0.0.1",)})
        self.assertEqual(self.gslbd.answers("first-two.example.com"), ["127.0.0.1", "127.0.0.2"])
        self.gslbd.set_member("first.example.com", "m1", "down")
        try:
            self.until_answers("first", ["127.0.0.2"])
        finally:
            self.gslbd.clear_member("first.example.com", "m1")
        self.until_answers("first", ["127.0.0.1"])

    def test_all_gives_all(self):
        self.assertEqual(self.gslbd.answers("all.example.com"), ["127.0.0.1", "127.0.0.2", "127.0.0.3"])

    def test_every_address_of_the_family_is_given(self):
        self.assertEqual(self.gslbd.answers("families.example.com"), ["127.0.0.1", "127.0.0.11", "127.0.0.2"])
        self.assertEqual(self.gslbd.answers("families.example.com", "AAAA"), ["2001:db8::1", "2001:db8::3"])

    def test_answers_counts_members(self):
        self.check_shares(self.many("one-member", 2000), {("127.0.0.1", "127.0.0.11"): 0.5, ("127.0.0.12", "127.0.0.2"): 0.5}, 0.05)
        for _ in range(20):
            self.assertEqual(self.gslbd.answers("one-member.example.com", "AAAA"), ["2001:db8::1"])

    def test_family_without_any_address_is_nodata(self):
        reply = self.gslbd.ask("only-six.example.com", "A")
        self.assertEqual((reply.rcode(), reply.answer), (0, []))
        self.assertEqual(len(data(reply.authority, "SOA")), 1)

    def test_srv(self):
        reply = self.gslbd.ask("_https._tcp.api.example.com", "SRV", edns=0, payload=1232)
        records = {item.target.to_text(): item for rrset in reply.answer for item in rrset}
        ports = {name: item.port for name, item in records.items()}
        self.assertEqual(ports, {"a1.api.example.com.": 8443, "a2.api.example.com.": 8444, "a3.api.example.com.": 8443})
        self.assertEqual({item.priority for item in records.values()}, {records["a1.api.example.com."].priority})
        self.assertTrue(all(item.weight > 0 for item in records.values()))
        self.assertAlmostEqual(records["a1.api.example.com."].weight / records["a2.api.example.com."].weight, 3, delta=0.1)
        self.assertEqual(data(reply.additional, "A"), ["127.0.0.21", "127.0.0.22", "127.0.0.23"])
        self.assertEqual(data(reply.additional, "AAAA"), ["2001:db8::21"])

    def test_srv_targets_resolve(self):
        self.assertEqual(self.gslbd.answers("a1.api.example.com"), ["127.0.0.21"])
        self.assertEqual(self.gslbd.answers("a1.api.example.com", "AAAA"), ["2001:db8::21"])
        self.assertEqual(self.gslbd.answers("a2.api.example.com"), ["127.0.0.22"])
        reply = self.gslbd.ask("a2.api.example.com", "AAAA")
        self.assertEqual((reply.rcode(), reply.answer), (0, []))

    def test_names_on_the_way_to_srv_exist(self):
        reply = self.gslbd.ask("_tcp.api.example.com", "SRV")
        self.assertEqual((reply.rcode(), reply.answer), (0, []))
        reply = self.gslbd.ask("_https._tcp.api.example.com", "A")
        self.assertEqual((reply.rcode(), reply.answer), (0, []))
        self.assertEqual(self.gslbd.ask("nobody.api.example.com").rcode(), 3)

    def test_srv_leaves_out_who_is_down(self):
        self.gslbd.set_member("api.example.com", "a2", "down")
        try:
            def targets():
                reply = self.gslbd.ask("_https._tcp.api.example.com", "SRV")
                return sorted(item.target.to_text() for rrset in reply.answer for item in rrset)
            end = time.monotonic() + 5
            while "a2.api.example.com." in targets() and time.monotonic() < end:
                time.sleep(0.02)
            self.assertEqual(targets(), ["a1.api.example.com.", "a3.api.example.com."])
        finally:
            self.gslbd.clear_member("api.example.com", "a2")

    def test_answers_are_counted_a_member(self):
        # a member seen for the first time gets its counter within moments of the start
        def is_counted():
            self.many("three-to-one", 8)
            return self.gslbd.member("three-to-one.example.com", "m1")["answers_total"] > 0
        eventually(is_counted, 5)
        before = self.gslbd.member("three-to-one.example.com", "m1")["answers_total"]
        counted = self.many("three-to-one", 800)
        after = self.gslbd.member("three-to-one.example.com", "m1")["answers_total"]
        self.assertEqual(after - before, counted[("127.0.0.1",)])
