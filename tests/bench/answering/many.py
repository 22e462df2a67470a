"""The servers of a bench with a zone of many names, and how each is told to read it again. What peers.py says of a server
holds for these too; besides

    change()     writes the zone anew, with another address at MARKER
    reload()     tells it to read what changed, and returns at once
    version      what MARKER has: 192.0.2.<version>
"""
import contextlib
import functools
import io
import os
import shutil
import signal
import socket
import subprocess
import time

import dns.message

from tests.bench.answering import peers, zone_text
from tests.bench.answering.content import ZONE

MARKER = f"marker.{ZONE}"
PATIENCE_S = 60


@functools.lru_cache(maxsize=1)
def names_text(count):
    out = io.StringIO()
    zone_text.write(count, out)
    return out.getvalue()


def uniform(count):
    """A mix of all names."""
    first = zone_text.FIRST
    return f"1 host#.{ZONE} A range={first}-{first + count - 1}\n"


class Asker:
    """One question, asked until its answer holds an address; no library between, so that it costs little."""

    def __init__(self, server, name):
        self.query = dns.message.make_query(name, "A").to_wire()
        self.where, self.server = (server.host, server.port), server

    def wait(self, address, since):
        """Seconds from since until the answer has it."""
        wanted = socket.inet_aton(address)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.02)
            sock.connect(self.where)
            while time.monotonic() < since + PATIENCE_S:
                with contextlib.suppress(OSError):
                    sock.send(self.query)
                    if wanted in sock.recv(4096):
                        return time.monotonic() - since
                time.sleep(0.002)
        raise AssertionError(f"{self.server.name} does not answer {address} within {PATIENCE_S} s")


def start(context, server, first_time=True, settles=True):
    """Seconds from its start to its first answer."""
    if first_time:
        server.configure()
    since = time.monotonic()
    server.launch()
    took = Asker(server, MARKER).wait(f"192.0.2.{server.version}", since)
    if settles:
        context.settle(server)
    return took


class ManyNames:
    """In the place of content.Content: nothing but static names, and the one that peers wait for."""

    def __init__(self, content, count):
        self.count, self.version = count, 1
        self.members, self.port, self.head, self.sites = content.members, content.port, content.head, content.sites

    def static_zone(self):
        text = names_text(self.count).replace("hostmaster 1 ", f"hostmaster {self.version} ", 1)
        return f"$ORIGIN {ZONE}.\n{text}marker IN A 192.0.2.{self.version}\n"

    def frozen_zone(self):
        return self.static_zone() + f"www IN A {self.members[0].v4}\n"

    def member_records(self):
        return ""


class Many:
    """Before one of the servers of peers.py."""

    zone_file = f"{ZONE}.zone"

    def __init__(self, content, count, **options):
        super().__init__(ManyNames(content, count), **options)
        self.name = self.kind

    @property
    def version(self):
        return self.content.version

    def zone(self):
        return self.content.frozen_zone()

    def change(self):
        self.content.version += 1
        self.write(self.zone_file, self.zone())

    def tell(self, *command):
        subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Gslb(Many, peers.Gslb):
    probed = ()

    def __init__(self, content, count, workers=1, server=None):
        peers.Server.__init__(self, ManyNames(content, count), "gslb")
        shutil.rmtree(self.directory)
        self.daemon = peers.Daemon({}, zones={ZONE: self.zone()}, workers=workers,
                                   server={"log": {"level": "error"}, **(server or {})})
        self.host, self.port, self.directory = self.daemon.host, self.daemon.port, self.daemon.directory

    def configure(self):
        pass

    def launch(self):
        self.daemon.start(ready=False)
        self.process = self.daemon.process

    def change(self):
        self.content.version += 1
        self.daemon.write_zone(ZONE, self.zone())

    def reload(self):
        self.tell(self.daemon.build / "gslbctl", "--socket", self.daemon.socket_path, "reload")


class Gdnsd(Many, peers.Gdnsd):
    zone_file = f"etc/zones/{ZONE}"

    def __init__(self, content, count):
        super().__init__(content, count, balanced=False)

    def reload(self):
        self.tell("/usr/bin/gdnsdctl", "-c", self.directory / "etc", "reload-zones")


class Nsd(Many, peers.Nsd):
    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)


class Knot(Many, peers.Knot):
    def reload(self):
        self.tell("/usr/sbin/knotc", "-s", self.directory / "knot.sock", "zone-reload", ZONE)


class PowerDns(Many, peers.PowerDns):
    def zone(self):
        return self.content.static_zone() + f"www IN A {self.content.members[0].v4}\n"

    def reload(self):
        self.tell("/usr/bin/pdns_control", f"--config-dir={self.directory}", "bind-reload-now", ZONE)


class Bind(Many, peers.Bind):
    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)


KINDS = Gslb, Gdnsd, Nsd, Knot, PowerDns, Bind
