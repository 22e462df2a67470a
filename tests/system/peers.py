"""Other people's name servers and resolvers, each a process with its own configuration in a fresh directory."""
import shutil
import subprocess
import tempfile
from pathlib import Path

import dns.message
import dns.query

from tests.system.harness import NO_ANSWER, addresses, data, end_process, eventually, free_port

KEY_NAME, KEY_SECRET = "transfer-key", "c2VjcmV0IG9mIHRoZSB0ZXN0cyBmb3IgdHJhbnNmZXJz"


class Peer:
    """What all of them have in common: an address, a port, a directory, a log."""

    only_host = None  # where it listens when it does not take every loopback address

    def __init__(self, host=None, port=None):
        self.host = host or self.only_host or addresses.take()
        self.port = port or free_port(self.host)
        self.directory = Path(tempfile.mkdtemp(prefix=f"gslb-{type(self).__name__.lower()}-"))
        self.process = None

    def write(self, name, text):
        path = self.directory / name
        new = path.with_name(path.name + ".new")
        new.write_text(text)
        new.replace(path)
        return path

    def run(self, *command, **options):
        """The options are those of Popen."""
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.directory,
                                            **options)

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def ask(self, name, rdtype="A", tcp=False, timeout=1.0, **options):
        query = dns.message.make_query(name, rdtype, **options)
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, self.host, timeout=timeout, port=self.port)

    def answers(self, name, rdtype="A", **options):
        return data(self.ask(name, rdtype, **options).answer, rdtype)

    def is_up(self, name="example.com", rdtype="SOA"):
        """Whether it answers at all."""
        if self.process.poll() is not None:
            raise AssertionError(f"{type(self).__name__} ended with {self.process.returncode}")
        try:
            return self.ask(name, rdtype, timeout=0.5) is not None
        except NO_ANSWER:
            return False

    def serial(self, zone="example.com"):
        """Of the SOA that it answers; None while it has none."""
        try:
            rows = self.answers(zone, "SOA")
            return int(rows[0].split()[2]) if rows else None
        except NO_ANSWER:
            return None

    def wait(self):
        try:
            eventually(self.is_up, 30, f"{type(self).__name__} answers")
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.log()[-4000:]}") from None
        return self

    def end(self):
        if self.process:
            end_process(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)


class NameServer(Peer):
    """An authoritative server of zones given as text (primary) or transferred from `primary`, an (address, port).
    Signs with the tests' key and wants it, unless keyed is false; `notify` is told of changes."""

    def __init__(self, zones, primary=None, notify=None, keyed=True, host=None, port=None):
        super().__init__(host, port)
        self.zones, self.primary, self.notify, self.keyed = list(zones), primary, notify, keyed
        if primary is None:
            for name, text in zones.items():
                self.write(f"{name}.zone", text)

    def start(self):
        self.configure()
        self.launch()
        return self.wait()

    def change(self, name, text):
        """Takes over a new version of a zone, as the operator of this server would."""
        self.write(f"{name}.zone", text)
        self.process.send_signal(1)


class Bind(NameServer):
    only_host = "127.0.0.1"  # it listens on addresses that interfaces have

    def configure(self):
        key = f"key {KEY_NAME}" if self.keyed else "any"
        with_key = f" key {KEY_NAME}" if self.keyed else ""
        text = f"""
key {KEY_NAME} {{ algorithm hmac-sha256; secret "{KEY_SECRET}"; }};
controls {{ }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none; recursion no; dnssec-validation no;
  listen-on port {self.port} {{ {self.host}; }}; listen-on-v6 {{ none; }};
  notify explicit; notify-source {self.host}; notify-delay 0; startup-notify-rate 1000; notify-rate 1000;
  min-refresh-time 1; min-retry-time 1; allow-new-zones no;
}};
"""
        for name in self.zones:
            text += f'zone "{name}" {{ file "{name}.zone"; allow-transfer {{ {key}; }};\n'
            if self.primary:
                host, port = self.primary
                text += f"type secondary; masterfile-format text; primaries {{ {host} port {port}{with_key}; }};\n" \
                    "allow-notify { 127.0.0.0/8; };\n"
            else:
                text += "type primary; ixfr-from-differences yes;\n"
            if self.notify:
                text += f"also-notify {{ {self.notify[0]} port {self.notify[1]}{with_key}; }};\n"
            text += "};\n"
        self.write("named.conf", text)

    def launch(self):
        self.run("/usr/sbin/named", "-g", "-n", "1", "-c", self.directory / "named.conf")


class Knot(NameServer):
    def configure(self):
        key = f"    key: {KEY_NAME}\n" if self.keyed else ""
        remotes, zone, acls = "", "", f"  - id: out\n    address: 127.0.0.0/8\n    action: transfer\n{key}"
        if self.primary:
            host, port = self.primary
            remotes += f"  - id: primary\n    address: {host}@{port}\n    via: {self.host}\n{key}"
            acls += f"  - id: in\n    address: 127.0.0.0/8\n    action: notify\n{key}"
            zone += "    acl: [out, in]\n    master: primary\n    refresh-min-interval: 2\n    retry-min-interval: 1\n"
        else:
            zone += "    acl: [out]\n    zonefile-load: difference\n"
        if self.notify:
            remotes += f"  - id: told\n    address: {self.notify[0]}@{self.notify[1]}\n    via: {self.host}\n{key}"
            zone += "    notify: told\n"
        text = f"""server:
    listen: {self.host}@{self.port}
    rundir: {self.directory}
    udp-workers: 1
    tcp-workers: 2
    background-workers: 1
database:
    storage: {self.directory}/db
    journal-db-max-size: 100M
    kasp-db-max-size: 10M
    timer-db-max-size: 10M
control:
    listen: {self.directory}/knot.sock
log:
  - target: stderr
    any: info
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {KEY_SECRET}
""" + (f"remote:\n{remotes}" if remotes else "") + f"acl:\n{acls}zone:\n"
        for name in self.zones:
            text += f"  - domain: {name}\n    storage: {self.directory}\n    file: {name}.zone\n{zone}"
        self.write("knot.conf", text)

    def launch(self):
        (self.directory / "db").mkdir(exist_ok=True)
        self.run("/usr/sbin/knotd", "-c", self.directory / "knot.conf")


class Nsd(NameServer):
    def configure(self):
        key = KEY_NAME if self.keyed else "NOKEY"
        text = f"""server:
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
  xfrd-reload-timeout: 0
  zonefiles-write: 1
  verbosity: 2
remote-control:
  control-enable: no
key:
  name: {KEY_NAME}
  algorithm: hmac-sha256
  secret: "{KEY_SECRET}"
"""
        for name in self.zones:
            text += f"zone:\n  name: {name}\n  zonefile: {name}.zone\n  provide-xfr: 127.0.0.0/8 {key}\n" \
                f"  outgoing-interface: {self.host}\n"
            if self.primary:
                host, port = self.primary
                text += f"  request-xfr: {host}@{port} {key}\n  allow-notify: 127.0.0.0/8 {key}\n" \
                    "  min-refresh-time: 1\n  min-retry-time: 1\n"
            else:
                text += "  store-ixfr: yes\n  create-ixfr: yes\n"
            if self.notify:
                text += f"  notify: {self.notify[0]}@{self.notify[1]} {key}\n  notify-retry: 1\n"
        self.write("nsd.conf", text)

    def launch(self):
        self.run("/usr/sbin/nsd", "-d", "-c", self.directory / "nsd.conf")


class Resolver(Peer):
    """A resolver that finds everything from the root servers at `roots`, addresses with port 53; or, when there are none,
    the zones at `stub`, an (address, port)."""

    def __init__(self, roots=(), stub=None, zones=("example.com",), port=None):
        super().__init__(port=53 if roots else port)
        self.roots, self.stub, self.zones = list(roots), stub, zones

    def hints(self):
        names = [f"ns{i}.root-servers.example." for i, _ in enumerate(self.roots)]
        return "".join(f". 3600000 IN NS {name}\n{name} 3600000 IN A {host}\n" for name, host in zip(names, self.roots))

    def start(self):
        self.launch()
        return self.wait()


class Unbound(Resolver):
    def launch(self):
        text = f"""server:
  interface: {self.host}
  port: {self.port}
  outgoing-interface: {self.host}
  access-control: 127.0.0.0/8 allow
  chroot: ""
  username: ""
  directory: "{self.directory}"
  pidfile: ""
  use-syslog: no
  num-threads: 1
  do-daemonize: no
  do-ip6: no
  do-not-query-localhost: no
  module-config: "iterator"
  target-fetch-policy: "0 0 0 0 0"
  qname-minimisation: yes
  qname-minimisation-strict: yes
  harden-large-queries: yes
  harden-short-bufsize: no
  harden-referral-path: yes
  use-caps-for-id: yes
  local-zone: "127.in-addr.arpa" nodefault
"""
        if self.roots:
            text += f'  root-hints: "{self.write("hints", self.hints())}"\n'
        else:
            for zone in self.zones:
                text += f"stub-zone:\n  name: {zone}\n  stub-addr: {self.stub[0]}@{self.stub[1]}\n"
        self.run("unbound", "-d", "-c", self.write("unbound.conf", text))


class BindResolver(Resolver):
    """Without root servers it must have the port of the server that it asks: BIND sends to the port that it has."""

    only_host = Bind.only_host

    def launch(self):
        text = f"""
controls {{ }};
options {{
  directory "{self.directory}"; pid-file none; session-keyfile none; recursion yes; dnssec-validation no; port {self.port};
  listen-on port {self.port} {{ {self.host}; }}; listen-on-v6 {{ none; }}; query-source {self.host};
  max-cache-size 10M;
  qname-minimization strict; empty-zones-enable no; allow-query {{ 127.0.0.0/8; }}; allow-recursion {{ 127.0.0.0/8; }};
}};
server ::/0 {{ bogus yes; }};
"""
        if self.roots:
            text += f'zone "." {{ type hint; file "{self.write("hints", self.hints())}"; }};\n'
        else:
            for zone in self.zones:
                text += f'zone "{zone}" {{ type static-stub; server-addresses {{ {self.stub[0]}; }}; }};\n'
        self.run("/usr/sbin/named", "-g", "-n", "1", "-c", self.write("named.conf", text))


class KnotResolver(Resolver):
    def launch(self):
        text = f"""
net.ipv6 = false
net.listen('{self.host}', {self.port}, {{ kind = 'dns' }})
net.outgoing_v4('{self.host}')
cache.storage = 'lmdb://{self.directory}/cache'
cache.size = 10 * MB
modules = {{ 'hints > iterate', 'policy' }}
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('priming')
modules.unload('detect_time_skew')
trust_anchors.remove('.')
option('ALLOW_LOCAL', true)
log_level('info')
"""
        if self.roots:
            rows = ", ".join(f"['ns{i}.root-servers.example.'] = '{host}'" for i, host in enumerate(self.roots))
            text += f"hints.root({{ {rows} }})\n"
        else:
            for zone in self.zones:
                text += f"policy.add(policy.suffix(policy.STUB('{self.stub[0]}@{self.stub[1]}'), {{ todname('{zone}') }}))\n"
        (self.directory / "work").mkdir()
        self.run("/usr/sbin/kresd", "-n", "-c", self.write("kresd.conf", text), self.directory / "work")


class PowerDnsRecursor(Resolver):
    def launch(self):
        text = f"""local-address={self.host}
local-port={self.port}
query-local-address={self.host}
socket-dir={self.directory}
allow-from=127.0.0.0/8
dont-query=
dnssec=off
qname-minimization=yes
security-poll-suffix=
threads=1
daemon=no
disable-syslog=yes
loglevel=6
serve-rfc1918=no
export-etc-hosts=no
write-pid=no
"""
        if self.roots:
            text += f"hint-file={self.write('hints', self.hints())}\n"
        else:
            text += "forward-zones=" + ",".join(f"{zone}={self.stub[0]}:{self.stub[1]}" for zone in self.zones) + "\n"
        self.write("recursor.conf", text)
        self.run("/usr/sbin/pdns_recursor", f"--config-dir={self.directory}")
