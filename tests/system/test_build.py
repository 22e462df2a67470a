"""Point 1 and 10: the programs are built and hardened, and the example runs from a copy of the tree for anybody."""
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.system.harness import BUILD, ROOT, Case, end_process, eventually, is_alive

PROGRAMS = ("gslbd", "gslbctl", "gslb-agent")


def namespace_command():
    """How to run something with loopback ports of its own, so that the example's fixed ports are free."""
    tries = [["unshare", "-n"], ["unshare", "-rn"]]
    for command in tries:
        test = subprocess.run([*command, "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
        if test.returncode == 0:
            return command
    return None


class Programs(Case):
    def test_programs_are_built(self):
        for name in PROGRAMS:
            self.assertTrue(os.access(BUILD / name, os.X_OK), name)

    def test_programs_are_position_independent_and_bound_at_start(self):
        for name in PROGRAMS:
            text = subprocess.run(["readelf", "-hdl", BUILD / name], capture_output=True, text=True, check=True).stdout
            self.assertIn("DYN", text)
            self.assertIn("BIND_NOW", text)
            self.assertIn("GNU_RELRO", text)

    def test_example_configuration_is_right(self):
        done = subprocess.run([BUILD / "gslbd", "--check-config", ROOT / "etc/example/gslb.yaml"],
                              capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_manual_pages_have_every_option_and_command(self):
        for name, *words in (*((name,) for name in PROGRAMS), ("gslb-agent", "ctl")):
            said = subprocess.run([BUILD / name, *words, "--help"], capture_output=True, text=True, check=True).stdout
            page = (ROOT / f"docs/{name}.8").read_text().replace("\\-", "-")
            options = set(re.findall(r"--[a-z][a-z0-9-]+", said))
            # a command's line begins with its words, and what is told of it stands further to the right
            commands = set(re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?=\s|$)", said, re.MULTILINE)) if name == "gslbctl" or words else set()
            self.assertGreater(len(options | commands), 3, said)
            self.assertEqual([word for word in sorted(options | commands) if word not in page], [], f"docs/{name}.8")

    def test_makefile_has_the_promised_targets(self):
        for target in ("all", "deps", "run", "test", "test-asan", "check-headers", "lint", "format"):
            done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{target}: {done.stderr}")


class CheckHeaders(Case):
    """The check finds what it is there for."""

    def check(self, **files):
        top = Path(tempfile.mkdtemp(prefix="gslb-headers-"))
        self.addCleanup(shutil.rmtree, top, ignore_errors=True)
        (top / "tests").mkdir()
        shutil.copy(ROOT / "tests/check-headers", top / "tests")
        shutil.copy(ROOT / "Makefile", top)
        for name, text in files.items():
            path = top / (name.replace("__", "/").replace("_dot_", "."))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        done = subprocess.run([top / "tests/check-headers"], capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout

    def test_house_as_planned_passes(self):
        status, output = self.check(gslb__base__one_dot_h="#ifndef ONE\n#define ONE\nenum one { FIRST };\n#endif\n",
                                    zones__two_dot_c='#include "gslb/base/one.h"\n#include <ldns/ldns.h>\n')
        self.assertEqual(status, 0, output)

    def test_each_kind_of_fault_is_found(self):
        guarded = "#ifndef {0}\n#define {0}\n{1}\n#endif\n"
        base = guarded.format("ONE", "enum one { FIRST };")
        faults = {
            "upwards": dict(gslb__base__up_dot_c='#include "gslb/model/one.h"\n', gslb__model__one_dot_h=base),
            "sibling": dict(zones__side_dot_c='#include "probes/one.h"\n', probes__one_dot_h=base),
            "zones includes its sibling": dict(zones__side_dot_c='#include "probes/kinds/one.h"\n', probes__kinds__one_dot_h=base),
            "zones/message includes upwards": dict(zones__message__up_dot_c='#include "zones/one.h"\n', zones__one_dot_h=base),
            "zones/answer includes its sibling": dict(zones__answer__side_dot_c='#include "zones/secondary/one.h"\n',
                                                      zones__secondary__one_dot_h=base),
            "lies in no folder": dict(zones__elsewhere__a_dot_c='#include "gslb/base/one.h"\n', gslb__base__one_dot_h=base),
            "circle": dict(zones__a_dot_h=guarded.format("A", '#include "zones/b.h"'),
                           zones__b_dot_h=guarded.format("B", '#include "zones/a.h"')),
            "compile alone": dict(zones__a_dot_h=guarded.format("A", "struct a { uint8_t b; };")),
            "belongs to": dict(zones__a_dot_c="#include <lmdb.h>\n"),
            "own header": dict(zones__a_dot_h=base, zones__a_dot_c='#include <stdio.h>\n#include "zones/a.h"\n'),
            "no path from the root": dict(zones__a_dot_h=base, zones__b_dot_c='#include "a.h"\n'),
            "must not know": dict(gslb__decide__a_dot_c='#include "gslb/net/one.h"\n', gslb__net__one_dot_h=base),
        }
        for words, files in faults.items():
            with self.subTest(words=words):
                status, output = self.check(**files)
                self.assertEqual(status, 1, output)
                self.assertIn(words, output)


class Example(Case):
    """`etc/example/run` in a network namespace, from a copy of what it needs."""

    def setUp(self):
        self.namespace = namespace_command()
        if not self.namespace:
            self.skipTest("no network namespaces here")
        self.copy = Path(tempfile.mkdtemp(prefix="gslb-copy-"))
        self.addCleanup(shutil.rmtree, self.copy, ignore_errors=True)
        for name in ("etc/example/run", "etc/example/gslb.yaml", "etc/example/example.com.zone", "tests/fake/member.py"):
            (self.copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, self.copy / name)
        (self.copy / "build").mkdir()
        for name in ("gslbd", "gslbctl", "gslb-agent"):
            shutil.copy(BUILD / name, self.copy / "build" / name)
        self.copy.chmod(0o755)

    def run_example(self, *prefix, before=""):
        self.output = self.copy / "output"
        with open(self.output, "wb") as output:
            process = subprocess.Popen(
                [*self.namespace, "sh", "-c", f'ip link set lo up; {before} exec "$@"', "sh", *prefix, "etc/example/run"],
                cwd=self.copy, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
            )
        self.addCleanup(end_process, process)
        return process

    def text(self):
        return self.output.read_text(errors="replace")

    def wait_guide(self, process):
        def seen():
            if process.poll() is not None:
                raise AssertionError(f"it ended with {process.returncode}:\n{self.text()}")
            return "Ctrl-C ends everything" in self.text()
        eventually(seen, 30, "the example says how to use it")

    def inside(self, process, *command):
        options = ["-n"] if self.namespace == ["unshare", "-n"] else ["-U", "-n", "--preserve-credentials"]
        done = subprocess.run(["nsenter", "-t", str(process.pid), *options, *command],
                              capture_output=True, text=True, check=False, timeout=20)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def dig(self, process, *words):
        return self.inside(process, "dig", "@127.0.0.1", "-p", "5300", "+short", *words).split()

    def use_it(self, process):
        self.wait_guide(process)
        text = self.text()
        for promised in ("dig @127.0.0.1 -p 5300 www.example.com", "SRV", "http://127.0.0.1:8300/", "down"):
            self.assertIn(promised, text)
        self.assertIn(self.dig(process, "www.example.com")[0], ("127.0.0.11", "127.0.0.12"))
        eventually(lambda: self.dig(process, "www.example.com", "AAAA") == ["::1"], 10, "the member on ::1 is answered")
        eventually(lambda: len(self.dig(process, "api.example.com")) == 2, 10, "api answers two members")
        self.inside(process, "curl", "-sf", "-X", "PUT", "-d", "down", "http://127.0.0.12:8080/health")

        def nyc_is_down():
            got = json.loads(self.inside(process, "curl", "-s", "http://127.0.0.1:8300/v1/members/www.example.com/nyc-1"))
            return got["state"] == "down"
        eventually(nyc_is_down, 10, "the member that was told to fail is down")
        self.assertEqual({self.dig(process, "www.example.com")[0] for _ in range(10)}, {"127.0.0.11"})
        self.assertIn("<html", self.inside(process, "curl", "-s", "http://127.0.0.1:8300/").lower())

    def descendants(self, process):
        found, queue = [], [process.pid]
        while queue:
            pid = queue.pop()
            for task in Path(f"/proc/{pid}/task").glob("*/children"):
                children = [int(word) for word in task.read_text().split()]
                found += children
                queue += children
        return found

    def stop_and_look(self, process, number):
        pids = self.descendants(process)
        self.assertGreaterEqual(len(pids), 6)
        process.send_signal(number)
        process.wait(20)
        self.assertEqual(process.returncode, 0, self.text())
        eventually(lambda: not any(is_alive(pid) for pid in pids), 5, "everything that it started has ended")

    def test_example_runs_and_ends_on_ctrl_c(self):
        process = self.run_example()
        self.use_it(process)
        self.stop_and_look(process, signal.SIGINT)
        self.assertTrue((self.copy / "build/example/gslb.yaml").exists())

    def test_example_runs_for_a_normal_user_and_ends_on_term(self):
        if os.getuid() != 0:
            self.skipTest("is not root, so the other test has shown it")
        # the tree belongs to somebody else: state goes into a temporary directory
        process = self.run_example("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
        self.use_it(process)
        self.stop_and_look(process, signal.SIGTERM)
        self.assertFalse((self.copy / "build/example").exists())

    def test_example_says_which_port_is_taken(self):
        holder = "import socket,os; s=socket.socket(); s.bind(('127.0.0.12',8080)); s.listen(); os.write(1,b'held'); " \
                 "import time; time.sleep(20)"
        process = self.run_example(before=f'/usr/bin/python3 -c "{holder}" & while ! ss -Hltn | grep -q 127.0.0.12:8080; '
                                          f'do sleep 0.05; done;')
        holders = []
        end = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < end:
            holders = self.descendants(process) or holders
            time.sleep(0.02)
        for pid in holders:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.assertNotIn(process.wait(5), (0, None))
        self.assertIn("127.0.0.12 port 8080", self.text())
