"""Figures that others tell: a utilization URL, a Prometheus endpoint, an agent as HAProxy asks it. What is stored is what they
said, with its age and its counters; what cannot be a figure is refused."""
import calendar
import collections
import json
import os
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from tests.system.figure_server import FigureServer, LineServer, ShiftedClock
from tests.system.harness import Case, addresses, end_process, eventually, free_port

ALONE = True  # measures time

NAME = "www.example.com"
EXPORTER = "prometheus-node-exporter"


def service(members, sources, **changes):
    return {"name": NAME, "ttl": {"max": "30s", "min": "1s"}, "method": "all", "answers": 1, "when_down": "empty",
            "sources": sources, "members": members, **changes}


class Sources(Case):
    def serve(self, server):
        self.addCleanup(server.end)
        return server.start()

    def start_reading(self, server, source, **changes):
        """A daemon with one member, which the source reads at the server."""
        options = {key: changes.pop(key) for key in ("prepare",) if key in changes}
        extra = {"sources": [{"name": "told", "port": server.port, "timeout": "500ms", **source}],
                 "services": [service([{"name": "m1", "addresses": [server.address]}], ["told"], **changes)]}
        return self.prepare(extra) if options.get("prepare") else self.start(extra)

    def source(self, daemon, kind, member="m1"):
        """What the API has of that source, or None."""
        rows = daemon.api(f"/v1/members/{NAME}/{member}/load").json["sources"]
        return next((row for row in rows if row["source"] == kind), None)

    def values(self, daemon, kind, member="m1"):
        row = self.source(daemon, kind, member)
        return {value["name"]: value["value"] for value in row["values"]} if row else {}

    def until_values(self, daemon, kind, wanted, deadline_s=8):
        eventually(lambda: self.values(daemon, kind) == wanted, deadline_s, f"{kind} is {wanted}")

    def refusals(self, daemon):
        return [event for event in daemon.api(f"/v1/events?service={NAME}").json["events"] if event["kind"] == "metrics"]

    def until_refused(self, daemon, *words):
        def told():
            return [event for event in self.refusals(daemon) if all(word in event["reason"] for word in words)]
        event = eventually(told, 8, f"an event with {words}")[0]
        self.assertEqual((event["service"], event["member"], event["to"]), (NAME, "m1", "refused"))


class Utilization(Sources):
    def test_document_is_read_at_its_interval(self):
        document = {"cpu_utilization": 0.25, "mem_utilization": 0.5, "application_utilization": 0.75, "rps_fractional": 12.5,
                    "eps": 0, "named_metrics": {"queue": 17, "disk.used": 1e12}, "jobs": {"done": 4, "busy_s": 1.5},
                    "services": {"app.example.com": {"members_up": 3}}, "version": "7", "ready": True, "tags": [1, 2]}
        server = self.serve(FigureServer().set("/utilization?all=1", document))
        daemon = self.start_reading(server, {"type": "utilization", "path": "/utilization?all=1", "interval": "1s"})
        self.until_values(daemon, "utilization", {
            "cpu_utilization": 0.25, "mem_utilization": 0.5, "application_utilization": 0.75, "rps_fractional": 12.5, "eps": 0,
            "named_metrics.queue": 17, "named_metrics.disk.used": 1e12, "jobs.done": 4, "jobs.busy_s": 1.5,
            "services.app.example.com.members_up": 3})
        server.set("/utilization?all=1", {"cpu_utilization": 0.875})
        self.until_values(daemon, "utilization", {"cpu_utilization": 0.875})
        self.assertEqual({headers["Host"] for _, _, headers in server.asked}, {NAME})
        self.assertEqual({headers["Accept"] for _, _, headers in server.asked}, {"application/json"})
        eventually(lambda: len(server.asked) >= 7, 10, "it is read again and again")
        times = server.times("/utilization?all=1")[:7]
        gaps = [b - a for a, b in zip(times, times[1:])]
        self.assertGreater(min(gaps), 0.85)
        self.assertLess(max(gaps), 1.1)

    def test_row_has_its_age_and_its_counters(self):
        server = self.serve(FigureServer().set("/", {"cpu_utilization": 0.5}))
        daemon = self.start_reading(server, {"type": "utilization", "interval": "500ms", "timeout": "300ms"})
        row = eventually(lambda: (self.source(daemon, "utilization") or {}).get("read", 0) >= 3 and self.source(daemon, "utilization"),
                         10, "it is read")
        self.assertEqual((row["interval_s"], row["failed"], row["reason"], row["self"]), (0.5, 0, None, None))
        self.assertLess(row["age_s"], 0.8)
        row = self.source(daemon, "utilization")
        self.assertAlmostEqual(row["read"], len(server.asked), delta=1)
        # what fails is counted beside, and the figures and their time stay
        server.set("/", "busy", status=503)
        row = eventually(lambda: self.source(daemon, "utilization")["failed"] >= 2 and self.source(daemon, "utilization"), 8, "it fails")
        self.assertIn("503", row["reason"])
        self.assertEqual(self.values(daemon, "utilization"), {"cpu_utilization": 0.5})
        read = row["read"]
        last_said = server.asked[read - 1][0]
        server.end()
        row = eventually(lambda: "refused" in self.source(daemon, "utilization")["reason"] and self.source(daemon, "utilization"),
                         8, "it is refused")
        self.assertEqual(row["read"], read)
        self.assertAlmostEqual(self.source(daemon, "utilization")["age_s"], time.monotonic() - last_said, delta=0.3)
        # a daemon that starts anew goes on from there
        failed = self.source(daemon, "utilization")["failed"]
        daemon.stop()
        daemon.start()
        row = eventually(lambda: self.source(daemon, "utilization"), 8, "the row is there")
        self.assertEqual((row["read"], self.values(daemon, "utilization")), (read, {"cpu_utilization": 0.5}))
        self.assertGreaterEqual(row["failed"], failed)
        self.serve(server)
        server.set("/", {"cpu_utilization": 0.125})
        self.until_values(daemon, "utilization", {"cpu_utilization": 0.125})
        self.assertGreater(self.source(daemon, "utilization")["read"], read)

    def test_schedule(self):
        clock = ShiftedClock()
        self.addCleanup(clock.remove)
        server = self.serve(FigureServer().set("/cost", [{"cpu_utilization": 0.1}, {"cpu_utilization": 0.2}]))
        daemon = self.start_reading(server, {"type": "utilization", "path": "/cost", "schedule": "30 2 * * *"}, prepare=True)
        due = calendar.timegm((2027, 3, 14, 2, 30, 0))
        daemon.environment = clock.set(due - 16).environment()
        daemon.start()
        eventually(lambda: server.asked, 12, "a new source is read soon")
        eventually(lambda: len(server.asked) == 2, 20, "it is read when it is due")
        self.assertGreaterEqual(server.asked[1][0] - time.monotonic() + clock.now(), due - 1)
        self.assertLess(server.asked[1][0] - time.monotonic() + clock.now(), due + 2.5)
        self.until_values(daemon, "utilization", {"cpu_utilization": 0.2})
        time.sleep(3)
        self.assertEqual(len(server.asked), 2, "once a day")

    def test_every_so_many_answers(self):
        server = self.serve(FigureServer().set("/", {"cpu_utilization": 0.1}))
        daemon = self.start_reading(server, {"type": "utilization", "every_answers": 100})
        eventually(lambda: server.asked, 12, "a new source is read soon")
        time.sleep(2.5)  # by now it has looked where the member's answers are counted
        for _ in range(2):
            before = len(server.asked)
            for _ in range(60):
                daemon.ask(NAME)
            time.sleep(2.5)  # it looks each second
            self.assertEqual(len(server.asked), before, "60 answers are not 100")
            for _ in range(60):
                daemon.ask(NAME)
            eventually(lambda: len(server.asked) == before + 1, 5, "120 are more")

    def test_on_demand(self):
        server = self.serve(FigureServer().set("/", {"cpu_utilization": 0.5}))
        daemon = self.start_reading(server, {"type": "utilization", "interval": "1h"})
        for value in (0.25, 0.75):
            server.set("/", {"cpu_utilization": value})
            done = daemon.ctl("measure", f"{NAME}/m1")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.until_values(daemon, "utilization", {"cpu_utilization": value}, 3)
        server.set("/", {"cpu_utilization": 0.125})
        self.assertEqual(daemon.ctl("measure", "m1").returncode, 0)
        self.until_values(daemon, "utilization", {"cpu_utilization": 0.125}, 3)
        asked = len(server.asked)
        reply = daemon.api(f"/v1/admin/measure/{NAME}/m1", "POST", unix=True)
        self.assertEqual((reply.status, reply.json), (202, {"member": f"{NAME}/m1"}))
        eventually(lambda: len(server.asked) == asked + 1, 3, "it is read")
        self.assertEqual(daemon.api(f"/v1/admin/measure/{NAME}/m1", "POST").status, 401)
        self.assertEqual(daemon.api(f"/v1/admin/measure/{NAME}/m2", "POST", unix=True).status, 404)
        self.assertNotEqual(daemon.ctl("measure", f"{NAME}/m2").returncode, 0)
        extra = {**daemon.extra, "services": [service([{"name": "m1", "addresses": [server.address]}], [])]}
        daemon.extra = extra
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        eventually(lambda: daemon.api(f"/v1/admin/measure/{NAME}/m1", "POST", unix=True).status == 409, 5, "nothing reads it")

    def test_what_is_no_figure_is_refused_with_an_event(self):
        for answer, words in (({"cpu_utilization": -0.5}, ("cpu_utilization", "below 0")),
                              ({"named_metrics": {"huge": 2e300}}, ("huge", "1e300")),
                              ('{"cpu_utilization": NaN}', ("JSON",)),
                              ('{"cpu_utilization": 1e999}', ("JSON",)),
                              ("[1]", ("object",))):
            with self.subTest(answer=answer):
                server = self.serve(FigureServer().set("/", {"cpu_utilization": 0.5}))
                daemon = self.start_reading(server, {"type": "utilization", "interval": "300ms", "timeout": "200ms"})
                self.until_values(daemon, "utilization", {"cpu_utilization": 0.5})
                server.set("/", answer)
                self.until_refused(daemon, *words)
                eventually(lambda: all(word in (self.source(daemon, "utilization")["reason"] or "") for word in words), 3, "the reason")
                self.assertNotIn("named_metrics.huge", self.values(daemon, "utilization"))
                self.assertNotEqual(self.values(daemon, "utilization").get("cpu_utilization"), -0.5)
                server.set("/", {"cpu_utilization": 0.75})
                self.until_values(daemon, "utilization", {"cpu_utilization": 0.75})
                eventually(lambda: self.source(daemon, "utilization")["reason"] is None, 3, "all is well again")
                self.assertEqual(len(self.refusals(daemon)), 1, "what repeats is told once in a while")
                daemon.stop()

    def test_registered_resource_names_its_own_url(self):
        server = self.serve(FigureServer().set("/mine", {"cpu_utilization": 0.375}))
        daemon = self.start({
            "sources": [{"name": "told", "type": "utilization", "port": 9, "interval": "1s", "timeout": "500ms"}],
            "services": [{"name": NAME, "sources": ["told"], "accept": {"tokens": ["app"]}}]})
        token = daemon.ctl("token", "create", "app", "--resources", "*", "--services", "*").stdout.strip()
        body = {"addresses": [server.address], "lease_s": 60, "services": [{"name": NAME, "port": 80}],
                "utilization_url": f"http://{server.address}:{server.port}/mine"}
        request = urllib.request.Request(f"http://{daemon.host}:{daemon.http_port}/v1/resources/r1", json.dumps(body).encode(),
                                         {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}, method="PUT")
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.assertEqual(answer.status, 201)
        eventually(lambda: self.values(daemon, "utilization", "r1") == {"cpu_utilization": 0.375}, 8, "its figure is read")


class Exporter:
    """prometheus-node-exporter with few collectors, and a directory of figures that the test writes."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-exporter-"))
        self.address = addresses.take()
        self.port = free_port(self.address)
        self.process = None

    def start(self):
        collectors = [f"--collector.{name}" for name in ("loadavg", "meminfo", "cpu", "textfile")]
        self.process = subprocess.Popen(
            [EXPORTER, f"--web.listen-address={self.address}:{self.port}", "--collector.disable-defaults", *collectors,
             f"--collector.textfile.directory={self.directory}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(self.samples, 20, "the exporter answers")
        return self

    def samples(self):
        """{"name{labels}": value} as it says now, read line by line."""
        try:
            with urllib.request.urlopen(f"http://{self.address}:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return None
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and not line.startswith("#")}

    def write(self, **values):
        """Series of the test's own, by their names; a value may be {labels: value}."""
        lines = []
        for name, value in values.items():
            rows = value if isinstance(value, dict) else {"": value}
            lines += [f"{name}{{{labels}}} {number}" if labels else f"{name} {number}" for labels, number in rows.items()]
        new = self.directory / "own.new"
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.directory / "own.prom")
        return self

    def end(self):
        if self.process:
            end_process(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)


class Scrape(Sources):
    def metric(self, name, series, **more):
        return {"name": name, "series": series, **more}

    @unittest.skipUnless(shutil.which(EXPORTER), "prometheus-node-exporter is not installed")
    def test_real_exporter(self):
        exporter = self.serve(Exporter().write(own_rooms={'floor="1",side="east"': 3, 'floor="1",side="west"': 4, 'floor="2"': 50}))
        daemon = self.start_reading(exporter, {"type": "scrape", "interval": "1s", "metrics": [
            self.metric("memory", "node_memory_MemTotal_bytes"),
            self.metric("memory_kb", "node_memory_MemTotal_bytes", scale=0.001),
            self.metric("load", "node_load1"),
            self.metric("processors", "node_cpu_seconds_total", rate=True),
            self.metric("east", "own_rooms", labels={"side": "east"}),
            self.metric("first", "own_rooms", labels={"floor": "1"}),
            self.metric("all", "own_rooms"),
            self.metric("without_side", "own_rooms", labels={"side": ""}),
            self.metric("nothing", "own_nothing"),
        ]})
        self.assertEqual(exporter.samples()['own_rooms{floor="1",side="east"}'], 3)
        eventually(lambda: "processors" in self.values(daemon, "scrape"), 10, "it is read twice")
        values = self.values(daemon, "scrape")
        said = exporter.samples()
        self.assertEqual(values["memory"], said["node_memory_MemTotal_bytes"])
        self.assertAlmostEqual(values["memory_kb"], said["node_memory_MemTotal_bytes"] / 1000)
        self.assertEqual({name: values[name] for name in ("east", "first", "all", "without_side")},
                         {"east": 3, "first": 7, "all": 57, "without_side": 50})
        self.assertNotIn("nothing", values)
        # each second every processor spends a second, whatever it does
        eventually(lambda: abs(self.values(daemon, "scrape")["processors"] / os.cpu_count() - 1) < 0.2, 10, "seconds a second")
        eventually(lambda: self.values(daemon, "scrape")["load"] == exporter.samples()["node_load1"], 10, "the load is the same")
        exporter.write(own_rooms={'floor="1",side="east"': 5})
        eventually(lambda: self.values(daemon, "scrape").get("all") == 5, 5, "it follows")
        self.assertNotIn("without_side", self.values(daemon, "scrape"))

    def counted(self, *values):
        return [f"# TYPE hits_total counter\nhits_total{{code=\"200\"}} {value}\n" for value in values]

    def start_counting(self, *values, **source):
        server = self.serve(FigureServer().set("/metrics", self.counted(*values)))
        return server, self.start_reading(server, {"type": "scrape", "interval": "500ms", "timeout": "300ms", "metrics": [
            self.metric("hits", "hits_total", rate=True)], **source})

    def rates_seen(self, daemon, until):
        """{read: rate} for each reading, until so many readings."""
        seen = {}

        def look():
            row = self.source(daemon, "scrape")
            if row and row["read"]:
                seen.setdefault(row["read"], {value["name"]: value["value"] for value in row["values"]}.get("hits"))
            return row and row["read"] >= until
        eventually(look, 15, f"{until} readings", interval_s=0.01)
        return seen

    def test_counter_is_kept_as_its_rate(self):
        # the third grows by 300; the fifth began anew at 40; the sixth stands still
        counts = (1000, 1000, 1300, 1350, 40, 40, 40)
        server, daemon = self.start_counting(*counts)
        seen = self.rates_seen(daemon, 7)
        times = server.times("/metrics")
        growth = {2: 0, 3: 300, 4: 50, 5: 40, 6: 0}
        self.assertIsNone(seen.get(1), "one reading tells no rate")
        for read, grown in growth.items():
            if read not in seen:
                continue  # two readings stood between two looks
            with self.subTest(read=read):
                wanted = grown / (times[read - 1] - times[read - 2])
                self.assertAlmostEqual(seen[read], wanted, delta=0.1 * wanted)
        self.assertGreaterEqual(len(seen), 5)
        self.assertEqual(self.refusals(daemon), [])

    def test_counter_that_falls_a_little_is_refused(self):
        _, daemon = self.start_counting(1000, 1100, 1090)
        self.until_refused(daemon, "hits", "1100", "1090")

    def test_values_that_are_no_figures_are_refused(self):
        for text in ("NaN", "+Inf", "-Inf", "1e301"):
            with self.subTest(text):
                server = self.serve(FigureServer().set("/metrics", f"good 1\nbad {text}\n"))
                daemon = self.start_reading(server, {"type": "scrape", "interval": "500ms", "timeout": "300ms", "metrics": [
                    self.metric("good", "good"), self.metric("bad", "bad")]})
                self.until_values(daemon, "scrape", {"good": 1})
                self.until_refused(daemon, '"bad"')
                self.assertIn('"bad"', self.source(daemon, "scrape")["reason"])
                daemon.stop()

    def test_what_is_no_exposition_is_refused(self):
        server = self.serve(FigureServer().set("/metrics", "<html>not found</html>"))
        daemon = self.start_reading(server, {"type": "scrape", "interval": "500ms", "timeout": "300ms",
                                             "metrics": [self.metric("good", "good")]})
        eventually(lambda: (self.source(daemon, "scrape") or {}).get("failed", 0) >= 1, 8, "it fails")
        self.assertEqual(self.values(daemon, "scrape"), {})
        self.until_refused(daemon)


class AgentCheck(Sources):
    def start_with_agents(self, *lines, weights=None, **changes):
        """A daemon whose members each have an agent that says a line; None: its member has none that answers."""
        self.agents = [self.serve(LineServer(line)) for line in lines]
        port = self.agents[0].port
        for agent in self.agents[1:]:
            agent.end()
            agent.port = port
            agent.start()
        rows = [{"name": f"m{i}", "addresses": [agent.address], "weight": (weights or {}).get(i, 1)}
                for i, agent in enumerate(self.agents, 1)]
        source = {"name": "agent", "type": "agent_check", "port": port, "interval": "300ms", "timeout": "200ms"}
        return self.start({"sources": [source], "services": [service(rows, ["agent"], **changes)]})

    def say(self, daemon, member, line):
        """Sets the line, and waits until it was heard and stored."""
        agent = self.agents[member - 1]
        agent.line = line
        said = len(agent.said)
        eventually(lambda: len(agent.said) >= said + 2, 5, "the agent is asked")

    def shares(self, daemon, count):
        got = collections.Counter(daemon.answers(NAME)[0] for _ in range(count))
        return [got[agent.address] / count for agent in self.agents]

    def check_shares(self, daemon, *wanted, count=1500):
        # five standard deviations, of which one run in a million has more
        for share, expected in zip(self.shares(daemon, count), wanted):
            self.assertAlmostEqual(share, expected, delta=max(5 * (expected * (1 - expected) / count) ** 0.5, 1e-9))

    def weight_told(self, daemon, member):
        return self.values(daemon, "check", f"m{member}").get("weight_percent")

    def until_weight(self, daemon, member, percent):
        eventually(lambda: self.weight_told(daemon, member) == percent, 5, f"{percent} % are stored")

    def test_weight_changes_the_draw(self):
        daemon = self.start_with_agents("100%\n", "100%\n", weights={1: 1, 2: 1}, method="weighted")
        self.until_weight(daemon, 1, 100)
        self.until_weight(daemon, 2, 100)
        self.check_shares(daemon, 0.5, 0.5)
        for percent, share in ((25, 0.8), (300, 0.25)):
            self.say(daemon, 2, f"{percent}%\n")
            self.until_weight(daemon, 2, percent)
            time.sleep(0.5)  # until dns has it
            self.check_shares(daemon, share, 1 - share)
        self.say(daemon, 2, "0%\n")
        self.until_weight(daemon, 2, 0)
        eventually(lambda: self.shares(daemon, 50) == [1, 0], 5, "it gets nothing")
        self.check_shares(daemon, 1, 0, count=300)

    def test_weight_multiplies_the_configured_one(self):
        daemon = self.start_with_agents("50%\n", "100%\n", weights={1: 6, 2: 1}, method="weighted")
        self.until_weight(daemon, 1, 50)
        self.until_weight(daemon, 2, 100)
        time.sleep(0.5)
        self.check_shares(daemon, 0.75, 0.25)

    def test_state_words(self):
        daemon = self.start_with_agents("up\n", "up\n")
        both = sorted(agent.address for agent in self.agents)
        one = [self.agents[1].address]
        for line, state, self_state, reason, answers in (
                ("drain\n", "draining", "drain", "drain", one),
                ("ready\n", "up", "up", "ready", both),
                ("maint\n", "down", "maint", "maint", one),
                ("up\n", "up", "up", "up", both),
                ("down #disk is full\n", "down", "maint", "disk is full", one),
                ("up 75%\n", "up", "up", "up", both),
                ("fail\r\n", "down", "maint", "fail", one),
                ("UP,READY\n", "up", "up", "", both),
                ("stopped", "down", "maint", "stopped", one)):
            with self.subTest(line):
                self.agents[0].line = line
                daemon.wait_states(NAME, m1=state, m2="up")
                eventually(lambda: daemon.answers(NAME) == answers, 3, f"the answers after {line!r}")
                row = daemon.member(NAME, "m1")
                self.assertEqual((row["decided_by"], row["self"]["state"]), ("self" if state != "up" else row["decided_by"], self_state))
                self.assertIn(reason, row["self"]["reason"])
                source = self.source(daemon, "check")
                self.assertEqual((source["self"], source["failed"]), ({"drain": "draining", "maint": "down"}.get(self_state, "up"), 0))

    def test_new_reason_of_the_same_state_is_shown(self):
        daemon = self.start_with_agents("down #disk\n", "up\n")
        daemon.wait_states(NAME, m1="down", m2="up")
        self.agents[0].line = "down #fan\n"
        eventually(lambda: daemon.member(NAME, "m1")["self"]["reason"] == "fan", 5, "the new reason is shown")

    def test_all_in_one_line_and_what_is_left_out_stays(self):
        daemon = self.start_with_agents("up 75% maxconn:30\n", "up\n")
        self.until_values(daemon, "check", {"weight_percent": 75, "connections_ceiling": 30})
        self.say(daemon, 1, "50%\n")
        self.until_values(daemon, "check", {"weight_percent": 50, "connections_ceiling": 30})
        self.assertEqual(self.source(daemon, "check")["self"], "up")

    def test_words_that_are_none_change_nothing(self):
        daemon = self.start_with_agents("drain 40%\n", "up\n")
        daemon.wait_states(NAME, m1="draining", m2="up")
        for line in ("sideways\n", "up 12x%\n", "\n", b"\xff\xfe\n", "up " * 400):
            with self.subTest(line):
                failed = self.source(daemon, "check")["failed"]
                self.agents[0].line = line
                eventually(lambda: self.source(daemon, "check")["failed"] > failed + 1, 5, "it is refused")
                self.assertTrue(self.source(daemon, "check")["reason"])
                self.assertEqual((self.source(daemon, "check")["self"], self.weight_told(daemon, 1)), ("draining", 40))
        self.until_refused(daemon, "agent-check")
        self.assertEqual(daemon.member(NAME, "m1")["state"], "draining")

    def test_agent_that_goes_leaves_its_word(self):
        daemon = self.start_with_agents("drain\n", "up\n")
        daemon.wait_states(NAME, m1="draining", m2="up")
        self.agents[0].end()
        eventually(lambda: "refused" in (self.source(daemon, "check")["reason"] or ""), 5, "nobody is there")
        self.assertEqual(daemon.member(NAME, "m1")["state"], "draining")

    def test_what_is_sent_first(self):
        agent = self.serve(LineServer("up\n", waits_for=True))
        daemon = self.start_reading(agent, {"type": "agent_check", "interval": "500ms", "timeout": "300ms", "send": "state\\x3f www\\n"})
        eventually(lambda: (self.source(daemon, "check") or {}).get("self") == "up", 5, "it is heard")
        self.assertEqual(set(agent.heard), {b"state? www\n"})

    def test_haproxy_hears_the_same_of_the_same_agent(self):
        if not shutil.which("haproxy"):
            self.skipTest("haproxy is not installed")
        daemon = self.start_with_agents("up 50%\n", "up\n")
        agent, directory = self.agents[0], Path(tempfile.mkdtemp(prefix="gslb-haproxy-"))
        self.addCleanup(shutil.rmtree, directory, True)
        socket_path = directory / "stats.sock"
        config = directory / "haproxy.cfg"
        config.write_text(f"""global
    stats socket {socket_path} mode 600 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 1s
    timeout server 1s
backend b
    server s1 {agent.address}:9 weight 100 agent-check agent-addr {agent.address} agent-port {agent.port} agent-inter 300ms
""")
        haproxy = subprocess.Popen(["haproxy", "-db", "-f", config], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(end_process, haproxy)

        def haproxy_says():
            """(state, weight) of the server in HAProxy."""
            import socket as sockets
            try:
                with sockets.socket(sockets.AF_UNIX) as stats:
                    stats.connect(str(socket_path))
                    stats.sendall(b"show stat\n")
                    rows = stats.makefile().read().splitlines()
            except OSError:
                return None
            names = rows[0].lstrip("# ").split(",")
            row = next(dict(zip(names, line.split(","))) for line in rows if line.startswith("b,s1,"))
            return row["status"].split()[0], int(row["weight"])
        # to HAProxy a weight of 0 is what draining is
        for line, haproxy_state, state, percent in (("up 50%\n", "no", "up", 50), ("drain\n", "DRAIN", "draining", 50),
                                                    ("ready 20%\n", "no", "up", 20), ("down #gone\n", "DOWN", "down", 20),
                                                    ("up\n", "no", "up", 20), ("maint\n", "MAINT", "down", 20)):
            with self.subTest(line):
                agent.line = line
                eventually(lambda: (haproxy_says() or (None,))[0] == haproxy_state, 8, f"HAProxy: {line!r}; it says {haproxy_says()}")
                daemon.wait_states(NAME, m1=state)
                self.until_weight(daemon, 1, percent)
                if haproxy_state == "no":
                    eventually(lambda: haproxy_says()[1] == percent, 5, "the same weight")


if __name__ == "__main__":
    unittest.main()
