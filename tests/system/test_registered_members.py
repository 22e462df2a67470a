"""A registered member behaves as a configured one: in the lists and on the page, under an operator's hand, for monitors, sites
and weights; and services come and go with those that register below a pattern."""
import time
import unittest

import dns.edns
import dns.rcode

from tests.system.harness import Case, eventually, free_port
from tests.system.registrant import Registering, Registrant, create_token, registration, service
from tests.system.test_page import HEIGHT, WIDTH, Browser


class Members(Registering):
    def test_it_stands_in_every_list(self):
        name = "mixed.example.com"
        self.register("mixed-1", "127.0.0.2", service=name, site="fra", weight=7, tier=0, labels={"rack": "r7"})
        self.until_answers("127.0.0.1", "127.0.0.2", name=name)
        service_row = self.gslbd.api(f"/v1/services/{name}").json
        self.assertEqual([row["name"] for row in service_row["members"]], ["m1", "mixed-1"])
        self.assertEqual((service_row["members_total"], service_row["members_up"], service_row["members_registered"]), (2, 2, 1))
        configured, registered = service_row["members"]
        self.assertEqual(set(configured), set(registered))
        self.assertEqual((configured["registered"], registered["registered"]), (False, True))
        self.assertEqual((configured["lease"], registered["lease"]["state"]), (None, "live"))
        self.assertEqual((registered["site"], registered["weight"], registered["srv_port"], registered["labels"]),
                         ("fra", 7, 8080, {"rack": "r7"}))
        self.assertEqual(self.gslbd.member(name, "mixed-1")["id"], f"{name}/mixed-1")
        self.assertIn(f"{name}/mixed-1", [row["id"] for row in self.gslbd.api("/v1/members?site=fra").json["members"]])
        self.assertIn("mixed-1", self.gslbd.ctl("members", "--service", name).stdout)
        shown = self.gslbd.ctl("member", f"{name}/mixed-1").stdout
        self.assertIn("127.0.0.2", shown)
        self.assertIn("mixed-1", self.gslbd.api("/metrics").text)
        for _ in range(3):
            self.gslbd.ask(name)
        eventually(lambda: self.gslbd.member(name, "mixed-1")["answers_total"] >= 3, 5, "its answers are counted")

    def test_page_shows_it(self):
        browser = Browser(WIDTH, HEIGHT)
        self.addCleanup(browser.close)
        browser.open(f"http://{self.gslbd.host}:{self.gslbd.http_port}/")
        eventually(lambda: self.name in browser.text(), 10, "the page is there")
        self.assertNotIn("paged-1", browser.text())
        self.register("paged-1", "127.0.0.2", site="fra")
        eventually(lambda: "paged-1" in browser.text(), 10, "the page shows it without a reload")
        self.assertEqual(self.app.delete("paged-1").status, 202)
        self.until_answers()

        def is_gone():
            return browser.run("return ![...document.querySelectorAll('[id], a, td, h3, span')]"
                               ".some(e => e.children.length === 0 && e.textContent.trim() === 'paged-1')")
        eventually(is_gone, 10, "and that it has gone")
        self.assertEqual(browser.messages(), [])

    def test_operator_overrides_it(self):
        for i in (1, 2):
            self.register(f"over-{i}", f"127.0.0.{i}")
        self.until_answers("127.0.0.1", "127.0.0.2")
        reply = self.gslbd.set_member(self.name, "over-1", "down", "broken disk")
        self.assertEqual(reply.status, 200, reply.text)
        self.until_answers("127.0.0.2")
        member = self.gslbd.member(self.name, "over-1")
        self.assertEqual((member["state"], member["decided_by"], member["override"]["why"]), ("down", "admin", "broken disk"))
        done = self.gslbd.ctl("member", f"{self.name}/over-2", "drain", "--reason", "update")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.gslbd.wait_states(self.name, over_1="down", over_2="draining")
        # registering does not lift it, and neither does leaving and coming again
        self.register("over-1", "127.0.0.1", status=200, weight=2)
        self.assertEqual(self.app.delete("over-1").status, 202)
        self.register("over-1", "127.0.0.1")
        self.gslbd.wait_states(self.name, over_1="down")
        self.until_answers("127.0.0.2")
        self.assertEqual(self.gslbd.clear_member(self.name, "over-1").status, 204)
        self.until_answers("127.0.0.1")
        # what it says of itself stands below the operator
        epoch = self.app.get("over-2").json["epoch"]
        self.gslbd.set_member(self.name, "over-2", "up")
        self.app.status("over-2", epoch, 1, state="maint")
        self.until_answers("127.0.0.1", "127.0.0.2")
        self.gslbd.clear_member(self.name, "over-2")
        self.until_answers("127.0.0.1")

    def test_nearest(self):
        name = "near.example.com"
        self.register("near-fra", "127.0.0.1", service=name, site="fra")
        self.register("near-nyc", "127.0.0.2", service=name, site="nyc")
        self.register("near-none", "127.0.0.3", service=name)

        def seen_from(client):
            return self.gslbd.answers(name, edns=0, options=[dns.edns.ECSOption(client, 24)])
        eventually(lambda: seen_from("198.51.100.7") == ["127.0.0.2"], 5, "clients in America go to nyc")
        self.assertEqual(seen_from("203.0.113.7"), ["127.0.0.1"])
        self.assertEqual(seen_from("192.0.2.7"), ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        self.assertEqual(self.app.delete("near-nyc").status, 202)
        eventually(lambda: seen_from("198.51.100.7") == ["127.0.0.1"], 5, "then to fra")

    def test_weights(self):
        for i, weight in enumerate((0, 3, 1), 1):
            self.register(f"weight-{i}", f"127.0.0.{i}", weight=weight)
        self.until_answers("127.0.0.2", "127.0.0.3")
        rows = self.gslbd.api(f"/v1/services/{self.name}").json["members"]
        self.assertEqual([row["weight"] for row in rows], [0, 3, 1])
        # one of weight 0 serves when nothing else is left
        for i in (2, 3):
            self.assertEqual(self.app.delete(f"weight-{i}").status, 202)
        self.until_answers("127.0.0.1")

    def test_shares_follow_the_weights(self):
        name = "share.example.com"
        self.register("share-1", "127.0.0.1", service=name, weight=3)
        self.register("share-2", "127.0.0.2", service=name)
        eventually(lambda: {self.gslbd.answers(name)[0] for _ in range(20)} == {"127.0.0.1", "127.0.0.2"}, 5, "both are drawn")
        drawn = [self.gslbd.answers(name)[0] for _ in range(2000)]
        self.assertAlmostEqual(drawn.count("127.0.0.1") / len(drawn), 0.75, delta=0.05)

    def test_tiers(self):
        self.register("tier-low", "127.0.0.1")
        self.register("tier-high", "127.0.0.2", tier=5)
        self.until_answers("127.0.0.1")
        self.assertEqual(self.app.delete("tier-low").status, 202)
        self.until_answers("127.0.0.2")

    def test_events_tell_of_it(self):
        def told(kind):
            rows = self.gslbd.api(f"/v1/events?limit=1000&service={self.name}").json["events"]
            return [(row["member"], row["from"], row["to"]) for row in reversed(rows) if row["kind"] == kind and row["member"]]
        # often, so that what stands between two steps of a registration shows
        for i in range(20):
            self.register(f"event-{i}", "127.0.0.1")
            eventually(lambda: len(told("health")) > 2 * i, 5, "it is told")
            self.app.delete(f"event-{i}")
            eventually(lambda: len(told("health")) > 2 * i + 1, 5, "it is told")
        self.assertEqual(told("resource"),
                         sum(([(f"event-{i}", None, "registered"), (f"event-{i}", None, "deregistered")] for i in range(20)), []))
        self.assertEqual(told("health"),
                         sum(([(f"event-{i}", "unknown", "up"), (f"event-{i}", "up", "gone")] for i in range(20)), []))
        rows = self.gslbd.api(f"/v1/events?service={self.name}").json["events"]
        self.assertEqual({(row["from"], row["to"]) for row in rows if row["kind"] == "service"},
                         {("down-empty", "normal"), ("normal", "down-empty")})
        self.assertIn("app", next(row for row in rows if row["kind"] == "resource")["reason"])

    def test_several_services(self):
        other = next(self.names)
        reply = self.app.put("several-1", {"addresses": ["127.0.0.1"], "services": [{"name": self.name, "port": 80, "weight": 3},
                                                                                    {"name": other, "port": 443, "tier": 2}]})
        self.assertEqual(reply.status, 201, reply.text)
        for name, port in ((self.name, 80), (other, 443)):
            self.until_answers("127.0.0.1", name=name)
            self.assertEqual(self.gslbd.answers(f"_http._tcp.{name}", "SRV")[0].split()[2], str(port))
        self.assertEqual(self.app.delete("several-1").status, 202)
        for name in (self.name, other):
            self.until_answers(name=name)


class Monitored(Case):
    """Registered members are probed as configured ones."""

    def setUp(self):
        self.port = free_port("127.0.0.1")
        self.web, self.spare = self.start_member("web", self.port), self.start_member("spare", self.port)
        monitor = {"type": "http", "port": self.port, "interval": "200ms", "timeout": "150ms", "rise": 1, "fall": 2}
        self.gslbd = self.start({
            "monitors": [{"name": "web", "path": "/health", **monitor},
                         {"name": "lost", "path": "/x", "expect": {"status": "599"}, **monitor}],
            "services": [service("web.example.com", monitors=["web"], accept={"tokens": ["app"]}),
                         service("both.example.com", monitors=["web"], accept={"tokens": ["app"], "monitors": ["lost"]}, members=[
                             {"name": "m1", "addresses": [self.spare.address], "srv_port": 1}]),
                         service("none.example.com", monitors=["web"], accept={"tokens": ["app"], "monitors": []})],
        })
        self.app = Registrant(self.gslbd, create_token(self.gslbd, "app"))

    def register(self, name, *where, service_name):
        reply = self.app.put(name, registration(*where, service=service_name))
        self.assertEqual(reply.status, 201, reply.text)

    def test_probes_decide(self):
        name = "web.example.com"
        self.register("web-1", self.web.address, service_name=name)
        self.register("web-2", self.spare.address, service_name=name)
        self.register("web-3", "127.0.0.2", service_name=name)
        self.gslbd.wait_states(name, web_1="up", web_2="up", web_3="down")
        self.assertEqual(self.gslbd.answers(name), sorted([self.web.address, self.spare.address]))
        probe = self.gslbd.member(name, "web-1")["addresses"][0]["probes"][0]
        self.assertEqual((probe["monitor"], probe["last_passed"]), ("web", True))
        self.web.set_health("down")
        self.gslbd.wait_states(name, web_1="down", web_2="up")
        self.assertEqual(self.gslbd.answers(name), [self.spare.address])
        self.web.set_health("up")
        self.gslbd.wait_states(name, web_1="up")
        # with a new address, what the old one's probes said counts no more, and it is not probed
        self.assertEqual(self.app.patch("web-1", {"addresses": ["127.0.0.3"]}).status, 200)
        self.gslbd.wait_states(name, web_1="down")
        self.wait_quiet(self.web)
        self.assertEqual(self.app.patch("web-1", {"addresses": [self.web.address]}).status, 200)
        self.gslbd.wait_states(name, web_1="up")
        # nor is who has gone
        self.assertEqual(self.app.delete("web-1").status, 202)
        self.wait_quiet(self.web)

    def wait_quiet(self, member):
        """Until it is probed no more: three intervals without a probe."""
        eventually(lambda: time.monotonic() - max(at for at, _ in member.probes()) > 0.6, 5, "no more probes")

    def test_monitors_of_registered_members_alone(self):
        self.register("both-1", self.web.address, service_name="both.example.com")
        self.register("none-1", "127.0.0.2", service_name="none.example.com")
        self.gslbd.wait_states("both.example.com", m1="up", both_1="down")
        self.gslbd.wait_states("none.example.com", none_1="up")
        self.assertEqual(self.gslbd.answers("none.example.com"), ["127.0.0.2"])
        self.assertEqual([probe["monitor"] for probe in self.gslbd.member("both.example.com", "both-1")["addresses"][0]["probes"]],
                         ["lost"])
        self.assertEqual([probe["monitor"] for probe in self.gslbd.member("both.example.com", "m1")["addresses"][0]["probes"]],
                         ["web"])


class Created(Registering):
    """Services that a registration creates below a pattern."""

    def test_service_comes_and_goes_with_its_members(self):
        name = "shop.dyn.example.com"
        self.assertEqual(self.gslbd.ask(name).rcode(), dns.rcode.NXDOMAIN)
        self.assertNotIn(name, [row["name"] for row in self.gslbd.api("/v1/services").json["services"]])
        self.register("shop-1", "127.0.0.1", service=name)
        self.until_answers("127.0.0.1", name=name)
        def told():
            return [row["to"] for row in reversed(self.gslbd.api(f"/v1/events?service={name}").json["events"])]
        eventually(lambda: len(told()) > 1, 5, "it is told")
        self.assertEqual(told(), ["registered", "up"])
        self.register("shop-2", "127.0.0.2", service=name)
        self.until_answers("127.0.0.1", "127.0.0.2", name=name)
        row = self.gslbd.api(f"/v1/services/{name}").json
        self.assertEqual((row["name"], row["method"], [member["name"] for member in row["members"]]),
                         (name, "all", ["shop-1", "shop-2"]))
        self.assertEqual(self.gslbd.answers(f"shop-1.{name}"), ["127.0.0.1"])
        rows = sorted(text.split()[2:] for text in self.gslbd.answers(f"_http._tcp.{name}", "SRV"))
        self.assertEqual(rows, [["8080", f"shop-1.{name}."], ["8080", f"shop-2.{name}."]])
        self.assertIn("shop-1", self.gslbd.ctl("members", "--service", name).stdout)
        # an operator can steer it as any
        self.gslbd.set_member(name, "shop-1", "down")
        self.until_answers("127.0.0.2", name=name)
        self.gslbd.clear_member(name, "shop-1")
        self.assertEqual(self.app.delete("shop-1").status, 202)
        self.until_answers("127.0.0.2", name=name)
        self.assertEqual(self.app.delete("shop-2").status, 202)
        eventually(lambda: self.gslbd.ask(name).rcode() == dns.rcode.NXDOMAIN, 5, "it has gone")
        for below in (f"shop-1.{name}", f"_http._tcp.{name}"):
            self.assertEqual(self.gslbd.ask(below, "SRV").rcode(), dns.rcode.NXDOMAIN, below)
        eventually(lambda: name not in [row["name"] for row in self.gslbd.api("/v1/services").json["services"]], 5,
                   "from the lists too")
        # and comes again
        self.register("shop-3", "127.0.0.3", service=name)
        self.until_answers("127.0.0.3", name=name)
        self.app.delete("shop-3")

    def test_service_goes_when_the_lease_ends(self):
        name = "brief.dyn.example.com"
        self.register("brief-1", "127.0.0.1", service=name, lease_s=5)
        self.until_answers("127.0.0.1", name=name)
        eventually(lambda: self.gslbd.ask(name).rcode() == dns.rcode.NXDOMAIN, 8, "it has gone")

    def test_bounds_of_the_pattern(self):
        for name in ("a.b.dyn.example.com", "dyn.example.com", "*.dyn.example.com"):
            reply = self.app.put("bound-1", registration("127.0.0.1", service=name))
            self.refused(reply, 422)
        for i in range(3):
            self.register(f"bound-{i}", "127.0.0.1", service=f"bound{i}.dyn.example.com")
        self.refused(self.app.put("bound-3", registration("127.0.0.1", service="bound3.dyn.example.com")), 429)
        self.register("bound-3", "127.0.0.3", service="bound2.dyn.example.com")
        self.app.delete("bound-0")
        self.register("bound-4", "127.0.0.4", service="bound3.dyn.example.com")
        for i in range(1, 5):
            self.app.delete(f"bound-{i}")

    def test_created_services_outlive_a_restart(self):
        daemon = self.start({"services": [service("*.dyn.example.com", accept={"tokens": ["app"], "services": 3})]})
        app = Registrant(daemon, create_token(daemon, "app"))
        self.assertEqual(app.put("kept-1", registration("127.0.0.1", service="kept.dyn.example.com")).status, 201)
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        eventually(lambda: daemon.answers("kept.dyn.example.com") == ["127.0.0.1"], 5, "answered again")


if __name__ == "__main__":
    unittest.main()
