"""What is kept of figures over time: by the minute, by the hour, over restarts. The daemon sees a clock of the test's, which
stands shortly before the end of a minute, or of an hour, when it starts."""
import calendar
import datetime
import json
import subprocess
import sys
import time
import unittest
from urllib.parse import urlencode

from tests.system.figure_server import FigureServer, ShiftedClock
from tests.system.harness import Case, end_process, eventually
from tests.system.length import LONG

WAITS = True  # for minutes to end
NAME = "www.example.com"
HOLDER = """
import ctypes, sys
lmdb = ctypes.CDLL("liblmdb.so.0")
env, txn = ctypes.c_void_p(), ctypes.c_void_p()
assert lmdb.mdb_env_create(ctypes.byref(env)) == 0
assert lmdb.mdb_env_set_maxreaders(env, 1024) == 0
assert lmdb.mdb_env_open(env, sys.argv[1].encode(), 0, 0o600) == 0
assert lmdb.mdb_txn_begin(env, None, 0, ctypes.byref(txn)) == 0
print("held", flush=True)
sys.stdin.read()
lmdb.mdb_txn_abort(txn)
"""
NOON = calendar.timegm((2027, 3, 14, 12, 0, 0))
LATE_S = 54  # of a minute: what is left of it is for the start and a first figure


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class History(Case):
    def setUp(self):
        self.server = FigureServer().set("/", {"cpu_utilization": 0.5}).start()
        self.addCleanup(self.server.end)
        self.clock = ShiftedClock()
        self.addCleanup(self.clock.remove)

    def prepare_with(self, **server):
        source = {"name": "told", "type": "utilization", "port": self.server.port, "interval": "500ms", "timeout": "300ms"}
        return self.prepare({
            "sources": [source],
            "services": [{"name": NAME, "sources": ["told"], "load": {"metrics": [{"name": "cpu_utilization", "ceiling": 2}]},
                          "members": [{"name": "m1", "addresses": [self.server.address]}]}]}, server=server)

    def start_at(self, daemon, unix_s):
        daemon.environment = self.clock.set(unix_s).environment()
        daemon.start()
        self.assertAlmostEqual(unix(daemon.api("/v1/status").json["now_at"]), self.clock.now(), delta=2)

    def history(self, daemon, **query):
        return daemon.api(f"/v1/members/{NAME}/m1/history" + (f"?{urlencode(query)}" if query else ""))

    def points(self, daemon, metric="cpu_utilization", **query):
        """[(unix time, min, mean, max, count)]"""
        reply = self.history(daemon, metric=metric, **query)
        if reply.status == 404:
            return []
        self.assertEqual(reply.status, 200, reply.text)
        return [(unix(row["at"]), row["min"], row["mean"], row["max"], row["count"]) for row in reply.json["points"]]

    def one(self, at, value):
        return (at, value, value, value, 1)

    def tell_until_kept(self, daemon, value, at, **query):
        """Has the member say the value until it is kept of the minute at that time."""
        self.server.set("/", {"cpu_utilization": value})
        eventually(lambda: daemon.member(NAME, "m1")["load"]["load"] == value / 2, 8, "it is heard")
        eventually(lambda: self.one(at, value) in self.points(daemon, **query), 25, f"{value} is kept of {at}")

    def test_minutes_and_hours_over_restarts(self):
        daemon = self.prepare_with(history=True)
        self.start_at(daemon, NOON + 10 * 60 + LATE_S)
        self.assertEqual(self.history(daemon).json, {"id": f"{NAME}/m1", "series": []})
        self.tell_until_kept(daemon, 0.25, NOON + 10 * 60)
        series = {(row["metric"], row["source"]): unix(row["since_at"]) for row in self.history(daemon).json["series"]}
        self.assertEqual(series, {("cpu_utilization", "utilization"): NOON + 10 * 60, ("load", "gslb"): NOON + 10 * 60})
        self.assertEqual(self.points(daemon, "load"), [self.one(NOON + 10 * 60, 0.125)])
        self.check_as_told(daemon)
        self.check_refusals(daemon)
        # ended at once, as when the power goes: it is on the disk
        daemon.kill_all()
        self.start_at(daemon, NOON + 15 * 60 + LATE_S)
        self.assertEqual(self.points(daemon), [self.one(NOON + 10 * 60, 0.25)])
        self.tell_until_kept(daemon, 1.0, NOON + 15 * 60)
        self.assertEqual(self.points(daemon), [self.one(NOON + 10 * 60, 0.25), self.one(NOON + 15 * 60, 1.0)])
        wide = self.points(daemon, **{"from": "2027-03-14T12:10:00Z", "to": "2027-03-14T12:20:00Z", "step": 600})
        self.assertEqual(wide, [(NOON + 10 * 60, 0.25, 0.625, 1.0, 2)])
        self.assertEqual(self.points(daemon, **{"from": "2027-03-14T12:11:00Z", "to": "2027-03-14T12:15:00Z"}), [])
        # and the hour, when it is over
        self.assertEqual(daemon.stop(), 0)
        self.start_at(daemon, NOON + 59 * 60 + LATE_S)
        self.tell_until_kept(daemon, 0.5, NOON + 59 * 60)
        hours = {"from": -2 * 86400}

        def folded():
            return [row for row in self.points(daemon, **hours) if row[4] == 3]
        (at, least, mean, greatest, count), = eventually(folded, 20, "the hour is folded")
        self.assertEqual((at, least, greatest, count), (NOON, 0.25, 1.0, 3))
        self.assertAlmostEqual(mean, (0.25 + 1.0 + 0.5) / 3, delta=1e-6)
        self.assertEqual(self.history(daemon, metric="cpu_utilization", **hours).json["resolution_s"], 3600)
        # a day later the minutes are gone, and the hour is there
        self.assertEqual(daemon.stop(), 0)
        self.start_at(daemon, NOON + 26 * 3600 + LATE_S)
        self.tell_until_kept(daemon, 0.75, NOON + 26 * 3600)
        (at, least, _, greatest, count), = [row for row in self.points(daemon, **hours) if row[0] == NOON]
        self.assertEqual((at, least, greatest, count), (NOON, 0.25, 1.0, 3))
        self.assertEqual(self.points(daemon), [self.one(NOON + 26 * 3600, 0.75)])
        # 61 days later that hour is gone too
        self.assertEqual(daemon.stop(), 0)
        self.start_at(daemon, NOON + 62 * 86400 + LATE_S)
        self.tell_until_kept(daemon, 0.375, NOON + 62 * 86400)
        self.assertEqual([row for row in self.points(daemon, **{"from": -59 * 86400, "step": 3600}) if row[0] <= NOON + 27 * 3600], [])

    def check_as_told(self, daemon):
        """The document itself, and gslbctl."""
        told = self.history(daemon, metric="cpu_utilization").json
        self.assertEqual((told["id"], told["metric"], told["source"], told["step_s"], told["resolution_s"]),
                         (f"{NAME}/m1", "cpu_utilization", "utilization", 60, 60))
        self.assertAlmostEqual(unix(told["to_at"]) - unix(told["from_at"]), 3600, delta=120)
        self.assertEqual(json.loads(daemon.ctl("-o", "json", "history", "m1", "cpu_utilization").stdout)["points"], told["points"])
        self.assertIn("cpu_utilization", daemon.ctl("history", f"{NAME}/m1").stdout)
        shown = daemon.ctl("history", f"{NAME}/m1", "cpu_utilization", "--from", "2027-03-14T12:05:00Z", "--step", "1m").stdout
        self.assertEqual([line for line in shown.splitlines() if "12:10" in line and "0.25" in line], shown.splitlines()[-1:], shown)
        self.assertEqual(len(self.points(daemon, **{"from": -900, "source": "utilization"})), 1)
        self.assertEqual(self.history(daemon, metric="cpu_utilization", source="snmp").status, 404)

    def check_refusals(self, daemon):
        for query in ({"step": 30}, {"step": "x"}, {"from": "yesterday"}, {"from": -60, "to": -600}, {"to": "2027-13-01T00:00:00Z"},
                      {"from": -3600 * 1000, "step": 1800}):
            with self.subTest(query):
                reply = self.history(daemon, metric="cpu_utilization", **query)
                self.assertEqual(reply.status, 400, reply.text)
                self.assertTrue(reply.json["detail"])
        self.assertEqual(self.history(daemon, metric="nothing").status, 404)
        self.assertEqual(daemon.api(f"/v1/members/{NAME}/m2/history").status, 404)
        self.assertNotEqual(daemon.ctl("history", f"{NAME}/m1", "nothing").returncode, 0)

    def test_two_sources_of_one_metric_are_told_apart(self):
        daemon = self.prepare_with(history=True)
        self.server.set("/metrics", "cpu 0.875\n")
        daemon.extra["sources"].append({"name": "scraped", "type": "scrape", "port": self.server.port, "interval": "500ms", "timeout": "300ms",
                                        "metrics": [{"name": "cpu_utilization", "series": "cpu"}]})
        daemon.extra["services"][0]["sources"].append("scraped")
        daemon.write_config()
        self.start_at(daemon, NOON + LATE_S)
        reply = eventually(lambda: self.history(daemon, metric="cpu_utilization").status == 409 and
                           self.history(daemon, metric="cpu_utilization"), 25, "both are kept")
        self.assertEqual(sorted(reply.json["candidates"]), ["scrape", "utilization"])
        eventually(lambda: self.points(daemon, source="scrape") == [self.one(NOON, 0.875)], 5, "the one")
        self.assertEqual(self.points(daemon, source="utilization"), [self.one(NOON, 0.5)])

    def test_source_that_stopped_leaves_a_gap(self):
        daemon = self.prepare_with(history=True)
        other = FigureServer().set("/metrics", "alive 1\n").start()
        self.addCleanup(other.end)
        daemon.extra["sources"].append({"name": "scraped", "type": "scrape", "address": other.address, "port": other.port,
                                        "interval": "500ms", "timeout": "300ms", "metrics": [{"name": "alive", "series": "alive"}]})
        daemon.extra["services"][0]["sources"].append("scraped")
        daemon.write_config()
        self.start_at(daemon, NOON + LATE_S)
        self.tell_until_kept(daemon, 0.25, NOON)
        self.assertEqual(daemon.stop(), 0)
        self.server.end()
        self.start_at(daemon, NOON + 5 * 60 + LATE_S)
        eventually(lambda: self.one(NOON + 5 * 60, 1.0) in self.points(daemon, "alive"), 25, "the minute is kept")
        for metric, value in (("cpu_utilization", 0.25), ("load", 0.125)):
            self.assertEqual(self.points(daemon, metric), [self.one(NOON, value)])

    @unittest.skipUnless(LONG, "takes two minutes")
    def test_disk_that_takes_nothing_leaves_a_gap_and_holds_up_nobody(self):
        daemon = self.prepare_with(history=True)
        self.start_at(daemon, NOON + LATE_S)
        self.tell_until_kept(daemon, 0.25, NOON)
        # whoever has the durable store's only write transaction keeps the committer waiting, as a stalled disk would
        holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(daemon.directory / "state" / "store")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(end_process, holder)
        self.assertEqual(holder.stdout.readline(), "held\n")
        self.server.set("/", {"cpu_utilization": 0.5})
        slowest, began = 0, time.monotonic()
        while time.monotonic() - began < 125:
            asked = time.monotonic()
            self.assertTrue(daemon.answers(NAME))
            self.assertEqual(self.history(daemon).status, 200)
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.2)
        self.assertLess(slowest, 2, "nobody waits for the disk")
        self.assertEqual(daemon.member(NAME, "m1")["load"]["load"], 0.25, "figures are read as before")
        holder.stdin.close()
        self.assertEqual(holder.wait(10), 0)
        events = eventually(lambda: [event for event in daemon.api("/v1/events").json["events"] if event["kind"] == "history" and
                                     event["to"] == "skipped"], 20, "the gap is told")
        self.assertTrue(events[0]["reason"])
        latest = eventually(lambda: (row := self.points(daemon)[-1])[0] >= NOON + 180 and row, 80, "it goes on")
        self.assertEqual(latest[2], 0.5)
        self.assertNotIn(NOON + 60, [row[0] for row in self.points(daemon)], "the minute of which nothing was taken")

    def test_nothing_is_kept_unless_asked_for(self):
        daemon = self.prepare_with()
        self.start_at(daemon, NOON + LATE_S)
        end = time.monotonic() + NOON + 63 - self.clock.now()
        eventually(lambda: time.monotonic() > end, 30, "the minute is over")
        self.assertEqual(daemon.member(NAME, "m1")["load"]["load"], 0.25)
        self.assertEqual(self.history(daemon).json["series"], [])
        reply = self.history(daemon, metric="cpu_utilization")
        self.assertEqual(reply.status, 404)
        self.assertIn("server.history", reply.json["detail"])

    @unittest.skipUnless(LONG, "takes two minutes: tests/run --long")
    def test_answers_by_the_minute(self):
        daemon = self.prepare_with(history=True)
        self.start_at(daemon, NOON + LATE_S)
        eventually(lambda: self.points(daemon, "load"), 20, "the first minute is kept")
        for _ in range(120):
            daemon.ask(NAME)
        rows = eventually(lambda: self.points(daemon, "answers_per_minute"), 75, "the second minute is kept")
        self.assertEqual(rows[0][0], NOON + 60)
        self.assertAlmostEqual(rows[0][2], 120, delta=3)
        self.assertEqual(self.points(daemon), [self.one(NOON, 0.5), self.one(NOON + 60, 0.5)])


if __name__ == "__main__":
    unittest.main()
