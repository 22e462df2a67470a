"""Point 4: what the stores keep over restarts, crashes and boots."""
import contextlib
import http.client
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from tests.system.harness import NO_ANSWER, Case, eventually, free_port

WAITS = True  # a minute, for a checkpoint


@contextlib.contextmanager
def small_disk():
    """A file system of its own, to be frozen: what writes to it waits, and cannot be interrupted."""
    with tempfile.TemporaryDirectory(prefix="gslb-disk-") as name:
        image, point = Path(name) / "image", Path(name) / "mounted"
        point.mkdir()
        with open(image, "wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["/sbin/mkfs.ext4", "-q", image], check=True, timeout=20)
        mounted = subprocess.run(["mount", "-o", "loop", image, point], capture_output=True, text=True, timeout=20)
        if mounted.returncode != 0:
            raise unittest.SkipTest(f"no loop device can be mounted here: {mounted.stderr.strip()}")
        try:
            yield point
        finally:
            subprocess.run(["fsfreeze", "--unfreeze", point], capture_output=True, timeout=20)  # when a test did not
            # a process that waited for it has its end before it
            eventually(lambda: subprocess.run(["umount", point], capture_output=True, timeout=20).returncode == 0, 10,
                       "the disk is let go")


class Stores(Case):
    def extra(self, interval="300ms"):
        return {
            "monitors": [{"name": "web", "type": "http", "port": self.port, "path": "/health", "expect": {"status": "200"},
                          "interval": interval, "timeout": "200ms", "rise": 1, "fall": 2}],
            "services": [{"name": "www.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all",
                          "monitors": ["web"], "when_down": "empty", "members": [
                              {"name": "good", "addresses": [self.member.address]},
                              {"name": "bad", "addresses": ["127.0.0.2"]},
                              {"name": "other", "addresses": [self.other.address]}]}],
        }

    def start_known(self):
        """A daemon that knows good as up and bad as down."""
        self.port = free_port("127.0.0.1")
        self.member, self.other = self.start_member("good", self.port), self.start_member("other", self.port)
        daemon = self.start(self.extra())
        daemon.wait_states("www.example.com", good="up", bad="down", other="up")
        return daemon

    def make_probes_rare(self, daemon):
        """From the next start on, what is known can only come from the stores."""
        daemon.extra = self.extra(interval="1h")
        daemon.write_config()

    def states(self, daemon):
        return {row["name"]: row["state"] for row in daemon.api("/v1/services/www.example.com").json["members"]}

    def test_health_is_known_again_after_a_restart(self):
        daemon = self.start_known()
        since = daemon.member("www.example.com", "bad")["since_at"]
        self.make_probes_rare(daemon)
        self.assertEqual(daemon.stop(), 0)
        daemon.start()
        self.assertEqual(self.states(daemon), {"good": "up", "bad": "down", "other": "up"})
        self.assertEqual(daemon.answers("www.example.com"), sorted([self.member.address, self.other.address]))
        row = daemon.member("www.example.com", "bad")
        self.assertEqual(row["since_at"][:19], since[:19])
        self.assertGreater(row["addresses"][0]["probes"][0]["last_age_s"], 0)

    def test_live_store_on_a_disk_is_told(self):
        memory = Path(tempfile.mkdtemp(prefix="gslb-test-run-", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, memory, ignore_errors=True)
        disk = Path(tempfile.mkdtemp(prefix="gslb-test-run-", dir="/var/tmp"))
        self.addCleanup(shutil.rmtree, disk, ignore_errors=True)
        for directory, in_memory in ((memory, True), (disk, False)):
            with self.subTest(str(directory)):
                daemon = self.start(server={"run": str(directory)})
                self.assertIs(daemon.api("/v1/status").json["stores"]["live"]["in_memory"], in_memory)
                self.assertEqual("is no tmpfs" in daemon.log(), not in_memory)
                self.assertEqual("the live store is on a disk" in daemon.ctl("status").stdout, not in_memory)
                self.assertIn(f'gslb_store_in_memory{{store="live"}} {int(in_memory)}', daemon.api("/metrics").text)
                daemon.stop()

    def test_health_is_known_again_after_a_crash(self):
        daemon = self.start_known()
        self.make_probes_rare(daemon)
        daemon.kill_all()
        daemon.start()
        self.assertEqual(self.states(daemon), {"good": "up", "bad": "down", "other": "up"})

    def test_acknowledged_override_survives_a_crash(self):
        daemon = self.start_known()
        for i in range(5):
            reply = daemon.set_member("www.example.com", "good", "down", f"crash {i}")
            self.assertEqual(reply.status, 200)
            daemon.kill_all()
            daemon.start()
            override = daemon.member("www.example.com", "good")["override"]
            self.assertEqual((override["state"], override["why"]), ("down", f"crash {i}"))
            self.assertNotIn("good", [row["name"] for row in daemon.api("/v1/members?state=up").json["members"]])

    def forget_run_directory(self, daemon):
        """It does not survive a boot."""
        shutil.rmtree(daemon.directory / "state" / "run")

    def check_restored(self, daemon):
        self.assertEqual(self.states(daemon), {"good": "up", "bad": "down", "other": "up"})
        self.assertRegex(daemon.log(), r"restored from the checkpoint of \d+ s ago")

    @unittest.skipUnless(os.getuid() == 0, "needs root to freeze a disk")
    def test_stop_waits_for_no_disk_and_loses_nothing_acknowledged(self):
        disk = self.enterContext(small_disk())
        daemon = self.start({"services": [{"name": "www.example.com", "members": [
            {"name": name, "addresses": [f"192.0.2.{number}"]} for number, name in enumerate(("a", "b", "c"), 1)]}]},
            server={"state": str(disk / "state"), "run": "./run"})
        self.assertEqual(daemon.set_member("www.example.com", "a", "down", "before").status, 200)
        daemon.failure_expected = True  # the log tells who was left behind
        subprocess.run(["fsfreeze", "--freeze", disk], check=True, timeout=20)
        answers = []

        def ask():
            try:
                answers.append(daemon.set_member("www.example.com", "b", "down", "meanwhile").status)
            except (OSError, http.client.HTTPException) as error:
                answers.append(error)

        asker = threading.Thread(target=ask)
        asker.start()
        start = time.monotonic()
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.process.wait(12), 0)
        self.assertLess(time.monotonic() - start, 10)
        self.assertIn("left behind", daemon.log())
        asker.join(5)
        self.assertNotEqual(answers, [200], "nothing is acknowledged that is not on the disk")
        subprocess.run(["fsfreeze", "--unfreeze", disk], check=True, timeout=20)
        daemon.start()
        states = self.states(daemon)
        self.assertEqual(states["a"], "down")
        self.assertEqual(states["c"], "up")
        self.assertEqual(daemon.stop(), 0)

    def test_live_store_is_restored_after_a_boot(self):
        daemon = self.start_known()
        self.make_probes_rare(daemon)
        self.assertEqual(daemon.stop(), 0)
        self.forget_run_directory(daemon)
        daemon.start()
        self.check_restored(daemon)

    def test_live_store_is_restored_from_the_checkpoint_of_each_minute_after_a_crash(self):
        daemon = self.start_known()
        eventually(lambda: daemon.api("/v1/status").json["checkpoint_age_s"] is not None, 75, "a checkpoint is taken", 0.5)
        self.make_probes_rare(daemon)
        daemon.kill_all()
        self.forget_run_directory(daemon)
        daemon.start()
        self.check_restored(daemon)

    def test_answers_come_from_configuration_alone_without_stores(self):
        daemon = self.start_known()
        self.assertEqual(daemon.stop(), 0)
        shutil.rmtree(daemon.directory / "state")
        (daemon.directory / "state").write_text("no directory")
        daemon.process = None
        daemon.start(ready=False)
        wanted = sorted([self.member.address, self.other.address, "127.0.0.2"])

        def served():
            try:
                return daemon.answers("www.example.com", timeout=0.5) == wanted
            except NO_ANSWER:
                return False
        try:
            eventually(served, 15, "DNS answers without stores")
        finally:
            daemon.failure_expected = True

    def test_two_environments_that_others_can_read(self):
        daemon = self.start_known()
        environments = sorted({path.parent for path in daemon.directory.rglob("*.mdb") if "lock" not in path.name})
        self.assertGreaterEqual(len(environments), 2, "store and live are apart")
        for environment in environments:
            done = subprocess.run(["mdb_stat", "-efa", environment], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{environment}: {done.stderr}")
        listed = [subprocess.run(["mdb_dump", "-l", environment], capture_output=True, text=True, check=True).stdout.split()
                  for environment in environments]
        for database in ("admin", "latches", "events", "audit", "health"):
            self.assertEqual(sum(database in names for names in listed), 1, listed)
        self.assertFalse(any("admin" in names and "health" in names for names in listed), "durable and live are apart")

    def test_events_are_kept(self):
        daemon = self.start_known()

        def event(state="down"):
            rows = daemon.api("/v1/events?service=www.example.com").json["events"]
            return [row for row in rows if row["member"] == "good" and row["to"] == state]
        eventually(lambda: event("up"), 10, "that it came up is told")
        self.member.set_health("down")
        found = eventually(event, 10, "the event is there")[0]
        self.assertEqual(found["from"], "up")
        daemon.kill_all()
        daemon.start()
        self.assertIn(found["id"], [row["id"] for row in event()])

    def test_answers_are_counted_on_after_a_death_of_dns(self):
        daemon = self.start_known()
        for _ in range(10):
            daemon.answers("www.example.com")
        before = daemon.member("www.example.com", "good")["answers_total"]
        self.assertEqual(before, 10)

    def test_store_of_another_version_is_left_alone(self):
        daemon = self.start_known()
        self.assertEqual(daemon.stop(), 0)
        store = next(path for path in daemon.directory.rglob("data.mdb") if "run" not in path.parts)
        before = store.read_bytes()
        subprocess.run(["mdb_stat", "-e", store.parent], capture_output=True, check=True)
        store.write_bytes(b"\0" * 8192)
        daemon.start(ready=False)
        time.sleep(1)
        self.assertTrue(daemon.log(), "it says something about it")
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])
        daemon.stop()
        store.write_bytes(before)
        daemon.start()
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])


if __name__ == "__main__":
    unittest.main()
