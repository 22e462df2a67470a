"""What every server of a bench is given, and what clients ask for."""
import http.server
import ipaddress
import threading
import time

from tests.system.harness import addresses, free_port

ZONE = "bench.example"
NEAR_ZONE = "near.example"
WEIGHTS = 10, 20, 30, 40, 10, 20, 30, 40
FIRST_HOST = int(ipaddress.IPv4Address("100.64.0.0"))
FIRST_NETWORK = int(ipaddress.IPv4Address("10.0.0.0"))
TTL = 60
SRV_PORT = 8080

MIX = f"""70 www.{ZONE} A
10 www.{ZONE} AAAA
10 _http._tcp.www.{ZONE} SRV
5 ?.{ZONE} A expect=nxdomain
5 h#.{ZONE} A range=0-999
"""
BALANCED = f"1 www.{ZONE} A\n"
STATIC = f"1 ftp.{ZONE} A\n"
NEAR = f"1 www.{NEAR_ZONE} A\n"
# 1,024 networks of 24 bits, each with a site of its own choice
SUBNETS = "10.0.0.0/14 24\n"


class Member:
    def __init__(self, number, weight):
        self.name, self.weight = f"m{number}", weight
        self.v4, self.v6 = addresses.take(), f"2001:db8::{number}"
        self.site = f"site{number}"
        self.is_well = True
        self.failed_at = None  # time.monotonic() when it first said so


class Health(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        member = self.server.member
        if not member.is_well and member.failed_at is None:
            member.failed_at = time.monotonic()
        self.send_response(200 if member.is_well else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Content:
    """`hosts` static names, one balanced name and its SRV records, and one that is answered by the client's network.
    `members` are probed by HTTP at `port`, path /health, once start_members was called; set is_well of one to change
    what it says."""

    def __init__(self, hosts=1000, networks=1024):
        self.members = [Member(number, weight) for number, weight in enumerate(WEIGHTS, 1)]
        self.port = free_port(*(member.v4 for member in self.members))
        self.hosts, self.networks = hosts, networks
        self.servers = []

    def start_members(self):
        for member in self.members:
            server = http.server.ThreadingHTTPServer((member.v4, self.port), Health)
            server.daemon_threads, server.member = True, member
            threading.Thread(target=server.serve_forever, daemon=True).start()
            self.servers.append(server)

    def end_members(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []

    @staticmethod
    def host_address(number):
        return str(ipaddress.IPv4Address(FIRST_HOST + number))

    def sites(self):
        """[(network, member)] of all networks."""
        rows = []
        for number in range(self.networks):
            network = ipaddress.ip_network((FIRST_NETWORK + (number << 8), 24))
            rows.append((network, self.members[(number * 7 + number // 256 * 3) % len(self.members)]))
        return rows

    def head(self, zone):
        return f"$ORIGIN {zone}.\n$TTL {TTL}\n@ IN SOA ns1 hostmaster 2026112101 3600 600 86400 60\n@ IN NS ns1\n" \
               "ns1 IN A 192.0.2.1\n"

    def static_zone(self):
        """The names that nobody balances."""
        hosts = "".join(f"h{number} IN A {self.host_address(number)}\n" for number in range(self.hosts))
        return self.head(ZONE) + "ftp IN A 192.0.2.80\n" + hosts

    def member_records(self):
        """SRV records and their targets, for servers that do not make these themselves."""
        return "".join(f"_http._tcp.www IN SRV 0 {member.weight} {SRV_PORT} {member.name}.www\n" for member in self.members) \
            + "".join(f"{member.name}.www IN A {member.v4}\n{member.name}.www IN AAAA {member.v6}\n"
                      for member in self.members)

    def frozen_zone(self):
        """With the balanced name as one address, for servers that cannot balance."""
        member = self.members[0]
        return self.static_zone() + self.member_records() + f"www IN A {member.v4}\nwww IN AAAA {member.v6}\n"
