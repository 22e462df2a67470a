"""Client Subnet (RFC 7871): over random nested networks, the scope of each answer is the shortest prefix of the address
whose clients all get the same decision. What is right is computed here from the configured networks by going through
all their edges, without any tree."""
import bisect
import ipaddress
import random
import socket
import struct
import unittest

from tests.system.account import tell
from tests.system.harness import ZONE, Case, Gslbd
from tests.system.length import count
from tests.system.message import FORMERR, NOERROR, SUBNET, Reply, make, opt, option, over_udp, subnet

QUERIES = count(4000, 40000)
ROUNDS = count(10, 50)
SITES = [f"s{i}" for i in range(5)]
SERVICES = {"one": [0], "two": [0, 1], "some": [1, 2, 4], "every": [0, 1, 2, 3, 4]}
WIDTH = {4: 32, 6: 128}


def address_of_site(family, site):
    return f"127.0.1.{site + 1}" if family == 4 else f"2001:db8:1::{site + 1}"


class World:
    """Random networks that nest, touch and repeat each other's sites."""

    def __init__(self, chance):
        self.networks = {4: {}, 6: {}}
        for family, amount in ((4, chance.randint(1, 60)), (6, chance.randint(1, 40))):
            width = WIDTH[family]
            while len(self.networks[family]) < amount:
                known = list(self.networks[family])
                if known and chance.random() < 0.7:
                    # inside one that is there, or just beside it
                    first, bits = chance.choice(known)
                    bits = min(width, max(1, bits + chance.choice((-1, 0, 0, 1, 1, 2, 3, 5, 8))))
                    first ^= chance.getrandbits(3) << (width - bits)
                else:
                    first, bits = chance.getrandbits(width), chance.choice((0, 1, 4, 8, 9, 16, 20, 24, 25, 31, 32, 48, 56, 64, 128))
                    bits = min(bits, width)
                first = first >> (width - bits) << (width - bits) if bits else 0
                sites = chance.sample(range(5), chance.randint(1, 5))
                self.networks[family].setdefault((first & (1 << width) - 1, bits), sites)
        self.edges = {family: self.lay_flat(family) for family in (4, 6)}

    def lay_flat(self, family):
        """[(first address, sites)]: from each edge to the next all addresses have the same longest network."""
        width, networks = WIDTH[family], self.networks[family]
        firsts = {0} | {first for first, _ in networks} | {first + (1 << width - bits) for first, bits in networks}
        return [(first, self.longest(family, first)) for first in sorted(firsts) if first < 1 << width]

    def longest(self, family, address):
        holding = [(bits, sites) for (first, bits), sites in self.networks[family].items()
                   if address >> WIDTH[family] - bits == first >> WIDTH[family] - bits]
        return max(holding)[1] if holding else []

    def decisions(self, family, first, last, used):
        """What is decided anywhere from first to last: the sites that the service uses, in the client's order."""
        edges = self.edges[family]
        at = bisect.bisect_right(edges, first, key=lambda edge: edge[0]) - 1
        found = set()
        while at < len(edges) and edges[at][0] <= last:
            found.add(tuple(site for site in edges[at][1] if site in used))
            at += 1
        return found

    def expected(self, family, address, used):
        """(scope, sites in order)"""
        width = WIDTH[family]
        for bits in range(width + 1):
            first = address >> width - bits << width - bits
            found = self.decisions(family, first, first + (1 << width - bits) - 1, used)
            if len(found) == 1:
                return bits, found.pop()
        raise AssertionError("a single address has a single decision")

    def an_address(self, chance):
        """(family, source bits, address with nothing beyond them): mostly at or near the edges."""
        family = chance.choice((4, 4, 6))
        width = WIDTH[family]
        address = chance.getrandbits(width)
        if chance.random() < 0.8:
            first, _ = chance.choice(list(self.networks[family]))
            address = (first ^ chance.getrandbits(chance.randint(0, 12)) << chance.randint(0, width - 12)) & (1 << width) - 1
        usual = (24, 32, 20, 16) if family == 4 else (56, 64, 48, 128)
        source = chance.choice(usual) if chance.random() < 0.6 else chance.randint(1, width)
        return family, source, address >> width - source << width - source

    def configuration(self):
        kinds = {4: ipaddress.IPv4Network, 6: ipaddress.IPv6Network}
        networks = [{"network": str(kinds[family](place)), "sites": [SITES[site] for site in sites]}
                    for family in (4, 6) for place, sites in self.networks[family].items()]
        services = [{"name": f"{name}.example.com", "nearest": True, "members": [
            {"name": f"m{site}", "site": SITES[site], "addresses": [address_of_site(4, site), address_of_site(6, site)]}
            for site in used]} for name, used in SERVICES.items()]
        services.append({"name": "plain.example.com", "members": [{"name": "m0", "addresses": ["127.0.1.9"]}]})
        return {"sites": [{"name": site} for site in SITES], "networks": networks, "services": services}


def option_of(family, source, address):
    size = (source + 7) // 8
    return subnet(1 if family == 4 else 2, source, 0, address.to_bytes(WIDTH[family] // 8, "big")[:size])


class SubnetScope(Case):
    @classmethod
    def setUpClass(cls):
        cls.chance = random.Random(20261121)
        cls.world = World(cls.chance)
        cls.gslbd = cls.share(Gslbd(cls.world.configuration(), zone=ZONE + "alias IN CNAME every\n"))
        cls.place = (cls.gslbd.host, cls.gslbd.port)

    def ask(self, name, options, rdtype="A"):
        wire = over_udp(self.place, make(f"{name}.example.com", rdtype, additional=[opt(options)]))
        self.assertIsNotNone(wire)
        return Reply(wire)

    def violations(self, world, queries):
        found = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.connect(self.place)
            sock.settimeout(3)
            for number in range(queries):
                family, source, address = world.an_address(self.chance)
                name = self.chance.choice(list(SERVICES))
                asked_family = self.chance.choice((4, 6))
                given = option_of(family, source, address)
                sock.send(make(f"{name}.example.com", "A" if asked_family == 4 else "AAAA", ident=number, additional=[opt(given)]))
                reply = Reply(sock.recv(4096))
                scope, sites = world.expected(family, address, SERVICES[name])
                data = reply.options().get(SUBNET)
                wanted = given[4:7] + bytes([scope]) + given[8:]
                got = reply.texts("answer")
                allowed = sites[:1] or SERVICES[name]
                if reply.ident != number or data != wanted or len(got) != 1 \
                        or got[0] not in [address_of_site(asked_family, site) for site in allowed]:
                    found.append((name, family, source, hex(address), "scope", scope, "not", data and data[3], got, sites))
        return found

    def test_scope_is_what_the_decision_depended_on(self):
        done = 0
        for number in range(ROUNDS):
            world = self.world if number == 0 else World(self.chance)
            if number:
                self.gslbd.extra = world.configuration()
                self.gslbd.write_config()
                told = self.gslbd.ctl("reload")
                self.assertEqual(told.returncode, 0, told.stdout + told.stderr)
            found = self.violations(world, QUERIES // ROUNDS)
            done += QUERIES // ROUNDS
            networks = sum(map(len, world.networks.values()))
            self.assertEqual(found[:5], [], f"{len(found)} violations in round {number} of {networks} networks")
        tell(f"{done} queries, {ROUNDS} worlds, no violation")

    def test_without_the_option_none_comes_back(self):
        reply = self.ask("every", b"")
        self.assertNotIn(SUBNET, reply.options())

    def test_static_names_and_services_without_nearest_have_scope_0(self):
        for name, rdtype in (("static", "A"), ("static", "AAAA"), ("static", "MX"), ("plain", "A"), ("nothing", "A")):
            for given in (option_of(4, 24, 0xC0000200), option_of(6, 56, 0x20010DB8 << 96)):
                with self.subTest(name=name, rdtype=rdtype):
                    self.assertEqual(self.ask(name, given, rdtype).options().get(SUBNET), given[4:])

    def test_source_0_has_scope_0(self):
        for family in (1, 2):
            reply = self.ask("every", subnet(family, 0, 0, b""))
            self.assertEqual((reply.rcode, reply.options().get(SUBNET)), (NOERROR, struct.pack("!HBB", family, 0, 0)))
            self.assertEqual(len(reply.texts("answer", "A")), 1)

    def test_alias_to_a_service_has_the_services_scope(self):
        for _ in range(50):
            family, source, address = self.world.an_address(self.chance)
            given = option_of(family, source, address)
            scope, _ = self.world.expected(family, address, SERVICES["every"])
            self.assertEqual(self.ask("alias", given).options().get(SUBNET)[3], scope)

    def test_malformed_options_are_formerr(self):
        wrong = {
            "no address family": b"", "half a family": b"\0", "no lengths": b"\0\1", "no scope": b"\0\1\x18",
            "IPv4 beyond 32": struct.pack("!HBB", 1, 33, 0) + b"\xc0\0\2\0\0",
            "IPv6 beyond 128": struct.pack("!HBB", 2, 129, 0) + b"\0" * 17,
            "scope in a query": struct.pack("!HBB", 1, 24, 24) + b"\xc0\0\2",
            "too few bytes": struct.pack("!HBB", 1, 24, 0) + b"\xc0\0",
            "too many bytes": struct.pack("!HBB", 1, 24, 0) + b"\xc0\0\2\0",
            "bits beyond the source": struct.pack("!HBB", 1, 23, 0) + b"\xc0\0\1",
            "bits beyond the source, IPv6": struct.pack("!HBB", 2, 60, 0) + b"\x20\1\x0d\xb8\0\0\0\xff",
            "family 3": struct.pack("!HBB", 3, 8, 0) + b"\1", "family 0 with an address": struct.pack("!HBB", 0, 8, 0) + b"\1",
            "family 65535": struct.pack("!HBB", 65535, 0, 0),
        }
        for name in ("every", "static"):
            for kind, value in wrong.items():
                with self.subTest(kind=kind, name=name):
                    reply = self.ask(name, option(SUBNET, value))
                    self.assertEqual(reply.rcode, FORMERR)
                    self.assertEqual(reply.counts[1], 0)
                    self.assertEqual(reply.version, 0)


if __name__ == "__main__":
    unittest.main()
