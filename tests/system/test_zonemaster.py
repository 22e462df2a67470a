"""zonemaster-cli judges a delegated zone of ours: beyond private addresses, missing IPv6 and lack of signing it finds
nothing. The root and the zone above are ours too; all stands on port 53 in a network of its own."""
import json
import subprocess
import unittest

from tests.system import namespace
from tests.system.account import tell
from tests.system.harness import Case, addresses

# what loopback addresses, a delegation without IPv6, and a zone that is not signed must lead to
EXPECTED = {"NAMESERVER_IP_PRIVATE_NETWORK", "NAMESERVER_IP_WITHOUT_REVERSE", "NO_IPV6_NS_CHILD", "NO_IPV6_NS_DEL",
            "NEITHER_DNSKEY_NOR_DS", "NOT_SIGNED"}
ROOT = """$TTL 3600
. IN SOA ns0.root-servers.example. hostmaster.example. 1 3600 600 86400 60
. IN NS ns0.root-servers.example.
ns0.root-servers.example. IN A {root}
com. IN NS ns.com.
ns.com. IN A {root}
"""
COM = """$TTL 3600
@ IN SOA ns hostmaster 1 3600 600 86400 60
@ IN NS ns
ns IN A {root}
example IN NS ns1.example
example IN NS ns2.example
ns1.example IN A {one}
ns2.example IN A {two}
"""
ZONE = """$TTL 3600
@ IN SOA ns1 hostmaster 2026112101 28800 7200 1209600 3600
@ IN NS ns1
@ IN NS ns2
@ IN MX 10 mail
@ IN TXT "v=spf1 mx -all"
ns1 IN A {one}
ns2 IN A {two}
mail IN A 192.0.2.25
alias IN CNAME www
www IN TXT "beside"
"""
SERVICES = {"services": [
    {"name": "www.example.com", "https": {"alpn": ["h2"]}, "members": [{"name": "m1", "addresses": ["192.0.2.81"]}, {"name": "m2", "addresses": ["192.0.2.82"]}]},
    {"name": "example.com", "members": [{"name": "m1", "addresses": ["192.0.2.81"]}, {"name": "m2", "addresses": ["192.0.2.82"]}]}]}


class Zonemaster(Case):
    def begin(self, zones, places, hosts, extra=None):
        daemon = self.prepare(extra, zones={name: text.format(**places) for name, text in zones.items()})
        daemon.host, daemon.port = hosts[0], 53
        daemon.server["listen"] = [f"{host}@53" for host in hosts]
        daemon.write_config()
        return daemon.start()

    def test_delegated_zone_has_no_findings(self):
        before = namespace.enter()
        if before is None:
            self.skipTest("a network of its own, with port 53, needs more rights")
        self.addCleanup(namespace.leave, before)
        places = {word: addresses.take() for word in ("root", "one", "two")}
        self.begin({".": ROOT, "com": COM}, places, [places["root"]])
        daemon = self.begin({"example.com": ZONE}, places, [places["one"], places["two"]], SERVICES)
        hints = daemon.directory / "hints"
        hints.write_text(f". 3600000 NS ns0.root-servers.example.\nns0.root-servers.example. 3600000 A {places['root']}\n")
        done = subprocess.run(["zonemaster-cli", "--no-ipv6", "--hints", hints, "--json", "--level", "INFO", "--no-progress", "example.com"],
                              capture_output=True, text=True, timeout=200, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        results = json.loads(done.stdout)
        findings = [row for row in results if row["level"] not in ("INFO", "DEBUG") and row["tag"] not in EXPECTED]
        self.assertEqual(findings, [])
        # it has looked, and at this zone
        seen = {row["tag"] for row in results}
        for tag in ("ARE_AUTHORITATIVE", "NAMES_MATCH", "EDNS0_SUPPORT", "NO_RECURSOR", "ONE_SOA_SERIAL", "REFERRAL_SIZE_OK", "QNAME_CASE_SENSITIVE"):
            self.assertIn(tag, seen)
        tell(f"{len(results)} results, {sum(row['level'] not in ('INFO', 'DEBUG') for row in results)} above INFO:",
              *sorted({row["tag"] for row in results if row["level"] not in ("INFO", "DEBUG")}))


if __name__ == "__main__":
    unittest.main()
