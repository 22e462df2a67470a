"""Zones as an operator sees them: gslbctl zones, zone check, zone query and zone reload, the API and the metrics."""
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import dns.rrset
import dns.zone

from tests.system.harness import BUILD, ZONE, Case, Gslbd, addresses, eventually, free_port

CHILD = "$TTL 60\n@ SOA ns1 admin {serial} 3600 3600 86400 60\n@ NS ns1\nns1 A 192.0.2.53\nv{serial} TXT \"here\"\n"
MORE = """www IN TXT "beside the balanced part" "say \\"hi\\""
@ IN CAA 0 issue "ca.example.net"
@ IN MX 10 static
cut IN NS ns.cut
cut IN DS 12345 8 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
ns.cut IN A 192.0.2.9
svc IN HTTPS 1 . alpn=h2 port=8443
odd IN TYPE65280 \\# 2 C00C
*.wild IN TXT "any"
"""
SERVICE = {"services": [{"name": "www.example.com", "ttl": {"max": "30s", "min": "1s"},
                         "members": [{"name": "one", "addresses": ["192.0.2.11"]}]}]}


def ctl(*arguments, build=None):
    return subprocess.run([(build or BUILD) / "gslbctl", *arguments], capture_output=True, text=True, timeout=30, check=False)


class Check(unittest.TestCase):
    """zone check, without a daemon or a configuration."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gslb-check-")
        self.addCleanup(holder.cleanup)
        self.directory = Path(holder.name)

    def check(self, name, text, *options):
        path = self.directory / name
        if text is not None:
            path.write_text(text)
        return ctl("zone", "check", str(path), *options), path

    def test_a_sound_zone_is_counted(self):
        done, path = self.check("example.com.zone", ZONE + MORE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        records = sum(len(rdataset) for _, rdataset in dns.zone.from_text(ZONE + MORE, "example.com").iterate_rdatasets())
        self.assertEqual(done.stdout, f"{path}: ok ({records} records, serial 2026112101)\n")

    def test_everything_wrong_is_told_with_file_and_line(self):
        done, path = self.check("example.com.zone", ZONE + "a IN A 192.0.2.300\nb IN CNAME\nc IN CNAME static\nc IN TXT x\n")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        lines = done.stderr.splitlines()
        first = len(ZONE.splitlines())
        for line in (first + 1, first + 2):
            self.assertTrue(any(text.startswith(f"{path}:{line}: ") for text in lines), (line, lines))

    def test_what_the_zone_means_is_judged(self):
        for text in ("@ 60 IN NS ns1\nns1 60 IN A 192.0.2.1\n", ZONE + "c IN CNAME static\nc IN TXT x\n",
                     ZONE + "www.example.net. IN A 192.0.2.1\n"):
            done, path = self.check("example.com.zone", text)
            self.assertEqual(done.returncode, 1, text)
            self.assertIn(str(path), done.stderr)

    def test_origin_is_the_files_name_or_what_is_said(self):
        text = "$TTL 60\n@ SOA ns1.example.com. admin.example.com. 5 1 1 1 1\n@ NS ns1.example.com.\n1 PTR a.example.com.\n"
        done, _ = self.check("db.2.0.192", text, "--origin", "0/25.2.0.192.in-addr.arpa.")
        self.assertEqual(done.returncode, 0, done.stderr)
        done, _ = self.check("example.com.zone", ZONE.replace("$ORIGIN example.com.\n", ""), "-o", "json")
        self.assertEqual(json.loads(done.stdout)["zone"], "example.com")
        done, _ = self.check("no name.zone", text)
        self.assertEqual(done.returncode, 2)
        self.assertIn("--origin", done.stderr)

    def test_a_file_that_is_not_there(self):
        done, path = self.check("none.zone", None)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(path), done.stderr)


class Zones(Case):
    @classmethod
    def setUpClass(cls):
        port = free_port("127.0.0.1")
        transfer = {"allow": ["127.0.0.0/8"]}
        cls.primary = cls.share(Gslbd({"zones": [{"name": "sub.example.com", "file": "sub.zone", "transfer": transfer}]},
                                      zones={"sub": CHILD.format(serial=1)}))
        cls.gslbd = cls.share(Gslbd({
            "zones": [{"name": "example.com", "file": "example.com.zone", "transfer": {**transfer, "balanced": "freeze"}},
                      {"name": "sub.example.com", "primaries": [f"{cls.primary.host}@{cls.primary.port}"]},
                      {"name": "lost.example.net", "primaries": [f"{addresses.take()}@{port}"]},
                      {"name": "0/25.2.0.192.in-addr.arpa", "file": "reverse.zone"}],
            **SERVICE}, zones={"example.com": ZONE + MORE, "reverse": CHILD.format(serial=8)}))
        eventually(lambda: cls.zone("sub.example.com")["state"] == "ready", 20, "the zone is transferred and served")
        eventually(lambda: cls.zone("lost.example.net")["error"], 20, "the lost zone tells of its error")

    @classmethod
    def zone(cls, name):
        return cls.gslbd.api(f"/v1/zones/{name}").json

    def query(self, *words):
        done = self.gslbd.ctl("zone", "query", *words)
        return done, done.stdout.splitlines()

    def test_api_lists_zones_in_the_order_of_the_configuration(self):
        rows = self.gslbd.api("/v1/zones").json["zones"]
        self.assertEqual([row["name"] for row in rows],
                         ["example.com", "sub.example.com", "lost.example.net", "0/25.2.0.192.in-addr.arpa"])
        first, copy, lost, reverse = rows
        self.assertEqual((first["kind"], first["state"], first["serial"], first["error"]), ("primary", "ready", 2026112101, None))
        self.assertEqual(first["file"], str(self.gslbd.directory / "example.com.zone"))
        self.assertEqual(copy["primaries"], [f"{self.primary.host}@{self.primary.port}"])
        self.assertTrue(copy["refreshed_at"] and copy["next_at"] and copy["expires_at"])
        self.assertTrue(86000 < copy["expires_in_s"] <= 86400 and copy["refreshed_age_s"] < 60, copy)
        self.assertEqual((lost["kind"], lost["state"], lost["serial"], lost["expires_at"]), ("secondary", "absent", None, None))
        self.assertEqual(reverse, self.zone("0%2F25.2.0.192.in-addr.arpa"))
        self.assertEqual(self.gslbd.api("/v1/zones/example.org").status, 404)

    def test_table_has_a_row_for_each_zone(self):
        done = self.gslbd.ctl("zones")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual(rows[0][:5], ["ZONE", "KIND", "STATE", "SERIAL", "RECORDS"])
        self.assertEqual(rows[1][:4], ["example.com", "primary", "ready", "2026112101"])
        self.assertEqual(rows[3][:4], ["lost.example.net", "secondary", "absent", "-"])
        self.assertEqual(len(rows), 5)

    def test_query_prints_what_is_answered(self):
        for name, rdtype in (("static.example.com", "AAAA"), ("www.example.com", "TXT"), ("example.com", "SOA"), ("example.com", "CAA"),
                             ("example.com", "MX"), ("svc.example.com", "HTTPS"), ("odd.example.com", "TYPE65280"),
                             ("*.wild.example.com", "TXT"), ("cut.example.com", "DS"), ("ns1.sub.example.com", "A")):
            done, lines = self.query(name, rdtype)
            self.assertEqual(done.returncode, 0, done.stderr)
            shown = [line.split(" ", 4) for line in lines]
            self.assertEqual([row[:1] + row[2:4] for row in shown], [[f"{name}.", "IN", rdtype]] * len(shown))
            read = dns.rrset.from_text(shown[0][0], int(shown[0][1]), "IN", rdtype, *[row[4] for row in shown])
            answered = [rrset for rrset in self.gslbd.ask(name, rdtype).answer if rrset.rdtype == read.rdtype]
            self.assertEqual([read], answered)

    def test_query_without_a_type_tells_all_of_one_name(self):
        done, lines = self.query("Example.COM.")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({line.split()[3] for line in lines}, {"SOA", "NS", "CAA", "MX"})
        self.assertEqual({line.split()[0] for line in lines}, {"example.com."})
        done, lines = self.query("www.example.com")
        self.assertEqual([line.split()[3] for line in lines], ["TXT"], "balanced members are no records of the zone")

    def test_query_takes_the_zone_of_the_longest_suffix(self):
        done, lines = self.query("sub.example.com", "SOA")
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertTrue(lines[0].startswith("sub.example.com. 60 IN SOA "), lines)
        done, lines = self.query("v8.0/25.2.0.192.in-addr.arpa")
        self.assertEqual(lines, ['v8.0/25.2.0.192.in-addr.arpa. 60 IN TXT "here"'], done.stderr)

    def test_query_says_why_there_is_nothing(self):
        for words, why in ((("nothing.example.com",), "has no records at nothing.example.com"),
                           (("static.example.com", "TXT"), "no TXT records"),
                           (("one.www.example.com",), "balanced: www.example.com/one"),
                           (("example.org",), "in none of the zones"),
                           (("lost.example.net",), "lost.example.net is absent"),
                           (("example.com", "NOTYPE"), "NOTYPE")):
            done, lines = self.query(*words)
            self.assertEqual((done.returncode, lines), (1, []), words)
            self.assertIn(why, done.stderr)
        self.assertEqual(self.query("a..b")[0].returncode, 2)

    def test_json_is_what_the_api_says(self):
        done = self.gslbd.ctl("-o", "json", "zone", "query", "static.example.com", "A")
        self.assertEqual(json.loads(done.stdout), {"records": ["static.example.com. 300 IN A 192.0.2.80"], "balanced": None})

    def test_metrics_tell_of_each_zone(self):
        lines = self.gslbd.api("/metrics").text.splitlines()
        self.assertIn('gslb_zone_serial{zone="example.com"} 2026112101', lines)
        self.assertIn('gslb_zone_serial{zone="0/25.2.0.192.in-addr.arpa"} 8', lines)
        self.assertIn('gslb_zone_records{zone="lost.example.net"} 0', lines)
        self.assertFalse(any(line.startswith('gslb_zone_serial{zone="lost') for line in lines))
        self.assertIn('gslb_zone_expire_seconds{zone="lost.example.net"} 0', lines)
        left = [float(line.split()[1]) for line in lines if line.startswith('gslb_zone_expire_seconds{zone="sub.example.com"}')]
        self.assertTrue(len(left) == 1 and 0 < left[0] <= 86400, left)

    def test_reloading_a_secondary_zone_asks_its_primary_at_once(self):
        serial = self.zone("sub.example.com")["serial"] + 1
        self.primary.write_zone("sub", CHILD.format(serial=serial))
        self.assertEqual(self.primary.ctl("reload").returncode, 0)
        eventually(lambda: self.primary.api("/v1/zones/sub.example.com").json["serial"] == serial, 10, "the primary has it")
        done = self.gslbd.ctl("zone", "reload", "sub.example.com")
        self.assertEqual(done.returncode, 0, done.stderr)
        eventually(lambda: self.zone("sub.example.com")["serial"] == serial, 15, "control has the new serial")
        eventually(lambda: self.gslbd.answers(f"v{serial}.sub.example.com", "TXT") == ['"here"'], 10, "dns has it")

    def test_reloading_a_primary_zone_reads_its_file(self):
        serial = self.zone("0/25.2.0.192.in-addr.arpa")["serial"]
        try:
            self.gslbd.write_zone("reverse", CHILD.format(serial=serial) + "new PTR static.example.com.\n")
            done = self.gslbd.ctl("zone", "reload", "0/25.2.0.192.in-addr.arpa")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^generation \d+ is in use$")
            self.assertEqual(self.query("new.0/25.2.0.192.in-addr.arpa")[0].returncode, 0)
            self.gslbd.write_zone("reverse", "@ SOA broken\n")
            done = self.gslbd.ctl("zone", "reload", "0/25.2.0.192.in-addr.arpa")
            self.assertEqual(done.returncode, 1)
            self.assertIn("reverse.zone:1", done.stderr)
        finally:
            self.gslbd.write_zone("reverse", CHILD.format(serial=serial))
            self.assertEqual(self.gslbd.ctl("reload").returncode, 0)

    def test_reloading_needs_a_zone_and_the_unix_socket(self):
        self.assertIn("no zone is called", self.gslbd.ctl("zone", "reload", "example.org").stderr)
        self.assertEqual(self.gslbd.api("/v1/admin/zone/sub.example.com/reload", "POST").status, 401)
        self.assertEqual(self.gslbd.api("/v1/admin/zone/sub.example.com/reload", "POST", unix=True).status, 202)
        for words in (("zone",), ("zone", "query"), ("zone", "reload"), ("zone", "mend", "example.com"), ("zone", "check")):
            self.assertEqual(self.gslbd.ctl(*words).returncode, 2, words)


class WithoutDaemon(Case):
    def test_zones_are_compiled_where_no_daemon_runs(self):
        gslbd = self.prepare({**SERVICE, "zones": [{"name": "example.com", "file": "example.com.zone"},
                                                   {"name": "copy.example.net", "primaries": ["127.0.0.1@5"]}]}, zone=ZONE + MORE)

        def offline(*words):
            return ctl("--config", gslbd.config_path, *words, build=gslbd.build)
        done = offline("-o", "json", "zones")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no daemon runs", done.stderr)
        self.assertEqual([(row["name"], row["state"], row["serial"]) for row in json.loads(done.stdout)["zones"]],
                         [("example.com", "ready", 2026112101), ("copy.example.net", "absent", None)])
        done = offline("zone", "query", "static.example.com", "A")
        self.assertEqual((done.returncode, done.stdout), (0, "static.example.com. 300 IN A 192.0.2.80\n"))
        self.assertEqual(done.stderr.count("no daemon runs"), 1)
        self.assertEqual(offline("zone", "query", "none.example.com").returncode, 1)
        done = offline("zone", "reload", "example.com")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no daemon runs", done.stderr)
        gslbd.write_zone("example.com", ZONE + "a IN A nonsense\n")
        done = offline("zones")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"example.com.zone:{len(ZONE.splitlines()) + 1}: ", done.stderr)


if __name__ == "__main__":
    unittest.main()
