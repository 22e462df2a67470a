"""Registrations as clients of DNS see them: how soon, how SRV records name them, how they are browsed, where to register."""
import subprocess
import time
import unittest

import dns.flags
import dns.rcode
import dns.rdatatype

from tests.system.account import tell
from tests.system.harness import Case, data, eventually
from tests.system.length import count
from tests.system.registrant import TTL, Registering, Registrant, create_token, registration, service

ALONE = True  # measures time


class Times(Registering):
    def seen(self, is_wanted, deadline_s, name=None):
        """(monotonic time at which the last unwanted answer was asked for, at which the first wanted one had come)"""
        end = time.monotonic() + deadline_s
        last = 0.0
        while True:
            asked = time.monotonic()
            answers = self.gslbd.answers(name or self.name)
            if is_wanted(answers):
                return last, time.monotonic()
            last = asked
            self.assertLess(time.monotonic(), end, f"still {answers}")
            time.sleep(0.001)

    def test_registration_is_in_the_answers_within_50_ms(self):
        taken, left = [], []
        for i in range(count(30, 300)):
            address = f"127.0.2.{i % 200 + 1}"
            self.register("fast-1", address)
            at = time.monotonic()
            taken.append(self.seen(lambda answers: answers == [address], 2)[1] - at)
            self.assertEqual(self.app.delete("fast-1").status, 202)
            at = time.monotonic()
            left.append(self.seen(lambda answers: not answers, 2)[1] - at)
        tell(f"registered: in the answers {1000 * max(taken):.1f} ms after the 201 at most; deregistered: {1000 * max(left):.1f} ms")
        self.assertLess(max(taken), 0.05)
        self.assertLess(max(left), 0.05)

    def test_registration_is_in_the_answers_among_many(self):
        """The service stays quick when it has a thousand members."""
        name = next(self.names)
        for i in range(count(300, 1000)):
            self.register(f"many-{i}", f"127.3.{i // 200}.{i % 200 + 1}", service=name, tier=9)
        taken = []
        for i in range(10):
            address = f"127.0.2.{i + 1}"
            self.register("few-1", address, service=name, status=201 if i == 0 else 200)
            at = time.monotonic()
            taken.append(self.seen(lambda answers: answers == [address], 2, name)[1] - at)
        tell(f"among {count(300, 1000)} members {1000 * max(taken):.1f} ms after the 201 at most")
        self.assertLess(max(taken), 0.05)

    def test_lease_ends_within_100_ms(self):
        late, services = [], [next(self.names) for _ in range(5)]
        for _ in range(count(1, 6)):
            granted = [self.grant(f"end-{i}", name, is_renewed=i % 2 == 1) for i, name in enumerate(services)]
            for i, (name, (before, after)) in enumerate(zip(services, granted)):
                time.sleep(max(0.0, before + 4.8 - time.monotonic()))
                last, first = self.seen(lambda answers: not answers, 2, name)
                self.assertGreater(first, before + 5 - 0.001, "not before the end, which is kept in whole milliseconds")
                self.assertGreater(last, before + 4.8, "it was there until then")
                late.append(first - (after + 5))
                eventually(lambda: self.app.get(f"end-{i}").status == 404, 2, "the registration has gone too")
        tell(f"answers were empty {1000 * max(late):.1f} ms after the lease's end at most")
        self.assertLess(max(late), 0.1)
        rows = [row for row in self.gslbd.api(f"/v1/events?service={services[0]}").json["events"] if row["kind"] == "resource"]
        self.assertEqual(rows[0]["to"], "expired")
        self.assertEqual(self.app.status("end-0", 1, 1).json["code"], "unknown-lease")

    def grant(self, name, service_name, is_renewed):
        """(before, after) the time at which a lease of 5 s began; the next one begins so much later that each can be watched."""
        before = time.monotonic()
        epoch = self.register(name, "127.0.0.1", service=service_name, lease_s=5)["epoch"]
        after = time.monotonic()
        self.until_answers("127.0.0.1", name=service_name)
        if is_renewed:
            before = time.monotonic()
            self.assertEqual(self.app.status(name, epoch, 1).status, 200)
            after = time.monotonic()
        time.sleep(0.4)
        return before, after

    def test_unlimited_lease(self):
        row = self.register("ever-1", "127.0.0.1", lease_s=0)
        self.assertEqual((row["lease_s"], row["lease"]["ends_at"]), (0, None))
        self.assertGreater(row["lease"]["renew_in_s"], 0)
        self.register("ever-2", "127.0.0.2", lease_s=5)
        self.until_answers("127.0.0.1", "127.0.0.2")
        self.until_answers("127.0.0.1", deadline_s=7)
        told = self.app.status("ever-1", row["epoch"], 1)
        self.assertEqual((told.status, told.json["ends_at"]), (200, None))
        # a lease may be given an end later
        self.assertEqual(self.app.patch("ever-1", {"lease_s": 5}).status, 200)
        self.until_answers(deadline_s=7)

    def test_renewing_keeps_it(self):
        row = self.register("keep-1", "127.0.0.1", lease_s=5)
        self.assertAlmostEqual(row["lease"]["renew_in_s"], 5 / 3, delta=0.01)
        self.until_answers("127.0.0.1")
        start, sequence = time.monotonic(), 0
        while time.monotonic() - start < 7:
            sequence += 1
            self.assertEqual(self.app.status("keep-1", row["epoch"], sequence).status, 200)
            for _ in range(15):
                self.assertEqual(self.gslbd.answers(self.name), ["127.0.0.1"])
                time.sleep(0.1)
        self.assertEqual(self.app.get("keep-1").json["revision"], row["revision"])


class Dns(Registering):
    def srv(self, name=None):
        """{target's first label: (priority, weight, port)}"""
        rows = [text.split() for text in self.gslbd.answers(f"_http._tcp.{name or self.name}", "SRV")]
        return {target.split(".")[0]: (int(priority), int(weight), int(port)) for priority, weight, port, target in rows}

    def test_srv_priority_is_the_tier_and_weight_the_headroom(self):
        idle = self.register("srv-idle", "127.0.0.1", weight=2)
        busy = self.register("srv-busy", "127.0.0.2", weight=2)
        full = self.register("srv-full", "127.0.0.3", weight=2)
        self.register("srv-spare", "127.0.0.4", tier=7)
        eventually(lambda: len(self.srv()) == 4, 5, "all are there")
        self.assertEqual({name: row[0] for name, row in self.srv().items()},
                         {"srv-idle": 0, "srv-busy": 0, "srv-full": 0, "srv-spare": 7})
        self.assertEqual({row[1] for name, row in self.srv().items() if name != "srv-spare"}, {2})
        self.app.status("srv-idle", idle["epoch"], 1, cpu_utilization=0.0)
        self.app.status("srv-busy", busy["epoch"], 1, cpu_utilization=0.75)
        self.app.status("srv-full", full["epoch"], 1, cpu_utilization=3.0)

        def weighed():
            rows = self.srv()
            return rows["srv-busy"][1] != rows["srv-idle"][1] and rows["srv-full"][1] != rows["srv-idle"][1] and rows
        rows = eventually(weighed, 5, "weights follow the headroom")
        self.assertAlmostEqual(rows["srv-busy"][1] / rows["srv-idle"][1], 0.25, delta=0.02)
        self.assertGreaterEqual(rows["srv-full"][1], 1, "a live target is never at 0")
        self.assertLess(rows["srv-full"][1], rows["srv-busy"][1])
        self.assertGreaterEqual(rows["srv-spare"][1], 1)

    def test_weight_is_never_0(self):
        self.register("zero-1", "127.0.0.1", weight=0)
        eventually(lambda: self.srv() == {"zero-1": (0, 1, 8080)}, 5, "weight 1")

    def test_targets(self):
        self.register("target-1", "127.0.0.1", "127.0.0.2", "2001:db8::1")
        target = f"target-1.{self.name}"
        reply = eventually(lambda: (answer := self.gslbd.ask(f"_http._tcp.{self.name}", "SRV")).answer and answer, 5,
                           "SRV is there")
        self.assertEqual(data(reply.answer, "SRV")[0].split()[3], f"{target}.")
        self.assertEqual(data(reply.additional, "A"), ["127.0.0.1", "127.0.0.2"])
        self.assertEqual(data(reply.additional, "AAAA"), ["2001:db8::1"])
        self.assertEqual(self.gslbd.answers(target), ["127.0.0.1", "127.0.0.2"])
        self.assertEqual(self.gslbd.answers(target, "AAAA"), ["2001:db8::1"])
        self.assertTrue(self.gslbd.ask(target.upper()).answer)
        self.assertEqual(self.gslbd.ask(target, "TXT").rcode(), dns.rcode.NOERROR)
        self.assertEqual(self.gslbd.ask(f"x.{target}").rcode(), dns.rcode.NXDOMAIN)

    def test_without_a_port_there_is_no_srv(self):
        reply = self.app.put("portless-1", {"addresses": ["127.0.0.1"], "services": [{"name": self.name}]})
        self.assertEqual(reply.status, 201, reply.text)
        self.until_answers("127.0.0.1")
        self.assertEqual(self.srv(), {})

    def negative_ttl(self, name, rdtype="A", rcode=dns.rcode.NOERROR):
        """Until when a resolver keeps it that there is none: the SOA's TTL and its last field, whichever is less."""
        reply = self.gslbd.ask(name, rdtype)
        self.assertEqual((reply.rcode(), reply.answer), (rcode, []))
        self.assertTrue(reply.flags & dns.flags.AA)
        self.assertEqual(len(reply.authority), 1, name)
        self.assertEqual(reply.authority[0].rdtype, dns.rdatatype.SOA)
        return min(reply.authority[0].ttl, reply.authority[0][0].minimum)

    def test_absence_of_what_may_come_is_kept_briefly(self):
        nobody = next(self.names)
        # the zone's own is 60
        self.assertEqual(self.negative_ttl("nothing.example.com", rcode=dns.rcode.NXDOMAIN), 60)
        for name, rdtype, rcode in ((nobody, "A", dns.rcode.NOERROR), (nobody, "AAAA", dns.rcode.NOERROR),
                                    (f"_http._tcp.{nobody}", "SRV", dns.rcode.NOERROR), (f"x.{nobody}", "A", dns.rcode.NXDOMAIN),
                                    ("x.dyn.example.com", "A", dns.rcode.NXDOMAIN),
                                    ("_http._tcp.x.dyn.example.com", "SRV", dns.rcode.NXDOMAIN)):
            with self.subTest(name=name, rdtype=rdtype):
                self.assertLessEqual(self.negative_ttl(name, rdtype, rcode), 1)
        # a member of one family alone
        self.register("family-1", "127.0.0.1")
        self.until_answers("127.0.0.1")
        self.assertLessEqual(self.negative_ttl(self.name, "AAAA"), 30)
        self.assertLessEqual(self.negative_ttl(f"family-1.{self.name}", "AAAA"), 30)
        # types that will not come are kept as the zone says
        self.assertEqual(self.negative_ttl(self.name, "MX"), 60)

    def test_answers_are_kept_as_the_service_says(self):
        self.register("ttl-1", "127.0.0.1")
        self.until_answers("127.0.0.1")
        for name, rdtype in ((self.name, "A"), (f"_http._tcp.{self.name}", "SRV"), (f"ttl-1.{self.name}", "A")):
            self.assertLessEqual(self.gslbd.ask(name, rdtype).answer[0].ttl, 30)

    def test_names_below_nearby(self):
        """A registration changes nothing for names beside it."""
        self.register("beside-1", "127.0.0.1")
        self.until_answers("127.0.0.1")
        self.assertEqual(self.gslbd.answers("static.example.com"), ["192.0.2.80"])
        self.assertEqual(self.gslbd.answers("plain.example.com"), ["127.0.0.1"])
        self.assertEqual(self.gslbd.ask("beside-1.example.com").rcode(), dns.rcode.NXDOMAIN)


class Browsing(Case):
    """DNS-SD (RFC 6763) by dnspython and by dig."""

    def setUp(self):
        self.gslbd = self.start({"services": [service("app.example.com"), service("ipp.example.com", srv="_ipp._tcp"),
                                              {"name": "quiet.example.com", "ttl": TTL, "when_down": "empty",
                                               "accept": {"tokens": ["app"]}}]})
        self.app = Registrant(self.gslbd, create_token(self.gslbd, "app"))

    def register(self, name, *where, **more):
        reply = self.app.put(name, registration(*where, **more))
        self.assertIn(reply.status, (200, 201), reply.text)

    def dig(self, *words):
        done = subprocess.run(["dig", f"@{self.gslbd.host}", "-p", str(self.gslbd.port), "+short", *words], capture_output=True,
                              text=True,
                              timeout=20, check=True)
        return sorted(done.stdout.splitlines())

    def instances(self, kind="_http._tcp.example.com"):
        """{instance label as text: (SRV target, port, TXT strings)} as a browser finds them: PTR, then SRV and TXT."""
        found = {}
        reply = self.gslbd.ask(kind, "PTR")
        for rrset in reply.answer:
            for pointer in rrset:
                both = [self.gslbd.ask(pointer.target, rdtype).answer for rdtype in ("SRV", "TXT")]
                if not all(both):
                    continue  # it went between the questions
                srv, txt = both[0][0][0], both[1][0][0]
                self.assertEqual(pointer.target.parent().to_text(), f"{kind}.")
                found[pointer.target.labels[0].decode()] = (srv.target.to_text(), srv.port, [each.decode() for each in txt.strings])
        return found

    def test_browse(self):
        # where to register is a service too
        types = "_services._dns-sd._udp.example.com"
        eventually(lambda: self.gslbd.answers(types, "PTR") == ["_gslb-register._tcp.example.com."], 2, "it is named")
        self.register("app-1", "127.0.0.1", labels={"rack": "r7", "flag": "", "umlaut": "grün"})
        eventually(lambda: len(self.gslbd.answers("_services._dns-sd._udp.example.com", "PTR")) == 2, 5, "the type is there")
        self.register("app-2", "127.0.0.2", services=[{"name": "app.example.com", "port": 81, "instance": "Büro 1.Stock\\links"}])
        eventually(lambda: len(self.instances()) == 2, 5, "both are there")
        self.assertEqual(self.instances(), {
            "app-1.app": ("app-1.app.example.com.", 8080, ["service=app.example.com", "flag=", "rack=r7", "umlaut=grün"]),
            "Büro 1.Stock\\links": ("app-2.app.example.com.", 81, ["service=app.example.com"])})
        self.assertEqual(self.dig("_services._dns-sd._udp.example.com", "PTR"),
                         ["_gslb-register._tcp.example.com.", "_http._tcp.example.com."])
        escaped = "B\\195\\188ro\\0321\\.Stock\\\\links._http._tcp.example.com."
        self.assertEqual(self.dig("_http._tcp.example.com", "PTR"), sorted(["app-1\\.app._http._tcp.example.com.", escaped]))
        self.assertEqual(self.dig(escaped, "SRV"), [f"0 {self.dig(escaped, 'SRV')[0].split()[1]} 81 app-2.app.example.com."])
        self.assertEqual(self.dig("app-1\\.app._http._tcp.example.com", "TXT"),
                         ['"service=app.example.com" "flag=" "rack=r7" "umlaut=gr\\195\\188n"'])
        # RFC 6763 section 12: what is needed next comes along
        reply = self.gslbd.ask("app-1\\.app._http._tcp.example.com", "SRV")
        self.assertEqual(data(reply.additional, "A"), ["127.0.0.1"])
        # other services, and those without a type, do not stand there
        self.register("ipp-1", "127.0.0.3", service="ipp.example.com", port=631)
        self.register("quiet-1", "127.0.0.4", service="quiet.example.com")
        eventually(lambda: list(self.instances("_ipp._tcp.example.com")) == ["ipp-1.ipp"], 5, "the printer is there")
        self.assertEqual(len(self.instances()), 2)
        # gone again
        self.assertEqual(self.app.delete("app-1").status, 202)
        eventually(lambda: list(self.instances()) == ["Büro 1.Stock\\links"], 5, "app-1 has gone")
        self.app.delete("app-2")
        eventually(lambda: self.gslbd.answers("_http._tcp.example.com", "PTR") == [], 5, "all have gone")
        self.assertNotIn("_http._tcp.example.com.", self.gslbd.answers("_services._dns-sd._udp.example.com", "PTR"))
        reply = self.gslbd.ask("_http._tcp.example.com", "PTR")
        self.assertEqual(reply.rcode(), dns.rcode.NOERROR)
        self.assertLessEqual(reply.authority[0].ttl, 10, "the absence of what may come is kept briefly")

    def test_members_that_are_down_are_not_listed(self):
        self.register("app-1", "127.0.0.1")
        self.register("app-2", "127.0.0.2")
        eventually(lambda: len(self.instances()) == 2, 5, "both are there")
        self.gslbd.set_member("app.example.com", "app-1", "down")
        eventually(lambda: list(self.instances()) == ["app-2.app"], 5, "app-1 is out")

    def test_two_of_the_same_name(self):
        for i in (1, 2):
            self.register(f"app-{i}", f"127.0.0.{i}",
                          services=[{"name": "app.example.com", "port": 80 + i, "instance": "Printer" if i == 1 else "PRINTER"}])
        eventually(lambda: len(self.instances()) == 2, 5, "both are there")
        self.assertEqual({name: port for name, (_, port, _) in self.instances().items()}, {"Printer": 81, "app-2.app": 82})

    def test_labels_follow_a_change(self):
        self.register("app-1", "127.0.0.1", labels={"rack": "r7"})
        eventually(lambda: "app-1.app" in self.instances(), 5, "it is there")
        self.assertEqual(self.app.patch("app-1", {"labels": {"rack": "r8"}}).status, 200)
        eventually(lambda: "rack=r8" in self.instances()["app-1.app"][2], 5, "the label has changed")
        self.assertEqual(self.gslbd.member("app.example.com", "app-1")["labels"], {"rack": "r8"})

    def test_browsing_can_be_turned_off(self):
        daemon = self.prepare({"services": [service("app.example.com")]})
        daemon.extra["zones"] = [{"name": "example.com", "file": "example.com.zone", "browse": False, "register": False}]
        daemon.write_config()
        daemon.start()
        app = Registrant(daemon, create_token(daemon, "app"))
        self.assertEqual(app.put("app-1", registration("127.0.0.1")).status, 201)
        eventually(lambda: daemon.answers("app.example.com") == ["127.0.0.1"], 5, "it is there")
        for name, rdtype in (("_services._dns-sd._udp", "PTR"), ("_http._tcp", "PTR"), ("_gslb-register._tcp", "SRV")):
            self.assertEqual(daemon.ask(f"{name}.example.com", rdtype).rcode(), dns.rcode.NXDOMAIN, name)


class WhereToRegister(Case):
    NAME = "_gslb-register._tcp.example.com"

    def test_own_balancer(self):
        daemon = self.start({"services": [service("app.example.com")]})
        eventually(lambda: daemon.answers(self.NAME, "SRV"), 2, "it is named")
        reply = daemon.ask(self.NAME, "SRV")
        self.assertEqual(data(reply.answer, "SRV"), [f"0 1 {daemon.http_port} gslb-lb1.example.com."])
        self.assertLessEqual(reply.answer[0].ttl, 10)
        self.assertEqual(data(reply.additional, "A"), [daemon.host])
        self.assertEqual(daemon.answers("gslb-lb1.example.com"), [daemon.host])
        txt = daemon.ask(self.NAME, "TXT").answer[0][0]
        self.assertEqual(set(txt.strings), {b"path=/v1", b"api=1", b"tls=0"})
        # that is the place: whoever follows it can register
        target = data(reply.answer, "SRV")[0].split()
        token = create_token(daemon, "app")
        done = subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "-H",
                               f"Authorization: Bearer {token}",
                               "-d", '{"addresses":["127.0.0.1"],"services":[{"name":"app.example.com"}]}', "-H",
                               "Content-Type: application/json",
                               f"http://{daemon.answers(target[3])[0]}:{target[2]}/v1/resources/app-1"],
                              capture_output=True, text=True, timeout=20, check=True)
        self.assertEqual(done.stdout, "201")

    def test_as_the_configuration_says(self):
        daemon = self.prepare({"services": [service("app.example.com")]})
        control = daemon.configuration()["control"]
        daemon.extra["control"] = {**control, "advertise": {"name": "lb", "addresses": ["192.0.2.7@8300", "2001:db8::7@8300"],
                                                            "priority": 5, "weight": 9}}
        daemon.write_config()
        daemon.start()
        eventually(lambda: daemon.answers(self.NAME, "SRV") == ["5 9 8300 lb.example.com."], 2, "it is named")
        self.assertEqual((daemon.answers("lb.example.com"), daemon.answers("lb.example.com", "AAAA")),
                         (["192.0.2.7"], ["2001:db8::7"]))

    def test_peers_that_are_there(self):
        first, second = self.prepare({"services": [service("app.example.com")]}, server={"identity": "lb1.example.net"}), \
            self.prepare({"services": [service("app.example.com")]}, server={"identity": "lb2.example.net"})
        first.extra["peers"] = [{"identity": "lb2.example.net", "address": f"{second.host}@{second.http_port}", "priority": 3}]
        first.write_config()
        first.start()
        own = f"0 1 {first.http_port} gslb-lb1.example.com."
        eventually(lambda: first.answers(self.NAME, "SRV") == [own], 2, "it is named")
        second.start()
        both = sorted([own, f"3 1 {second.http_port} gslb-lb2.example.com."])
        eventually(lambda: first.answers(self.NAME, "SRV") == both, 20, "the peer is named")
        self.assertEqual(first.answers("gslb-lb2.example.com"), [second.host])
        rows = {row["identity"]: row for row in first.api("/v1/peers").json["balancers"]}
        self.assertEqual({name: (row["own"], row["alive"], row["accepting"]) for name, row in rows.items()},
                         {"lb1.example.net": (True, True, True), "lb2.example.net": (False, True, True)})
        token = create_token(first, "app")
        named = Registrant(first, token).put("app-1", registration("127.0.0.1")).json["balancers"]
        self.assertEqual([(each["identity"], each["url"]) for each in named],
                         [("lb2.example.net", f"http://{second.host}:{second.http_port}")])
        second.kill_all()
        eventually(lambda: first.answers(self.NAME, "SRV") == [own], 30, "the dead peer is named no more")

    def test_only_where_registrations_are_taken(self):
        daemon = self.start({"services": [{"name": "www.example.com", "members": [{"name": "m1", "addresses": ["127.0.0.1"]}]}]})
        self.assertEqual(daemon.ask(self.NAME, "SRV").rcode(), dns.rcode.NXDOMAIN)


if __name__ == "__main__":
    unittest.main()
