"""The balancer on a network without known names: _gslb-register._tcp.local by multicast DNS, asked by an independent
client on an interface of the test's own network."""
import subprocess
import time
import unittest

import dns.message
import dns.rrset

from tests.system import namespace
from tests.system.agent import AgentCase, make_token
from tests.system.multicast import PORT, Client

SERVICE = "_gslb-register._tcp.local."
INSTANCE = "lb1\\.example\\.net." + SERVICE
HOST = "gslb-lb1.local."
SERVICES = [{"name": "app.example.com", "accept": {"tokens": ["app"]}, "when_down": "empty", "srv": "_http._tcp", "members": []}]
NETWORK = ("ip link add gslb0 type veth peer name gslb1",
           "ip addr add 192.0.2.1/24 dev gslb0",
           "ip link set gslb1 up", "ip link set gslb0 up")


class Multicast(AgentCase):
    def setUp(self):
        before = namespace.enter()
        if before is None:
            self.skipTest("a network of its own is not allowed here")
        self.addCleanup(namespace.leave, before)
        for name in ("default", "all"):  # else an address is not used for two seconds
            with open(f"/proc/sys/net/ipv6/conf/{name}/accept_dad", "w", encoding="ascii") as knob:
                knob.write("0")
        for command in NETWORK:
            subprocess.run(command.split(), check=True)

    def client(self, **options):
        client = Client("gslb0", **options)
        self.addCleanup(client.close)
        return client

    def start_balancer(self):
        return self.start({"services": SERVICES, "mdns": {"interfaces": ["gslb0"]}})

    def test_announced_twice_and_gone_with_a_goodbye(self):
        listener = self.client(port=PORT)
        daemon = self.start_balancer()
        first = listener.hear(lambda heard: heard.answers, 10)
        started = time.monotonic()
        self.assertIn(f"{SERVICE} 4500 PTR {INSTANCE}", first.answers)
        self.assertIn(f"{SERVICE} 120 SRV {self.own_srv(first)}", first.answers)
        self.assertIn(f"{HOST} 120 A {daemon.host}", first.answers)
        self.assertIn((INSTANCE, 33), first.flushed)
        self.assertNotIn((SERVICE, 33), first.flushed)
        self.assertIsNotNone(listener.hear(lambda heard: heard.answers, 3))
        self.assertGreater(time.monotonic() - started, 0.5)
        daemon.stop()
        goodbye = listener.hear(lambda heard: any(" 0 " in row for row in heard.answers), 5)
        self.assertIn(f"{SERVICE} 0 PTR {INSTANCE}", goodbye.answers)
        self.assertIn(f"{HOST} 0 A {daemon.host}", goodbye.answers)

    @staticmethod
    def own_srv(heard):
        return next(row.partition(" SRV ")[2] for row in heard.answers if row.startswith(SERVICE) and " SRV " in row)

    def wait_for(self, client, *question):
        """The first answer to a one-shot query, asked until the balancer is there."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            client.ask(question, ident=77)
            heard = client.hear(deadline_s=0.5)
            if heard:
                return heard
        raise AssertionError("nobody answers")

    def test_a_one_shot_query_is_answered_to_its_port(self):
        daemon = self.start_balancer()
        for v6 in (False, True):
            with self.subTest(v6=v6):
                heard = self.wait_for(self.client(v6=v6), SERVICE, "PTR")
                self.assertEqual(heard.message.id, 77)
                self.assertEqual(heard.source[1], PORT)
                self.assertEqual(len(heard.message.question), 1)
                self.assertEqual(heard.flushed, set())
                self.assertEqual(heard.answers, [f"{SERVICE} 10 PTR {INSTANCE}"])
                additional = heard.rows(heard.message.additional)
                self.assertIn(f"{HOST} 10 A {daemon.host}", additional)
                self.assertIn(f'{INSTANCE} 10 TXT "path=/v1" "api=1" "tls=0"', additional)
                srv = next(row for row in additional if " SRV " in row)
                self.assertTrue(srv.endswith(f" {daemon.http_port} {HOST}"), srv)

    def test_known_answers_are_not_repeated(self):
        self.start_balancer()
        self.wait_for(self.client(), SERVICE, "PTR")
        client = self.client(port=PORT)
        client.hear(lambda heard: False, 2.5)  # the announcements are over, and a second since
        known = dns.rrset.from_text(SERVICE, 4000, "IN", "PTR", INSTANCE)
        client.ask((SERVICE, "PTR"), known=[known])
        self.assertIsNone(client.hear(deadline_s=0.6))
        known.ttl = 1000
        client.ask((SERVICE, "PTR"), known=[known])
        self.assertIsNotNone(client.hear(deadline_s=0.6))

    def test_known_answers_may_follow_a_cut_query(self):
        self.start_balancer()
        self.wait_for(self.client(), SERVICE, "PTR")
        client = self.client(port=PORT)
        client.hear(lambda heard: False, 2.5)
        client.ask((SERVICE, "PTR"), cut=True)
        client.ask(known=[dns.rrset.from_text(SERVICE, 4000, "IN", "PTR", INSTANCE)])
        self.assertIsNone(client.hear(deadline_s=0.8))
        client.ask((SERVICE, "PTR"), cut=True)
        self.assertIsNone(client.hear(deadline_s=0.3))
        self.assertIsNotNone(client.hear(deadline_s=0.6))

    def test_the_bit_qu_is_answered_by_unicast(self):
        self.start_balancer()
        self.wait_for(self.client(), SERVICE, "PTR")
        asker, other = self.client(port=PORT), self.client(port=PORT)
        asker.hear(lambda heard: False, 2.5)
        while other.hear(deadline_s=0.1):
            pass
        asker.ask((HOST, "A"), unicast=True)
        # both share the address and port; unicast reaches one of them, multicast would reach both
        heard = [client.hear(deadline_s=0.5) for client in (asker, other)]
        self.assertEqual(sum(one is not None for one in heard), 1)

    def test_a_type_that_is_not_there_is_denied(self):
        self.start_balancer()
        heard = self.wait_for(self.client(), HOST, "AAAA")
        self.assertEqual(heard.answers, [f"{HOST} 10 NSEC {HOST} A"])

    def test_another_balancers_goodbye_is_answered_by_an_announcement(self):
        self.start_balancer()
        self.wait_for(self.client(), SERVICE, "PTR")
        client = self.client(port=PORT)
        client.hear(lambda heard: False, 2.5)
        message = dns.message.Message(id=0)
        message.flags = 0x8400
        message.answer.append(dns.rrset.from_text("_services._dns-sd._udp.local.", 0, "IN", "PTR", SERVICE))
        client.sock.sendto(message.to_wire(), client.group)
        wanted = f"_services._dns-sd._udp.local. 4500 PTR {SERVICE}"
        self.assertIsNotNone(client.hear(lambda heard: wanted in heard.answers, 1))

    def test_an_agent_finds_its_balancer_by_multicast_alone(self):
        daemon = self.start_balancer()
        agent = self.start_agent("app:8080", token=make_token(daemon), ident="found-1", options=["--multicast"])
        self.wait_answers(daemon, [agent.address])
        self.assertEqual(agent.where(), [f"gslb-lb1.local:{daemon.http_port}"])
        # one that comes first waits, and is heard when the balancer is there
        daemon.stop()
        self.assertNotEqual(daemon.process.returncode, None)
        daemon.start()
        self.wait_answers(daemon, [agent.address])

    def test_an_interface_may_come_later(self):
        daemon = self.start({"services": SERVICES, "mdns": {"interfaces": ["later0"]}})
        subprocess.run("ip link add later0 type veth peer name later1".split(), check=True)
        for command in ("ip addr add 198.51.100.1/24 dev later0", "ip link set later1 up", "ip link set later0 up"):
            subprocess.run(command.split(), check=True)
        client = Client("later0")
        self.addCleanup(client.close)
        self.wait_for(client, SERVICE, "PTR")
        self.assertIn("interface later0 is not there", daemon.log())


if __name__ == "__main__":
    unittest.main()
