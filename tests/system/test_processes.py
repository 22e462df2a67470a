"""Point 3: the processes, their rights, and what a death costs."""
import json
import os
import re
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path

from tests.system.harness import NO_ANSWER, Case, all_stand_still, eventually, free_port, has_v6, is_alive

ALONE = True  # loads both processors

CHILDREN = ("dns", "probe", "control", "exec")
ALLOWED_TO_SUPERVISOR = {10, 12, 13}  # CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW
BATCH = 64  # what one worker may have read and not answered


def capabilities(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    sets = {key: int(value, 16) for key, value in re.findall(r"^(Cap\w+):\s*([0-9a-f]+)$", text, re.MULTILINE)}
    return {key: {bit for bit in range(64) if value >> bit & 1} for key, value in sets.items()}


class Processes(Case):
    def start_with_member(self, **options):
        port = free_port("127.0.0.1")
        member, other = self.start_member("m1", port), self.start_member("m3", port)
        daemon = self.start({
            "monitors": [{"name": "web", "type": "http", "port": port, "path": "/health", "expect": {"status": "200"},
                          "interval": "300ms", "timeout": "200ms", "rise": 1, "fall": 2}],
            "services": [{"name": "www.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all",
                          "monitors": ["web"], "when_down": "empty", "members": [
                              {"name": "m1", "addresses": [member.address]},
                              {"name": "m2", "addresses": ["127.0.0.2"]},
                              {"name": "m3", "addresses": [other.address]}]}],
        }, **options)
        daemon.wait_states("www.example.com", m1="up", m2="down", m3="up")
        return daemon

    def wait_replaced(self, daemon, name, old_pid, deadline_s=20):
        """The row of the process that came after old_pid, once everything is ready again."""
        def replaced():
            try:
                row = daemon.processes()[name]
                return row["pid"] not in (0, old_pid) and daemon.is_ready() and row
            except (*NO_ANSWER, KeyError):
                return None
        return eventually(replaced, deadline_s, f"{name} is replaced")

    def test_four_children_run_below_the_supervisor(self):
        daemon = self.start_with_member()
        rows = daemon.processes()
        self.assertEqual(set(rows) - {"supervisor"}, set(CHILDREN))
        for name in CHILDREN:
            self.assertIn(rows[name]["pid"], daemon.child_pids(), name)
            self.assertEqual(rows[name]["restarts"], 0)

    @unittest.skipUnless(os.getuid() == 0, "only root has rights to drop")
    def test_rights_are_dropped(self):
        daemon = self.start_with_member()
        for name, row in daemon.processes().items():
            held = capabilities(row["pid"])
            if name == "supervisor":
                self.assertLessEqual(held["CapEff"] | held["CapPrm"], ALLOWED_TO_SUPERVISOR)
            else:
                self.assertEqual(held["CapEff"] | held["CapPrm"] | held["CapAmb"], set(), name)
                self.assertIn("NoNewPrivs:\t1", Path(f"/proc/{row['pid']}/status").read_text(), name)

    @unittest.skipUnless(os.getuid() == 0, "needs CAP_NET_ADMIN")
    def test_receive_buffers_are_large(self):
        daemon = self.start_with_member()
        text = subprocess.run(["ss", "-Hulnm", f"sport = :{daemon.port}"], capture_output=True, text=True, check=True).stdout
        sizes = [int(size) for size in re.findall(r",rb(\d+),", text)]
        self.assertEqual(len(sizes), daemon.workers)
        self.assertGreaterEqual(min(sizes), 8 << 20)

    def kill_under_load(self, name):
        daemon = self.start_with_member()
        daemon.set_member("www.example.com", "m3", "drain", "kept over the death of a child")
        eventually(lambda: len(daemon.answers("www.example.com")) == 1, 5, "m3 is out")
        answered = daemon.answers("www.example.com")
        load = self.start_load(daemon, "www.example.com/1", "static.example.com/1", "nothing.example.com/1")
        time.sleep(0.7)
        old_pid = daemon.processes()[name]["pid"]
        os.kill(old_pid, signal.SIGKILL)
        row = self.wait_replaced(daemon, name, old_pid)
        self.assertEqual(row["restarts"], 1)
        time.sleep(0.7)
        account = load.finish()
        self.assertGreater(account["sent"], 10000)
        self.assertEqual((account["refused"], account["not_sent"], account["strange"], account["repeated"]), (0, 0, 0, 0))
        self.assertLessEqual(account["lost"], BATCH * daemon.workers if name == "dns" else 0, account)
        self.assertEqual(set(account["rcodes"]), {"0", "3"}, account)
        self.assertEqual(account["empty"], account["rcodes"]["3"], "names that exist were answered with records")
        self.assertEqual(daemon.answers("www.example.com"), answered)
        daemon.wait_states("www.example.com", m1="up", m2="down", m3="draining")
        self.assertEqual(daemon.member("www.example.com", "m3")["override"]["why"], "kept over the death of a child")
        others = {other: each["restarts"] for other, each in daemon.processes().items() if other not in (name, "supervisor")}
        self.assertEqual(set(others.values()), {0}, others)

    def test_death_of_dns_under_load(self):
        self.kill_under_load("dns")

    def test_death_of_probe_under_load(self):
        self.kill_under_load("probe")

    def test_death_of_control_under_load(self):
        self.kill_under_load("control")

    def test_death_of_exec_under_load(self):
        self.kill_under_load("exec")

    def test_second_restart_backs_off(self):
        daemon = self.start_with_member()
        taken = []
        for _ in range(2):
            old_pid = daemon.processes()["dns"]["pid"]
            start = time.monotonic()
            os.kill(old_pid, signal.SIGKILL)

            def serves():
                try:
                    return daemon.answers("static.example.com") and daemon.processes()["dns"]["pid"] not in (0, old_pid)
                except NO_ANSWER:
                    return False
            eventually(serves, 20, "dns serves again")
            taken.append(time.monotonic() - start)
        self.assertLess(taken[0], 0.6, "the first restart does not wait")
        self.assertGreater(taken[1], taken[0], "the second one does")
        self.assertEqual(daemon.processes()["dns"]["restarts"], 2)

    def test_who_does_not_answer_gives_way_to_who_does(self):
        policies = {name: {os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{row['pid']}/task").iterdir()}
                    for name, row in self.start().processes().items()}
        self.assertEqual(policies.pop("dns"), {os.SCHED_OTHER})
        self.assertLessEqual({"probe", "control", "exec"}, set(policies))
        for name in ("probe", "control", "exec"):
            self.assertEqual(policies[name], {os.SCHED_BATCH}, name)

    def test_datagrams_stay_on_their_processor(self):
        if len(os.sched_getaffinity(0)) < 2 or not {0, 1} <= os.sched_getaffinity(0):
            self.skipTest("needs the processors 0 and 1")
        daemon = self.start(server={"cpu_affinity": True, "busy_poll": 50}, workers=2)
        tasks = Path(f"/proc/{daemon.processes()['dns']['pid']}/task")

        def waits(cpu):
            """How often the worker that keeps to this processor has waited for datagrams."""
            own = [task for task in tasks.iterdir() if os.sched_getaffinity(int(task.name)) == {cpu}]
            self.assertEqual(len(own), 1, "one thread keeps to it")
            return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (own[0] / "status").read_text(), re.MULTILINE)[1])

        own = os.sched_getaffinity(0)
        try:
            for cpu in (0, 1, 0):
                os.sched_setaffinity(0, {cpu})
                before = waits(0), waits(1)
                for _ in range(20):  # each from a port of its own, which would spread them over both
                    self.assertTrue(daemon.answers("static.example.com"))
                self.assertGreater(waits(cpu), before[cpu] + 10)
                self.assertLess(waits(1 - cpu), before[1 - cpu] + 5)  # it may still have come to rest
        finally:
            os.sched_setaffinity(0, own)

    def test_dns_that_stands_still_is_replaced(self):
        daemon = self.start_with_member()
        old_pid = daemon.processes()["dns"]["pid"]
        os.kill(old_pid, signal.SIGSTOP)
        eventually(lambda: all_stand_still(old_pid), 5, "every thread stands still", interval_s=0.001)
        try:
            # these wait in the socket for the next one
            self.assertEqual(daemon.answers("static.example.com", timeout=8), ["192.0.2.80"])
            row = self.wait_replaced(daemon, "dns", old_pid)
            self.assertEqual(row["restarts"], 1)
            eventually(lambda: not is_alive(old_pid), 5, "the old one is gone")
        finally:
            if is_alive(old_pid):
                os.kill(old_pid, signal.SIGCONT)

    def test_idle_dns_is_left_alone(self):
        daemon = self.start_with_member()
        time.sleep(2.5)
        self.assertEqual({row["restarts"] for name, row in daemon.processes().items() if name != "supervisor"}, {0})

    def test_term_and_interrupt_stop_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number):
                daemon = self.start_with_member()
                children = daemon.child_pids()
                daemon.process.send_signal(number)
                self.assertEqual(daemon.process.wait(10), 0)
                self.assertFalse([pid for pid in children if is_alive(pid)])
                self.assertFalse(daemon.socket_path.exists(), "the socket is removed")

    def test_children_end_when_the_supervisor_dies(self):
        daemon = self.start_with_member()
        children = daemon.child_pids()
        self.assertGreaterEqual(len(children), 4)
        daemon.process.kill()
        daemon.process.wait()
        eventually(lambda: not any(is_alive(pid) for pid in children), 10, "no child is left behind")

    def test_start_again_after_the_supervisor_was_killed(self):
        daemon = self.start_with_member()
        daemon.kill_all()
        daemon.start()
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])

    def test_readiness_is_told_to_the_service_manager(self):
        daemon = self.prepare({})
        path = daemon.directory / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(20)
            daemon.environment["NOTIFY_SOCKET"] = str(path)
            daemon.start(ready=False)
            messages = []
            while not any("READY=1" in message for message in messages):
                messages.append(manager.recv(4096).decode())
            # what was said is true
            self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])
            self.assertEqual(daemon.api("/readyz").status, 200)

    def test_second_daemon_with_the_same_configuration_is_refused(self):
        daemon = self.start({})
        done = subprocess.run([daemon.build / "gslbd", "--config", daemon.config_path], capture_output=True, text=True, check=False,
                              timeout=20)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("control.sock", done.stdout + done.stderr)
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])
        self.assertEqual(daemon.api("/healthz", unix=True).status, 200)

    def test_port_that_another_program_holds_is_told(self):
        daemon = self.prepare({})
        daemon.failure_expected = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
            holder.bind((daemon.host, daemon.port))
            daemon.start(ready=False)
            self.assertNotEqual(daemon.process.wait(15), 0)
        self.assertIn(str(daemon.port), daemon.log())

    def test_command_of_the_operator_is_run_at_a_change(self):
        daemon = self.prepare({"services": [{"name": "www.example.com", "ttl": {"max": "30s", "min": "1s"},
                                             "members": [{"name": "m1", "addresses": ["127.0.0.1"]}]}]})
        told = daemon.directory / "told"
        daemon.server["on_change"] = ["/bin/sh", "-c", f'echo "$GSLB_SERVICE $GSLB_MEMBER $GSLB_FROM $GSLB_TO" >> {told}']
        daemon.write_config()
        daemon.start()
        daemon.wait_states("www.example.com", m1="up")
        daemon.set_member("www.example.com", "m1", "down")
        eventually(lambda: told.exists() and "www.example.com m1 up down\n" in told.read_text(), 10, "the command was run")

    def test_log_as_json(self):
        daemon = self.start({}, server={"log": {"format": "json"}})
        self.assertEqual(daemon.stop(), 0)
        lines = daemon.log().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertIsInstance(json.loads(line), dict)

    def test_state_goes_where_the_configuration_says(self):
        daemon = self.start({})
        self.assertTrue((daemon.directory / "state").is_dir())
        self.assertEqual((daemon.directory / "state").stat().st_mode & 0o007, 0)
        self.assertEqual(daemon.socket_path.stat().st_mode & 0o007, 0)

    @unittest.skipUnless(has_v6(), "no ::1 here")
    def test_both_families_are_served(self):
        daemon = self.start({}, v6=True)
        for v6 in (False, True):
            self.assertEqual(daemon.answers("static.example.com", v6=v6), ["192.0.2.80"])


if __name__ == "__main__":
    unittest.main()
