"""Leases at their limits: a period of grace after a restart, and the guard against the end of most leases at once."""
import os
import signal
import time
import unittest

from tests.system.harness import NO_ANSWER, Case, eventually, free_port
from tests.system.registrant import Registrant, create_token, registration
from tests.system.test_page import HEIGHT, WIDTH, Browser

WAITS = True  # for leases to end
LEASE_S = 5
NAME = "app.example.com"
QUIET = "quiet.example.com"  # nobody probes its members


class Leases(Case):
    def prepare_leases(self, count):
        """A daemon with a monitored service, and count members that work."""
        self.port = free_port("127.0.0.1")
        self.members = [self.start_member(f"m{i}", self.port) for i in range(count)]
        common = {"ttl": {"max": "30s", "min": "1s"}, "method": "all", "when_down": "empty", "accept": {"tokens": ["app"]}}
        self.gslbd = self.start({
            "monitors": [{"name": "web", "type": "http", "port": self.port, "path": "/health", "expect": {"status": "200"},
                          "interval": "200ms", "timeout": "150ms", "rise": 1, "fall": 2}],
            "services": [{"name": NAME, "monitors": ["web"], **common}, {"name": QUIET, **common}],
        })
        self.app = Registrant(self.gslbd, create_token(self.gslbd, "app"))
        self.epochs, self.sequence = {}, 0

    def register(self, index, lease_s=LEASE_S, name=None):
        reply = self.app.put(f"r{index}", registration(self.members[index].address, lease_s=lease_s, service=name or NAME))
        self.assertIn(reply.status, (200, 201), reply.text)
        self.epochs[index] = reply.json["epoch"]

    def register_all(self, **options):
        for index in range(len(self.members)):
            self.register(index, **options)
        self.until_answers(*range(len(self.members)), name=options.get("name"))

    def renew(self, *indices):
        self.sequence += 1
        for index in indices:
            reply = self.app.status(f"r{index}", self.epochs[index], self.sequence)
            self.assertEqual(reply.status, 200, reply.text)

    def wanted(self, indices):
        return sorted(self.members[index].address for index in indices)

    def answers(self, name=None):
        try:
            return self.gslbd.answers(name or NAME, timeout=1)
        except NO_ANSWER:
            return None

    def until_answers(self, *indices, name=None, deadline_s=5):
        eventually(lambda: self.answers(name) == self.wanted(indices), deadline_s, f"answers are {indices}")

    def states(self):
        return {row["id"]: row["lease"]["state"] for row in self.app.list().json["resources"]}

    def hold(self, seconds, *indices, renewing=(), every_s=1.0, name=None):
        """Asks all the time: the answers are these, and stay so."""
        end, next_s = time.monotonic() + seconds, 0.0
        while time.monotonic() < end:
            if renewing and time.monotonic() >= next_s:
                self.renew(*renewing)
                next_s = time.monotonic() + every_s
            self.assertEqual(self.answers(name), self.wanted(indices))
            time.sleep(0.05)


class Grace(Leases):
    """After a restart every lease has one period, from the restart on, whatever was left of it before."""

    def check_grace(self, restart, pause_s):
        self.prepare_leases(2)
        self.register_all()
        epochs = dict(self.epochs)
        time.sleep(pause_s)
        before = time.monotonic()
        restart()
        after = time.monotonic()
        for index in (0, 1):
            row = self.app.get(f"r{index}").json
            self.assertEqual((row["lease"]["state"], row["epoch"], row["revision"]), ("live", epochs[index], 1))
        self.until_answers(0, 1)
        # one renews with what it was told before, the other is never heard of again
        self.renew(0)
        self.hold(max(0.0, before + LEASE_S - 0.2 - time.monotonic()), 0, 1, renewing=[0])
        while (answers := self.answers()) == self.wanted([0, 1]):
            self.assertLess(time.monotonic(), after + LEASE_S + 1, "the grace has an end")
            time.sleep(0.01)
        self.assertEqual(answers, self.wanted([0]))
        self.assertGreater(time.monotonic(), before + LEASE_S)

    def restart_all(self):
        self.assertEqual(self.gslbd.stop(), 0)
        self.gslbd.start()

    def kill_all(self):
        self.gslbd.kill_all()
        self.gslbd.start()

    def kill_control(self):
        old_pid = self.gslbd.processes()["control"]["pid"]
        os.kill(old_pid, signal.SIGKILL)

        def replaced():
            try:
                return self.gslbd.processes()["control"]["pid"] not in (0, old_pid) and self.gslbd.is_ready()
            except (*NO_ANSWER, KeyError):
                return False
        eventually(replaced, 20, "control is replaced", 0.01)

    def test_restart(self):
        self.check_grace(self.restart_all, LEASE_S - 2)

    def test_death_of_all(self):
        self.check_grace(self.kill_all, LEASE_S - 2)

    def test_death_of_control(self):
        self.check_grace(self.kill_control, LEASE_S - 2)

    def test_away_for_longer_than_the_lease(self):
        def long_pause():
            self.assertEqual(self.gslbd.stop(), 0)
            time.sleep(LEASE_S + 1)
            before = time.monotonic()
            self.gslbd.start()
            self.began = before
        self.prepare_leases(1)
        self.register_all()
        long_pause()
        self.until_answers(0)
        self.hold(self.began + LEASE_S - 0.2 - time.monotonic(), 0)
        self.until_answers(deadline_s=2)
        self.assertEqual(self.states(), {})

    def test_answers_stay_while_control_is_away(self):
        """A lease is judged by control alone: while nobody can renew, nobody drops out."""
        self.prepare_leases(2)
        self.register_all()
        pid = self.gslbd.processes()["control"]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            self.hold(LEASE_S + 1, 0, 1)
        finally:
            os.kill(pid, signal.SIGCONT)

    def test_what_a_resource_said_of_itself_is_kept(self):
        self.prepare_leases(2)
        self.register_all(lease_s=60)
        self.app.status("r0", self.epochs[0], 5, state="drain", cpu_utilization=0.5)
        self.until_answers(1)
        self.restart_all()
        self.until_answers(1)
        row = self.app.get("r0").json
        self.assertEqual((row["lease"]["self"], row["metrics"]["cpu_utilization"]), ("drain", 0.5))
        self.assertEqual(self.app.status("r0", self.epochs[0], 5).status, 409, "nor can a report be replayed")
        self.assertEqual(self.app.status("r0", self.epochs[0], 6, state="up").status, 200)
        self.until_answers(0, 1)

    def test_unlimited_leases_stay(self):
        self.prepare_leases(1)
        self.register_all(lease_s=0)
        self.restart_all()
        self.until_answers(0)
        row = self.app.get("r0").json
        self.assertEqual((row["lease"]["state"], row["lease"]["ends_at"]), ("live", None))


class MassExpiry(Leases):
    def test_most_at_once_are_kept_as_stale(self):
        self.prepare_leases(4)
        self.register_all()
        self.gslbd.wait_states(NAME, r0="up", r1="up", r2="up", r3="up")
        # nobody renews: something between them and the balancer is broken, since their probes pass
        eventually(lambda: set(self.states().values()) == {"stale"}, LEASE_S + 2, "all are stale")
        self.hold(LEASE_S + 1, 0, 1, 2, 3)
        # shown as such
        self.assertEqual([row["id"] for row in self.app.list(state="stale").json["resources"]], ["r0", "r1", "r2", "r3"])
        self.assertEqual(self.app.list(state="live").json["resources"], [])
        row = self.app.get("r0").json["lease"]
        self.assertEqual(row["state"], "stale")
        self.assertTrue(row["since_at"])
        member = self.gslbd.member(NAME, "r0")
        self.assertEqual((member["state"], member["lease"]["state"]), ("up", "stale"))
        self.assertIn("stale", self.gslbd.ctl("resource", "list").stdout)
        self.assertIn("stale", self.gslbd.ctl("resource", "show", "r0").stdout)
        browser = Browser(WIDTH, HEIGHT)
        self.addCleanup(browser.close)
        browser.open(f"http://{self.gslbd.host}:{self.gslbd.http_port}/")
        eventually(lambda: "stale" in browser.text(), 10, "the page shows it")
        rows = [row for row in self.gslbd.api(f"/v1/events?service={NAME}").json["events"] if row["kind"] == "resource"]
        self.assertEqual({row["member"] for row in rows if row["to"] == "stale"}, {"r0", "r1", "r2", "r3"})
        # whoever renews is live again
        self.renew(0)
        self.assertEqual(self.states(), {"r0": "live", "r1": "stale", "r2": "stale", "r3": "stale"})
        # so is who registers again, as a resource does that was told nothing for long
        self.register(1)
        self.assertEqual(self.states()["r1"], "live")
        # two of four are not most: the two that stay away end after a period in which they could have come back
        self.hold(LEASE_S - 2, 0, 1, 2, 3, renewing=[0, 1])

        def ended():
            self.renew(0, 1)
            return self.answers() == self.wanted([0, 1])
        eventually(ended, 6, "the others have ended", 0.5)
        self.assertEqual(self.states(), {"r0": "live", "r1": "live"})
        self.assertEqual(self.app.status("r2", self.epochs[2], 99).json["code"], "unknown-lease")

    def test_stale_members_end_when_their_probes_fail(self):
        self.prepare_leases(4)
        self.register_all()
        self.gslbd.wait_states(NAME, r0="up", r1="up", r2="up", r3="up")
        eventually(lambda: set(self.states().values()) == {"stale"}, LEASE_S + 2, "all are stale")
        self.members[0].set_health("down")
        eventually(lambda: "r0" not in self.states(), 5, "r0 has ended")
        self.assertEqual(set(self.states().values()), {"stale"})
        self.until_answers(1, 2, 3)

    def test_no_mercy_when_probes_fail(self):
        self.prepare_leases(4)
        self.register_all()
        self.gslbd.wait_states(NAME, r0="up", r1="up", r2="up", r3="up")
        for member in self.members[1:]:
            member.set_health("down")
        self.gslbd.wait_states(NAME, r0="up", r1="down", r2="down", r3="down")
        eventually(lambda: self.states() == {"r0": "stale"}, LEASE_S + 2, "those that fail have ended")
        self.until_answers(0)

    def test_fewer_end_as_ever(self):
        self.prepare_leases(5)
        self.register_all()
        self.gslbd.wait_states(NAME, r0="up", r1="up", r2="up", r3="up", r4="up")
        start = time.monotonic()
        self.renew(0, 1, 2)

        def ended():
            self.renew(0, 1, 2)
            self.assertNotIn("stale", self.states().values())
            return self.answers() == self.wanted([0, 1, 2])
        eventually(ended, LEASE_S + 2, "two have ended", 0.5)
        self.assertLess(time.monotonic() - start, LEASE_S + 1)
        self.hold(1, 0, 1, 2, renewing=[0, 1, 2])

    def test_two_are_not_a_mass(self):
        self.prepare_leases(2)
        self.register_all()
        self.gslbd.wait_states(NAME, r0="up", r1="up")
        eventually(lambda: self.states() == {}, LEASE_S + 1, "both have ended")
        self.until_answers()

    def test_members_that_nobody_probes_end(self):
        """Nothing speaks for them."""
        self.prepare_leases(4)
        self.register_all(name=QUIET)
        eventually(lambda: self.states() == {}, LEASE_S + 2, "all have ended")
        self.until_answers(name=QUIET)

    def test_stale_ones_have_grace_after_a_restart(self):
        self.prepare_leases(3)
        self.register_all()
        self.gslbd.wait_states(NAME, r0="up", r1="up", r2="up")
        eventually(lambda: set(self.states().values()) == {"stale"}, LEASE_S + 2, "all are stale")
        self.assertEqual(self.gslbd.stop(), 0)
        self.gslbd.start()
        self.until_answers(0, 1, 2)
        self.assertEqual(set(self.states().values()), {"live"})
        self.hold(LEASE_S + 1, 0, 1, 2)
        self.assertEqual(set(self.states().values()), {"stale"})


if __name__ == "__main__":
    unittest.main()
