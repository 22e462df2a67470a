"""Three balancers that are peers of each other, and agents that are with one of them each: one balancer is stopped, one
takes a planned leave, one is killed, and a client asks all of them all the while. Notices are signed."""
import json
import time
import unittest
import urllib.error
import urllib.request

from tests.system.account import tell
from tests.system.agent import (
    APP,
    AgentCase,
    FleetCase,
    NoticeServer,
    Watcher,
    accepting,
    make_token,
    sign,
    signature_fits,
    unix_time,
)
from tests.system.harness import addresses, eventually
from tests.system.length import count

AGENTS = count(60, 200)
BATCH = 20
LEASE = count(5, 8)
GROUP = 50  # one answer holds 64 members at most
NAMES = [f"app{group}.example.com" for group in range(-(-AGENTS // GROUP))]


class Moving(FleetCase):
    def start_agents(self, balancers, number):
        agents = []
        for first in range(0, number, BATCH):
            batch = [self.fleet_agent(f"{NAMES[n // GROUP]}:8080", at=balancers, ident=f"a-{n}", lease=f"{LEASE}s") for n in range(first, min(first + BATCH, number))]
            for agent in batch:
                eventually(agent.where, 20, f"{agent.ident} is registered")
            agents += batch
        return agents

    def wait_union(self, balancers, members):
        """Until each member is answered by one balancer."""
        for name, wanted in members.items():
            eventually(lambda: sorted(address for balancer in balancers for address in balancer.answers(name, edns=0, payload=4096)) == wanted,
                       2, f"all members of {name}")

    def watch(self, balancers, members):
        watcher = Watcher(balancers, members)
        self.addCleanup(watcher.finish)
        return watcher

    def wait_all(self, deadline_s, *balancers):
        """Until each agent is with one of these, and with one alone."""
        wanted = sorted(f"a-{n}" for n in range(AGENTS))
        seen = []

        def reached():
            seen[:] = sorted(ident for balancer in balancers for ident in balancer.resources())
            return seen == wanted
        try:
            eventually(reached, deadline_s, "all agents are with the others")
        except AssertionError:
            twice = [ident for ident in wanted if seen.count(ident) > 1]
            raise AssertionError(f"missing {sorted(set(wanted) - set(seen))}, twice {twice}, "
                                 f"strange {sorted(set(seen) - set(wanted))}") from None

    def check_seen(self, watcher, what):
        rounds = watcher.rounds
        eventually(lambda: watcher.rounds > rounds + 10, 10, "the client has looked again")
        self.assertEqual(watcher.unanswered, [], f"{what}: queries without an answer")
        self.assertEqual(watcher.missing[:3], [], f"{what}: {len(watcher.missing)} rounds in which members were missing")

    def wait_named(self, balancers, *named):
        """Until the SRV records of all these name those alone."""
        wanted = sorted(balancer.target for balancer in named)
        for balancer in balancers:
            eventually(lambda one=balancer: sorted(one.accepting_in_dns()) == wanted, 10, f"{balancer.identity} names {wanted}")

    def check_stop(self, leaving, watcher, others):
        """What leaves is asked first."""
        watcher.ask([leaving, *others])
        began = time.monotonic()
        leaving.process.terminate()
        self.wait_all(9, *others)
        took = time.monotonic() - began
        self.assertEqual(leaving.process.wait(15), 0)
        tell(f"stopped: moved in {took:.2f} s, ended after {time.monotonic() - began:.2f} s")
        watcher.ask(others)
        self.wait_named(others, *others)
        self.check_seen(watcher, "a stop")

    def check_leave(self, leaving, watcher, others):
        everybody = [leaving, *others]
        watcher.ask(everybody)
        began = time.monotonic()
        said = leaving.ctl("leave", "--for", "20m", "--reason", "new kernel")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.wait_all(9, *others)
        shares = [len(balancer.resources()) for balancer in others]
        tell(f"planned leave: moved in {time.monotonic() - began:.2f} s, now with the others {shares}")
        self.assertGreater(min(shares), AGENTS // 20, "both of the others are chosen")
        # it serves on, but has nobody left, and is named to nobody
        eventually(lambda: leaving.resources() == [], LEASE + 4, "the absent one lets go of all when their leases end")
        self.wait_named(everybody, *others)
        # who comes all the same is told to go at once
        late = leaving.register("late", {"addresses": [addresses.take()], "services": [{"name": NAMES[0], "port": 1}]}).json
        self.assertEqual(late["directive"]["kind"], "leave")
        self.assertEqual(sorted(row["identity"] for row in late["directive"]["balancers"]), sorted(other.identity for other in others))
        self.assertEqual(leaving.api("/v1/resources/late", "DELETE").status, 202)
        self.check_seen(watcher, "a planned leave")
        self.assertEqual(leaving.ctl("leave", "cancel").returncode, 0)
        self.wait_named(everybody, *everybody)

    def check_kill(self, killed, watcher, others):
        watcher.ask(others, counts=False)
        began = time.monotonic()
        killed.kill_all()
        self.wait_all(LEASE + 5, *others)
        tell(f"killed: moved in {time.monotonic() - began:.2f} s of a lease of {LEASE} s, now with the others "
             f"{[len(balancer.resources()) for balancer in others]}")
        watcher.ask(others)
        self.wait_named(others, *others)
        self.check_seen(watcher, "a kill")

    def test_stopped_absent_and_killed(self):
        services = [accepting(name, tokens=["fleet"]) for name in NAMES]
        balancers = self.start_fleet(3, extra={"services": services}, server={"udp_payload": 4096})
        first, second, third = balancers
        began = time.monotonic()
        agents = self.start_agents(balancers, AGENTS)
        shares = [len(balancer.resources()) for balancer in balancers]
        tell(f"{AGENTS} agents registered in {time.monotonic() - began:.1f} s, with the balancers {shares}")
        self.assertGreater(min(shares), AGENTS // 8, "they are spread")
        members = {name: sorted(agent.address for agent in agents[group * GROUP:][:GROUP]) for group, name in enumerate(NAMES)}
        self.wait_union(balancers, members)
        watcher = self.watch(balancers, members)
        self.check_stop(third, watcher, [first, second])
        third.start()
        self.wait_named(balancers, *balancers)
        self.check_leave(second, watcher, [first, third])
        self.check_kill(first, watcher, [second, third])
        watcher.finish()
        for agent in agents:
            self.assertIsNone(agent.process.poll(), agent.log())
            # all at once: one after the other would take long
            agent.process.terminate()

    def test_who_has_no_notice_url_is_told_when_it_renews(self):
        balancers = self.start_fleet(2, [0, 10], extra={"services": [accepting(NAMES[0], tokens=["fleet"])]})
        first, second = balancers
        agent = self.fleet_agent(f"{NAMES[0]}:80", at=balancers, ident="deaf-1", options=["--listen", "none"])
        self.wait_answers(first, [agent.address], NAMES[0])
        self.assertIsNone(first.api("/v1/resources/deaf-1").json["notice_url"])
        self.assertEqual(first.ctl("leave", "--for", "20m").returncode, 0)
        self.wait_answers(second, [agent.address], NAMES[0], deadline_s=3)
        self.wait_answers(first, [], NAMES[0], deadline_s=LEASE + 4)  # until its lease ends

    def test_a_rolling_restart_loses_nobody(self):
        """Who was told to go by one balancer may go back to it when the next one's turn has come."""
        balancers = self.start_fleet(3, extra={"services": [accepting(NAMES[0], tokens=["fleet"])]})
        agents = [self.fleet_agent(f"{NAMES[0]}:80", at=balancers, ident=f"r-{n}", lease="20s") for n in range(9)]
        for agent in agents:
            eventually(agent.where, 20, f"{agent.ident} is registered")
        members = {NAMES[0]: sorted(agent.address for agent in agents)}
        self.wait_union(balancers, members)
        watcher = self.watch(balancers, members)
        for balancer in balancers:
            watcher.ask([balancer, *(other for other in balancers if other is not balancer)])
            balancer.process.terminate()
            self.assertEqual(balancer.process.wait(15), 0)
            others = [other for other in balancers if other is not balancer]
            self.assertEqual(sorted(ident for other in others for ident in other.resources()), sorted(agent.ident for agent in agents))
            watcher.ask(others)
            balancer.start()
            self.wait_named(balancers, *balancers)
        self.check_seen(watcher, "a rolling restart")
        for agent in agents:
            agent.process.terminate()


class Notices(AgentCase):
    """What a balancer says to a notice URL, and what an agent believes."""

    def registered(self, daemon, token, server, ident="told-1", *names):
        """A resource of the test's own, with the key that its notices are signed with."""
        body = {"addresses": [server.address], "services": [{"name": name, "port": 80} for name in names or (APP,)], "lease_s": 60,
                "notice_url": server.url}
        request = urllib.request.Request(f"http://{daemon.host}:{daemon.http_port}/v1/resources/{ident}", json.dumps(body).encode(),
                                         {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, method="PUT")
        return json.load(urllib.request.urlopen(request, timeout=5))

    def server(self, *statuses):
        server = NoticeServer(statuses or (204,))
        self.addCleanup(server.close)
        return server

    def test_a_planned_leave_is_told_signed_and_until_it_is_heard(self):
        daemon = self.start({"services": [accepting()]})
        token, deaf, good = make_token(daemon), self.server(503, 503, 204), self.server()
        keys = {server: self.registered(daemon, token, server, f"told-{n}")["notice_key"] for n, server in enumerate((deaf, good))}
        self.assertEqual(daemon.ctl("leave", "--for", "20m", "--reason", "new kernel").returncode, 0)
        eventually(lambda: len(deaf.heard) == 3 and good.heard, 10, "the third try")
        self.assertLess(deaf.heard[2][0] - deaf.heard[0][0], 10)
        self.assertEqual(len(good.heard), 1)
        self.assertNotEqual(keys[deaf], keys[good])
        for server, ident in ((deaf, "told-0"), (good, "told-1")):
            for _, signature, body in server.heard:
                self.assertTrue(signature_fits(keys[server], signature, body), signature)
                self.assertFalse(signature_fits(keys[server], signature, body + b" "))
                self.assertFalse(signature_fits("another", signature, body))
                notice = json.loads(body)
                self.assertEqual((notice["kind"], notice["from"], notice["id"], notice["balancers"]), ("leave", "lb1.example.net", ident, []))
                self.assertAlmostEqual(unix_time(notice["until_at"]) - time.time(), 1200, delta=20)
        # the same stands in the answer to a renewal
        self.assertEqual(self.registered(daemon, token, good, "told-1")["directive"]["kind"], "leave")

    def test_a_stop_is_told(self):
        daemon = self.start({"services": [accepting()]})
        token, server = make_token(daemon), self.server()
        key = self.registered(daemon, token, server)["notice_key"]
        self.assertEqual(daemon.stop(), 0)
        self.assertEqual(len(server.heard), 1)
        self.assertTrue(signature_fits(key, *server.heard[0][1:]))
        self.assertIsNone(json.loads(server.heard[0][2])["until_at"])

    def test_a_reload_that_removes_is_told_to_those_concerned(self):
        other = "api.example.com"
        daemon = self.start({"services": [accepting(), accepting(other)]})
        token, both, bystander = make_token(daemon), self.server(), self.server()
        key = self.registered(daemon, token, both, "told-1", APP, other)["notice_key"]
        self.registered(daemon, token, bystander, "told-2", APP)
        daemon.extra["services"] = [accepting(), {"name": other, "members": [{"name": "m1", "addresses": ["127.0.0.1"]}]}]
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        eventually(lambda: both.heard, 5, "the notice")
        self.assertTrue(signature_fits(key, *both.heard[0][1:]))
        notice = json.loads(both.heard[0][2])
        self.assertEqual((notice["kind"], notice["services"], notice["id"]), ("leave", [other], "told-1"))
        self.assertEqual(bystander.heard, [])

    def test_an_agent_believes_only_who_signs_with_its_key(self):
        daemon = self.start({"services": [accepting()]})
        agent = self.start_agent("app:8080", at=[daemon], token=make_token(daemon), ident="wary-1")
        self.wait_answers(daemon, [agent.address])
        told = daemon.api("/v1/resources/wary-1", unix=True).json
        url, key = told["notice_url"], told["notice_key"]
        body = json.dumps({"kind": "leave", "from": "lb1.example.net", "until_at": None, "balancers": [], "id": "wary-1"}).encode()

        def post(signature, body=body):
            request = urllib.request.Request(url, body, {"Content-Type": "application/json",
                                                         **({"Gslb-Signature": signature} if signature else {})})
            try:
                return urllib.request.urlopen(request, timeout=5).status
            except urllib.error.HTTPError as refusal:
                return refusal.code
        for what, signature in (("none", None), ("another key", sign("0" * len(key), body)), ("old", sign(key, body, time.time() - 400)),
                                ("of the future", sign(key, body, time.time() + 400)), ("of another body", sign(key, body + b" ")),
                                ("no form", "t=x,v1=y")):
            with self.subTest(signature=what):
                self.assertEqual(post(signature), 403)
        self.assertEqual(agent.status()["state"], "registered")
        foreign = body.replace(b"wary-1", b"wary-2")
        self.assertEqual(post(sign(key, foreign), foreign), 422)
        self.assertEqual(agent.status()["state"], "registered")
        self.assertEqual(post(sign(key, body)), 204)
        self.assertEqual(agent.status()["state"], "moving")
        # where nobody else is, it stays: the balancer does not go at all
        eventually(lambda: agent.status()["state"] == "registered", 5, "it stays after all")
        self.assertEqual(daemon.answers(APP), [agent.address])


if __name__ == "__main__":
    unittest.main()
