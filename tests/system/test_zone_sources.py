"""Where zones come from: files, directories of files, included configuration, primaries; and what gslbctl says of zones."""
import json
import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.system.harness import ZONE, Case, addresses, eventually, free_port

SIMPLE = """$TTL 300
@ IN SOA ns hostmaster {serial} 3600 600 86400 60
@ IN NS ns
ns IN A 192.0.2.1
host IN A 192.0.2.{last}
"""
SERVICES = {"services": [{"name": "www.example.com", "method": "all", "members": [{"name": "m1", "addresses": ["127.0.0.1"]}]}]}


def simple(last=80, serial=1):
    return SIMPLE.format(last=last, serial=serial)


class ZoneSources(Case):
    def begin(self, zones, extra=None, **options):
        daemon = self.prepare(extra, **options)
        daemon.extra["zones"] = zones
        daemon.write_config()
        return daemon

    def fill(self, daemon, folder, **zones):
        path = daemon.directory / folder
        path.mkdir(exist_ok=True)
        for name, text in zones.items():
            (path / f"{name.replace('_', '.')}.zone").write_text(text)
        return path

    def reload(self, daemon):
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def refuse(self, daemon, *words):
        daemon.failure_expected = True
        daemon.start(ready=False)
        self.assertEqual(daemon.process.wait(20), 1)
        for word in words:
            self.assertIn(word, daemon.log())

    # where they come from

    def test_directory_holds_a_zone_a_file(self):
        daemon = self.begin([{"directory": "zones"}])
        path = self.fill(daemon, "zones", example_com=simple(1), example_net=simple(2), sub_example_com=simple(3))
        for name, text in ((".hidden.zone", "broken"), ("notes.txt", "broken"), ("backup.zone~", "broken")):
            (path / name).write_text(text)
        daemon.start()
        for name, last in (("example.com", 1), ("example.net", 2), ("sub.example.com", 3)):
            self.assertEqual(daemon.answers(f"host.{name}"), [f"192.0.2.{last}"])
        self.fill(daemon, "zones", example_org=simple(4))
        (path / "example.net.zone").unlink()
        self.reload(daemon)
        self.assertEqual(daemon.answers("host.example.org"), ["192.0.2.4"])
        self.assertEqual(daemon.ask("host.example.net").rcode(), 5)

    def test_broken_file_in_a_directory_is_told_and_changes_nothing(self):
        daemon = self.begin([{"directory": "zones"}])
        self.fill(daemon, "zones", example_com=simple(1))
        daemon.start()
        self.fill(daemon, "zones", example_com=simple(2), example_net=simple(3) + "bad IN A 1.2.3\n")
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"zones/example.net.zone:{len(simple().splitlines()) + 1}", done.stdout + done.stderr)
        self.assertEqual(daemon.answers("host.example.com"), ["192.0.2.1"])
        self.assertEqual(daemon.ask("host.example.net").rcode(), 5)

    def test_many_zones_in_a_directory(self):
        daemon = self.begin([{"directory": "zones"}])
        self.fill(daemon, "zones", **{f"z{i}_example": simple(i % 250 + 1) for i in range(1000)})
        daemon.start()
        for i in (0, 499, 999):
            self.assertEqual(daemon.answers(f"host.z{i}.example"), [f"192.0.2.{i % 250 + 1}"])

    def test_zone_given_twice_is_refused(self):
        daemon = self.begin([{"directory": "zones"}, {"name": "example.com", "file": "example.com.zone"}])
        self.fill(daemon, "zones", example_com=simple(1))
        self.refuse(daemon, "example.com")

    def test_directory_that_is_not_there_is_refused(self):
        self.refuse(self.begin([{"directory": "nowhere"}]), "nowhere")

    def test_included_files_by_name_and_pattern(self):
        daemon = self.prepare(zone=ZONE)
        (daemon.directory / "conf.d").mkdir()
        pieces = {"conf.d/b.yaml": {"zones": [{"name": "example.net", "file": "../net.zone"}]},
                  "conf.d/a.yaml": SERVICES, "more.yaml": {"zones": [{"name": "example.org", "file": "org.zone"}]}}
        for name, piece in pieces.items():
            (daemon.directory / name).write_text(json.dumps(piece))
        (daemon.directory / "net.zone").write_text(simple(2))
        (daemon.directory / "org.zone").write_text(simple(3))
        daemon.extra["include"] = ["conf.d/*.yaml", "more.yaml"]
        daemon.write_config()
        daemon.start()
        self.assertEqual(daemon.answers("www.example.com"), ["127.0.0.1"])
        self.assertEqual(daemon.answers("host.example.net"), ["192.0.2.2"])
        self.assertEqual(daemon.answers("host.example.org"), ["192.0.2.3"])
        # an error in an included file is told there, and nothing changes
        (daemon.directory / "conf.d/a.yaml").write_text('services:\n  - name: www.example.com\n    method: al\n')
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 1)
        self.assertIn("conf.d/a.yaml:3:13", done.stdout + done.stderr)
        self.assertEqual(daemon.answers("www.example.com"), ["127.0.0.1"])

    def test_include_that_is_not_there_is_refused(self):
        daemon = self.prepare(zone=ZONE)
        daemon.extra["include"] = ["missing.yaml"]
        daemon.write_config()
        self.refuse(daemon, "missing.yaml")

    def test_secondary_without_a_copy_is_servfail_and_says_so(self):
        host = addresses.take()
        daemon = self.begin([{"name": "example.com", "file": "example.com.zone"},
                             {"name": "example.net", "primaries": [f"{host}@{free_port(host)}"]}])
        daemon.start()
        self.assertEqual(daemon.answers("static.example.com"), ["192.0.2.80"])
        for name, rdtype in (("example.net", "SOA"), ("host.example.net", "A"), ("example.net", "ANY")):
            reply = daemon.ask(name, rdtype, edns=0)
            self.assertEqual((reply.rcode(), reply.answer), (2, []))
            self.assertEqual([option.otype for option in reply.options], [15])
        row = next(row for row in daemon.api("/v1/zones").json["zones"] if row["name"] == "example.net")
        self.assertEqual((row["kind"], row["state"], row["serial"]), ("secondary", "absent", None))
        eventually(lambda: daemon.api("/v1/zones/example.net").json["error"], 30, "the failed check is told")

    # gslbctl

    def test_list_of_zones(self):
        daemon = self.begin([{"name": "example.com", "file": "example.com.zone"}, {"directory": "zones"}])
        self.fill(daemon, "zones", example_net=simple(2, serial=77))
        daemon.start()
        done = daemon.ctl("zones")
        self.assertEqual(done.returncode, 0, done.stderr)
        line = next(line for line in done.stdout.splitlines() if line.startswith("example.net"))
        for word in ("77", "primary", "ready"):
            self.assertIn(word, line)
        rows = json.loads(daemon.ctl("-o", "json", "zones").stdout)["zones"]
        self.assertEqual([(row["name"], row["serial"], row["records"]) for row in rows],
                         [("example.com", 2026112101, 5), ("example.net", 77, 4)])
        self.assertEqual(daemon.api("/v1/zones").json["zones"], rows)

    def check(self, name, text, *words):
        """gslbctl zone check, offline."""
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / name
            path.write_text(text)
            return subprocess.run([self.program(), "zone", "check", path, *words], capture_output=True, text=True, timeout=20, check=False)

    def program(self):
        return self.prepare().build / "gslbctl"

    def test_check_of_a_sound_file(self):
        done = self.check("example.com.zone", simple(serial=9))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("9", done.stdout)
        self.assertEqual(self.check("anything", simple(), "--origin", "example.net").returncode, 0)

    def test_check_tells_all_that_is_wrong_with_file_and_line(self):
        text = simple() + "bad IN A 1.2.3\nboth IN CNAME host\nboth IN A 192.0.2.9\nx.example.net. IN A 192.0.2.1\n"
        done = self.check("example.com.zone", text)
        self.assertEqual(done.returncode, 1)
        told = done.stdout + done.stderr
        for line in (6, 7, 9):
            self.assertIn(f"example.com.zone:{line}:", told)
        self.assertEqual(self.check("example.com.zone", "host IN A 192.0.2.1\n").returncode, 1)
        self.assertEqual(self.check("example.com.zone", "").returncode, 1)

    def test_query_shows_the_static_records(self):
        daemon = self.begin([{"name": "example.com", "file": "example.com.zone"}], SERVICES, zone=ZONE + 'www IN TXT "be;side"\n')
        daemon.start()
        done = daemon.ctl("zone", "query", "static.example.com")
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = [line.split(None, 4) for line in done.stdout.splitlines()]
        self.assertEqual(sorted((row[0].rstrip("."), row[3], row[4]) for row in rows),
                         [("static.example.com", "A", "192.0.2.80"), ("static.example.com", "AAAA", "2001:db8::80")])
        done = daemon.ctl("zone", "query", "STATIC.example.com.", "AAAA")
        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertIn('"be;side"', daemon.ctl("zone", "query", "www.example.com", "TXT").stdout)
        for name in ("nothing.example.com", "example.org"):
            done = daemon.ctl("zone", "query", name)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(name, done.stderr)
        # what it prints is a master file that can be read again
        text = ZONE + daemon.ctl("zone", "query", "static.example.com").stdout
        self.assertEqual(self.check("example.com.zone", text).returncode, 0)

    def test_reload_of_a_zone_reads_its_file_again(self):
        daemon = self.begin([{"name": "example.com", "file": "example.com.zone"}])
        daemon.start()
        daemon.write_zone("example.com", ZONE + "fresh IN A 192.0.2.81\n")
        done = daemon.ctl("zone", "reload", "example.com")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(daemon.answers("fresh.example.com"), ["192.0.2.81"])
        daemon.write_zone("example.com", ZONE + "broken IN A 1\n")
        done = daemon.ctl("zone", "reload", "example.com")
        self.assertEqual(done.returncode, 1)
        self.assertIn("example.com.zone:", done.stdout + done.stderr)
        self.assertEqual(daemon.answers("fresh.example.com"), ["192.0.2.81"])
        done = daemon.ctl("zone", "reload", "example.org")
        self.assertEqual(done.returncode, 1)
        self.assertIn("example.org", done.stdout + done.stderr)

    def test_reload_of_a_secondary_zone_asks_at_once(self):
        primary = self.begin([{"name": "example.com", "file": "example.com.zone", "transfer": {"allow": ["127.0.0.0/8"]}}])
        primary.start()
        second = self.begin([{"name": "example.com", "primaries": [f"{primary.host}@{primary.port}"]}])
        second.start()
        eventually(lambda: second.ask("static.example.com").rcode() == 0, 20, "the zone is there")
        primary.write_zone("example.com", ZONE.replace("2026112101", "2026112102") + "fresh IN A 192.0.2.81\n")
        self.reload(primary)
        done = second.ctl("zone", "reload", "example.com")
        self.assertEqual(done.returncode, 0, done.stderr)
        eventually(lambda: second.answers("fresh.example.com") == ["192.0.2.81"], 10, "the new version")
        row = second.api("/v1/zones/example.com").json
        self.assertEqual((row["kind"], row["state"], row["serial"]), ("secondary", "ready", 2026112102))
        self.assertIsNone(row["error"])


if __name__ == "__main__":
    unittest.main()
