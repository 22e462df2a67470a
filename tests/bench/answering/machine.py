"""Processors, priority, processor time and system calls of processes."""
import collections
import contextlib
import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

SAMPLE_NS = 100_000
SAMPLES_LEAST = 500


def two_processors():
    """(that of servers, that of clients)"""
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        raise SystemExit("two processors are needed")
    return processors[0], processors[1]


def tree(pid):
    """A process and all that descend from it."""
    pids = [pid]
    for each in pids:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids += [int(word) for word in children.read_text().split()]
    return pids


def tasks(pid):
    try:
        return [int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return []


def pin(pids, processor):
    for pid in pids:
        for task in tasks(pid):
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(task, {processor})


def prefer(pids):
    """Before whatever else runs on this machine, where that is allowed; together with session_preferred. A thread that gives
    way to others of its process still does. Without real-time scheduling, which the kernel interrupts each second where
    others wait."""
    for pid in pids:
        for task in tasks(pid):
            with contextlib.suppress(OSError):
                nice = os.getpriority(os.PRIO_PROCESS, task)
                if nice >= 0:
                    os.setpriority(os.PRIO_PROCESS, task, nice - 20)


def threads_s(ids):
    """(seconds that these threads ran, that they waited for their processor), to the ns."""
    rows = [Path(f"/proc/{task}/schedstat").read_text().split() for task in ids]
    return sum(int(row[0]) for row in rows) / 1e9, sum(int(row[1]) for row in rows) / 1e9


@contextlib.contextmanager
def session_preferred():
    """Where the kernel groups processes by session, priorities hold within a session only; so this one is preferred, too.
    So is this process, and what it starts from then on."""
    group = Path("/proc/self/autogroup")
    before = None
    with contextlib.suppress(OSError):
        before = group.read_text().rpartition("nice")[2].strip()
        group.write_text("-20")
    prefer([os.getpid()])
    try:
        yield
    finally:
        if before:
            with contextlib.suppress(OSError):
                group.write_text(before)


def run_s(pids):
    """Processor time of all threads that there are, in seconds."""
    return threads_s([task for pid in pids for task in tasks(pid)])[0]


def memory_mb(pids):
    """Proportional set size of all of them."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


def system_calls(pids, seconds):
    """How many a second the processes make, over about so many seconds; None where perf is missing or not allowed. Sleeps
    meanwhile."""
    command = ["perf", "stat", "-e", "raw_syscalls:sys_enter", "-p", ",".join(map(str, pids)), "--", "sleep", str(seconds)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        return None
    calls = re.search(r"^\s*([\d,]+)\s+raw_syscalls:sys_enter", result.stderr, re.MULTILINE)
    took = re.search(r"^\s*([\d.]+) seconds time elapsed", result.stderr, re.MULTILINE)
    return int(calls.group(1).replace(",", "")) / float(took.group(1)) if calls and took else None


def user_share(pids, seconds, directory):
    """Which part of their processor time the processes spend outside the kernel, sampled over about so many seconds; None where
    perf is missing, not allowed, or saw too little. What the kernel itself tells is counted by the clock's ticks, of which there
    are 250 a second. Sleeps meanwhile."""
    data = Path(directory) / "perf.data"
    record = ["perf", "record", "-q", "-B", "-N", "-e", "cpu-clock", "-c", str(SAMPLE_NS), "-p", ",".join(map(str, pids)),
              "-o", str(data), "--", "sleep", str(seconds)]
    try:
        if subprocess.run(record, capture_output=True, check=False).returncode != 0:
            return None
    except FileNotFoundError:
        return None
    shown = subprocess.run(["perf", "script", "-i", str(data), "-F", "misc"], capture_output=True, text=True, check=False)
    modes = collections.Counter(shown.stdout.split())
    count = modes["U"] + modes["K"]
    return modes["U"] / count if count >= SAMPLES_LEAST else None


def describe():
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.machine())
    now = datetime.datetime.now(datetime.timezone.utc)
    return (f"{now:%Y-%m-%d %H:%M} UTC; {os.cpu_count()} processors ({model}); Linux {platform.release()};"
            f" load average before {os.getloadavg()[0]:.1f}")
