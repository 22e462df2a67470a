"""A network of this thread's own, in which every port of every loopback address is free, port 53 too. What it starts and
the sockets that it opens are in there as well."""
import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter():
    """Goes into a new network; returns what leave() takes, or None where this is not allowed."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    if libc.unshare(CLONE_NEWNET) != 0:
        os.close(before)
        return None
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        leave(before)
        return None
    return before


def leave(before):
    if libc.setns(before, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(before)


@contextlib.contextmanager
def entered():
    before = enter()
    try:
        yield before is not None
    finally:
        if before is not None:
            leave(before)
