"""on_empty: a service without a member that could be answered has an operator's command run, which may bring one."""
import stat
import time
import unittest

import dns.rcode

from tests.system.harness import Case, eventually
from tests.system.length import LONG
from tests.system.registrant import Registrant, create_token, registration

NAME = "app.example.com"
INTERVAL_S = 2


class OnEmpty(Case):
    def start_with(self, script, interval=f"{INTERVAL_S}s", **more):
        """A daemon whose hook is a shell script; each run leaves a line of its time, service and arguments in `runs`."""
        self.gslbd = self.prepare({})
        self.hook, self.runs_path = self.gslbd.directory / "hook", self.gslbd.directory / "runs"
        self.hook.write_text(f'#!/bin/sh\necho "$(date +%s.%N) $GSLB_SERVICE $GSLB_TIME $*" >> {self.runs_path}\n{script}\n')
        self.hook.chmod(self.hook.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        self.gslbd.extra = {"services": [{
            "name": NAME, "ttl": {"max": "30s", "min": "1s"}, "when_down": "empty", "accept": {"tokens": ["app"]},
            "on_empty": ["./hook", "more", "of it"], "on_empty_interval": interval, **more}]}
        self.gslbd.write_config()
        self.gslbd.start()
        self.app = Registrant(self.gslbd, create_token(self.gslbd, "app"))

    def runs(self):
        return self.runs_path.read_text().splitlines() if self.runs_path.exists() else []

    def wait_runs(self, count, deadline_s=10):
        eventually(lambda: len(self.runs()) >= count, deadline_s, f"{count} runs")

    def results(self):
        """Of the events, the oldest first."""
        return [row for row in reversed(self.gslbd.api("/v1/events").json["events"]) if row["kind"] == "on_empty"]

    def register(self, name="r1", **more):
        reply = self.app.put(name, registration("127.0.0.1", **more))
        self.assertEqual(reply.status, 201, reply.text)

    def stays_at(self, count, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.assertEqual(len(self.runs()), count)
            time.sleep(0.1)

    def test_it_is_run_and_its_result_is_told(self):
        self.start_with("echo starting one; echo two are on their way")
        self.wait_runs(1)
        _, service, at, *arguments = self.runs()[0].split()
        self.assertEqual((service, arguments), (NAME, ["more", "of", "it"]))
        self.assertRegex(at, r"^\d{4}-\d\d-\d\dT.*Z$")
        row = eventually(self.results, 5, "the result is an event")[0]
        self.assertEqual((row["service"], row["from"], row["to"]), (NAME, "run", "done"))
        self.assertIn("exit status 0", row["reason"])
        self.assertIn("two are on their way", row["reason"])
        # clients get a clear answer meanwhile
        reply = self.gslbd.ask(NAME)
        self.assertEqual((reply.rcode(), reply.answer), (dns.rcode.NOERROR, []))

    def test_at_most_once_in_an_interval_while_it_is_empty(self):
        self.start_with("")
        self.wait_runs(4, 4 * INTERVAL_S + 4)
        times = [float(line.split()[0]) for line in self.runs()]
        for before, after in zip(times, times[1:]):
            self.assertTrue(INTERVAL_S - 0.2 < after - before < INTERVAL_S + 1, times)
        self.register()
        count = len(self.runs())
        self.stays_at(count, INTERVAL_S + 1)
        # empty again: at once, for the last run is long ago
        self.app.delete("r1")
        start = time.monotonic()
        self.wait_runs(count + 1)
        self.assertLess(time.monotonic() - start, 1)

    def test_coming_and_going_does_not_run_it_more_often(self):
        self.start_with("", interval="1h")
        self.wait_runs(1)
        for _ in range(10):
            self.register()
            self.app.delete("r1")
        self.stays_at(1, 1)

    def test_nothing_is_run_while_a_member_is_left(self):
        self.start_with("", interval="1s", members=[{"name": "m1", "addresses": ["127.0.0.9"]}])
        self.stays_at(0, 1.5)
        self.gslbd.set_member(NAME, "m1", "down")
        self.wait_runs(1)
        self.gslbd.clear_member(NAME, "m1")
        eventually(lambda: self.gslbd.answers(NAME) == ["127.0.0.9"], 5, "m1 is back")
        self.stays_at(len(self.runs()), 1.5)

    def test_end_of_the_last_lease_runs_it(self):
        self.start_with("", interval="1s")
        self.wait_runs(1)
        self.register(lease_s=5)
        count = len(self.runs())
        self.stays_at(count, 3)
        start = time.monotonic()
        self.wait_runs(count + 1)
        self.assertLess(time.monotonic() - start, 3)

    def test_it_brings_a_member(self):
        """What it is for."""
        self.start_with("")
        (self.gslbd.directory / "token").write_text(self.app.token)
        self.hook.write_text(f"""#!/bin/sh
echo "$GSLB_SERVICE" >> {self.runs_path}
curl -sf -X PUT http://{self.gslbd.host}:{self.gslbd.http_port}/v1/resources/r1 -H "Authorization: Bearer $(cat {self.gslbd.directory}/token)" \\
  -H 'Content-Type: application/json' -d '{{"addresses":["127.0.0.5"],"lease_s":0,"services":[{{"name":"'$GSLB_SERVICE'","port":80}}]}}'
""")
        eventually(lambda: self.gslbd.answers(NAME) == ["127.0.0.5"], 10, "the member is there")
        self.stays_at(len(self.runs()), INTERVAL_S + 1)
        self.app.delete("r1")
        eventually(lambda: self.gslbd.answers(NAME) == ["127.0.0.5"], 10, "and again")

    def test_failures_are_told(self):
        self.start_with("echo no machine is left >&2; exit 3")
        row = eventually(self.results, 5, "the result is an event")[0]
        self.assertEqual(row["to"], "failed")
        self.assertIn("3", row["reason"])
        self.assertIn("no machine is left", row["reason"])
        self.hook.chmod(0)
        count = len(self.results())
        rows = eventually(lambda: len(self.results()) > count and self.results(), 10, "the next result")
        self.assertEqual(rows[-1]["to"], "failed")
        self.assertIn("cannot be run", rows[-1]["reason"])
        self.hook.unlink()
        count = len(self.results())
        rows = eventually(lambda: len(self.results()) > count and self.results(), 10, "the next result")
        self.assertEqual(rows[-1]["to"], "failed")

    def test_service_that_is_created_by_registration(self):
        """It goes with its last member, so there is nothing that could be empty; one that is there and down is."""
        self.gslbd = self.prepare({})
        path = self.gslbd.directory / "runs"
        self.gslbd.extra = {"services": [{
            "name": "*.dyn.example.com", "ttl": {"max": "30s", "min": "1s"}, "when_down": "empty", "on_empty_interval": "1s",
            "accept": {"tokens": ["app"], "services": 3}, "on_empty": ["/bin/sh", "-c", f'echo "$GSLB_SERVICE" >> {path}']}]}
        self.gslbd.write_config()
        self.gslbd.start()
        app = Registrant(self.gslbd, create_token(self.gslbd, "app"))
        for i in range(20):
            row = app.put("r1", registration("127.0.0.1", service=f"x{i}.dyn.example.com", lease_s=0)).json
            eventually(lambda: self.gslbd.answers(f"x{i}.dyn.example.com") == ["127.0.0.1"], 5, "it is there")
            app.delete("r1")
        row = app.put("r1", registration("127.0.0.1", service="x.dyn.example.com")).json
        eventually(lambda: self.gslbd.answers("x.dyn.example.com") == ["127.0.0.1"], 5, "it is there")
        self.assertFalse(path.exists())
        self.assertEqual(app.status("r1", row["epoch"], 1, state="maint").status, 200)
        eventually(lambda: path.exists() and path.read_text().startswith("x.dyn.example.com\n"), 5, "the command is run")

    def test_it_hangs(self):
        """The daemon goes on, and a stop does not wait for it."""
        self.start_with("sleep 300")
        self.wait_runs(1)
        self.register()
        eventually(lambda: self.gslbd.answers(NAME) == ["127.0.0.1"], 5, "members come")
        if LONG:
            row = eventually(self.results, 40, "its time is over")[0]
            self.assertEqual(row["to"], "failed")
            self.assertIn("ended after 30 s", row["reason"])
        start = time.monotonic()
        self.app.delete("r1")
        self.assertEqual(self.gslbd.stop(), 0)
        self.assertLess(time.monotonic() - start, 5)

    def test_reload_changes_it(self):
        self.start_with("")
        self.wait_runs(1)
        told = self.gslbd.directory / "told"
        self.gslbd.extra["services"][0]["on_empty"] = ["/bin/sh", "-c", f"echo new >> {told}"]
        self.gslbd.write_config()
        self.assertEqual(self.gslbd.ctl("reload").returncode, 0)
        eventually(told.exists, 3 * INTERVAL_S, "the new command is run")


if __name__ == "__main__":
    unittest.main()
