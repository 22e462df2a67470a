"""Servers that take turns. The one whose turn it is runs; the others are stopped, with all their processes, so that neither
their probes nor anything else of theirs is in its way."""
import contextlib
import time

from tests.bench.answering import machine
from tests.system.harness import eventually

PATIENCE_S = 30
QUIET_SHARE = 0.1  # of a processor


def rest(server, look_s=0.1):
    """Until nothing of it works off its start, a reload or its standing still."""
    def is_quiet():
        with contextlib.suppress(OSError):  # one that ended meanwhile was at work
            pids = server.all_pids()
            before = machine.run_s(pids)
            time.sleep(look_s)
            return machine.run_s(pids) - before < look_s * QUIET_SHARE and server.all_pids() == pids
    eventually(is_quiet, PATIENCE_S, f"{server.name} rests", interval_s=0)


def in_order(servers, number):
    """Of that round: each begins with another one."""
    first = number % len(servers)
    return servers[first:] + servers[:first]


@contextlib.contextmanager
def turn(server):
    """It goes on, and is stopped again at the end. Where that comes by an exception it keeps running, for its end."""
    server.resume()
    eventually(lambda: server.is_up() and server.has_members_up(), PATIENCE_S, f"{server.name} goes on")
    rest(server)
    yield
    if not server.has_members_up():
        raise AssertionError(f"{server.name}: members that answer are down for it")
    server.suspend()
