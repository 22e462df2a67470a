"""A balancer as a resource of another: the parent answers with it, a client looks a service up in two steps by SRV, the
parent sees what the other reports, loops are refused. And a cloud, whose utilization an adapter tells."""
import json
import unittest

import dns.message
import dns.query

from tests.system.agent import APP, AgentCase, accepting, make_token
from tests.system.harness import ZONE, Gslbd, data, eventually

WWW = "www.example.net"
NET_ZONE = ZONE.replace("example.com", "example.net")


class Parents(AgentCase):
    def start_parent(self, **more):
        """Answers for example.net, whose www takes balancers."""
        parent = self.prepare({"services": [accepting(WWW, tokens=["lb"])], **more},
                              zones={"example.net": NET_ZONE}, server={"identity": "top.example.net"})
        parent.start()
        return parent, make_token(parent, "lb", "lb*", WWW)

    def prepare_child(self, parent, token, identity="lb7.example.com", members=("m1", "m2"), extra=None, **entry):
        """Answers for example.com, whose app is what the parent has as www."""
        child = Gslbd(server={"identity": identity})
        service = {**accepting(), "answers": 8, "members": [
            {"name": name, "addresses": [f"127.0.0.{70 + int(name[1:])}"], "srv_port": 8080, "weight": 10} for name in members]}
        (child.directory / "parent.token").write_text(token + "\n")
        child.extra = {"services": [service], "parents": [{
            "address": f"{parent.host}@{parent.http_port}", "token_file": "./parent.token", "lease": "5s",
            "services": [{"name": WWW, "own": APP, "port": child.port}], **entry}], **(extra or {})}
        child.write_config()
        self.daemons.append(child)
        self.addCleanup(self.end, child)
        return child

    def resource(self, parent, ident):
        reply = parent.api(f"/v1/resources/{ident}", unix=True)
        return reply.json if reply.status == 200 else None

    def test_two_levels_of_look_up(self):
        parent, token = self.start_parent()
        child = self.prepare_child(parent, token)
        child.start()
        self.wait_answers(parent, [child.host], WWW)
        row = self.resource(parent, "lb7")
        self.assertEqual((row["kind"], row["owner"], row["path"]), ("balancer", "lb", ["lb7.example.com"]))
        # a client that knows the parent alone
        srv = parent.ask("_http._tcp." + WWW, "SRV")
        priority, _, port, target = data(srv.answer, "SRV")[0].split()
        self.assertEqual((priority, int(port), target), ("0", child.port, f"lb7.{WWW}."))
        address = parent.answers(target, "A")
        self.assertEqual(address, [child.host])
        answer = dns.query.udp(dns.message.make_query("_http._tcp." + APP, "SRV"), address[0], port=int(port), timeout=3)
        targets = sorted((row.split()[3], row.split()[2]) for row in data(answer.answer, "SRV"))
        self.assertEqual(targets, [(f"m1.{APP}.", "8080"), (f"m2.{APP}.", "8080")])
        self.assertEqual(data(answer.additional, "A"), ["127.0.0.71", "127.0.0.72"])

    def test_its_report_and_what_follows_from_it(self):
        parent, token = self.start_parent()
        child = self.prepare_child(parent, token)
        child.start()
        self.wait_answers(parent, [child.host], WWW)
        # a third member, that says how much it can do and how busy it is
        agent = self.start_agent("app:80", at=[child], token=make_token(child), ident="busy-1", config={
            "capacity": 50, "metrics": [{"command": ["/bin/echo", "application_utilization 0.5"], "interval": "500ms"}]})
        self.wait_answers(child, ["127.0.0.71", "127.0.0.72", agent.address])
        metric = f"services.{WWW}."

        def reported(**wanted):
            metrics = self.resource(parent, "lb7")["metrics"]
            return metrics if all(metrics.get(metric + name) == value for name, value in wanted.items()) else None

        def wait_reported(what, **wanted):
            try:
                return eventually(lambda: reported(**wanted), 6, what)
            except AssertionError:
                self.assertEqual(self.resource(parent, "lb7")["metrics"], wanted)
                raise
        metrics = wait_reported("three members", members_up=3, capacity=70, utilization_mean=0.5, utilization_p95=0.5)
        self.assertIn(metric + "rate", metrics)
        self.assertEqual(self.resource(parent, "lb7")["lease"]["utilization"], 0.5)
        child.set_member(APP, "m1", "down")
        wait_reported("two members", members_up=2, capacity=60)
        self.assertEqual(parent.answers(WWW), [child.host])
        # its last members go: clients are not sent there any more
        child.set_member(APP, "m2", "down")
        agent.ctl("maint")
        self.wait_answers(parent, [], WWW, deadline_s=6)
        lease = self.resource(parent, "lb7")["lease"]
        self.assertEqual((lease["state"], lease["self"], lease["self_reason"]), ("live", "maint", "no service has a member that is up"))
        child.clear_member(APP, "m2")
        self.wait_answers(parent, [child.host], WWW, deadline_s=6)

    def test_a_clean_stop_deregisters_and_a_crash_runs_out(self):
        parent, token = self.start_parent()
        child = self.prepare_child(parent, token)
        child.start()
        self.wait_answers(parent, [child.host], WWW)
        self.assertEqual(child.stop(), 0)
        self.wait_answers(parent, [], WWW, deadline_s=0.5)
        child.start()
        self.wait_answers(parent, [child.host], WWW)
        child.kill_all()
        self.wait_answers(parent, [], WWW, deadline_s=7)

    def test_loops_are_refused(self):
        first, token = self.start_parent()
        second = self.prepare_child(first, token)
        second.start()
        self.wait_answers(first, [second.host], WWW)
        second_token = make_token(second, "app", "top*", APP)
        # the parent would become the child of its child
        (first.directory / "parent.token").write_text(second_token + "\n")
        first.extra["parents"] = [{"address": f"{second.host}@{second.http_port}", "token_file": "./parent.token", "lease": "5s",
                                   "services": [{"name": APP, "own": WWW, "port": first.port}]}]
        first.write_config()
        self.assertEqual(first.ctl("reload").returncode, 0)
        eventually(lambda: "refused with 409" in first.log(), 5, "the loop is refused")
        self.assertIn("409 this balancer is already below the one that registers", first.log())
        self.assertIsNone(self.resource(second, "top"))
        self.assertEqual(second.answers(APP), ["127.0.0.71", "127.0.0.72"])
        self.assertEqual(first.answers(WWW), [second.host])

    def test_a_balancer_is_not_its_own_parent(self):
        parent, token = self.start_parent()
        child = self.prepare_child(parent, token, identity="top.example.net", id="lb9")
        child.start()
        eventually(lambda: "refused with 409" in child.log(), 5, "the loop is refused")
        self.assertIsNone(self.resource(parent, "lb9"))

    def test_a_reload_that_takes_the_parent_away_deregisters(self):
        parent, token = self.start_parent()
        child = self.prepare_child(parent, token)
        child.start()
        self.wait_answers(parent, [child.host], WWW)
        del child.extra["parents"]
        child.write_config()
        self.assertEqual(child.ctl("reload").returncode, 0)
        self.wait_answers(parent, [], WWW)


class Cloud(AgentCase):
    def test_utilization_by_an_adapter_command(self):
        daemon = self.start({"services": [accepting()]})
        figures = daemon.directory / "cloud.json"
        figures.write_text(json.dumps({"application_utilization": 0.4, "named_metrics": {"instances": 12}}))
        agent = self.start_agent("app:443", at=[daemon], token=make_token(daemon), ident="cloud-eu", options=["--kind", "cloud"],
                                 config={"metrics": [{"command": ["/bin/cat", str(figures)], "interval": "300ms"}]})
        self.wait_answers(daemon, [agent.address])
        eventually(lambda: daemon.api("/v1/resources/cloud-eu").json["metrics"], 5, "figures are told")
        row = daemon.api("/v1/resources/cloud-eu").json
        self.assertEqual(row["kind"], "cloud")
        # nothing of the machine on which the agent happens to run
        self.assertEqual(row["metrics"], {"application_utilization": 0.4, "named_metrics.instances": 12})
        self.assertEqual(row["lease"]["utilization"], 0.4)
        self.assertEqual(daemon.member(APP, "cloud-eu")["kind"], "cloud")
        figures.write_text(json.dumps({"application_utilization": 0.9}))
        eventually(lambda: daemon.api("/v1/resources/cloud-eu").json["lease"]["utilization"] == 0.9, 5, "the next figure")


if __name__ == "__main__":
    unittest.main()
