"""What moves along when a balancer sends its resources away: a token that is good at both, and the clients, who are
answered by the balancer that is left for as long as they ask it."""
import time

from tests.system.agent import APP, AgentCase, accepting, make_token
from tests.system.harness import addresses, eventually, free_port

NAMES = ["lb1.example.net", "lb2.example.net"]


class Moving(AgentCase):
    def setUp(self):
        address = addresses.take()
        self.member = self.start_member("m", free_port(address), address)
        monitor = {"name": "up", "type": "http", "port": self.member.port, "path": "/health", "interval": "500ms",
                   "timeout": "400ms", "rise": 1, "fall": 1}
        self.balancers = [self.prepare({"monitors": [monitor], "services": [accepting(monitors=["up"])]}, server={"identity": name})
                          for name in NAMES]
        for daemon, peer, name in zip(self.balancers, reversed(self.balancers), reversed(NAMES)):
            daemon.extra["peers"] = [{"identity": name, "address": f"{peer.host}@{peer.http_port}"}]
            daemon.write_config()
            daemon.start()

    def share_token(self):
        first, second = self.balancers
        token = make_token(first)
        path = first.directory / "agent.token"
        path.write_text(token + "\n")
        said = second.ctl("token", "create", "app", "--resources", "*", "--services", "*", "--token-file", path)
        self.assertEqual((said.returncode, said.stdout.strip()), (0, token), said.stderr)
        said = second.ctl("token", "create", "other", "--resources", "*", "--token-file", first.config_path)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("must be a token that a balancer made", said.stderr)
        return token

    def test_clients_are_answered_by_the_balancer_that_is_left(self):
        first, second = self.balancers
        token = self.share_token()
        self.start_agent(f"{APP}:8080", at=[first], token=token, ident="app-1", address=self.member.address, lease="5s")
        eventually(lambda: first.answers(APP) == [self.member.address], 10, "the first answers with it")
        eventually(lambda: sorted(first.answers("_gslb-register._tcp.example.com", "SRV"))[1:], 10, "the peer is known")
        self.assertEqual(first.ctl("leave", "--for", "20m").returncode, 0)
        eventually(lambda: second.answers(APP) == [self.member.address], 10, "the second answers with it")
        end = time.monotonic() + 8  # longer than the lease
        while time.monotonic() < end:
            self.assertEqual(first.answers(APP), [self.member.address], "asked while it is away")
            time.sleep(0.05)
        # its probes decide from here on
        self.member.kill()
        eventually(lambda: first.answers(APP) == [], 5, "no probe passes any more")
