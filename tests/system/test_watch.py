"""What happens, as it happens: long polls and server-sent events, positions, and a position that is lost."""
import contextlib
import http.client
import json
import os
import subprocess
import threading
import time
import unittest
from urllib.parse import urlencode

from tests.system.harness import Case, Gslbd, UnixHTTPConnection, eventually, kill_each
from tests.system.registrant import Registrant, create_token, registration

POSITION = r"^[0-9]+\.[0-9]+$"
KEPT = 16384  # changes that the daemon keeps


def services(*names):
    return [{"name": f"{name}.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all", "when_down": "empty",
             "accept": {"tokens": ["app"]}} for name in names]


class Stream:
    """Server-sent events of one connection, read as the WHATWG standard says: lines, fields, an empty line."""

    def __init__(self, daemon, headers=None, timeout=20, **query):
        self.connection = http.client.HTTPConnection(daemon.host, daemon.http_port, timeout=timeout)
        self.connection.request("GET", f"/v1/watch?{urlencode(query)}", headers={"Accept": "text/event-stream", **(headers or {})})
        self.answer = self.connection.getresponse()
        self.last_id = None
        self.comments = 0

    def next(self):
        """(event, data) of the next event; None at the end of the stream. Comments and ids alone are passed over."""
        event, data = "message", []
        while True:
            line = self.answer.readline().decode()
            if not line:
                return None
            line = line.rstrip("\n")
            if not line and data:
                return event, json.loads("\n".join(data))
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line.startswith(":"):
                self.comments += 1
            elif field == "event":
                event = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                self.last_id = value

    def close(self):
        self.answer.close()
        self.connection.close()


class Watching(Case):
    @classmethod
    def setUpClass(cls):
        cls.gslbd = cls.share(Gslbd({"services": services("app", "api", "other", "alone")}))
        cls.app = Registrant(cls.gslbd, create_token(cls.gslbd, "app"))

    def tearDown(self):
        for row in self.app.list().json["resources"]:
            self.app.delete(row["id"])

    def register(self, name, address="127.0.0.1", **more):
        reply = self.app.put(name, registration(address, **more))
        self.assertIn(reply.status, (200, 201), reply.text)
        return reply.json

    def watch(self, timeout=20, **query):
        return self.app.call("GET", f"/v1/watch?{urlencode(query)}")

    def position(self):
        return self.watch().json["position"]

    def stream(self, **options):
        stream = Stream(self.gslbd, **options)
        self.addCleanup(stream.close)
        return stream


class LongPoll(Watching):
    def test_position_now(self):
        start = time.monotonic()
        reply = self.watch()
        self.assertEqual(reply.status, 200, reply.text)
        self.assertLess(time.monotonic() - start, 2)
        self.assertRegex(reply.json["position"], POSITION)
        self.assertEqual(reply.json["changes"], [])

    def test_what_happened_since(self):
        since = self.position()
        self.register("watch-1", services=[{"name": "app.example.com"}, {"name": "api.example.com"}])
        told = self.watch(since=since, wait_s=10, kind="resource").json
        self.assertEqual([(row["kind"], row["resource"], row["change"], row["services"]) for row in told["changes"]],
                         [("resource", "watch-1", "registered", ["app.example.com", "api.example.com"])])
        row = told["changes"][0]
        self.assertEqual(row["service"], "app.example.com")
        self.assertRegex(row["at"], r"^\d{4}-\d\d-\d\dT.*Z$")
        self.assertEqual(told["position"].split(".")[0], since.split(".")[0])
        self.assertTrue(int(since.split(".")[1]) < row["rev"] <= int(told["position"].split(".")[1]))
        # nothing since then, and it is told at once when so asked
        start = time.monotonic()
        again = self.watch(since=told["position"], wait_s=0, kind="resource").json
        self.assertEqual((again["changes"], time.monotonic() - start < 2), ([], True))

    def test_every_change_of_a_resource(self):
        since = self.position()
        row = self.register("watch-1")
        self.register("watch-1", "127.0.0.2")
        self.app.status("watch-1", row["epoch"], 1, state="drain")
        self.app.status("watch-1", row["epoch"], 2)  # no change
        self.assertEqual(self.gslbd.api("/v1/resources/watch-1?remove=1", "DELETE", unix=True).status, 202)
        self.assertEqual(self.gslbd.api("/v1/resources/watch-1/allow", "POST", unix=True).status, 204)
        self.register("watch-1")
        self.app.delete("watch-1")
        wanted = ["registered", "changed", "self", "removed", "allowed", "registered", "deregistered"]

        def told():
            rows = self.watch(since=since, wait_s=0, kind="resource").json["changes"]
            return len(rows) >= len(wanted) and rows
        rows = eventually(told, 5, "all is told")
        self.assertEqual([each["change"] for each in rows], wanted)
        self.assertEqual([each["rev"] for each in rows], sorted(each["rev"] for each in rows))

    def test_end_of_a_lease(self):
        since = self.position()
        self.register("watch-1", lease_s=5)
        first = self.watch(since=since, wait_s=10, kind="resource").json
        start = time.monotonic()
        second = self.watch(since=first["position"], wait_s=10, kind="resource").json
        self.assertEqual([row["change"] for row in second["changes"]], ["expired"])
        self.assertTrue(4 < time.monotonic() - start < 6)

    def test_members_and_services(self):
        name, since = "alone.example.com", self.position()
        self.register("watch-1", service=name)

        def told(kind):
            rows = self.watch(since=since, wait_s=0, kind=kind, service=name).json["changes"]
            return [(row["service"], row["member"], row["from"], row["to"], bool(row["reason"])) for row in rows]
        up = (name, "watch-1", "unknown", "up", True)
        eventually(lambda: told("member") == [up], 5, "the member is told")
        eventually(lambda: told("service") == [(name, "", "down-empty", "normal", True)], 5, "the service is told")
        self.gslbd.set_member(name, "watch-1", "down")
        eventually(lambda: told("member") == [up, (name, "watch-1", "up", "down", True)], 5, "the override is told")
        self.gslbd.clear_member(name, "watch-1")

    def test_wait_ends_with_what_happens(self):
        since = self.position()
        taken = {}

        def wait():
            start = time.monotonic()
            taken["told"] = self.watch(since=since, wait_s=30, kind="resource", resource="watch-1")
            taken["after_s"] = time.monotonic() - start
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.5)
        self.register("watch-2")  # another
        time.sleep(0.5)
        self.register("watch-1")
        at = time.monotonic()
        thread.join(20)
        self.assertLess(time.monotonic() - at, 1)
        self.assertGreater(taken["after_s"], 0.9)
        self.assertEqual([row["resource"] for row in taken["told"].json["changes"]], ["watch-1"])

    def test_wait_ends_with_its_time(self):
        start = time.monotonic()
        reply = self.watch(since=self.position(), wait_s=2, resource="nobody")
        self.assertEqual((reply.status, reply.json["changes"]), (200, []))
        self.assertTrue(1.8 < time.monotonic() - start < 4)

    def test_filters(self):
        since = self.position()
        self.register("watch-1")
        self.register("watch-2", service="api.example.com")
        self.register("watch-3", services=[{"name": "other.example.com"}, {"name": "api.example.com"}])

        def names(**query):
            return [row["resource"] for row in self.watch(since=since, wait_s=0, kind="resource", **query).json["changes"]]
        self.assertEqual(eventually(lambda: len(names()) == 3 and names(), 5, "all is told"), ["watch-1", "watch-2", "watch-3"])
        self.assertEqual(names(service="api.example.com"), ["watch-2", "watch-3"])
        self.assertEqual(names(resource="watch-2"), ["watch-2"])
        self.assertEqual(names(resource="watch-2", service="app.example.com"), [])

    def test_nothing_is_lost_between_two_polls(self):
        """Who goes on from the position of the last answer sees everything, once, in order."""
        position, seen, count = self.position(), [], 200

        def change():
            for i in range(count):
                self.register("watch-1", f"127.0.1.{i + 1}")
        thread = threading.Thread(target=change)
        thread.start()
        end = time.monotonic() + 60
        while len(seen) < count and time.monotonic() < end:
            told = self.watch(since=position, wait_s=5, kind="resource").json
            seen += [row["rev"] for row in told["changes"]]
            position = told["position"]
        thread.join(60)
        self.assertEqual(len(seen), count)
        self.assertEqual(seen, sorted(set(seen)))

    def test_wrong_questions(self):
        for query in ({"since": "x"}, {"since": "1"}, {"since": "1.2.3"}, {"since": "-1.2"},
                      {"since": self.position(), "wait_s": 56},
                      {"wait_s": "soon"}):
            reply = self.watch(**query)
            self.assertEqual(reply.status, 400, query)
            self.assertIn("application/problem+json", reply.headers["Content-Type"])

    def test_lost_positions(self):
        epoch, revision = self.position().split(".")
        for lost in (f"{int(epoch) + 1}.{revision}", f"{epoch}.{int(revision) + 1000}", "7.1"):
            reply = self.watch(since=lost, wait_s=10)
            self.assertEqual((reply.status, reply.json["code"]), (410, "gone"), lost)
            self.assertIn("application/problem+json", reply.headers["Content-Type"])

    def test_many_wait_at_once(self):
        since, told, count = self.position(), [], 300
        connections = []
        for i in range(count):
            connection = http.client.HTTPConnection(self.gslbd.host, self.gslbd.http_port, timeout=20)
            self.addCleanup(connection.close)
            connection.request("GET", f"/v1/watch?since={since}&wait_s=30&kind=resource&resource=watch-{'1' if i % 2 else '2'}")
            connections.append(connection)
        # others are served meanwhile
        self.assertEqual(self.app.list().status, 200)
        self.register("watch-1")
        self.register("watch-2")
        for i, connection in enumerate(connections):
            reply = connection.getresponse()
            told.append((reply.status,
                         {row["resource"] for row in json.loads(reply.read())["changes"]} == {"watch-1" if i % 2 else "watch-2"}))
        self.assertEqual(set(told), {(200, True)})


class Events(Watching):
    def test_stream(self):
        stream = self.stream(kind="resource")
        self.assertEqual(stream.answer.status, 200)
        self.assertIn("text/event-stream", stream.answer.headers["Content-Type"])
        self.assertIn("no-store", stream.answer.headers["Cache-Control"] or "no-store")
        self.register("watch-1")
        at = time.monotonic()
        event, change = stream.next()
        self.assertLess(time.monotonic() - at, 1)
        self.assertEqual((event, change["kind"], change["resource"], change["change"]),
                         ("resource", "resource", "watch-1", "registered"))
        self.assertRegex(stream.last_id, POSITION)
        self.assertEqual(stream.last_id.split(".")[1], str(change["rev"]))
        self.register("watch-1", "127.0.0.2")
        self.app.delete("watch-1")
        self.assertEqual([stream.next()[1]["change"] for _ in range(2)], ["changed", "deregistered"])

    def test_going_on_after_a_break(self):
        stream = self.stream(kind="resource", resource="watch-1")
        self.register("watch-1")
        self.assertEqual(stream.next()[1]["change"], "registered")
        stream.close()
        self.register("watch-1", "127.0.0.2")
        self.register("watch-2")
        again = self.stream(kind="resource", resource="watch-1", headers={"Last-Event-ID": stream.last_id})
        self.assertEqual(again.next()[1]["change"], "changed")
        self.app.delete("watch-1")
        self.assertEqual(again.next()[1]["change"], "deregistered")
        # since does the same; the header is the newer word
        older = self.stream(kind="resource", since=stream.last_id)
        self.assertEqual([older.next()[1]["resource"] for _ in range(3)], ["watch-1", "watch-2", "watch-1"])

    def test_signs_of_life(self):
        """Something comes at least every 15 s, so that what stands between does not take the connection for dead."""
        stream = self.stream(resource="nobody", timeout=20)
        start, line = time.monotonic(), b""
        while not line.startswith(b":") or time.monotonic() - start < 1:
            line = stream.answer.readline()
            self.assertLess(time.monotonic() - start, 17)
        self.assertLessEqual(time.monotonic() - start, 16)

    def test_lost_position(self):
        stream = self.stream(headers={"Last-Event-ID": "7.1"})
        self.assertEqual((stream.answer.status, json.loads(stream.answer.read())["code"]), (410, "gone"))

    def test_clients_that_go_away(self):
        """They leave nothing behind, and others are served."""
        def open_files():
            pid = self.gslbd.processes()["control"]["pid"]
            return len(os.listdir(f"/proc/{pid}/fd"))
        before = open_files()
        streams = [Stream(self.gslbd) for _ in range(100)]
        eventually(lambda: open_files() >= before + 100, 5, "all are connected")
        for stream in streams:
            stream.close()
        self.register("watch-1")  # the next word to them fails
        eventually(lambda: open_files() <= before + 5, 20, "all are forgotten")

    def test_gslbctl_watch(self):
        process = subprocess.Popen([self.gslbd.build / "gslbctl", "--socket", self.gslbd.socket_path, "watch", "--kind",
                                    "resource"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True)
        reader.start()

        def told():
            self.app.delete("watch-1")
            self.register("watch-1")
            return any("watch-1" in line and "registered" in line for line in lines)
        eventually(told, 10, "gslbctl tells", 0.2)


class Losing(Case):
    """Positions that a daemon does not know any more."""

    def setUp(self):
        self.gslbd = self.start({"services": services("app")})
        self.app = Registrant(self.gslbd, create_token(self.gslbd, "app"))

    def position(self):
        return self.app.call("GET", "/v1/watch").json["position"]

    def test_restart(self):
        since = self.position()
        self.assertEqual(self.gslbd.stop(), 0)
        self.gslbd.start()
        reply = self.app.call("GET", f"/v1/watch?since={since}&wait_s=10")
        self.assertEqual((reply.status, reply.json["code"]), (410, "gone"))
        self.assertNotEqual(self.position().split(".")[0], since.split(".")[0])

    def test_death_of_control_ends_what_waits(self):
        since, stream = self.position(), Stream(self.gslbd)
        self.addCleanup(stream.close)
        old_pid = self.gslbd.processes()["control"]["pid"]
        kill_each([old_pid])
        start = time.monotonic()
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.assertIsNone(stream.next())
        self.assertLess(time.monotonic() - start, 5)
        eventually(self.gslbd.is_ready, 20, "ready again")
        eventually(lambda: self.gslbd.processes()["control"]["pid"] not in (0, old_pid), 20, "control is another")
        reply = self.app.call("GET", f"/v1/watch?since={since}&wait_s=10")
        self.assertEqual(reply.status, 410)

    def test_stop_ends_what_waits(self):
        daemon = self.gslbd
        since = self.position()
        waiting = http.client.HTTPConnection(daemon.host, daemon.http_port, timeout=20)
        self.addCleanup(waiting.close)
        waiting.request("GET", f"/v1/watch?since={since}&wait_s=55&resource=nobody")
        stream = Stream(daemon, resource="nobody")
        self.addCleanup(stream.close)
        start = time.monotonic()
        self.assertEqual(daemon.stop(), 0)
        self.assertLess(time.monotonic() - start, 13)
        self.assertEqual(waiting.getresponse().status, 200)
        self.assertIsNone(stream.next())

    def test_too_much_happened(self):
        """More than is kept: both who asks later and who reads too slowly are told."""
        since = self.position()
        stream = Stream(self.gslbd, timeout=60)
        self.addCleanup(stream.close)
        reply = self.app.put("lost-1", registration("127.0.0.1"))
        self.assertEqual(reply.status, 201, reply.text)
        epoch, revision, connection = reply.json["epoch"], 0, UnixHTTPConnection(self.gslbd.socket_path, 20)
        self.addCleanup(connection.close)
        # each one a change, and cheap: it tells of itself
        for sequence in range(1, KEPT + 10):
            body = json.dumps({"epoch": epoch, "sequence": sequence, "state": "up" if sequence % 2 else "drain"})
            connection.request("PUT", "/v1/resources/lost-1/status", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 200)
            revision = int(self.position().split(".")[1]) if sequence % 1000 == 0 else revision
            if revision > KEPT + 5:
                break
        reply = self.app.call("GET", f"/v1/watch?since={since}&wait_s=0")
        self.assertEqual((reply.status, reply.json["code"]), (410, "gone"))
        late = Stream(self.gslbd, since=since)
        self.addCleanup(late.close)
        self.assertEqual(late.answer.status, 410)
        # the stream was read by nobody meanwhile: either all of it is there, in order, or it says where it broke
        last = 0
        while (told := stream.next()) is not None:
            event, change = told
            if event == "gone":
                self.assertEqual(change["code"], "gone")
                break
            self.assertGreater(change["rev"], last)
            last = change["rev"]
            if last >= revision:
                break


if __name__ == "__main__":
    unittest.main()
