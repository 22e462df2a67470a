"""A machine that knows nothing but a domain name: gslb-agent finds its balancer, registers, reports, and goes."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request
from pathlib import Path

from tests.system.agent import APP, AgentCase, FleetCase, accepting, dig, make_token, unix_time
from tests.system.harness import Gslbd, eventually

API = "api.example.com"
SERVICES = [accepting(), accepting(API)]


class AgentTest(AgentCase):
    @classmethod
    def setUpClass(cls):
        cls.daemon = cls.share(Gslbd({"services": SERVICES}))
        cls.token = make_token(cls.daemon)

    def agent(self, *services, ident, **options):
        return self.start_agent(*(services or ("app:8080",)), **{"at": [self.daemon], "token": self.token, "ident": ident, **options})

    def resource(self, ident):
        return self.daemon.api(f"/v1/resources/{ident}", unix=True)

    def wait_gone(self, *idents):
        for ident in idents:
            eventually(lambda one=ident: self.resource(one).status == 404 or self.resource(one).json["lease"]["state"] == "ended",
                       8, f"{ident} is gone")


class Joining(AgentTest):
    def test_answered_within_a_second_by_the_domain_alone(self):
        agent = self.agent(ident="join-1")
        seen = self.wait_answers(self.daemon, [agent.address])
        self.assertEqual(dig(self.daemon, APP), [agent.address])
        self.assertRegex(one(dig(self.daemon, "_http._tcp." + APP, "SRV")), rf"^0 [1-9]\d* 8080 join-1\.{APP}\.$")
        self.assertEqual(dig(self.daemon, f"join-1.{APP}"), [agent.address])
        self.assertLess(seen - unix_time(self.resource("join-1").json["registered_at"]), 1)
        self.assertLess(seen - agent.started, 2)

    def test_the_address_is_the_one_that_leads_to_the_balancer(self):
        self.agent(ident="join-2", address="")
        eventually(lambda: self.resource("join-2").status == 200, 5, "it is registered")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self.daemon.host, 9))
            self.assertEqual(self.resource("join-2").json["addresses"], [probe.getsockname()[0]])

    def test_several_services(self):
        agent = self.agent("app:8080", f"{API}:8443", ident="join-3")
        self.wait_answers(self.daemon, [agent.address])
        self.wait_answers(self.daemon, [agent.address], API)
        for name, port in ((APP, 8080), (API, 8443)):
            self.assertRegex(one(dig(self.daemon, "_http._tcp." + name, "SRV")), rf"^0 [1-9]\d* {port} join-3\.{name}\.$")

    def test_killed_and_gone_when_its_lease_ends(self):
        agent = self.agent(ident="join-4")
        self.wait_answers(self.daemon, [agent.address])
        agent.kill()
        ends = unix_time(self.resource("join-4").json["lease"]["ends_at"])
        self.assertGreater(ends - time.time(), 3)
        gone = self.wait_answers(self.daemon, [], deadline_s=8)
        self.assertGreater(gone, ends - 0.05)
        self.assertLess(gone, ends + 0.4)

    def test_a_stop_deregisters_and_serves_on_until_the_named_time(self):
        agent = self.agent(ident="join-5")
        self.wait_answers(self.daemon, [agent.address])
        url = self.resource("join-5").json["utilization_url"]
        agent.process.terminate()
        at = time.time()
        gone = self.wait_answers(self.daemon, [])
        self.assertLess(gone - at, 0.5)
        self.assertIn("mem_utilization", json.load(urllib.request.urlopen(url, timeout=2)))
        # resolvers keep the last answer for two seconds
        self.assertEqual(agent.process.wait(5), 0)
        self.assertGreater(time.time() - at, 1.5)
        self.assertLess(time.time() - at, 3.0)

    def test_the_state_directory_keeps_id_and_state(self):
        agent = self.agent(ident="kept-7")
        self.wait_answers(self.daemon, [agent.address])
        agent.ctl("drain", "until", "noon")
        agent.stop()
        place = agent.arguments.index("--id")
        del agent.arguments[place:place + 2]
        agent.start()
        self.assertEqual(agent.wait_registered()["id"], "kept-7")
        eventually(lambda: self.resource("kept-7").json["lease"]["self"] == "drain", 5, "it says what it was told")
        self.assertEqual(self.resource("kept-7").json["lease"]["self_reason"], "until noon")

    def test_a_registration_without_an_end_is_renewed_all_the_same(self):
        agent = self.agent(ident="join-8", lease="0s")
        self.wait_answers(self.daemon, [agent.address])
        self.assertIsNone(self.resource("join-8").json["lease"]["ends_at"])


class Saying(AgentTest):
    """What it tells of the machine and of itself."""

    def metrics(self, ident):
        return self.resource(ident).json["metrics"]

    def test_reports_agree_with_proc(self):
        agent = self.agent(ident="say-1")
        agent.wait_registered()
        memory = {key: int(value.split()[0]) for key, value in (
            line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())}
        used = 1 - memory["MemAvailable"] / memory["MemTotal"]
        eventually(lambda: "mem_utilization" in self.metrics("say-1"), 5, "it has reported")
        self.assertAlmostEqual(self.metrics("say-1")["mem_utilization"], used, delta=0.03)
        agent.ctl("report")
        before = processor()
        hog = subprocess.Popen([sys.executable, "-c", "while True: pass"])
        self.addCleanup(hog.wait)
        self.addCleanup(hog.kill)
        hog_until = time.monotonic() + 1.0
        eventually(lambda: time.monotonic() > hog_until, 3, "a second of work")
        told = agent.ctl("report")
        after = processor()
        busy = (after[0] - before[0]) / (after[1] - before[1])
        self.assertAlmostEqual(told["cpu_utilization"], busy, delta=0.15)
        self.assertGreater(told["cpu_utilization"], 0.3 / os.cpu_count())
        eventually(lambda: abs(self.metrics("say-1").get("cpu_utilization", -1) - told["cpu_utilization"]) < 1e-6, 5, "the same is stored")
        named = told["named_metrics"]
        disk = os.statvfs(agent.state_path)
        full = (disk.f_blocks - disk.f_bfree) / (disk.f_blocks - disk.f_bfree + disk.f_bavail)
        self.assertAlmostEqual(named["disk_utilization"], full, delta=0.01)
        self.assertAlmostEqual(named["load1"], float(Path("/proc/loadavg").read_text().split()[0]), delta=0.7)
        cache = (memory["Cached"] + memory["Buffers"] - memory["Shmem"]) * 1024
        self.assertAlmostEqual(named["page_cache_bytes"] / cache, 1, delta=0.1)
        swap = 1 - memory["SwapFree"] / memory["SwapTotal"] if memory["SwapTotal"] else 0
        self.assertAlmostEqual(named["swap_utilization"], swap, delta=0.03)
        # others open and close connections meanwhile
        eventually(lambda: abs(agent.ctl("report")["named_metrics"]["connections"] - established()) < 5, 10, "as many connections")
        received, sent = traffic()
        self.assertLessEqual(named["network_in_bytes"], received)
        self.assertGreater(named["network_in_bytes"], received - 50e6)
        self.assertLessEqual(named["network_out_bytes"], sent)
        self.assertGreaterEqual(named["network_in_bytes_per_s"], 0)
        # the utilization URL tells the same
        url = self.resource("say-1").json["utilization_url"]
        served = json.load(urllib.request.urlopen(url, timeout=2))
        self.assertEqual(served["state"], "up")
        self.assertLessEqual(set(told), set(served))
        self.assertEqual(set(named), set(served["named_metrics"]))

    def test_drain_maint_and_up_by_command_change_the_answers(self):
        first, second = self.agent(ident="say-2a"), self.agent(ident="say-2b")
        both = [first.address, second.address]
        self.wait_answers(self.daemon, both)
        for word, left in (("drain", [second.address]), ("up", both), ("maint", [second.address])):
            with self.subTest(word=word):
                first.ctl(word, *(["a", "new", "kernel"] if word != "up" else []))
                self.wait_answers(self.daemon, left, deadline_s=1.5)
        lease = self.resource("say-2a").json["lease"]
        self.assertEqual((lease["self"], lease["self_reason"]), ("maint", "a new kernel"))
        # one that drains is answered when nobody else is left, one that is in maintenance never
        second.ctl("drain")
        self.wait_answers(self.daemon, [second.address])
        second.ctl("maint")
        self.wait_answers(self.daemon, [])
        first.ctl("up")
        self.wait_answers(self.daemon, [first.address])

    def test_the_worse_of_state_file_and_command_counts(self):
        path = Path(self.daemon.directory) / "say-3.state"
        agent = self.agent(ident="say-3", options=["--state-file", path])
        self.wait_answers(self.daemon, [agent.address])
        path.write_text("maint a disk is being replaced\n")
        self.wait_answers(self.daemon, [])
        self.assertEqual(self.resource("say-3").json["lease"]["self_reason"], "a disk is being replaced")
        agent.ctl("drain")
        path.write_text("nonsense\n")
        eventually(lambda: "none of up, drain, maint" in agent.log(), 5, "nonsense is told")
        self.assertEqual(self.resource("say-3").json["lease"]["self"], "maint")
        path.write_text("up\n")
        self.wait_answers(self.daemon, [agent.address])
        self.assertEqual(self.resource("say-3").json["lease"]["self"], "drain")

    def test_own_metrics_from_command_file_url_and_socket(self):
        directory = self.daemon.directory
        (directory / "load").write_text("0.25\n")
        path = directory / "metrics.sock"
        giver = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(giver.close)
        giver.bind(str(path))
        giver.listen(4)
        web = socket.create_server((self.daemon.host, 0))
        self.addCleanup(web.close)
        threading.Thread(target=serve, args=(giver, b"# of the application\nsessions=31\nrps_fractional 12.5\n"), daemon=True).start()
        threading.Thread(target=serve, args=(web, b'{"named_metrics":{"shards":7}}', True), daemon=True).start()
        every = {"interval": "300ms", "timeout": "250ms"}
        agent = self.agent(ident="say-4", config={"metrics": [
            {"command": ["/bin/echo", '{"named_metrics":{"queue":12}}'], **every},
            {"file": str(directory / "load"), "name": "application_utilization", **every},
            {"url": f"http://{self.daemon.host}:{web.getsockname()[1]}/load", **every},
            {"socket": str(path), **every},
            {"command": ["/bin/sleep", "60"], **every}]})  # one that hangs keeps nothing from the others
        wanted = {"named_metrics.queue": 12, "application_utilization": 0.25, "named_metrics.shards": 7,
                  "named_metrics.sessions": 31, "rps_fractional": 12.5}
        agent.wait_registered()

        def told():
            metrics = self.metrics("say-4")
            return all(metrics.get(name) == value for name, value in wanted.items()) or None
        try:
            eventually(told, 6, "all figures")
        except AssertionError:
            self.assertLessEqual(wanted.items(), self.metrics("say-4").items())
            raise
        (directory / "load").write_text("0.75\n")
        eventually(lambda: self.metrics("say-4")["application_utilization"] == 0.75, 6, "the next figure")
        self.assertEqual(self.resource("say-4").json["lease"]["utilization"], 0.75)
        (directory / "load").unlink()
        agent.ctl("report", "backlog=99")
        eventually(lambda: self.metrics("say-4").get("named_metrics.backlog") == 99, 3, "a figure by command")
        # what cannot be read any more is not told any more
        eventually(lambda: "application_utilization" not in self.metrics("say-4"), 6, "a stale figure goes")

    def test_job_counters(self):
        agent = self.agent(ident="say-5")
        agent.wait_registered()
        agent.ctl("job", "done", "1.5")
        at = time.time()
        said = agent.ctl("job", "done", "2", "3")
        self.assertEqual((said["done"], said["busy_s"]), (4, 3.5))
        self.assertAlmostEqual(unix_time(said["last_ended_at"]), at, delta=2)
        agent.ctl("report")
        eventually(lambda: self.metrics("say-5").get("jobs.done") == 4, 3, "jobs are told")
        self.assertEqual(self.metrics("say-5")["jobs.busy_s"], 3.5)
        agent.stop()
        agent.start()
        eventually(lambda: self.resource("say-5").status == 200 and self.metrics("say-5").get("jobs.done") == 4, 5, "jobs outlive a restart")

    def test_jobs_from_a_file(self):
        path = self.daemon.directory / "jobs.json"
        path.write_text('{"done":12,"busy_s":34.5,"last_ended_at":"2026-11-21T13:30:00Z"}')
        self.agent(ident="say-6", options=["--jobs-file", path])
        eventually(lambda: self.resource("say-6").status == 200 and self.metrics("say-6").get("jobs.done") == 12, 5, "jobs are told")

    def test_a_reload_registers_what_is_new(self):
        agent = self.prepare_agent(at=[self.daemon], token=self.token, ident="say-7",
                                   config={"services": [{"name": "app", "port": 8080}], "labels": {"rack": "r7"}})
        agent.start()
        self.wait_answers(self.daemon, [agent.address])
        agent.config_path.write_text(json.dumps({"services": [{"name": "api", "port": 81}], "labels": {"rack": "r8"}}))
        agent.process.send_signal(1)
        self.wait_answers(self.daemon, [])
        self.wait_answers(self.daemon, [agent.address], API)
        self.assertEqual(self.resource("say-7").json["labels"], {"rack": "r8"})
        agent.config_path.write_text('{"services": [')
        agent.process.send_signal(1)
        eventually(lambda: "is not taken over" in agent.log(), 5, "the mistake is told")
        self.assertEqual(self.daemon.answers(API), [agent.address])


class Refused(AgentTest):
    def check_refusal(self, agent, pattern):
        eventually(lambda: re.search(pattern, agent.log()), 5, f"the log tells {pattern}")
        self.assertEqual(self.daemon.answers(APP), [])
        self.assertNotEqual(agent.status()["state"], "registered")
        self.assertRegex(json.dumps(agent.status()), pattern)

    def test_an_unknown_token(self):
        self.check_refusal(self.agent(ident="no-1", token="gslb_" + "A" * 43), "401 .*token")

    def test_another_ones_id(self):
        token = make_token(self.daemon, "narrow", "narrow-*", APP)
        self.addCleanup(self.daemon.ctl, "token", "delete", "narrow")
        self.check_refusal(self.agent(ident="wide-1", token=token), "403 ")

    def test_a_service_that_is_not_there(self):
        self.check_refusal(self.agent("none:80", ident="no-2"), "422 .*/services/0")

    def test_removed_by_an_operator_and_not_asking_again(self):
        agent = self.agent(ident="gone-1")
        self.wait_answers(self.daemon, [agent.address])
        said = self.daemon.ctl("resource", "remove", "gone-1", "--reason", "it lies")
        self.assertEqual(said.returncode, 0, said.stderr)
        self.wait_answers(self.daemon, [])
        eventually(lambda: agent.status()["state"] == "removed", 5, "the agent knows")
        self.assertIn("it is not asked again", agent.log())
        self.assertIn("410 removed by an operator", agent.log())
        # allowed again it is registered when it is started anew, and not before
        self.assertEqual(self.daemon.ctl("resource", "allow", "gone-1").returncode, 0)
        agent.ctl("report")
        self.assertEqual(agent.status()["state"], "removed")
        self.assertEqual(self.daemon.answers(APP), [])
        agent.stop()
        agent.start()
        self.wait_answers(self.daemon, [agent.address])


class Losing(AgentCase):
    def test_registers_again_where_the_state_was_lost(self):
        daemon = self.start({"services": SERVICES})
        token = make_token(daemon)
        daemon.stop()
        backup = daemon.directory / "backup"
        shutil.copytree(daemon.directory / "state", backup)
        daemon.start()
        agent = self.start_agent("app:8080", at=[daemon], token=token, ident="lost-1")
        self.wait_answers(daemon, [agent.address])
        epoch = daemon.api("/v1/resources/lost-1").json["epoch"]
        daemon.kill_all()
        shutil.rmtree(daemon.directory / "state")
        shutil.copytree(backup, daemon.directory / "state")
        daemon.start()
        self.assertEqual(daemon.answers(APP), [])
        self.wait_answers(daemon, [agent.address], deadline_s=6)
        self.assertNotEqual(daemon.api("/v1/resources/lost-1").json["epoch"], epoch)
        self.assertIn("registering again", agent.log())

    def test_a_restart_of_the_balancer_is_ridden_out(self):
        daemon = self.start({"services": SERVICES})
        agent = self.start_agent("app:8080", at=[daemon], token=make_token(daemon), ident="lost-2")
        self.wait_answers(daemon, [agent.address])
        daemon.kill_all()
        daemon.start()
        self.assertEqual(daemon.answers(APP), [agent.address])
        registered = daemon.api("/v1/resources/lost-2").json["registered_at"]
        sequence = daemon.api("/v1/resources/lost-2").json["lease"]["sequence"]
        eventually(lambda: daemon.api("/v1/resources/lost-2").json["lease"]["sequence"] > sequence, 5, "it is renewed")
        self.assertEqual(daemon.api("/v1/resources/lost-2").json["registered_at"], registered)

    def test_waits_for_a_balancer_that_is_not_there_yet(self):
        daemon = self.prepare({"services": SERVICES})
        daemon.start()
        token = make_token(daemon)
        daemon.stop()
        agent = self.start_agent("app:8080", at=[daemon], token=token, ident="early-1")
        self.assertIn("no balancer found", eventually(lambda: (agent.status() or {}).get("error"), 10, "it says what is wrong"))
        daemon.start()
        self.wait_answers(daemon, [agent.address], deadline_s=10)


class FailOver(FleetCase):
    def test_the_next_priority_when_a_balancer_is_killed(self):
        first, second = self.start_fleet(2, [0, 10], extra={"services": [accepting(tokens=["fleet"])]})
        agents = [self.fleet_agent("app:8080", at=[first, second], ident=f"over-{number}") for number in range(4)]
        everybody = [agent.address for agent in agents]
        self.wait_answers(first, everybody)
        self.assertEqual(second.answers(APP), [])
        first.kill_all()
        at = time.time()
        gone = self.wait_answers(second, everybody, deadline_s=8)
        # half a lease without an answer
        self.assertLess(gone - at, 5)
        eventually(lambda: second.accepting_in_dns() == [second.target], 10, "SRV names who is left")


def one(rows):
    assert len(rows) == 1, rows
    return rows[0]


def processor():
    """(busy, all) ticks of all processors."""
    user, nice, system, idle, iowait, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    busy = user + nice + system + irq + softirq + steal
    return busy, busy + idle + iowait


def established():
    names, numbers = (line.split() for line in Path("/proc/net/snmp").read_text().splitlines() if line.startswith("Tcp:"))
    return int(numbers[names.index("CurrEstab")])


def traffic():
    """(received, sent) bytes of all interfaces but lo."""
    rows = [line.replace(":", " ").split() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
    return sum(int(row[1]) for row in rows if row[0] != "lo"), sum(int(row[9]) for row in rows if row[0] != "lo")


def serve(listener, body, is_http=False):
    """Gives the body to whoever connects, until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            if is_http:
                connection.recv(4096)
                body_head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
                connection.sendall(body_head + body)
            else:
                connection.sendall(body)


if __name__ == "__main__":
    unittest.main()
