"""What every server of a bench is given, and what clients ask for."""
import ipaddress

from tests.bench.answering.targets import Targets

ZONE = "bench.example"
NEAR_ZONE = "near.example"
WEIGHTS = 10, 20, 30, 40, 10, 20, 30, 40
FIRST_HOST = int(ipaddress.IPv4Address("100.64.0.0"))
FIRST_NETWORK = int(ipaddress.IPv4Address("10.0.0.0"))
TTL = 60
PROBED_S = 2
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
    """One that is probed at its address; from fail() to mend() it fails."""

    def __init__(self, number, weight, targets):
        self.name, self.weight, self.index, self.targets = f"m{number}", weight, number - 1, targets
        self.v4, self.v6 = targets.address(self.index), f"2001:db8::{number}"
        self.site = f"site{number}"

    def fail(self):
        self.targets.fail(self.index)

    def failed_at(self):
        """time.monotonic() when it first said so; None before."""
        return self.targets.failed_at(self.index)

    def mend(self):
        self.targets.mend(self.index)


class Content:
    """`hosts` static names, one balanced name and its SRV records, and one that is answered by the client's network.
    `members` are probed by HTTP at `port`, path /health, each PROBED_S where nothing else is said; they answer from
    targets.start() to targets.end()."""

    def __init__(self, hosts=1000, networks=1024):
        self.targets = Targets(len(WEIGHTS), PROBED_S * 1000)
        self.members = [Member(number, weight, self.targets) for number, weight in enumerate(WEIGHTS, 1)]
        self.port = self.targets.port
        self.hosts, self.networks = hosts, networks

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
