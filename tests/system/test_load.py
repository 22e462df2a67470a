"""The load of members, worked out again by the test from what the sources said: the API, gslbctl, /metrics and the page must
say the same; thresholds and age must show in the answers."""
import json
import re
import shutil
import time
import unittest

from tests.system.figure_server import FigureServer
from tests.system.harness import Case, addresses, eventually, free_port, has_v6
from tests.system.registrant import Registrant, create_token, registration
from tests.system.test_page import Browser

ALONE = True  # measures time

NAME = "www.example.com"


def service(members, load, **changes):
    return {"name": NAME, "ttl": {"max": "30s", "min": "1s"}, "method": "all", "answers": 1, "when_down": "empty",
            "sources": ["told"], "load": load, "members": members, **changes}


def cpu(**changes):
    return {"name": "cpu_utilization", **changes}


def freshness(intervals):
    """What the issue says: full within 1.5 intervals, fading to 3."""
    return 1.0 if intervals <= 1.5 else max((3 - intervals) / 1.5, 0.0)


class Loads(Case):
    def start_telling(self, told, load, interval="500ms", rows=None, sources=None, **changes):
        """A daemon over a member for each of told ({name: document at /}); None: nobody tells anything there."""
        places = {name: addresses.take() for name in told}
        port = free_port(*places.values())
        self.servers = {}
        for name, document in told.items():
            if document is not None:
                self.servers[name] = FigureServer(places[name], port).set("/", document).start()
                self.addCleanup(self.servers[name].end)
        members = [{"name": name, "addresses": [place], **(rows or {}).get(name, {})} for name, place in places.items()]
        self.places = places
        source = {"name": "told", "type": "utilization", "port": port, "interval": interval, "timeout": interval}
        more = [{"port": port, "interval": interval, "timeout": interval, **each} for each in sources or []]
        names = ["told", *(each["name"] for each in more)]
        return self.start({"sources": [source, *more], "services": [service(members, load, sources=names, **changes)]})

    def tell(self, name, **values):
        self.servers[name].set("/", values)

    def document(self, daemon, name):
        return daemon.api(f"/v1/members/{NAME}/{name}/load").json

    def terms(self, daemon, name):
        """{metric: term}"""
        return {term["metric"]: term for term in self.document(daemon, name)["load"]["terms"]}

    def load(self, daemon, name):
        return self.document(daemon, name)["load"]["load"]

    def until_value(self, daemon, name, value, metric="cpu_utilization"):
        eventually(lambda: self.terms(daemon, name)[metric]["value"] == value, 5, f"{name} has {metric} {value}")

    def in_metrics(self, daemon, family):
        """{member: value} of a family of /metrics."""
        rows = re.findall(rf'^{family}{{service="{NAME}",member="([^"]*)"}} (\S+)$', daemon.api("/metrics").text, re.MULTILINE)
        return {member: float(value) for member, value in rows}

    def check_answers(self, daemon, *names, for_s=0.6, rdtype="A"):
        """The answers become these members' and stay so for a while."""
        wanted = sorted(self.places[name] for name in names)
        eventually(lambda: daemon.answers(NAME, rdtype) == wanted, 5, f"{names} are answered")
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            self.assertEqual(daemon.answers(NAME, rdtype), wanted)
            time.sleep(0.02)


class Figures(Loads):
    """The table of docs/configuration.md, on three members, the last of which tells nothing."""
    SAID = {"a": {"cpu_utilization": 0.5, "connections": 600, "free_bytes": 250000000},
            "b": {"cpu_utilization": 0.1, "connections": 2400, "free_bytes": 900000000}}
    WEIGHTS = {"cpu_utilization": 3, "connections": 1, "free_bytes": 1}
    CEILINGS = {"cpu_utilization": 1, "connections": 2000, "free_bytes": 1000000000}
    SOURCES = {"cpu_utilization": "utilization", "connections": "scrape", "free_bytes": "scrape"}

    def ratios(self, name):
        said = self.SAID[name]
        return {"cpu_utilization": said["cpu_utilization"] / 1, "connections": said["connections"] / 2000,
                "free_bytes": (1000000000 - said["free_bytes"]) / 1000000000}

    def expected(self):
        """{member: {metric: (ratio or None, counted, share)}}"""
        known = {name: self.ratios(name) for name in self.SAID}
        table = {}
        for name in ("a", "b", "c"):
            table[name] = {}
            for metric, weight in self.WEIGHTS.items():
                ratio = known[name][metric] if name in known else None
                counted = ratio if ratio is not None else sum(each[metric] for each in known.values()) / len(known)
                table[name][metric] = (ratio, counted, weight * counted / sum(self.WEIGHTS.values()))
        return table

    def start_table(self):
        load = {"rule": "any", "metrics": [cpu(weight=3, view="mean", threshold=0.9, release=0.8),
                                           {"name": "connections", "source": "scrape", "weight": 1, "ceiling": 2000},
                                           {"name": "free_bytes", "source": "scrape", "weight": 1, "ceiling": 1000000000,
                                            "more_is_better": True}]}
        scrape = {"name": "scraped", "type": "scrape", "path": "/metrics",
                  "metrics": [{"name": "connections", "series": "connections"}, {"name": "free_bytes", "series": "free_bytes"}]}
        daemon = self.start_telling({name: {"cpu_utilization": said["cpu_utilization"]} for name, said in self.SAID.items()} | {"c": None},
                                    load, interval="2s", sources=[scrape])
        for name, said in self.SAID.items():
            self.servers[name].set("/metrics", f"connections {said['connections']}\nfree_bytes {said['free_bytes']}\n")
        expected = self.expected()
        self.loads = {name: sum(share for _, _, share in rows.values()) for name, rows in expected.items()}
        self.assertAlmostEqual(self.loads["a"], 0.51)  # as the documentation works it out
        for name, load in self.loads.items():
            eventually(lambda: abs((self.load(daemon, name) or 0) - load) < 1e-9, 10, f"the load of {name} is {load}")
        return daemon, expected

    def test_every_figure_equals_what_was_said(self):
        daemon, expected = self.start_table()
        for name, rows in expected.items():
            with self.subTest(name):
                document = self.document(daemon, name)
                load = document["load"]
                self.assertAlmostEqual(load["load"], self.loads[name])
                self.assertAlmostEqual(document["headroom"], 1 - self.loads[name])
                self.assertEqual((load["rule"], load["window_s"], load["over"], load["less_preferred"], load["section"]),
                                 ("any", 300, False, False, None))
                self.assertEqual([term["metric"] for term in load["terms"]], list(self.WEIGHTS))
                for term in load["terms"]:
                    self.check_term(name, term, *rows[term["metric"]])
                self.assertAlmostEqual(sum(term["share"] for term in load["terms"]), load["load"])
                self.assertAlmostEqual(daemon.member(NAME, name)["load"]["load"], self.loads[name])
        for row in self.document(daemon, "c")["sources"]:
            self.assertEqual((row["values"], row["read"], row["at"], row["age_s"]), ([], 0, None, None))
            self.assertIn("refused", row["reason"])
        for name, said in self.SAID.items():
            told = {row["source"]: {value["name"]: value["value"] for value in row["values"]}
                    for row in self.document(daemon, name)["sources"]}
            self.assertEqual(told, {"utilization": {"cpu_utilization": said["cpu_utilization"]},
                                    "scrape": {key: said[key] for key in ("connections", "free_bytes")}})

    def check_term(self, name, term, ratio, counted, share):
        metric = term["metric"]
        self.assertEqual((term["weight"], term["more_is_better"], term["over"]), (self.WEIGHTS[metric], metric == "free_bytes", False))
        self.assertEqual((term["threshold"], term["release"]), (0.9, 0.8) if metric == "cpu_utilization" else (None, None))
        self.assertEqual(term["view"], "mean" if metric == "cpu_utilization" else "last")
        self.assertAlmostEqual(term["counted"], counted)
        self.assertAlmostEqual(term["share"], share)
        if name not in self.SAID:
            self.assertEqual([term[key] for key in ("source", "value", "ceiling", "age_s", "freshness", "ratio")], [None] * 6)
            return
        self.assertAlmostEqual(term["value"], self.SAID[name][metric])
        self.assertEqual((term["source"], term["ceiling"], term["freshness"]), (self.SOURCES[metric], self.CEILINGS[metric], 1))
        self.assertAlmostEqual(term["ratio"], ratio)
        self.assertLess(term["age_s"], 3)

    def test_gslbctl_says_the_same(self):
        daemon, expected = self.start_table()
        for name, rows in expected.items():
            told = json.loads(daemon.ctl("-o", "json", "load", f"{NAME}/{name}").stdout)
            self.assertAlmostEqual(told["load"]["load"], self.loads[name])
            lines = daemon.ctl("load", f"{NAME}/{name}").stdout.splitlines()
            self.assertEqual(next(line for line in lines if line.startswith("load ")), f"load {self.loads[name]:.6g}")
            for metric, (_, _, share) in rows.items():
                # the sources' figures stand below, with the source first
                cells = re.split(r"\s{2,}", next(line for line in lines if line.split()[0] == metric).strip())
                self.assertEqual((cells[5], cells[8]), (f"{self.WEIGHTS[metric]:.6g}", f"{share:.6g}"), cells)
                if name in self.SAID:
                    self.assertEqual((cells[1], cells[3]), (self.SOURCES[metric], f"{self.SAID[name][metric]:.6g}"))
                    self.assertEqual(cells[4].split()[0], f"{self.CEILINGS[metric]:.6g}")
                else:
                    self.assertEqual((cells[1], cells[3]), ("(group's mean)", "-"))
        for metric, value in self.SAID["a"].items():
            text = daemon.ctl("load", f"{NAME}/a").stdout
            self.assertRegex(text, rf"(?m)^\s*{self.SOURCES[metric]}\s+{metric}\s+{re.escape(f'{value:.6g}')}\s")

    def test_metrics_say_the_same(self):
        daemon, _ = self.start_table()
        got = self.in_metrics(daemon, "gslb_member_load")
        self.assertEqual(set(got), {"a", "b", "c"})
        for name, load in self.loads.items():
            self.assertAlmostEqual(got[name], load)
        self.assertEqual(self.in_metrics(daemon, "gslb_member_over"), {"a": 0, "b": 0, "c": 0})
        self.tell("b", cpu_utilization=40)  # the mean is above 0.9 soon
        eventually(lambda: self.in_metrics(daemon, "gslb_member_over") == {"a": 0, "b": 1, "c": 0}, 10, "b is over")

    @unittest.skipUnless(shutil.which("chromedriver") and shutil.which("chromium"), "no chromium with chromedriver here")
    def test_page_says_the_same(self):
        daemon, expected = self.start_table()
        browser = Browser(900, 900)
        self.addCleanup(browser.close)
        browser.open(f"http://{daemon.host}:{daemon.http_port}/")

        def rows(name):
            """{metric: (share, facts)} of the member's load, once it is there."""
            cells = browser.run("return [...(document.getElementById(" + json.dumps(f"load-{NAME}/{name}") + ")?.querySelectorAll('li')"
                                " ?? [])].map(row => [...row.children].map(cell => cell.textContent))")
            return {metric: (share, facts.split(" · ")) for metric, share, facts in cells}
        for name, metrics in expected.items():
            shown = eventually(lambda: rows(name), 10, f"the page shows the load of {name}")
            self.assertEqual(set(shown), set(metrics))
            for metric, (_, _, share) in metrics.items():
                part, facts = shown[metric]
                self.assertAlmostEqual(float(part), share, delta=share * 6e-4)  # it shows four digits
                self.assertIn(f"weight {self.WEIGHTS[metric]:.4g}", facts)
                if name not in self.SAID:
                    self.assertIn("the group's mean", facts)
                    continue
                value, ceiling = re.match(r"(\S+)(?: \(\w+\))? of (\S+)$", facts[0]).groups()
                self.assertEqual((float(value), float(ceiling)), (self.SAID[name][metric], self.CEILINGS[metric]))
                self.assertTrue(any(fact.startswith(f"{self.SOURCES[metric]}, ") for fact in facts), facts)
            whole = browser.run(f"return document.getElementById({json.dumps(f'load-{NAME}/{name}')}).querySelector('summary b').textContent")
            self.assertAlmostEqual(float(whole), self.loads[name], delta=6e-4)
        self.assertEqual(browser.messages(), [])

    def test_ceiling_that_the_source_tells(self):
        daemon = self.start_telling({"a": {"named_metrics": {"queue": 30, "queue_ceiling": 120}}, "b": {"named_metrics": {"queue": 30}}},
                                    {"metrics": [{"name": "named_metrics.queue"}]})
        self.until_value(daemon, "a", 30, "named_metrics.queue")
        self.until_value(daemon, "b", 30, "named_metrics.queue")
        self.assertEqual((self.terms(daemon, "a")["named_metrics.queue"]["ceiling"], self.load(daemon, "a")), (120, 0.25))
        self.assertEqual((self.terms(daemon, "b")["named_metrics.queue"]["ceiling"], self.load(daemon, "b")), (1, 30))
        self.assertEqual(self.document(daemon, "b")["headroom"], 0)

    def test_shared_section(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.5, "mem_utilization": 0.25}}, {"metrics": [cpu()]})
        daemon.extra["loads"] = [{"name": "both", "rule": "prefer", "window": "1m",
                                  "metrics": [cpu(weight=1, threshold=0.9), {"name": "mem_utilization", "weight": 4}]}]
        daemon.extra["services"][0]["load"] = "both"
        daemon.write_config()
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 0, done.stderr)
        eventually(lambda: abs((self.load(daemon, "a") or 0) - (0.5 + 4 * 0.25) / 5) < 1e-9, 8, "the load by the section")
        load = self.document(daemon, "a")["load"]
        self.assertEqual((load["section"], load["rule"], load["window_s"]), ("both", "prefer", 60))

    def test_without_metrics_those_of_reports_count_alike(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.5, "mem_utilization": 0.25, "application_utilization": 0.9, "eps": 7}}, {})
        eventually(lambda: abs((self.load(daemon, "a") or 0) - (0.5 + 0.25 + 0.9) / 3) < 1e-9, 8, "their mean")

    def test_views_over_time(self):
        said = [0.1, 0.2, 0.9, 0.3, 0.3, 0.4, 0.6, 0.2, 0.25, 0.5]
        views = ("last", "mean", "rate", "peak", "p95")
        daemon = self.start_telling({"a": [{"cpu_utilization": value} for value in said]},
                                    {"window": "1m", "metrics": [cpu(view=view) for view in views]}, interval="300ms")

        def row():
            found = [each for each in self.document(daemon, "a")["sources"] if each["source"] == "utilization"]
            return found and found[0]["read"] >= len(said) and found[0]
        told = eventually(row, 10, "all is said", interval_s=0.01)
        count = told["read"]
        times = self.servers["a"].times("/")[:count]
        values = (said + said[-1:] * count)[:count]
        steps = list(zip(values, values[1:], times, times[1:]))
        span_s = times[-1] - times[0]
        figures = told["values"][0]
        self.assertEqual((figures["value"], figures["peak"]), (values[-1], 0.9))
        self.assertEqual(figures["p95"], sorted(values)[-(-count * 95 // 100) - 1])
        self.assertAlmostEqual(figures["mean"], sum(value * (after - at) for value, _, at, after in steps) / span_s, delta=0.01)
        growth = sum(after - value if after >= value else after for value, after, _, _ in steps)
        self.assertAlmostEqual(figures["rate"], growth / span_s, delta=0.01)

        # each term of the load is the view of it
        def same():
            document = self.document(daemon, "a")
            figures = document["sources"][0]["values"][0]
            shown = [term["value"] for term in document["load"]["terms"]]
            return shown == [figures[{"last": "value"}.get(view, view)] for view in views]
        eventually(same, 5, "the terms are the views", interval_s=0.1)
        self.assertEqual([term["view"] for term in self.document(daemon, "a")["load"]["terms"]], list(views))

    def test_window_forgets(self):
        daemon = self.start_telling({"a": [{"cpu_utilization": 0.9}, {"cpu_utilization": 0.1}]},
                                    {"window": "2s", "metrics": [cpu(view="peak")]}, interval="300ms")
        self.until_value(daemon, "a", 0.9)
        said = self.servers["a"].times("/")[0]
        self.until_value(daemon, "a", 0.1)
        self.assertAlmostEqual(time.monotonic() - said, 2.3, delta=0.5)

    def test_any_source_is_the_one_that_told_last(self):
        scrape = {"name": "scraped", "type": "scrape", "path": "/metrics",
                  "metrics": [{"name": "cpu_utilization", "series": "cpu"}]}
        daemon = self.start_telling({"a": {"cpu_utilization": 0.25}}, {"metrics": [cpu()]}, interval="300ms", sources=[scrape])
        self.until_value(daemon, "a", 0.25)
        self.servers["a"].set("/metrics", "cpu 0.75\n")
        self.servers["a"].set("/", "gone", status=404)
        eventually(lambda: self.terms(daemon, "a")["cpu_utilization"]["source"] == "scrape", 5, "the other is fresher")
        self.assertEqual(self.terms(daemon, "a")["cpu_utilization"]["value"], 0.75)
        self.servers["a"].set("/metrics", "gone", status=404)
        self.tell("a", cpu_utilization=0.5)
        eventually(lambda: self.terms(daemon, "a")["cpu_utilization"]["source"] == "utilization", 5, "and back")
        self.assertEqual(self.load(daemon, "a"), 0.5)

    def test_response_time_by_the_weights_of_monitors(self):
        places = [addresses.take() for _ in range(2)]
        port = free_port(*places)
        for place in places:
            server = FigureServer(place, port).set("/", "ok").start()
            self.addCleanup(server.end)
        probe = {"type": "http", "port": port, "interval": "2s", "timeout": "1s", "rise": 1}
        members = [{"name": f"m{i}", "addresses": [place]} for i, place in enumerate(places, 1)]
        daemon = self.start({
            "monitors": [{"name": "heavy", **probe, "weight": 3}, {"name": "light", **probe, "type": "tcp", "weight": 1},
                         {"name": "aside", **probe, "weight": 0}],
            "services": [service(members, {"metrics": [{"name": "response_time_weighted_ms", "ceiling": 50}]}, sources=[],
                                 monitors=["heavy", "light", "aside"])]})
        daemon.wait_states(NAME, m1="up", m2="up")

        def agrees():
            row = daemon.member(NAME, "m1")
            means = {probe["monitor"]: probe["rtt_mean_us"] for probe in row["addresses"][0]["probes"]}
            term = row["load"]["terms"][0]
            if term["value"] is None or None in means.values():
                return False
            wanted = (3 * means["heavy"] + means["light"]) / 4 / 1000
            return abs(term["value"] - wanted) < 1e-9 and abs(term["share"] - wanted / 50) < 1e-9 and term["source"] == "probe"
        eventually(agrees, 8, "the figure is made of the monitors' response times")

    def test_nobody_tells(self):
        daemon = self.start_telling({"a": None, "b": None}, {"metrics": [cpu(threshold=0.1)]})
        self.assertIsNone(self.load(daemon, "a"))
        self.assertEqual(self.in_metrics(daemon, "gslb_member_load"), {})
        self.check_answers(daemon, "a", "b", for_s=0.1)
        self.assertEqual(self.document(daemon, "a")["headroom"], 1)
        self.assertEqual(daemon.api(f"/v1/members/{NAME}/nobody/load").status, 404)
        self.assertIsNone(self.terms(daemon, "a")["cpu_utilization"]["counted"])


class Thresholds(Loads):
    def test_any_with_hysteresis(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.5, "mem_utilization": 0.1} for name in "ab"},
                                    {"rule": "any", "metrics": [cpu(threshold=0.9, release=0.8),
                                                                {"name": "mem_utilization", "threshold": 0.5}]}, interval="300ms")
        self.until_value(daemon, "b", 0.5)
        for value, memory, answered in ((0.85, 0.1, "ab"), (0.9, 0.1, "ab"), (0.91, 0.1, "b"), (0.85, 0.1, "b"), (0.8, 0.1, "b"),
                                        (0.79, 0.1, "ab"), (0.85, 0.1, "ab"), (0.1, 0.6, "b"), (0.1, 0.4, "ab")):
            with self.subTest(cpu=value, memory=memory):
                self.tell("a", cpu_utilization=value, mem_utilization=memory)
                self.until_value(daemon, "a", value)
                self.until_value(daemon, "a", memory, "mem_utilization")
                self.check_answers(daemon, *answered)
                row = daemon.member(NAME, "a")
                self.assertEqual((row["state"], row["answered"], row["load"]["over"]), ("up", "a" in answered, "a" not in answered))

    def test_all(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.5, "mem_utilization": 0.1} for name in "ab"},
                                    {"rule": "all", "metrics": [cpu(threshold=0.9), {"name": "mem_utilization", "threshold": 0.5}]},
                                    interval="300ms")
        for value, memory, answered in ((0.95, 0.1, "ab"), (0.5, 0.6, "ab"), (0.95, 0.6, "b"), (0.5, 0.6, "ab")):
            with self.subTest(cpu=value, memory=memory):
                self.tell("a", cpu_utilization=value, mem_utilization=memory)
                self.until_value(daemon, "a", value)
                self.until_value(daemon, "a", memory, "mem_utilization")
                self.check_answers(daemon, *answered)
                over = {term["metric"]: term["over"] for term in self.document(daemon, "a")["load"]["terms"]}
                self.assertEqual(over, {"cpu_utilization": value > 0.9, "mem_utilization": memory > 0.5})

    def test_prefer(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.5} for name in "ab"},
                                    {"rule": "prefer", "metrics": [cpu(threshold=0.9)]}, interval="300ms", method="round_robin")

        def drawn(count=20):
            return {daemon.answers(NAME)[0] for _ in range(count)}
        both = set(self.places.values())
        eventually(lambda: drawn() == both, 5, "both are drawn")
        self.tell("a", cpu_utilization=0.95)
        eventually(lambda: drawn() == {self.places["b"]}, 5, "only the other is")
        load = self.document(daemon, "a")["load"]
        self.assertEqual((load["over"], load["less_preferred"]), (True, True))
        self.tell("b", cpu_utilization=0.95)
        eventually(lambda: drawn() == both, 5, "both again, as nobody is better")
        self.tell("a", cpu_utilization=0.5)
        eventually(lambda: drawn() == {self.places["a"]}, 5, "only the one that is well")

    def test_prefer_with_all_leaves_nobody_out(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.95 if name == "a" else 0.5} for name in "ab"},
                                    {"rule": "prefer", "metrics": [cpu(threshold=0.9)]}, interval="300ms")
        eventually(lambda: self.document(daemon, "a")["load"]["less_preferred"], 5, "it is less preferred")
        self.check_answers(daemon, "a", "b")

    def test_more_is_better_falls_below(self):
        daemon = self.start_telling({name: {"eps": 50} for name in "ab"},
                                    {"metrics": [{"name": "eps", "ceiling": 100, "more_is_better": True, "threshold": 10, "release": 20}]},
                                    interval="300ms")
        for value, answered in ((12, "ab"), (9, "b"), (15, "b"), (21, "ab"), (15, "ab")):
            with self.subTest(value):
                self.tell("a", eps=value)
                self.until_value(daemon, "a", value, "eps")
                self.check_answers(daemon, *answered)
                # a reading that comes late on a busy machine fades for a moment
                eventually(lambda: abs(self.load(daemon, "a") - (100 - value) / 100) < 1e-9, 5, "less is more load")  # noqa: B023

    def test_all_members_over_are_all_answered(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.95} for name in "ab"}, {"metrics": [cpu(threshold=0.9)]}, interval="300ms")
        for name in "ab":
            eventually(lambda: self.document(daemon, name)["load"]["over"], 5, f"{name} is over")
        self.check_answers(daemon, "a", "b")
        self.tell("b", cpu_utilization=0.5)
        self.check_answers(daemon, "b")

    def test_next_tier_takes_over(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.5} for name in "ab"}, {"metrics": [cpu(threshold=0.9)]},
                                    interval="300ms", rows={"b": {"tier": 1}})
        self.check_answers(daemon, "a")
        self.tell("a", cpu_utilization=0.95)
        self.check_answers(daemon, "b")

    @unittest.skipUnless(has_v6(), "no ::1 here")
    def test_no_family_goes_away(self):
        daemon = self.start_telling({name: {"cpu_utilization": 0.5} for name in "ab"}, {"metrics": [cpu(threshold=0.9)]}, interval="300ms")
        daemon.extra["services"][0]["members"][0]["addresses"].append("::1")
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        eventually(lambda: daemon.answers(NAME, "AAAA") == ["::1"], 5, "it has an IPv6 address")
        self.tell("a", cpu_utilization=0.95)
        self.check_answers(daemon, "b")
        self.assertEqual(daemon.answers(NAME, "AAAA"), ["::1"])

    def test_restart_keeps_what_is_between_release_and_threshold(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.95}, "b": {"cpu_utilization": 0.5}},
                                    {"metrics": [cpu(threshold=0.9, release=0.5)]}, interval="300ms")
        self.check_answers(daemon, "b")
        self.tell("a", cpu_utilization=0.7)
        self.until_value(daemon, "a", 0.7)
        self.check_answers(daemon, "b")
        daemon.stop()
        daemon.start()
        self.until_value(daemon, "a", 0.7)
        self.check_answers(daemon, "b")


class Freshness(Loads):
    def test_source_that_stops_fades_and_is_ignored(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.95}, "b": {"cpu_utilization": 0.2}, "c": {"cpu_utilization": 0.3}},
                                    {"metrics": [cpu(threshold=0.9)]}, interval="1s")
        self.check_answers(daemon, "b", "c")
        self.servers["a"].end()
        said = self.servers["a"].times("/")[-1]
        seen, until = [], said + 9.7

        def others_mean(own):
            # the group's mean, in which each counts as far as it is fresh
            return (own * 0.95 + 0.2 + 0.3) / (own + 2)
        while time.monotonic() < until:
            before = time.monotonic() - said
            document = self.document(daemon, "a")
            term = document["load"]["terms"][0]
            self.assertLess(before - 0.15, term["age_s"])
            self.assertLess(term["age_s"], time.monotonic() - said + 0.15)
            self.assertAlmostEqual(term["freshness"], freshness(term["age_s"] / 1.0), delta=0.002)
            own = term["freshness"]
            self.assertAlmostEqual(document["load"]["load"], own * 0.95 + (1 - own) * others_mean(own), delta=1e-6)
            self.assertEqual((term["value"], term["over"]), (0.95, True), "its figure is shown, and its threshold stays passed")
            seen.append(own)
            time.sleep(0.1)
        self.assertIn(1, seen)
        self.assertGreaterEqual(len([own for own in seen if 0 < own < 1]), 5, seen)
        self.assertIn(0, seen)
        self.assertAlmostEqual(self.load(daemon, "a"), 0.25)
        self.assertNotIn(self.places["a"], daemon.answers(NAME))
        # after ten intervals it is ignored: no threshold of it is passed any more
        everybody = sorted(self.places.values())
        eventually(lambda: daemon.answers(NAME) == everybody, 4, "it is answered again")
        self.assertAlmostEqual(time.monotonic() - said, 10.2, delta=1.3)
        self.assertFalse(self.document(daemon, "a")["load"]["over"])
        self.assertAlmostEqual(self.in_metrics(daemon, "gslb_member_load")["a"], 0.25)
        # and it counts as itself from the first figure on
        self.servers["a"].start()
        self.check_answers(daemon, "b", "c")
        self.assertAlmostEqual(self.load(daemon, "a"), 0.95)

    def test_when_all_stop_the_last_counts_and_then_nothing(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.4}, "b": {"cpu_utilization": 0.2}}, {"metrics": [cpu()]}, interval="300ms")
        self.until_value(daemon, "a", 0.4)
        self.until_value(daemon, "b", 0.2)
        for server in self.servers.values():
            server.end()
        eventually(lambda: self.terms(daemon, "a")["cpu_utilization"]["age_s"] > 1.5, 5, "it is old")
        self.assertEqual((self.load(daemon, "a"), self.load(daemon, "b")), (0.4, 0.2))
        eventually(lambda: self.load(daemon, "a") is None and self.load(daemon, "b") is None, 5, "nobody has a load")
        self.assertGreater(self.document(daemon, "a")["sources"][0]["age_s"], 2.9)
        self.assertEqual(self.in_metrics(daemon, "gslb_member_load"), {})


class Weights(Loads):
    def weights(self, daemon):
        """{member: weight} in the SRV records."""
        reply = daemon.ask(f"_http._tcp.{NAME}", "SRV")
        return {item.target.labels[0].decode(): item.weight for rrset in reply.answer for item in rrset}

    def test_srv_weights_follow_the_load(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.0}, "b": {"cpu_utilization": 0.0}, "c": {"cpu_utilization": 0.0}},
                                    {"metrics": [cpu()]}, interval="300ms", srv="_http._tcp",
                                    rows={"a": {"weight": 10, "srv_port": 80}, "b": {"weight": 10, "srv_port": 80},
                                          "c": {"weight": 20, "srv_port": 80}})
        for name in "abc":
            self.until_value(daemon, name, 0.0)
        self.assertEqual(self.weights(daemon), {"a": 10, "b": 10, "c": 20})
        for loads in ({"a": 0.75, "b": 0.25, "c": 0.5}, {"a": 0.1, "b": 0.9, "c": 0.99}, {"a": 0.0, "b": 0.5, "c": 1.0},
                      {"a": 1.7, "b": 0.5, "c": 0.0}):
            with self.subTest(loads):
                for name, value in loads.items():
                    self.tell(name, cpu_utilization=value)
                for name, value in loads.items():
                    self.until_value(daemon, name, value)
                parts = {name: {"a": 10, "b": 10, "c": 20}[name] * max(1 - value, 0) for name, value in loads.items()}
                whole = sum(parts.values())

                def fits():
                    got = self.weights(daemon)
                    return all(abs(got[name] / sum(got.values()) - parts[name] / whole) < 0.002 for name in "abc") and got
                got = eventually(fits, 5, f"weights in the ratio of {parts}")
                self.assertTrue(all(weight >= 1 for weight in got.values()), got)

    def test_less_preferred_stands_last(self):
        daemon = self.start_telling({"a": {"cpu_utilization": 0.95}, "b": {"cpu_utilization": 0.5}},
                                    {"rule": "prefer", "metrics": [cpu(threshold=0.9)]}, interval="300ms", srv="_http._tcp",
                                    rows={name: {"weight": 10, "srv_port": 80} for name in "ab"})
        eventually(lambda: self.weights(daemon).get("a") == 1 and self.weights(daemon)["b"] > 100, 5, "it has the least weight")


class Reports(Loads):
    def start_accepting(self, load):
        daemon = self.start({"services": [{"name": NAME, "ttl": {"max": "30s", "min": "1s"}, "method": "all", "srv": "_http._tcp",
                                           "accept": {"tokens": ["app"]}, "load": load}]})
        self.app = Registrant(daemon, create_token(daemon, "app"))
        self.epochs, self.places = {}, {}
        for name in ("r1", "r2"):
            self.places[name] = addresses.take()
            reply = self.app.put(name, registration(self.places[name], service=NAME, weight=10, lease_s=60))
            self.assertEqual(reply.status, 201, reply.text)
            self.epochs[name] = reply.json["epoch"]
        return daemon

    def report(self, name, sequence, **values):
        reply = self.app.status(name, self.epochs[name], sequence, **values)
        self.assertEqual(reply.status, 200, reply.text)

    def test_reports_of_agents_count(self):
        daemon = self.start_accepting({})
        self.report("r1", 1, cpu_utilization=0.5, mem_utilization=0.25, eps=3, named_metrics={"queue": 9})
        self.report("r2", 1, cpu_utilization=0.1, mem_utilization=0.05, application_utilization=0.9)
        # what r1 does not tell counts as the others' mean
        wanted = {"r1": (0.5 + 0.25 + 0.9) / 3, "r2": (0.1 + 0.05 + 0.9) / 3}
        eventually(lambda: all(abs((self.load(daemon, name) or 0) - load) < 1e-9 for name, load in wanted.items()), 5, f"{wanted}")
        terms = self.terms(daemon, "r1")
        self.assertEqual([terms[f"{each}_utilization"]["source"] for each in ("cpu", "mem", "application")], ["agent", "agent", None])
        source = self.document(daemon, "r1")["sources"][-1]
        said = {value["name"]: value["value"] for value in source["values"]}
        self.assertEqual((source["source"], said.get("cpu_utilization"), said.get("eps")), ("agent", 0.5, 3))
        self.assertEqual(said, self.app.get("r1").json["metrics"])
        self.assertEqual(sorted(self.in_metrics(daemon, "gslb_member_load")), ["r1", "r2"])

    def test_named_metrics_and_thresholds(self):
        daemon = self.start_accepting({"metrics": [{"name": "named_metrics.queue", "source": "agent", "ceiling": 40, "threshold": 30}]})
        self.report("r1", 1, named_metrics={"queue": 10})
        self.report("r2", 1, named_metrics={"queue": 20})
        eventually(lambda: (self.load(daemon, "r1"), self.load(daemon, "r2")) == (0.25, 0.5), 5, "both have a load")
        self.check_answers(daemon, "r1", "r2")
        reply = daemon.ask(f"_http._tcp.{NAME}", "SRV")
        weights = {item.target.labels[0].decode(): item.weight for rrset in reply.answer for item in rrset}
        self.assertAlmostEqual(weights["r1"] / weights["r2"], 0.75 / 0.5, delta=0.01)
        self.report("r2", 2, named_metrics={"queue": 31})
        self.check_answers(daemon, "r1")
        self.report("r2", 3, named_metrics={"queue": 29})
        self.check_answers(daemon, "r1", "r2")


if __name__ == "__main__":
    unittest.main()
