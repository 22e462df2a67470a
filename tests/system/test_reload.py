"""Point 3, reload: a new configuration is taken over without losing a query, a broken one not at all."""
import os
import signal
import subprocess
import time

import yaml

from tests.system.harness import Case, ZONE, eventually, free_port
from tests.system.length import count
from tests.system.registrant import Registrant, create_token

ALONE = True  # loads both processors

RELOADS = 100
ASKED = [("static.example.com", "A"), ("static.example.com", "AAAA"), ("example.com", "SOA"), ("example.com", "NS"),
         ("www.example.com", "A"), ("nothing.example.com", "A"), ("new.example.com", "A")]


def services(last):
    return {"services": [{"name": "www.example.com", "ttl": {"max": "30s", "min": "5s"}, "method": "all",
                          "members": [{"name": f"m{i}", "addresses": [f"127.0.0.{i}"]} for i in range(1, last + 1)]}]}


class Reload(Case):
    def snapshot(self, daemon):
        replies = [daemon.ask(name, rdtype) for name, rdtype in ASKED]
        return [(reply.rcode(), sorted(f"{rrset.name} {rrset.ttl} {item}" for rrset in reply.answer + reply.authority for item in rrset))
                for reply in replies]

    def generation(self, daemon):
        return daemon.api("/v1/status").json["generation"]

    def reload_well(self, daemon):
        done = daemon.ctl("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def audit(self, daemon):
        done = subprocess.run(["mdb_dump", "-p", "-s", "audit", daemon.directory / "state" / "store"], capture_output=True, text=True,
                              check=True)
        return done.stdout

    def test_who_asked_over_tcp_is_the_token(self):
        daemon = self.start(services(2))
        operator = Registrant(daemon, create_token(daemon, "night-shift", "none", "*", "--admin"))
        self.assertEqual(operator.call("POST", "/v1/admin/reload").status, 200)
        self.assertIn("reload asked for by token night-shift", daemon.log())
        eventually(lambda: "reload" in self.audit(daemon), 5, "the reload is in the audit")
        nobody = free_port(daemon.host)
        zones = daemon.configuration()["zones"] + [{"name": "copy.test", "primaries": [f"{daemon.host}@{nobody}"]}]
        daemon.write_config(yaml.dump({**daemon.configuration(), "zones": zones}))
        self.assertEqual(operator.call("POST", "/v1/admin/reload").status, 200)
        self.assertEqual(operator.call("POST", "/v1/admin/zone/copy.test/reload").status, 202)
        audit = eventually(lambda: "zone copy.test" in (text := self.audit(daemon)) and text, 5, "the refresh is in the audit")
        for line in audit.splitlines():
            if "generation" in line or "copy.test" in line:
                self.assertIn("token night-shift", line)

    def test_hundred_reloads_under_load_lose_nothing(self):
        daemon = self.start(services(2))
        load = self.start_load(daemon, "www.example.com/1", "static.example.com/1", "nothing.example.com/1", rate=10000,
                               seconds=100)
        first = self.generation(daemon)
        for i in range(RELOADS):
            daemon.extra = services(2 + i % 2)
            daemon.write_config()
            daemon.write_zone("example.com", ZONE.replace("2026112101", str(2026112102 + i)))
            self.reload_well(daemon)
        account = load.finish()
        self.assertEqual(account["lost"], 0, account)
        self.assertEqual((account["refused"], account["strange"], account["repeated"]), (0, 0, 0))
        self.assertEqual(set(account["rcodes"]), {"0", "3"}, account)
        self.assertEqual(account["empty"], account["rcodes"]["3"])
        self.assertGreater(account["sent"], 10000)
        self.assertEqual(self.generation(daemon) - first, RELOADS)
        self.assertEqual(len(daemon.answers("www.example.com")), 3)
        self.assertIn(str(2026112102 + RELOADS - 1), daemon.answers("example.com", "SOA")[0])
        self.assertEqual({row["restarts"] for name, row in daemon.processes().items() if name != "supervisor"}, {0})

    def test_reload_every_half_second_loses_nothing(self):
        for round_number in range(count(1, 3)):
            daemon = self.start(services(2))
            load = self.start_load(daemon, "www.example.com/1", "static.example.com/1", "nothing.example.com/1", "www.example.com/28",
                                   rate=5000, seconds=60)
            start, reloads = time.monotonic(), count(8, 20)
            for i in range(reloads):
                daemon.extra = services(2 + i % 2)
                daemon.write_config()
                daemon.write_zone("example.com", ZONE.replace("2026112101", str(2026112102 + i)))
                self.reload_well(daemon)
                time.sleep(max(0.0, start + (i + 1) / 2 - time.monotonic()))
            account = load.finish()
            with self.subTest(round=round_number, account=account):
                self.assertEqual((account["lost"], account["refused"], account["not_sent"], account["strange"], account["repeated"]), (0,) * 5)
                self.assertEqual(set(account["rcodes"]), {"0", "3"})
                self.assertGreater(account["sent"], 0.8 * 5000 * reloads / 2)
                self.assertEqual({row["restarts"] for name, row in daemon.processes().items() if name != "supervisor"}, {0})

    def test_new_names_are_served_when_reload_returns(self):
        daemon = self.start(services(1))
        daemon.extra = services(3)
        daemon.write_config()
        daemon.write_zone("example.com", ZONE + "new IN A 192.0.2.7\n")
        self.reload_well(daemon)
        self.assertEqual(daemon.answers("www.example.com"), ["127.0.0.1", "127.0.0.2", "127.0.0.3"])
        self.assertEqual(daemon.answers("new.example.com"), ["192.0.2.7"])

    def test_hangup_reloads(self):
        daemon = self.start(services(1))
        daemon.extra = services(2)
        daemon.write_config()
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: len(daemon.answers("www.example.com")) == 2, 10, "the new member is answered")

    def test_api_reloads(self):
        daemon = self.start(services(1))
        reply = daemon.api("/v1/admin/reload", "POST", {}, unix=True)
        self.assertEqual((reply.status, reply.json), (200, {"generation": self.generation(daemon)}))
        self.assertEqual(daemon.api("/v1/admin/reload", "POST", {}).status, 401)

    def check_refused(self, daemon, *places):
        """A reload by gslbctl, by the API and by signal tells the places, and changes nothing."""
        before, generation = self.snapshot(daemon), self.generation(daemon)
        done = daemon.ctl("reload")
        self.assertNotEqual(done.returncode, 0)
        reply = daemon.api("/v1/admin/reload", "POST", {}, unix=True)
        self.assertEqual(reply.status, 422)
        for place in places:
            self.assertIn(place, done.stdout + done.stderr)
            self.assertTrue(any(place in error for error in reply.json["errors"]), reply.text)
        mark = len(daemon.log())
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: all(place in daemon.log()[mark:] for place in places), 10, "the log tells the places")
        time.sleep(0.2)
        self.assertEqual(self.snapshot(daemon), before)
        self.assertEqual(self.generation(daemon), generation)
        self.assertEqual({row["restarts"] for name, row in daemon.processes().items() if name != "supervisor"}, {0})

    def test_broken_configuration_is_refused_with_its_place(self):
        daemon = self.start(services(2))
        good = daemon.config_path.read_text()
        lines = good.splitlines()
        number = next(i for i, line in enumerate(lines, 1) if "method: all" in line)
        column = lines[number - 1].index("all") + 1
        daemon.write_config(good.replace("method: all", "method: al"))
        self.check_refused(daemon, f"gslb.yaml:{number}:{column}: ")
        # mended, it is taken
        daemon.extra = services(3)
        daemon.write_config()
        self.reload_well(daemon)
        self.assertEqual(len(daemon.answers("www.example.com")), 3)

    def test_all_errors_are_told_at_once(self):
        daemon = self.start(services(2))
        good = daemon.config_path.read_text()
        daemon.write_config(good.replace("method: all", "method: al").replace("workers: 2", "workers: none"))
        lines = good.splitlines()
        numbers = [next(i for i, line in enumerate(lines, 1) if word in line) for word in ("method: all", "workers: 2")]
        self.check_refused(daemon, *(f"gslb.yaml:{number}:" for number in numbers))

    def test_broken_syntax_is_refused_with_its_place(self):
        daemon = self.start(services(2))
        good = daemon.config_path.read_text()
        daemon.write_config(good + "]\n")
        self.check_refused(daemon, f"gslb.yaml:{len(good.splitlines()) + 1}:")

    def test_broken_zone_is_refused_with_its_place(self):
        daemon = self.start(services(2))
        daemon.write_zone("example.com", ZONE + "new IN A 192.0.2.7\nbad IN A 1.2.3\n")
        self.check_refused(daemon, f"example.com.zone:{len(ZONE.splitlines()) + 2}")

    def test_zone_file_that_went_away_is_refused(self):
        daemon = self.start(services(2))
        (daemon.directory / "example.com.zone").unlink()
        self.check_refused(daemon, "example.com.zone")

    def test_service_that_collides_is_refused(self):
        daemon = self.start(services(2))
        daemon.write_zone("example.com", ZONE + "www IN A 192.0.2.7\n")
        self.check_refused(daemon, "www.example.com")

    def test_configuration_that_went_away_is_refused(self):
        daemon = self.start(services(2))
        daemon.config_path.rename(daemon.config_path.with_suffix(".away"))
        self.check_refused(daemon, "gslb.yaml")

    def test_child_that_dies_after_a_reload_comes_back_with_the_new_configuration(self):
        daemon = self.start(services(1))
        daemon.extra = services(3)
        daemon.write_config()
        self.reload_well(daemon)
        # broken on the disk now: a new child must not read it
        daemon.write_config("services: [\n")
        os.kill(daemon.processes()["dns"]["pid"], signal.SIGKILL)
        self.assertEqual(len(daemon.answers("www.example.com", timeout=8)), 3)

    def test_override_is_kept_over_a_reload(self):
        daemon = self.start(services(2))
        daemon.set_member("www.example.com", "m1", "down")
        eventually(lambda: daemon.answers("www.example.com") == ["127.0.0.2"], 5, "m1 is out")
        self.reload_well(daemon)
        self.assertEqual(daemon.answers("www.example.com"), ["127.0.0.2"])
