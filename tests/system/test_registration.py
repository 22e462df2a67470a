"""Registering by HTTP: the first thing that must work, what is answered to each call, and who may what."""
import os
import subprocess
import time
import unittest

import dns.rcode

from tests.system import namespace
from tests.system.harness import Case, Gslbd, eventually
from tests.system.registrant import Registering, Registrant, create_token, registration, service

FIRST = """server:
  state: ./state
  user: {user}
  listen: ["127.0.0.1@5300"]
control:
  listen: 127.0.0.1@8300
  socket: ./control.sock
zones:
  - {{name: example.com, file: example.com.zone}}
sites:
  - {{name: fra, location: [50.11, 8.68]}}
  - {{name: nyc, location: [40.71, -74.01]}}
networks:
  - {{network: 198.51.100.0/24, sites: [nyc, fra]}}
monitors:
  - {{name: web, type: http, port: 8080, path: /health, interval: 1s, timeout: 500ms, fall: 2}}
services:
  - name: www.example.com
    monitors: [web]
    nearest: true
    members:
      - {{name: fra-1, site: fra, addresses: [127.0.0.11, "::1"], weight: 3}}
      - {{name: nyc-1, site: nyc, addresses: [127.0.0.12]}}
  - name: app.example.com
    accept: {{tokens: [app]}}
    when_down: empty
    srv: _http._tcp
"""
TOKEN = "token=$(gslbctl --socket ./control.sock token create app --resources 'app-*' --services app.example.com)"
REGISTER = """curl -X PUT http://127.0.0.1:8300/v1/resources/app-r1 -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \\
  -d '{"site":"fra","addresses":["127.0.0.77"],"lease_s":5,"services":[{"name":"app.example.com","port":8080}]}'"""
ASK = "dig @127.0.0.1 -p 5300 +short app.example.com"
ASK_SRV = "dig @127.0.0.1 -p 5300 +short _http._tcp.app.example.com SRV"
ASK_REGISTER = "dig @127.0.0.1 -p 5300 +short _gslb-register._tcp.example.com SRV"


class FirstOne(Gslbd):
    """With the configuration as it stands, on its addresses and ports; to be started in a namespace of its own."""

    def __init__(self, text):
        self.text = text
        super().__init__({})
        self.host, self.port, self.http_port = "127.0.0.1", 5300, 8300

    def write_config(self, text=None):
        super().write_config(text or self.text)


class FirstThing(Case):
    def setUp(self):
        if not self.enterContext(namespace.entered()):
            self.skipTest("no network namespaces here")
        self.gslbd = FirstOne(FIRST.format(user="root" if os.getuid() == 0 else '""'))
        self.daemons.append(self.gslbd)
        self.addCleanup(self.end, self.gslbd)
        self.gslbd.start()

    def shell(self, *lines):
        """What the last line wrote."""
        path = f"{self.gslbd.build.resolve()}:{os.environ['PATH']}"
        done = subprocess.run(["sh", "-e", "-c", "\n".join(lines)], capture_output=True, text=True, timeout=30, check=False,
                              cwd=self.gslbd.directory, env={**os.environ, "PATH": path})
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_these_lines(self):
        self.assertEqual(self.shell(ASK), "")
        status = ' -s -o body -w "%{http_code}\\n"'
        self.assertEqual(self.shell(TOKEN, REGISTER + status, 'echo "$token" > token'), "201\n")
        start = time.monotonic()
        eventually(lambda: self.shell(ASK) == "127.0.0.77\n", 1, "answered")
        priority, weight, port, target = self.shell(ASK_SRV).split()
        self.assertEqual((priority, port, target), ("0", "8080", "app-r1.app.example.com."))
        self.assertGreater(int(weight), 0)
        self.assertEqual(eventually(lambda: self.shell(ASK_REGISTER), 2, "it is named").split()[2], "8300")
        # the same without the token
        self.assertEqual(self.shell(REGISTER.replace('-H "Authorization: Bearer $token" ', "") + status), "401\n")
        self.assertIn('"title"', (self.gslbd.directory / "body").read_text())
        self.assertEqual(self.shell(ASK), "127.0.0.77\n")
        eventually(lambda: self.shell(ASK) == "", 8, "empty again")
        self.assertGreater(time.monotonic() - start, 4.5, "not before the lease's end")
        self.assertEqual(self.shell(ASK_SRV), "")
        self.assertNotEqual(self.shell(ASK_REGISTER), "")
        # and once more
        self.assertEqual(self.shell("token=$(cat token)", REGISTER + status), "201\n")
        eventually(lambda: self.shell(ASK) == "127.0.0.77\n", 1, "answered")


class Calls(Registering):
    def test_answer_to_a_registration(self):
        given = {"kind": "cloud", "site": "fra", "addresses": ["127.0.0.1", "2001:db8::1"], "lease_s": 60, "weight": 3, "tier": 1,
                 "services": [{"name": self.name, "port": 8080, "instance": "One"}], "capacity": 100.5, "version": "1.2.3",
                 "capabilities": ["tls13"], "labels": {"rack": "r7"}, "utilization_url": "http://127.0.0.1:9100/load",
                 "notice_url": "http://[2001:db8::1]:9100/notice"}
        reply = self.app.put("answer-1", given)
        self.assertEqual(reply.status, 201, reply.text)
        row = reply.json
        self.assertEqual(reply.headers["ETag"], f'"{row["revision"]}"')
        self.assertEqual((row["id"], row["revision"], row["owner"]), ("answer-1", 1, "app"))
        self.assertEqual({key: row[key] for key in given if key != "services"},
                         {key: value for key, value in given.items() if key != "services"})
        self.assertEqual(row["services"], [{"name": self.name, "port": 8080, "weight": 3, "tier": 1, "instance": "One"}])
        self.assertTrue(0 < row["epoch"] < 1 << 53)
        self.assertRegex(row["notice_key"], "^[0-9a-f]{32,}$")
        self.assertIn("cpu_utilization", row["report"])
        self.assertEqual((row["balancers"], row["directive"]), ([], None))
        self.assertEqual((row["lease"]["state"], row["lease"]["renew_in_s"]), ("live", 20))
        self.assertTrue(58 < self.seconds_until(row["lease"]["ends_at"]) <= 60.1)
        self.assertLess(abs(self.seconds_until(row["registered_at"])), 2)
        self.assertRegex(row["registered_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")

    def test_what_is_not_given_is_filled_in(self):
        reply = self.app.put("Default-1", {"addresses": ["127.0.0.1"], "services": [{"name": self.name.upper() + "."}]})
        self.assertEqual(reply.status, 201, reply.text)
        row = reply.json
        self.assertEqual((row["id"], row["kind"], row["lease_s"], row["weight"], row["tier"]), ("default-1", "server", 30, 1, 0))
        self.assertEqual([each["name"] for each in row["services"]], [self.name])
        self.assertEqual(self.app.get("default-1").status, 200)

    def test_same_again_changes_nothing_and_renews(self):
        first = self.register("again-1", "127.0.0.1")
        eventually(lambda: self.seconds_until(self.app.get("again-1").json["lease"]["ends_at"]) < 29.8, 3, "the lease runs")
        again = self.register("again-1", "127.0.0.1", status=200)
        self.assertEqual((again["revision"], again["epoch"], again["changed_at"]),
                         (first["revision"], first["epoch"], first["changed_at"]))
        self.assertEqual(again["notice_key"], first["notice_key"])
        self.assertGreater(self.seconds_until(again["lease"]["ends_at"]), 29.8)
        other = self.register("again-1", "127.0.0.2", status=200)
        self.assertEqual((other["revision"], other["epoch"], other["registered_at"]),
                         (first["revision"] + 1, first["epoch"], first["registered_at"]))
        self.until_answers("127.0.0.2")

    def test_order_of_members_does_not_matter(self):
        first = self.register("order-1", "127.0.0.1", labels={"a": "1", "b": "2"})
        again = self.app.put("order-1", {"services": [{"port": 8080, "name": self.name}], "labels": {"b": "2", "a": "1"},
                                         "lease_s": 30.0, "addresses": ["127.0.0.1"], "weight": 1})
        self.assertEqual((again.status, again.json["revision"]), (200, first["revision"]))

    def test_patch(self):
        first = self.register("patch-1", "127.0.0.1", labels={"rack": "r7", "row": "1"}, version="1")
        reply = self.app.patch("patch-1", {"addresses": ["127.0.0.9"], "labels": {"row": None, "room": "x"}, "version": None})
        self.assertEqual(reply.status, 200, reply.text)
        row = reply.json
        self.assertEqual((row["addresses"], row["labels"], row["epoch"]),
                         (["127.0.0.9"], {"rack": "r7", "room": "x"}, first["epoch"]))
        self.assertEqual(row["revision"], first["revision"] + 1)
        self.assertIsNone(row.get("version"))
        self.assertEqual(reply.headers["ETag"], f'"{row["revision"]}"')
        self.until_answers("127.0.0.9")
        # plain JSON will do as well; what changes nothing keeps the revision
        reply = self.app.patch("patch-1", {"labels": {"room": "x"}}, {"Content-Type": "application/json"})
        self.assertEqual((reply.status, reply.json["revision"]), (200, row["revision"]))
        self.refused(self.app.patch("patch-1", {"weight": -1, "labels": {"a b": "x"}}), 422, "/weight", "/labels/a b")
        self.refused(self.app.patch("patch-1", {"weight": 2}, {"Content-Type": "text/plain"}), 415)
        self.refused(self.app.patch("patch-nobody", {"weight": 2}), 404)
        self.assertEqual(self.app.get("patch-1").json["revision"], row["revision"])

    def test_patch_moves_to_another_service(self):
        other = next(self.names)
        self.register("move-1", "127.0.0.1")
        self.until_answers("127.0.0.1")
        reply = self.app.patch("move-1", {"services": [{"name": other, "port": 1}]})
        self.assertEqual(reply.status, 200, reply.text)
        self.until_answers()
        self.until_answers("127.0.0.1", name=other)

    def test_if_match(self):
        row = self.register("match-1", "127.0.0.1")
        self.until_answers("127.0.0.1")
        right, wrong = {"If-Match": f'"{row["revision"]}"'}, {"If-Match": f'"{row["revision"] + 1}"'}
        changed = registration("127.0.0.2", service=self.name)
        self.refused(self.app.put("match-1", changed, wrong), 412)
        self.refused(self.app.patch("match-1", {"weight": 2}, wrong), 412)
        self.assertEqual(self.gslbd.answers(self.name), ["127.0.0.1"])
        reply = self.app.put("match-1", changed, right)
        self.assertEqual((reply.status, reply.json["revision"]), (200, row["revision"] + 1))
        self.refused(self.app.put("match-1", registration("127.0.0.3", service=self.name), right), 412)
        self.refused(self.app.put("match-1", changed, {"If-None-Match": "*"}), 412)
        self.refused(self.app.put("match-2", changed, {"If-Match": '"1"'}), 412)
        self.refused(self.app.put("match-1", changed, {"If-Match": "nonsense"}), 400)
        reply = self.app.put("match-2", changed, {"If-None-Match": "*"})
        self.assertEqual(reply.status, 201, reply.text)

    def test_get_with_etag(self):
        row = self.register("etag-1", "127.0.0.1")
        reply = self.app.get("etag-1")
        self.assertEqual((reply.status, reply.headers["ETag"]), (200, f'"{row["revision"]}"'))
        reply = self.app.get("etag-1", {"If-None-Match": reply.headers["ETag"]})
        self.assertEqual((reply.status, reply.text), (304, ""))
        self.assertEqual(self.app.get("etag-1", {"If-None-Match": '"77"'}).status, 200)
        self.refused(self.app.get("etag-nobody"), 404)

    def test_dry_run(self):
        reply = self.app.put("dry-1", registration("127.0.0.1", service=self.name), dry_run=1)
        self.assertEqual(reply.status, 200, reply.text)
        self.assertEqual((reply.json["id"], reply.json["addresses"], reply.json["lease_s"]), ("dry-1", ["127.0.0.1"], 30))
        self.assertEqual(self.app.get("dry-1").status, 404)
        self.assertEqual(self.gslbd.answers(self.name), [])
        self.refused(self.app.put("dry-1", {"addresses": ["x"], "services": []}, dry_run=1), 422, "/addresses/0", "/services")
        self.refused(self.app.put("dry-1", registration("127.0.0.1", service="closed.example.com"), dry_run=1), 403)
        row = self.register("dry-1", "127.0.0.1")
        self.assertEqual(self.app.patch("dry-1", {"addresses": ["127.0.0.2"]}, dry_run=1).status, 200)
        self.assertEqual(self.app.delete("dry-1", dry_run=1).status, 202)
        kept = self.app.get("dry-1").json
        self.assertEqual((kept["revision"], kept["addresses"]), (row["revision"], ["127.0.0.1"]))
        self.until_answers("127.0.0.1")

    def test_everything_wrong_is_told_at_once(self):
        reply = self.app.put("wrong-1", {
            "kind": "toaster", "addresses": ["127.0.0.1", "127.0.0.300", "127.0.0.1"], "lease_s": 1, "weight": 65536, "tier": "x",
            "services": [{"name": self.name, "port": 99999}, {"port": 1}], "labels": {"a/b~c": "x"},
            "utilization_url": "http://127.0.0.99/x", "notice_url": "ftp://127.0.0.1/", "colour": "red"})
        problem = self.refused(reply, 422)
        self.assertLessEqual({"/kind", "/addresses/1", "/addresses/2", "/lease_s", "/weight", "/tier", "/services/0/port",
                              "/services/1/name",
                              "/labels/a~1b~0c", "/notice_url", "/utilization_url", "/colour"},
                             {error["pointer"] for error in problem["errors"]})
        self.assertEqual(self.app.get("wrong-1").status, 404)
        for body in (b"", b"{", b"[]", b'{"addresses":["127.0.0.1"],"addresses":["127.0.0.2"]}', b"[" * 1000, b"\xff"):
            self.refused(self.app.put("wrong-1", body), 400)
        reply = self.app.put("wrong-1", registration("127.0.0.1", service=self.name, site="atlantis"))
        self.refused(reply, 422, "/site")
        self.refused(self.app.put("wrong-1", b" " * 70000), 413)
        self.refused(self.app.put("wrong-1", b"{}", {"Content-Type": "text/plain"}), 415)
        for name in ("wrong_1", "-wrong", "a.b", "a" * 64):
            self.refused(self.app.put(name, registration("127.0.0.1", service=self.name)), 400)

    def test_what_a_service_accepts(self):
        def ask(*where, status, pointer, **more):
            problem = self.refused(self.app.put("strict-1", registration(*(where or ("127.0.0.1",)), **{
                "service": "strict.example.com", "site": "fra", **more})), status)
            if pointer:
                self.assertIn(pointer, [error["pointer"] for error in problem.get("errors", [{"pointer": pointer}])])
        ask(status=403, pointer="/site", site="nyc")
        ask(status=403, pointer="/site", site=None)
        ask(status=403, pointer="/site", site="atlantis")
        ask("127.0.0.1", "192.0.2.1", status=403, pointer="/addresses/1")
        ask(status=422, pointer="/services/0/weight", weight=0)
        ask(status=422, pointer="/services/0/weight", weight=11)
        ask(status=422, pointer="/services/0/tier", tier=4)
        ask(status=422, pointer="/lease_s", lease_s=5)
        ask(status=422, pointer="/lease_s", lease_s=3601)
        ask(status=422, pointer="/lease_s", lease_s=0)
        ask(status=403, pointer="/services/0/name", service="closed.example.com")
        ask(status=422, pointer="/services/0/name", service="plain.example.com", site=None)
        ask(status=422, pointer="/services/0/name", service="nothing.example.com", site=None)
        ask(status=422, pointer="/services/0/name", service="static.example.com", site=None)
        for i in (1, 2):
            self.register(f"strict-{i}", f"127.0.0.{i}", service="strict.example.com", site="fra", weight=10, tier=3)
        reply = self.app.put("strict-3", registration("127.0.0.3", service="strict.example.com", site="fra"))
        self.refused(reply, 429)
        self.assertGreater(int(reply.headers["Retry-After"]), 0)
        # one that is there may change; where one left, another finds room
        self.register("strict-1", "127.0.0.4", service="strict.example.com", site="fra", status=200)
        self.assertEqual(self.app.delete("strict-1").status, 202)
        self.register("strict-3", "127.0.0.3", service="strict.example.com", site="fra")
        self.until_answers("127.0.0.3", name="strict.example.com")  # of the lower tier

    def test_name_of_a_configured_member_is_taken(self):
        self.refused(self.app.put("m1", registration("127.0.0.9", service="mixed.example.com")), 422, "/services/0/name")

    def test_lists_pages_and_filters(self):
        other = next(self.names)
        for i in range(25):
            self.register(f"list-{i:02}", f"127.0.1.{i + 1}", site="fra" if i % 2 else "nyc",
                          kind="cloud" if i % 5 == 0 else "server")
        self.register("list-other", "127.0.0.1", by=self.other, service=other)

        def ids(**query):
            reply = self.app.list(**query)
            self.assertEqual(reply.status, 200, reply.text)
            return [row["id"] for row in reply.json["resources"]]
        everybody = [f"list-{i:02}" for i in range(25)]
        self.assertEqual(ids(service=self.name), everybody)
        self.assertEqual(ids(service=self.name, site="fra"), everybody[1::2])
        self.assertEqual(ids(service=self.name, kind="cloud"), everybody[::5])
        self.assertEqual(ids(service=self.name, state="live"), everybody)
        self.assertEqual(ids(service=self.name, state="stale"), [])
        self.assertEqual(ids(owner="other"), ["list-other"])
        self.assertEqual(ids(owner="other", service=self.name), [])
        pages, after = [], {}
        for _ in range(10):
            page = self.app.list(service=self.name, limit=7, **after).json
            pages.append([row["id"] for row in page["resources"]])
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        self.assertEqual([len(page) for page in pages], [7, 7, 7, 4])
        self.assertEqual(sum(pages, []), everybody)
        row = self.app.list(service=self.name, limit=1).json["resources"][0]
        self.assertNotIn("notice_key", row)
        self.assertEqual((row["id"], row["lease"]["state"], row["addresses"]), ("list-00", "live", ["127.0.1.1"]))
        for wrong in ({"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"state": "asleep"}, {"kind": "toaster"}):
            self.refused(self.app.list(**wrong), 400)

    def test_status_renews_and_reports(self):
        row = self.register("status-1", "127.0.0.1", lease_s=60)
        eventually(lambda: self.seconds_until(self.app.get("status-1").json["lease"]["ends_at"]) < 59.8, 3, "the lease runs")
        reply = self.app.status("status-1", row["epoch"], 1, cpu_utilization=0.41, mem_utilization=0.5,
                                named_metrics={"swap_utilization": 0.125}, jobs={"done": 3, "busy_s": 1.5})
        self.assertEqual(reply.status, 200, reply.text)
        told = reply.json
        self.assertLessEqual({"ends_at", "renew_in_s", "report", "balancers", "directive"}, set(told))
        self.assertEqual((told["renew_in_s"], told["directive"]), (20, None))
        self.assertTrue(59 < self.seconds_until(told["ends_at"]) <= 60.1)
        shown = self.app.get("status-1").json
        self.assertEqual(shown["revision"], row["revision"])
        self.assertEqual((shown["lease"]["sequence"], shown["lease"]["utilization"]), (1, 0.41))
        self.assertEqual({key: shown["metrics"][key] for key in ("cpu_utilization", "mem_utilization",
                                                                 "named_metrics.swap_utilization",
                                                                 "jobs.done", "jobs.busy_s")},
                         {"cpu_utilization": 0.41, "mem_utilization": 0.5, "named_metrics.swap_utilization": 0.125, "jobs.done": 3,
                          "jobs.busy_s": 1.5})
        self.assertLess(shown["metrics_age_s"], 5)
        self.refused(self.app.status("status-1", row["epoch"], 2, cpu_utilization="high"), 422, "/cpu_utilization")
        self.refused(self.app.status("status-1", row["epoch"], 2, state="asleep"), 422, "/state")
        self.refused(self.app.status("status-1", row["epoch"], 2, named_metrics={f"m{i}": i for i in range(65)}), 422)
        # what was refused counts as never sent
        self.assertEqual(self.app.status("status-1", row["epoch"], 2).status, 200)

    def test_replayed_status(self):
        row = self.register("replay-1", "127.0.0.1")
        self.assertEqual(self.app.status("replay-1", row["epoch"], 5, cpu_utilization=0.5).status, 200)
        for sequence in (5, 4):
            problem = self.refused(self.app.status("replay-1", row["epoch"], sequence, cpu_utilization=0.9), 409)
            self.assertEqual(problem["code"], "replayed")
        self.assertEqual(self.app.get("replay-1").json["lease"]["utilization"], 0.5)
        self.assertEqual(self.app.status("replay-1", row["epoch"], 6).status, 200)

    def test_unknown_lease(self):
        def refused(name, epoch):
            self.assertEqual(self.refused(self.app.status(name, epoch, 1), 404)["code"], "unknown-lease")
        refused("unknown-1", 1)
        row = self.register("unknown-1", "127.0.0.1")
        refused("unknown-1", row["epoch"] + 1)
        self.assertEqual(self.app.delete("unknown-1").status, 202)
        refused("unknown-1", row["epoch"])
        new = self.register("unknown-1", "127.0.0.1")
        self.assertNotEqual(new["epoch"], row["epoch"])
        refused("unknown-1", row["epoch"])
        self.assertEqual(self.app.status("unknown-1", new["epoch"], 1).status, 200)

    def test_state_that_a_resource_tells_of_itself(self):
        first, second = self.register("self-1", "127.0.0.1"), self.register("self-2", "127.0.0.2")
        self.until_answers("127.0.0.1", "127.0.0.2")
        self.app.status("self-1", first["epoch"], 1, state="drain", reason="new kernel")
        self.until_answers("127.0.0.2")
        member = self.gslbd.member(self.name, "self-1")
        self.assertEqual((member["state"], member["decided_by"], member["self"]),
                         ("draining", "self", {"state": "drain", "reason": "new kernel"}))
        self.assertIn("new kernel", member["reason"])
        self.app.status("self-2", second["epoch"], 1, state="maint", reason="disk")
        self.until_answers("127.0.0.1")  # draining is better than none
        self.app.status("self-1", first["epoch"], 2, state="maint")
        self.until_answers()
        # a renewal that says nothing of it changes nothing
        self.app.status("self-2", second["epoch"], 2)
        self.app.status("self-1", first["epoch"], 3, state="up")
        self.until_answers("127.0.0.1")

    def test_deregistration(self):
        self.register("gone-1", "127.0.0.1")
        self.until_answers("127.0.0.1")
        reply = self.app.delete("gone-1")
        self.assertEqual(reply.status, 202, reply.text)
        self.assertTrue(28 < self.seconds_until(reply.json["clients_until_at"]) <= 30.1)
        self.until_answers()
        self.assertEqual(self.app.get("gone-1").status, 404)
        self.assertEqual(self.app.delete("gone-1").status, 204)
        self.assertEqual(self.gslbd.api(f"/v1/members/{self.name}/gone-1").status, 404)
        self.assertEqual(self.gslbd.ask(f"gone-1.{self.name}").rcode(), dns.rcode.NXDOMAIN)


class Authority(Registering):
    def test_without_a_token(self):
        nobody, body = Registrant(self.gslbd), registration("127.0.0.1", service=self.name)
        for reply in (nobody.put("auth-1", body), nobody.patch("auth-1", {}), nobody.delete("auth-1"),
                      nobody.status("auth-1", 1, 1)):
            self.refused(reply, 401)
            self.assertIn("Bearer", reply.headers["WWW-Authenticate"])
        for token in ("gslb_" + "x" * 43, "x", self.app.token[:-1], self.app.token.upper()):
            self.refused(Registrant(self.gslbd, token).put("auth-1", body), 401)
            self.refused(Registrant(self.gslbd, token).list(), 401)
        for header in ("Basic YTpi", "Bearer", self.app.token):
            self.refused(nobody.put("auth-1", body, {"Authorization": header}), 401)
        self.assertEqual(nobody.list(service=self.name).json["resources"], [])

    def test_resource_of_another(self):
        row = self.register("mine-1", "127.0.0.1")
        body = registration("127.0.0.66", service=self.name)
        for reply in (self.other.put("mine-1", body), self.other.patch("mine-1", {"addresses": ["127.0.0.66"]}),
                      self.other.delete("mine-1"),
                      self.other.status("mine-1", row["epoch"], 1), self.other.delete("mine-1", remove=1)):
            self.refused(reply, 403)
        kept = self.app.get("mine-1").json
        self.assertEqual((kept["addresses"], kept["revision"], kept["owner"]), (["127.0.0.1"], row["revision"], "app"))
        self.assertIn("notice_key", kept)
        self.assertNotIn("notice_key", self.other.get("mine-1").json)
        self.assertNotIn("notice_key", Registrant(self.gslbd).get("mine-1").json)
        # the operator may, and it stays whose it was
        reply = self.gslbd.api("/v1/resources/mine-1", "PUT", body, unix=True)
        self.assertEqual((reply.status, reply.json["owner"]), (200, "app"))
        self.until_answers("127.0.0.66")
        self.assertEqual(self.app.status("mine-1", row["epoch"], 1).status, 200)

    def test_scope_of_a_token(self):
        scoped = Registrant(self.gslbd, create_token(self.gslbd, "web", "web-*,db-1", f"{self.name},*.dyn.example.com"))
        body = registration("127.0.0.1", service=self.name)
        self.refused(scoped.put("db-2", body), 403)
        self.refused(scoped.put("web", body), 403)
        # the service must also take this token
        self.refused(scoped.put("web-1", body), 403)
        narrow = Registrant(self.gslbd, self.recreate("other", "web-*", self.name))
        self.assertEqual(narrow.put("web-1", body).status, 201)
        self.refused(narrow.put("web-2", registration("127.0.0.1", service=next(self.names))), 403)
        self.refused(narrow.put("db-1", body), 403)

    def recreate(self, name, *scope):
        self.assertEqual(self.gslbd.ctl("token", "delete", name).returncode, 0)
        token = create_token(self.gslbd, name, *scope)

        def restore():
            self.gslbd.ctl("token", "delete", name)
            type(self).other = Registrant(self.gslbd, create_token(self.gslbd, name))
        self.addCleanup(restore)
        return token

    def test_tokens_are_listed_revoked_and_end(self):
        done = self.gslbd.ctl("token", "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("app", "other"):
            self.assertIn(word, done.stdout)
        self.assertNotIn(self.app.token, done.stdout)
        self.assertNotIn(self.app.token, self.gslbd.api("/v1/tokens", unix=True).text)
        self.assertEqual(self.app.call("GET", "/v1/tokens").status, 403)
        self.assertNotEqual(self.gslbd.ctl("token", "create", "app", "--resources", "*").returncode, 0)
        token = self.recreate("other", "*", "*")
        mine = Registrant(self.gslbd, token)
        row = self.register("token-1", "127.0.0.1", by=mine)
        self.until_answers("127.0.0.1")
        self.assertEqual(self.gslbd.ctl("token", "delete", "other").returncode, 0)
        self.refused(mine.status("token-1", row["epoch"], 1), 401)
        # what it registered stays until its lease ends
        self.assertEqual(self.gslbd.answers(self.name), ["127.0.0.1"])
        short = Registrant(self.gslbd, create_token(self.gslbd, "other", "*", "*", "--for", "1s"))
        self.assertEqual(short.status("token-1", row["epoch"], 1).status, 200)
        eventually(lambda: short.get("token-1").status == 401, 3, "its time is over")
        self.refused(short.status("token-1", row["epoch"], 2), 401)

    def test_tokens_are_stored_as_hashes(self):
        raw = self.app.token.encode()
        for path in (self.gslbd.directory / "state").rglob("*"):
            if path.is_file():
                self.assertNotIn(raw, path.read_bytes(), path)
                self.assertNotIn(raw[5:], path.read_bytes(), path)

    def test_administrators_token(self):
        admin = Registrant(self.gslbd, create_token(self.gslbd, "boss", "*", "*", "--admin"))
        self.register("boss-1", "127.0.0.1")
        path = f"/v1/admin/member/{self.name}/boss-1"
        self.refused(self.app.call("PUT", path, {"state": "down", "reason": "x"}), 403)
        self.assertEqual(admin.call("PUT", path, {"state": "down", "reason": "x"}).status, 200)
        self.until_answers()
        self.assertEqual(admin.call("DELETE", path).status, 204)
        self.until_answers("127.0.0.1")
        self.assertEqual(admin.delete("boss-1", remove=1).status, 202)
        self.assertEqual(admin.call("POST", "/v1/resources/boss-1/allow").status, 204)
        self.assertEqual(self.gslbd.ctl("token", "delete", "boss").returncode, 0)

    def test_removed_by_an_operator(self):
        row = self.register("out-1", "127.0.0.1")
        self.refused(self.app.delete("out-1", remove=1), 403)
        done = self.gslbd.ctl("resource", "remove", "out-1", "--reason", "breaks things")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.until_answers()
        body = registration("127.0.0.1", service=self.name)
        for reply in (self.app.put("out-1", body), self.app.patch("out-1", {"weight": 2}),
                      self.app.status("out-1", row["epoch"], 1)):
            self.assertEqual(self.refused(reply, 410)["code"], "removed")
        self.assertIn("breaks things", self.app.put("out-1", body).json["detail"])
        shown = self.app.list(state="removed").json["resources"]
        self.assertEqual([(each["id"], each["removed"]["why"]) for each in shown], [("out-1", "breaks things")])
        self.assertIn("removed", self.gslbd.ctl("resource", "show", "out-1").stdout)
        self.assertEqual(self.gslbd.ctl("resource", "allow", "out-1").returncode, 0)
        new = self.register("out-1", "127.0.0.1")
        self.assertNotEqual(new["epoch"], row["epoch"])
        self.until_answers("127.0.0.1")
        # for a while
        reply = self.gslbd.api("/v1/resources/out-1?remove=1&for_s=1&why=short", "DELETE", unix=True)
        self.assertEqual(reply.status, 202, reply.text)
        self.refused(self.app.put("out-1", body), 410)
        eventually(lambda: self.app.put("out-1", body).status == 201, 3, "it may register again")
        self.assertIn("removed", [each["to"] for each in self.gslbd.api(f"/v1/events?service={self.name}").json["events"]])

    def test_operators_lists(self):
        self.register("shown-1", "127.0.0.1", site="fra", labels={"rack": "r7"})
        done = self.gslbd.ctl("resource", "list", "--service", self.name)
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("shown-1", "fra", "live", "127.0.0.1", self.name, "app"):
            self.assertIn(word, done.stdout)
        self.assertNotIn("shown-1", self.gslbd.ctl("resource", "list", "--site", "nyc").stdout)
        shown = self.gslbd.ctl("resource", "show", "shown-1").stdout
        for word in ("shown-1", "fra", "127.0.0.1", self.name, "8080"):
            self.assertIn(word, shown)
        self.assertNotEqual(self.gslbd.ctl("resource", "show", "nobody").returncode, 0)


class Reloading(Case):
    def test_reload_keeps_registrations_and_takes_new_rules(self):
        daemon = self.start({"services": [service("app.example.com")]})
        app = Registrant(daemon, create_token(daemon, "app"))
        row = app.put("app-1", registration("127.0.0.1")).json
        eventually(lambda: daemon.answers("app.example.com") == ["127.0.0.1"], 5, "it is there")
        daemon.extra = {"services": [service("app.example.com", ttl={"max": "20s", "min": "1s"}), service("new.example.com")]}
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        self.assertEqual(daemon.answers("app.example.com"), ["127.0.0.1"])
        self.assertEqual(app.status("app-1", row["epoch"], 1).status, 200)
        reply = app.put("app-2", registration("127.0.0.2", service="new.example.com"))
        self.assertEqual(reply.status, 201, reply.text)
        # a service that takes this token no more: what is there stays until its lease ends, and cannot be renewed
        daemon.extra = {"services": [service("app.example.com", accept={"tokens": ["another"]}), service("new.example.com")]}
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        self.assertEqual(daemon.answers("app.example.com"), ["127.0.0.1"])
        self.assertEqual(app.status("app-1", row["epoch"], 2).status, 403)
        self.assertEqual(app.put("app-1", registration("127.0.0.1")).status, 403)
        self.assertEqual(app.delete("app-1").status, 202)


if __name__ == "__main__":
    unittest.main()
