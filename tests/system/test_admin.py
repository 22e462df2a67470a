"""Point 9: the API, the metrics and gslbctl."""
import json
import re
import subprocess
import time
import unittest

from tests.system.harness import Case, eventually, free_port

SERVICE_KEYS = {"name", "pattern", "accepts", "members_registered", "zone", "method", "answers", "when_down", "mode", "ttl_s", "ttl_min_s", "ttl_max_s", "srv", "monitors",
                "members_total", "members_up", "members_answered", "answers_total"}
MEMBER_KEYS = {"id", "service", "name", "site", "state", "reason", "decided_by", "since_at", "age_s", "weight", "srv_port",
               "answered", "answers_total", "override", "addresses", "tier", "registered", "kind", "lease", "self", "utilization", "instance",
               "labels", "load"}
ADDRESS_KEYS = {"address", "state", "answered", "reason", "since_at", "age_s", "probes"}
PROBE_KEYS = {"monitor", "state", "reason", "last_passed", "streak", "last_age_s", "overdue", "since_at", "rtt_us", "rtt_mean_us", "passed",
              "failed"}
WWW = "www.example.com"


class Admin(Case):
    def setUp(self):
        port = free_port("127.0.0.1")
        self.web, self.other = self.start_member("web", port), self.start_member("twice", port)
        self.gslbd = self.start({
            "sites": [{"name": "fra", "location": [50.11, 8.68]}, {"name": "nyc"}],
            "monitors": [{"name": "web", "type": "http", "port": port, "path": "/health", "expect": {"status": "200", "body": "ok"},
                          "interval": "300ms", "timeout": "200ms", "rise": 1, "fall": 2}],
            "services": [
                {"name": WWW, "ttl": {"max": "30s", "min": "1s"}, "method": "all", "monitors": ["web"], "when_down": "empty",
                 "members": [{"name": "fra-1", "site": "fra", "addresses": [self.web.address], "weight": 3},
                             {"name": "nyc-1", "site": "nyc", "addresses": ["127.0.0.2"]},
                             {"name": "twice", "addresses": [self.other.address]}]},
                {"name": "api.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all", "srv": "_https._tcp",
                 "members": [{"name": "twice", "addresses": ["127.0.0.3"], "srv_port": 8443}]},
            ],
        })
        self.gslbd.wait_states(WWW, fra_1="up", nyc_1="down", twice="up")

    def get(self, path):
        reply = self.gslbd.api(path)
        self.assertEqual(reply.status, 200, reply.text)
        return reply.json

    def until_answers(self, *wanted):
        eventually(lambda: self.gslbd.answers(WWW) == sorted(set(wanted)), 5, f"answers are {wanted}")

    # reading

    def test_services(self):
        rows = self.get("/v1/services")["services"]
        self.assertEqual([row["name"] for row in rows], [WWW, "api.example.com"])
        for row in rows:
            self.assertEqual(set(row) - {"members"}, SERVICE_KEYS)
        self.assertEqual((rows[0]["members_total"], rows[0]["members_up"], rows[0]["members_answered"]), (3, 2, 2))
        self.assertEqual((rows[0]["zone"], rows[0]["mode"], rows[0]["srv"], rows[0]["monitors"]), ("example.com", "normal", None, ["web"]))
        self.assertEqual((rows[0]["ttl_min_s"], rows[0]["ttl_max_s"]), (1, 30))
        self.assertEqual(rows[1]["srv"], "_https._tcp")

    def test_one_service_with_members(self):
        row = self.get(f"/v1/services/{WWW}")
        self.assertEqual(set(row), SERVICE_KEYS | {"members"})
        self.assertEqual([member["name"] for member in row["members"]], ["fra-1", "nyc-1", "twice"])
        for member in row["members"]:
            self.assertEqual(set(member), MEMBER_KEYS)

    def test_member(self):
        row = self.get(f"/v1/members/{WWW}/fra-1")
        self.assertEqual((row["id"], row["site"], row["state"], row["decided_by"]), (f"{WWW}/fra-1", "fra", "up", "probe"))
        self.assertEqual((row["weight"], row["answered"], row["override"]), (3, True, None))
        self.assertRegex(row["since_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
        self.assertLess(row["age_s"], 60)
        self.assertTrue(row["reason"])
        address = row["addresses"][0]
        self.assertEqual(set(address), ADDRESS_KEYS)
        self.assertEqual((address["address"], address["state"]), (self.web.address, "up"))
        probe = address["probes"][0]
        self.assertLessEqual(PROBE_KEYS, set(probe))
        self.assertEqual((probe["monitor"], probe["last_passed"], probe["streak"]), ("web", True, 0))
        self.assertGreater(probe["passed"], 0)
        down = self.get(f"/v1/members/{WWW}/nyc-1")
        self.assertEqual((down["state"], down["answered"]), ("down", False))
        self.assertIn("refused", down["reason"])

    def test_members_and_filters(self):
        def ids(query=""):
            return [row["id"] for row in self.get(f"/v1/members{query}")["members"]]
        self.assertEqual(ids(), [f"{WWW}/fra-1", f"{WWW}/nyc-1", f"{WWW}/twice", "api.example.com/twice"])
        self.assertEqual(ids("?service=api.example.com"), ["api.example.com/twice"])
        self.assertEqual(ids("?state=down"), [f"{WWW}/nyc-1"])
        self.assertEqual(ids("?site=fra"), [f"{WWW}/fra-1"])
        self.assertEqual(ids(f"?service={WWW}&state=up&site=nyc"), [])

    def test_what_is_not_there(self):
        for path in ("/v1/services/nothing.example.com", f"/v1/members/{WWW}/nobody", "/v1/nothing", "/nothing"):
            reply = self.gslbd.api(path)
            self.assertEqual(reply.status, 404, path)
            self.assertIn("application/problem+json", reply.headers["Content-Type"])
            self.assertEqual(reply.json["status"], 404)
            self.assertTrue(reply.json["title"])

    def test_status(self):
        row = self.get("/v1/status")
        for key in ("identity", "version", "started_at", "uptime_s", "generation", "ready", "processes", "queries", "stores",
                    "checkpoint_age_s"):
            self.assertIn(key, row)
        self.assertEqual((row["identity"], row["generation"], row["ready"]), ("lb1.example.net", 1, True))
        self.assertLessEqual({"dns", "probe", "control"}, {each["name"] for each in row["processes"]})
        self.assertLessEqual({"durable", "live"}, set(row["stores"]))

    def test_health_and_readiness(self):
        for path in ("/healthz", "/readyz"):
            reply = self.gslbd.api(path)
            self.assertEqual((reply.status, reply.text.strip()), (200, "ok"))

    def test_events_are_newest_first(self):
        rows = self.get(f"/v1/events?service={WWW}")["events"]
        self.assertGreaterEqual(len(rows), 3)
        self.assertEqual([row["id"] for row in rows], sorted((row["id"] for row in rows), reverse=True))
        self.assertEqual(len(self.get("/v1/events?limit=2")["events"]), 2)
        for row in rows:
            self.assertEqual(set(row), {"id", "at", "service", "member", "kind", "from", "to", "reason"})

    def test_metrics(self):
        for _ in range(3):
            self.gslbd.ask(WWW)
        reply = self.gslbd.api("/metrics")
        self.assertEqual(reply.status, 200)
        self.assertIn("text/plain", reply.headers["Content-Type"])
        checked = subprocess.run(["promtool", "check", "metrics"], input=reply.text, capture_output=True, text=True, check=False)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))
        for row in (WWW, "fra-1", "nyc-1"):
            self.assertIn(f'"{row}"', reply.text)

    # changing

    def test_tcp_may_not_change(self):
        path = f"/v1/admin/member/{WWW}/fra-1"
        self.assertEqual(self.gslbd.api(path, "PUT", {"state": "down", "reason": "x"}).status, 401)
        self.assertEqual(self.gslbd.api(path, "DELETE").status, 401)
        self.assertEqual(self.gslbd.api("/v1/admin/reload", "POST", {}).status, 401)
        self.assertIsNone(self.get(f"/v1/members/{WWW}/fra-1")["override"])

    def test_socket_may_read_too(self):
        self.assertEqual(self.gslbd.api("/v1/services", unix=True).json, self.gslbd.api("/v1/services").json)

    def test_down_drain_up_and_clear(self):
        reply = self.gslbd.set_member(WWW, "fra-1", "down", "disk change")
        self.assertEqual(reply.status, 200)
        override = reply.json["override"]
        self.assertEqual((override["state"], override["why"], override["until_at"]), ("down", "disk change", None))
        self.assertTrue(override["who"])
        self.until_answers(self.other.address)
        self.gslbd.set_member(WWW, "twice", "drain")
        self.gslbd.wait_states(WWW, fra_1="down", twice="draining")
        # drained ones are better than none
        self.until_answers(self.other.address)
        self.gslbd.set_member(WWW, "nyc-1", "up", "the probe is wrong")
        self.gslbd.wait_states(WWW, nyc_1="up")
        self.until_answers("127.0.0.2")
        for name in ("fra-1", "twice", "nyc-1", "nyc-1"):
            self.assertEqual(self.gslbd.clear_member(WWW, name).status, 204)
        self.gslbd.wait_states(WWW, fra_1="up", nyc_1="down", twice="up")
        self.until_answers(self.web.address, self.other.address)
        self.assertIn("override", [row["kind"] for row in self.get("/v1/events")["events"]])

    def test_override_ends_by_itself(self):
        reply = self.gslbd.set_member(WWW, "fra-1", "down", "short", for_s=2)
        self.assertIsNotNone(reply.json["override"]["until_at"])
        self.gslbd.set_member(WWW, "twice", "down")
        self.until_answers()
        start = time.monotonic()
        self.until_answers(self.web.address)
        self.assertLess(time.monotonic() - start, 2.5)
        self.assertIsNone(self.get(f"/v1/members/{WWW}/fra-1")["override"])

    def test_short_name_where_it_is_clear(self):
        reply = self.gslbd.api("/v1/admin/member/fra-1", "PUT", {"state": "down", "reason": "x"}, unix=True)
        self.assertEqual((reply.status, reply.json["id"]), (200, f"{WWW}/fra-1"))
        reply = self.gslbd.api("/v1/admin/member/twice", "PUT", {"state": "down", "reason": "x"}, unix=True)
        self.assertEqual(reply.status, 409)
        for candidate in (f"{WWW}/twice", "api.example.com/twice"):
            self.assertIn(candidate, reply.text)
        self.assertEqual(self.gslbd.api("/v1/admin/member/nobody", "PUT", {"state": "down", "reason": "x"}, unix=True).status, 404)

    def test_wrong_body_names_the_place(self):
        reply = self.gslbd.api(f"/v1/admin/member/{WWW}/fra-1", "PUT", {"state": "sideways", "reason": "x"}, unix=True)
        self.assertEqual(reply.status, 422 if reply.status == 422 else 400)
        self.assertEqual([error["pointer"] for error in reply.json["errors"]], ["/state"])

    # gslbctl

    def ctl(self, *arguments, status=0):
        done = self.gslbd.ctl(*arguments)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout

    def test_ctl_shows(self):
        self.assertIn("lb1.example.net", self.ctl("status"))
        services = self.ctl("services")
        for name in (WWW, "api.example.com"):
            self.assertIn(name, services)
        members = self.ctl("members")
        for word in ("fra-1", "nyc-1", "twice", "up", "down"):
            self.assertIn(word, members)
        self.assertIn(self.web.address, self.ctl("member", "fra-1"))
        self.assertIn("nyc-1", self.ctl("events"))

    def test_ctl_speaks_json(self):
        whole = json.loads(self.ctl("-o", "json", "status"))
        self.assertEqual(whole["status"]["identity"], "lb1.example.net")
        rows = json.loads(self.ctl("-o", "json", "services"))["services"]
        self.assertEqual([row["name"] for row in rows], [WWW, "api.example.com"])
        rows = json.loads(self.ctl("-o", "json", "members"))["members"]
        self.assertEqual(len(rows), 4)
        self.assertEqual(json.loads(self.ctl("-o", "json", "member", "fra-1"))["id"], f"{WWW}/fra-1")
        self.assertIn("events", json.loads(self.ctl("-o", "json", "events")))

    def test_ctl_changes_and_it_is_kept_over_a_restart(self):
        self.ctl("member", "fra-1", "down", "--reason", "disk change", "--for", "30m")
        self.ctl("member", f"{WWW}/twice", "drain", "--reason", "update")
        self.gslbd.wait_states(WWW, fra_1="down", twice="draining")
        self.assertEqual(self.gslbd.stop(), 0)
        self.gslbd.start()
        self.gslbd.wait_states(WWW, fra_1="down", twice="draining")
        override = self.get(f"/v1/members/{WWW}/fra-1")["override"]
        self.assertEqual((override["state"], override["why"]), ("down", "disk change"))
        self.assertIsNotNone(override["until_at"])
        self.ctl("member", "fra-1", "clear")
        self.ctl("member", f"{WWW}/twice", "clear")
        self.gslbd.wait_states(WWW, fra_1="up", twice="up")
        self.ctl("member", "nyc-1", "up", "--reason", "the probe is wrong")
        self.until_answers(self.web.address, self.other.address, "127.0.0.2")

    def test_ctl_tells_mistakes(self):
        for arguments in (("member", "nobody", "down", "--reason", "x"), ("member", "twice", "down", "--reason", "x"),
                          ("nonsense",), ("member", "fra-1", "sideways", "--reason", "x"),
                          ("member", "fra-1", "down", "--reason", "x", "--for", "soon"), ()):
            done = self.gslbd.ctl(*arguments)
            self.assertNotEqual(done.returncode, 0, arguments)
            self.assertTrue(done.stderr.strip(), arguments)
        self.assertIsNone(self.get(f"/v1/members/{WWW}/fra-1")["override"])

    def test_ctl_finds_the_socket_by_the_configuration(self):
        done = subprocess.run([self.gslbd.build / "gslbctl", "--config", self.gslbd.config_path, "services"], capture_output=True,
                              text=True, check=False, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(WWW, done.stdout)

    def test_ctl_reads_the_stores_when_no_daemon_runs(self):
        self.gslbd.set_member(WWW, "fra-1", "down", "kept in the store")
        self.gslbd.stop()

        def offline(*words):
            command = [self.gslbd.build / "gslbctl", "--config", self.gslbd.config_path, "-o", "json", *words]
            return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        done = offline("members")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = {row["id"]: row for row in json.loads(done.stdout)["members"]}
        self.assertEqual({name: rows[f"{WWW}/{name}"]["state"] for name in ("fra-1", "nyc-1", "twice")},
                         {"fra-1": "down", "nyc-1": "down", "twice": "up"})
        self.assertEqual(rows[f"{WWW}/fra-1"]["override"]["why"], "kept in the store")
        done = offline("member", "fra-1", "up", "--reason", "x")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, re.compile(r"sock|running|connect|daemon", re.IGNORECASE))


if __name__ == "__main__":
    unittest.main()
