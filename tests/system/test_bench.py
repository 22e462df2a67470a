"""The bench of answers runs, what gslb answers under load is right, and nothing that it stopped stays so."""
import contextlib
import http.client
import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from tests.bench.answering import machine
from tests.bench.answering.content import Content
from tests.bench.answering.load import build_clients
from tests.bench.answering.peers import STOOD_STILL, Gslb
from tests.bench.answering.turns import turn
from tests.system.harness import ROOT, eventually

ALONE = True  # it takes both processors before all others
ANSWERS = ROOT / "tests/bench/answers"


def table_rows(text, title):
    """{name: [cell, ...]} of the rows of ours below that head."""
    rows = text.partition(f"  {title} ")[2].partition("\n\n")[0].splitlines()[1:]
    return {row.split()[0]: row.split()[1:] for row in rows}


class AnswersBench(unittest.TestCase):
    def test_quick_run_of_the_rates_tells_every_table_and_finds_no_wrong_answer(self):
        run = subprocess.run([ANSWERS, "--quick", "rates"], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        for title in ("mix, saturated", "mix at half, us", "mix at one rate, us", "mix saturated, us", "mix from 64 ports", "balanced A", "by Client Subnet", "CPU, times",
                      "answers"):
            self.assertIn("gslb", table_rows(run.stdout, title), f"{title}: {run.stdout}")
        asked, _, wrong, decoded, found_wrong = (int(cell.replace(",", "")) for cell in table_rows(run.stdout, "answers")["gslb"])
        self.assertGreater(asked, 1000)
        self.assertGreater(decoded, 100)
        self.assertEqual((wrong, found_wrong), (0, 0))


def told(pid, name):
    """Of proc(5), "" when it is gone."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def state(pid):
    return told(pid, "stat").rpartition(")")[2].strip()[:1]


class KilledBench(unittest.TestCase):
    def setUp(self):
        self.bench = subprocess.Popen([ANSWERS, "--quick", "rates"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.bench.wait)
        self.addCleanup(self.bench.kill)
        self.servers = []
        self.addCleanup(self.end_servers)

    def end_servers(self):
        for pid in self.servers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_stopped(self):
        """Until all processes of a gslbd of the bench are stopped."""
        def stopped():
            if self.bench.poll() is not None:
                raise AssertionError(f"the bench ended with {self.bench.returncode}")
            tree = machine.tree(self.bench.pid)
            ours = [pid for pid in tree if told(pid, "comm").startswith("gslb")]
            self.servers = ours + [pid for pid in tree if told(pid, "comm").startswith("dns_echo")]
            return len(ours) >= 4 and all(state(pid) == "T" for pid in ours)
        eventually(stopped, 60, "servers are stopped", 0.005)

    def assert_none_stays_stopped(self):
        eventually(lambda: not any(state(pid) == "T" for pid in self.servers), 10, "no server is stopped any more")

    def test_one_that_is_killed_leaves_no_stopped_server_behind(self):
        self.wait_stopped()
        self.bench.kill()
        self.bench.wait()
        self.assert_none_stays_stopped()

    def test_one_that_is_told_to_end_ends_its_servers(self):
        self.wait_stopped()
        self.bench.terminate()
        self.assertEqual(self.bench.wait(30), 143)
        self.assertEqual([pid for pid in self.servers if state(pid)], [])


class Members(unittest.TestCase):
    def setUp(self):
        build_clients()
        self.content = Content()
        self.addCleanup(self.content.targets.end)
        self.content.targets.start()

    def code(self, member):
        connection = http.client.HTTPConnection(member.v4, self.content.port, timeout=5)
        self.addCleanup(connection.close)
        connection.request("GET", "/health")
        return connection.getresponse().status

    def test_a_member_fails_from_when_it_is_told_to_until_it_is_mended_and_knows_since_when(self):
        failing, other = self.content.members[2:4]
        self.assertEqual((self.code(failing), self.code(other)), (200, 200))
        failing.fail()
        self.assertIsNone(failing.failed_at())
        begun = time.monotonic()
        self.assertEqual((self.code(failing), self.code(other)), (503, 200))
        first = failing.failed_at()
        self.assertTrue(begun <= first <= time.monotonic(), (begun, first))
        self.assertEqual(self.code(failing), 503)
        self.assertEqual(failing.failed_at(), first)
        failing.mend()
        self.assertEqual(self.code(failing), 200)
        self.assertIsNone(failing.failed_at())

    def test_words_that_come_together_are_all_heard(self):
        self.content.targets.say("fail 0\nfail 1\nmend 0")
        self.assertIsNone(self.content.members[1].failed_at())
        self.assertEqual([self.code(member) for member in self.content.members[:3]], [200, 503, 200])


class Suspended(unittest.TestCase):
    def test_gslb_holds_members_up_whose_probes_were_under_way_when_it_was_suspended_and_ends_well(self):
        build_clients()
        content = Content()
        self.addCleanup(content.targets.end)
        content.targets.start()
        server = Gslb(content)
        with contextlib.ExitStack() as stack:
            stack.callback(server.end)  # which fails on what is logged as an error
            server.start()
            content.targets.process.send_signal(signal.SIGSTOP)
            time.sleep(0.5)  # probes begin, and none is over
            server.suspend()
            eventually(lambda: {state(pid) for pid in server.all_pids()} == {"T"}, 5, "all of it is stopped")
            time.sleep(1.5)  # in which all of them should be
            content.targets.process.send_signal(signal.SIGCONT)
            with turn(server):
                eventually(lambda: STOOD_STILL in server.daemon.log(), 5, "time-outs that come late are told of")


if __name__ == "__main__":
    unittest.main()
