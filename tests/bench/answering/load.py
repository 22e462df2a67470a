"""Runs the load programs against one server and says what both sides did."""
import json
import os
import re
import signal
import statistics
import subprocess
from pathlib import Path

from tests.bench.answering import machine
from tests.system import harness

PROGRAM = harness.ROOT / "build/bench/dns_load"
DNSPERF = "/usr/bin/dnsperf"
UNDER_WAY = 128  # as dns_load has it
PORTS = 64  # so many that next to no two answers of a batch go to the same one


class Context:
    """What a section needs: `quick` (a few seconds in all, which only show that everything runs), `directory` for its
    files, `content` with members that are probed, the processors of servers and of clients. `rounds`: how many, where not
    as many as the section takes by itself."""

    def __init__(self, directory, content, quick=False, progress=lambda text: None, rounds=None):
        self.directory, self.content, self.quick, self.progress = Path(directory), content, quick, progress
        self.files, self.rounds, self.failures = {}, rounds, []
        self.server_processor, self.client_processor = machine.two_processors()

    def fail(self, what):
        """Something of ours is wrong; the bench goes on, tells at its end and fails."""
        self.failures.append(what)

    def file(self, text):
        """A file with that text."""
        if text not in self.files:
            self.files[text] = self.directory / f"text{len(self.files)}"
            self.files[text].write_text(text)
        return self.files[text]

    def settle(self, server):
        """Puts a started server on the processor of servers, before other work."""
        machine.pin(server.all_pids(), self.server_processor)
        machine.prefer(server.all_pids())
        return server

    # loads

    def start_load(self, server, mix, seconds, processor=None, **options):
        """dns_load in the background, as a Popen for finish_load. `mix` is the text of a mix (see dns_queries.h); options
        are those of dns_load with _ for -, `subnets` as text. On the processor of clients, where no other one is given."""
        arguments = [PROGRAM, "--server", server.host, "--port", server.port, "--seconds", seconds,
                     "--mix", self.file(mix)]
        if options.get("subnets"):
            options["subnets"] = self.file(options["subnets"])
        for name, value in options.items():
            if value is True:
                arguments.append("--" + name.replace("_", "-"))
            elif value is not None and value is not False:
                arguments += ["--" + name.replace("_", "-"), value]
        process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE, text=True)
        machine.pin([process.pid], self.client_processor if processor is None else processor)
        machine.prefer([process.pid])
        return process

    @staticmethod
    def finish_load(process):
        """[what was printed for each interval…, what was printed for all]"""
        text, _ = process.communicate(timeout=300)
        if process.returncode != 0:
            raise RuntimeError(f"dns_load ended with {process.returncode}")
        return [json.loads(line) for line in text.splitlines()]

    def run_load(self, server, mix, seconds, warm_up=0.2, **options):
        """The account of dns_load for all, with `run_s`: processor time of the server's processes over the whole run,
        `answered`: what it answered in that time, `took_s`: how long queries were sent, and `parts`: the accounts of all
        whole intervals."""
        pids = server.pids()
        before = machine.run_s(pids)
        process = self.start_load(server, mix, seconds, warm_up=warm_up, **options)
        *parts, account = self.finish_load(process)
        account["run_s"] = machine.run_s(pids) - before
        account["answered"], account["took_s"] = account["answered_in_all"], warm_up + seconds
        account["parts"] = [part for part in parts if part["received"] and part["seconds"] > 0.9 * options["interval"]]
        return account

    def run_dnsperf(self, server, questions, seconds):
        """(queries a second, lost) as dnsperf counts them; None without it. questions: text, NAME TYPE a line."""
        if not Path(DNSPERF).exists():
            return None
        command = [DNSPERF, "-s", server.host, "-p", server.port, "-d", self.file(questions), "-l", seconds,
                   "-c", 4, "-T", 1, "-q", UNDER_WAY, "-e"]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        machine.pin([process.pid], self.client_processor)
        machine.prefer([process.pid])
        text, _ = process.communicate(timeout=60)
        rate, lost = re.search(r"Queries per second:\s+([\d.]+)", text), re.search(r"Queries lost:\s+(\d+)", text)
        if not rate or not lost:
            raise RuntimeError(f"dnsperf told nothing:\n{text}")
        return float(rate.group(1)), int(lost.group(1))


def build_clients():
    """dns_load and dns_echo, without sanitizers whatever the servers have."""
    of_make = "MAKEFLAGS", "MAKELEVEL", "BUILD", "SANITIZE"
    environment = {name: value for name, value in os.environ.items() if name not in of_make}
    subprocess.run(["make", "--no-print-directory", "-s", "benches"], cwd=harness.ROOT, env=environment, check=True,
                   stdout=subprocess.DEVNULL)


def spread(values):
    """(median, least, greatest)"""
    return statistics.median(values), min(values), max(values)


def quartiles(values):
    """(a quarter is below, a quarter above)"""
    if len(values) < 2:
        return values[0], values[0]
    lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
    return lower, upper


def stop_after(seconds, what):
    """Ends the program with an error when it takes longer."""
    def give_up(*_):
        raise TimeoutError(f"{what}: not done within {seconds} s")
    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
