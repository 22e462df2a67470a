"""Some ten lines of shell in docs/agent.md for a machine that cannot run the agent; here exactly those lines are run."""
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from tests.system.agent import APP, AgentCase, accepting, make_token
from tests.system.harness import ROOT, addresses, eventually


def lines():
    """The block that the page marks."""
    text = (ROOT / "docs/agent.md").read_text()
    found = re.findall(r"<!-- test: register by curl -->\n```sh\n(.*?)```\n<!-- end of test -->", text, re.DOTALL)
    assert len(found) == 1, "docs/agent.md marks one block"
    return found[0]


class Curl(AgentCase):
    def run_lines(self, daemon, token):
        address = addresses.take()
        environment = {**os.environ, "ZONE": "example.com", "ID": "shell-1", "ADDRESS": address, "SERVICE": APP, "PORT": "8080",
                       "TOKEN": token, "SCHEME": "http", "DIG": f"@{daemon.host} -p {daemon.port} +time=1 +tries=1", "EVERY": "1"}
        with open(daemon.directory / "shell.log", "ab") as log:
            shell = subprocess.Popen(["sh", "-c", lines()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment,
                                     start_new_session=True)
        self.addCleanup(self.end_shell, shell)
        return shell, address

    @staticmethod
    def end_shell(shell):
        if shell.poll() is None:
            os.killpg(shell.pid, signal.SIGKILL)
            shell.wait()

    def lease(self, daemon):
        return daemon.api("/v1/resources/shell-1").json["lease"]

    def test_they_are_ten_at_most(self):
        self.assertLessEqual(len(lines().strip().splitlines()), 10)

    def test_registered_renewed_reported_and_gone(self):
        daemon = self.start({"services": [accepting()]})
        shell, address = self.run_lines(daemon, make_token(daemon))
        self.wait_answers(daemon, [address])
        first = self.lease(daemon)
        second = eventually(lambda: (now := self.lease(daemon))["sequence"] > first["sequence"] and now, 5, "it is renewed")
        eventually(lambda: self.lease(daemon)["sequence"] > second["sequence"], 5, "it is renewed again")
        metrics = daemon.api("/v1/resources/shell-1").json["metrics"]
        with open("/proc/loadavg", encoding="ascii") as now:
            self.assertAlmostEqual(metrics["named_metrics.load1"], float(now.read().split()[0]), delta=1)
        # the process alone, as a service manager or a shell's kill does
        at = time.monotonic()
        shell.terminate()
        self.assertEqual(shell.wait(5), 0)
        self.wait_answers(daemon, [], deadline_s=0.5)
        self.assertLess(time.monotonic() - at, 2)

    def test_registers_again_where_the_state_was_lost(self):
        daemon = self.start({"services": [accepting()]})
        token = make_token(daemon)
        daemon.stop()
        backup = daemon.directory / "backup"
        shutil.copytree(daemon.directory / "state", backup)
        daemon.start()
        _, address = self.run_lines(daemon, token)
        self.wait_answers(daemon, [address])
        daemon.kill_all()
        shutil.rmtree(daemon.directory / "state")
        shutil.copytree(backup, daemon.directory / "state")
        daemon.start()
        self.assertEqual(daemon.answers(APP), [])
        self.wait_answers(daemon, [address], deadline_s=8)


if __name__ == "__main__":
    unittest.main()
