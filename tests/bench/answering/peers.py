"""The servers of a bench, each with one thread that answers over UDP. All of them have

    kind, name   of the program, of what was made of it
    host, port
    start()      writes the configuration, starts it, waits until it answers as meant; returns self
    pids()       the processes that answer
    all_pids()   with those that help them
    suspend()    stops all its processes in one moment, until
    resume()
    is_up()      it answers
    has_members_up()   it holds all members up, where it probes them
    end()
    version()    the number of what is installed, "" when it is not
    is_installed()

Only loopback addresses, free ports, fresh directories; nothing of the system's own services."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import yaml

from tests.bench.answering import machine
from tests.bench.answering.content import NEAR_ZONE, PROBED_S, SRV_PORT, TTL, ZONE
from tests.system import harness
from tests.system.harness import eventually
from tests.system.peers import Peer


STOOD_STILL = "this machine stood still"  # what gslb says of probes under way while it, or this whole machine, did


class Server(Peer):
    """`workloads`: what of content.py it can be asked for: mix, balanced, static, near. Each is a process group of its own.
    One whose parent dies while its processes are stopped is continued by the kernel, so none stays behind stopped."""

    kind = ""
    program = ""
    version_command = ()
    workloads = frozenset(("mix", "balanced", "static"))

    def __init__(self, content, name=None):
        super().__init__()
        self.content, self.name = content, name or self.kind
        self.is_suspended = False

    @classmethod
    def is_installed(cls):
        return Path(cls.program).exists()

    @classmethod
    def version(cls):
        if not cls.is_installed():
            return ""
        result = subprocess.run(cls.version_command, capture_output=True, text=True, check=False)
        found = re.search(r"\b\d+\.\d+[\w.:~+-]*", result.stdout + result.stderr)
        return found.group() if found else ""

    def start(self):
        self.configure()
        self.launch()
        self.wait()
        return self

    def is_up(self, name=f"www.{ZONE}", rdtype="A"):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}")
        try:
            return bool(self.ask(name, rdtype, timeout=0.5).answer)
        except harness.NO_ANSWER:
            return False

    def all_pids(self):
        return machine.tree(self.process.pid)

    def pids(self):
        return self.all_pids()

    def run(self, *command, **options):
        super().run(*command, process_group=0, **options)

    def suspend(self):
        self.is_suspended = True
        os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self):
        if self.is_suspended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGCONT)
            self.is_suspended = False

    def has_members_up(self):
        return True

    def end(self):
        self.resume()
        super().end()


class Echo(Server):
    """The ceiling; what comes back is what was sent."""

    kind = "echo"
    program = str(harness.ROOT / "build/bench/dns_echo")
    workloads = frozenset(("mix", "balanced", "static", "near"))

    @classmethod
    def version(cls):
        return ""

    def configure(self):
        pass

    def launch(self):
        self.run(self.program, self.host, str(self.port))

    def is_up(self, *_):
        return self.process.poll() is None and any(
            line.split()[1].endswith(f":{self.port:04X}") for line in Path("/proc/net/udp").read_text().splitlines()[1:])


class Daemon(harness.Gslbd):
    process_group = 0


class Gslb(Server):
    """`change(configuration)` may alter the configuration before it is written."""

    kind = "gslb"
    program = str(harness.BUILD / "gslbd")
    version_command = (program, "--version")
    workloads = frozenset(("mix", "balanced", "static", "near"))
    probed = f"www.{ZONE}", f"www.{NEAR_ZONE}"  # services

    def __init__(self, content, name="gslb", zones=None, change=None, workers=1, server=None):
        super().__init__(content, name)
        shutil.rmtree(self.directory)
        sites = content.sites()
        extra = {
            "sites": [{"name": member.site} for member in content.members],
            "networks": [{"network": str(network), "sites": [member.site]} for network, member in sites],
            "monitors": [{"name": "web", "type": "http", "port": content.port, "path": "/health", "interval": f"{PROBED_S}s",
                          "timeout": "1s", "rise": 1, "fall": 10}],
            "services": [self.service(f"www.{ZONE}", srv="_http._tcp"), self.service(f"www.{NEAR_ZONE}", nearest=True)],
        }
        if change:
            change(extra)
        texts = zones or {ZONE: content.static_zone(), NEAR_ZONE: content.head(NEAR_ZONE)}
        self.daemon = Daemon(extra, zones=texts, workers=workers, server={"log": {"level": "error"}, **(server or {})})
        self.host, self.port, self.directory = self.daemon.host, self.daemon.port, self.daemon.directory

    def service(self, name, **more):
        members = [{"name": member.name, "site": member.site, "addresses": [member.v4, member.v6], "weight": member.weight,
                    "monitor_address": member.v4, "srv_port": SRV_PORT} for member in self.content.members]
        return {"name": name, "monitors": ["web"], "ttl": {"max": f"{TTL}s"}, "members": members, **more}

    def start(self):
        self.daemon.start()
        for name in self.probed:
            self.daemon.wait_states(name, **{member.name: "up" for member in self.content.members})
        self.process = self.daemon.process
        return self

    def pids(self):
        return [self.daemon.processes()["dns"]["pid"]]

    def has_members_up(self):
        return all(row["state"] == "up" for name in self.probed
                   for row in self.daemon.api(f"/v1/services/{name}").json["members"])

    def end(self):
        self.resume()
        status = self.daemon.stop(60)  # what it leaves on a busy disk may take its time
        expect_good_end(self.daemon, status)


def expect_good_end(daemon, status):
    """Of gslbd, which has ended with that status; then its files are gone."""
    problems = [line for line in daemon.log().splitlines() if " error " in line and STOOD_STILL not in line] + daemon.defects()
    daemon.discard()
    if status != 0 or problems:
        raise AssertionError(f"gslbd ended with {status}: " + "\n".join(problems[:20]))


class Gdnsd(Server):
    """gdnsd, with its members' health from HTTP; `balanced` false: the balanced names stand in the zone."""

    kind = "gdnsd"
    program = "/usr/sbin/gdnsd"
    version_command = (program, "version")
    workloads = frozenset(("mix", "balanced", "static", "near"))

    def __init__(self, content, name="gdnsd, weighted", balanced=True, interval_s=PROBED_S, timeout_s=1, thresholds=(20, 10, 10)):
        super().__init__(content, name)
        self.balanced, self.interval_s, self.timeout_s, self.thresholds = balanced, interval_s, timeout_s, thresholds
        if not balanced:
            self.workloads = frozenset(("mix", "static"))

    def configure(self):
        for name in ("etc/zones", "run", "state"):
            (self.directory / name).mkdir(parents=True, exist_ok=True)
        if self.balanced:
            zone = self.content.static_zone() + self.content.member_records() + "www IN DYNA weighted!www\n"
            self.write(f"etc/zones/{NEAR_ZONE}", self.content.head(NEAR_ZONE) + "www IN DYNA geoip!www\n")
        else:
            zone = self.content.frozen_zone()
        self.write(f"etc/zones/{ZONE}", zone)
        self.write("etc/config", self.options() + (self.balancing() if self.balanced else ""))

    def options(self):
        return f"""options => {{
  listen => {self.host}:{self.port}, udp_threads => 1, tcp_threads => 1,
  run_dir => {self.directory}/run, state_dir => {self.directory}/state
}}
"""

    def balancing(self):
        members = self.content.members
        up, well, down = self.thresholds
        four = "\n".join(f"        {each.name} => [ {each.v4}, {each.weight} ]" for each in members)
        six = "\n".join(f"        {each.name} => [ {each.v6}, {each.weight} ]" for each in members)
        nets = "\n".join(f"        {network} => [ {member.site} ]" for network, member in self.content.sites())
        centers = "\n".join(f"        {each.site} => {each.v4}" for each in members)
        return f"""service_types => {{
  web => {{
    plugin => http_status, port => {self.content.port}, url_path => /health,
    interval => {self.interval_s}, timeout => {self.timeout_s}, up_thresh => {up}, ok_thresh => {well}, down_thresh => {down}
  }}
}}
plugins => {{
  weighted => {{
    www => {{
      addrs_v4 => {{
        service_types => web
{four}
      }}
      addrs_v6 => {{
        service_types => up
{six}
      }}
    }}
  }}
  geoip => {{
    maps => {{ networks => {{
      datacenters => [{", ".join(each.site for each in members)}]
      nets => {{
{nets}
      }}
    }} }}
    resources => {{ www => {{ map => networks, service_types => web, dcmap => {{
{centers}
    }} }} }}
  }}
}}
"""

    def launch(self):
        self.run(self.program, "-c", self.directory / "etc", "start")

    def has_members_up(self):
        if not self.balanced:
            return True
        told = subprocess.run(["/usr/bin/gdnsdctl", "-c", self.directory / "etc", "states"], capture_output=True, text=True,
                              check=False)
        states = json.loads(told.stdout) if told.returncode == 0 else {}
        return all(states.get(f"{member.v4}/web", {}).get("state") == "UP" for member in self.content.members)


class Nsd(Server):
    kind = "NSD"
    program = "/usr/sbin/nsd"
    version_command = (program, "-v")

    def __init__(self, content, name="NSD, static"):
        super().__init__(content, name)

    def configure(self):
        self.write(f"{ZONE}.zone", self.content.frozen_zone())
        self.write("nsd.conf", f"""server:
  ip-address: {self.host}@{self.port}
  username: ""
  chroot: ""
  database: ""
  zonesdir: "{self.directory}"
  xfrdir: "{self.directory}"
  xfrdfile: "{self.directory}/xfrd.state"
  zonelistfile: "{self.directory}/zone.list"
  pidfile: ""
  server-count: 1
  do-ip6: no
  rrl-ratelimit: 0
  minimal-responses: yes
  tcp-count: 20000
remote-control:
  control-enable: no
zone:
  name: {ZONE}
  zonefile: {ZONE}.zone
""")

    def launch(self):
        self.run(self.program, "-d", "-c", self.directory / "nsd.conf")


class Knot(Server):
    kind = "Knot DNS"
    program = "/usr/sbin/knotd"
    version_command = (program, "-V")
    workloads = frozenset(("mix", "balanced", "static", "near"))

    def __init__(self, content, name="Knot DNS, mod-geoip"):
        super().__init__(content, name)

    @classmethod
    def is_installed(cls):
        return super().is_installed() and any(Path("/usr/lib").glob("*/knot/modules-*/geoip.so"))

    def configure(self):
        (self.directory / "db").mkdir()
        self.write(f"{ZONE}.zone", self.content.frozen_zone())
        member = self.content.members[0]
        self.write(f"{NEAR_ZONE}.zone", self.content.head(NEAR_ZONE) + f"www IN A {member.v4}\n")
        self.write("balanced.conf", f"www.{ZONE}:\n" + "".join(
            f"  - weight: {each.weight}\n    A: {each.v4}\n    AAAA: {each.v6}\n" for each in self.content.members))
        self.write("near.conf", f"www.{NEAR_ZONE}:\n" + "".join(
            f"  - net: {network}\n    A: {each.v4}\n" for network, each in self.content.sites()))
        self.write("knot.conf", f"""server:
    listen: {self.host}@{self.port}
    rundir: {self.directory}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    edns-client-subnet: on
database:
    storage: {self.directory}/db
    journal-db-max-size: 100M
    kasp-db-max-size: 10M
    timer-db-max-size: 10M
control:
    listen: {self.directory}/knot.sock
log:
  - target: stderr
    any: warning
mod-geoip:
  - id: balanced
    config-file: {self.directory}/balanced.conf
    ttl: {TTL}
    mode: weighted
  - id: near
    config-file: {self.directory}/near.conf
    ttl: {TTL}
    mode: subnet
zone:
  - domain: {ZONE}
    storage: {self.directory}
    file: {ZONE}.zone
    module: mod-geoip/balanced
  - domain: {NEAR_ZONE}
    storage: {self.directory}
    file: {NEAR_ZONE}.zone
    module: mod-geoip/near
""")

    def launch(self):
        self.run(self.program, "-c", self.directory / "knot.conf")


class PowerDns(Server):
    """LUA records for what is balanced, the geoip backend for what is near."""

    kind = "PowerDNS"
    program = "/usr/sbin/pdns_server"
    version_command = (program, "--version")
    workloads = frozenset(("mix", "balanced", "static", "near"))

    def __init__(self, content, name="PowerDNS, LUA records"):
        super().__init__(content, name)

    @classmethod
    def is_installed(cls):
        return super().is_installed() and any(Path("/usr/lib").glob("*/pdns/libgeoipbackend.so"))

    def picked(self, attribute):
        rows = ",".join(f"{{{each.weight},'{getattr(each, attribute)}'}}" for each in self.content.members)
        return f"pickwrandom({{{rows}}})"

    def configure(self):
        self.write(f"{ZONE}.zone", self.content.static_zone() + self.content.member_records()
                   + f'www IN LUA A "{self.picked("v4")}"\nwww IN LUA AAAA "{self.picked("v6")}"\n')
        self.write("named.conf", f'zone "{ZONE}" {{ type master; file "{self.directory}/{ZONE}.zone"; }};\n')
        records = {NEAR_ZONE: [{"soa": f"ns1.{NEAR_ZONE} hostmaster.{NEAR_ZONE} 2026112101 3600 600 86400 60"},
                               {"ns": f"ns1.{NEAR_ZONE}"}],
                   **{f"{each.site}.{NEAR_ZONE}": [{"a": each.v4}] for each in self.content.members}}
        near = {str(network): f"{each.site}.{NEAR_ZONE}" for network, each in self.content.sites()}
        self.write("near.yaml", yaml.dump({"domains": [{
            "domain": NEAR_ZONE, "ttl": TTL, "records": records,
            "services": {f"www.{NEAR_ZONE}": {"default": f"site1.{NEAR_ZONE}", **near}}}]}, sort_keys=False))
        self.write("pdns.conf", f"""launch=geoip,bind
local-address={self.host}
local-port={self.port}
socket-dir={self.directory}
bind-config={self.directory}/named.conf
geoip-zones-file={self.directory}/near.yaml
geoip-database-files=
edns-subnet-processing=yes
enable-lua-records=shared
receiver-threads=1
distributor-threads=1
daemon=no
guardian=no
disable-syslog=yes
loglevel=3
security-poll-suffix=
write-pid=no
setuid=
setgid=
version-string=anonymous
""")

    def launch(self):
        self.run(self.program, f"--config-dir={self.directory}")

    def wait(self):
        super().wait()
        eventually(lambda: self.is_up(f"www.{NEAR_ZONE}"), 10, f"{self.name} answers {NEAR_ZONE}")
        return self


class Bind(Server):
    kind = "BIND"
    program = "/usr/sbin/named"
    version_command = (program, "-v")
    only_host = "127.0.0.1"  # it listens on addresses that interfaces have

    def __init__(self, content, name="BIND, static"):
        super().__init__(content, name)

    def configure(self):
        self.write(f"{ZONE}.zone", self.content.frozen_zone())
        self.write("named.conf", f"""controls {{ }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on port {self.port} {{ {self.host}; }}; listen-on-v6 {{ none; }}; minimal-responses yes;
  allow-transfer {{ none; }}; notify no;
}};
zone "{ZONE}" {{ type primary; file "{ZONE}.zone"; }};
""")

    def launch(self):
        self.run(self.program, "-g", "-n", "1", "-c", self.directory / "named.conf")
