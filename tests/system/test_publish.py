"""Other people's name servers are told by dynamic update where to register, what can be browsed, and the services' SRV
records: at start, on change, after a crash, and withdrawn at a clean stop. The others are BIND and Knot with TSIG."""
import contextlib
import unittest

from tests.system.harness import NO_ANSWER, Case, eventually
from tests.system.peers import KEY_NAME, KEY_SECRET, Bind, Knot

KEYS = [{"name": KEY_NAME, "algorithm": "hmac-sha256", "secret": KEY_SECRET},
        {"name": "other-key", "algorithm": "hmac-sha512", "secret": "YW5vdGhlciBzZWNyZXQgb2YgdGhlIHRlc3Rz"}]
OTHERS = """$TTL 300
$ORIGIN other.test.
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
@ IN NS ns1
ns1 IN A 192.0.2.1
_services._dns-sd._udp IN PTR _http._tcp
_http._tcp IN PTR printer._http._tcp
printer._http._tcp IN SRV 0 0 80 ns1
printer._http._tcp IN TXT "ty=printer"
"""
PRINTER = "printer._http._tcp.other.test."
SRV = "_http._tcp.app.other.test"


class TellableBind(Bind):
    def configure(self):
        super().configure()
        path = self.directory / "named.conf"
        path.write_text(path.read_text().replace("type primary;", f"type primary; allow-update {{ key {KEY_NAME}; }};"))


class TellableKnot(Knot):
    def configure(self):
        super().configure()
        path = self.directory / "knot.conf"
        path.write_text(path.read_text().replace("action: transfer\n", "action: [transfer, update]\n"))


def services(*members):
    return [{"name": "app.example.com", "srv": "_http._tcp", "accept": {"tokens": ["app"]}, "when_down": "empty", "members": [
        {"name": name, "addresses": [f"127.0.0.{70 + int(name[1:])}"], "srv_port": 8080} for name in members]}]


class Publishing(Case):
    def start_other(self, kind):
        other = kind({"other.test": OTHERS})
        self.addCleanup(other.end)
        return other.start()

    def start_teller(self, other, *members, key=KEY_NAME, **more):
        entry = {"server": f"{other.host}@{other.port}", "zone": "other.test", "from": "example.com", "key": key, **more}
        return self.start({"keys": KEYS, "services": services(*members), "publish": [entry]})

    def wait_answers(self, other, name, rdtype, wanted, deadline_s=10):
        def reached():
            with contextlib.suppress(*NO_ANSWER):
                return other.answers(name, rdtype) == sorted(wanted)
            return False
        try:
            eventually(reached, deadline_s, f"{name} {rdtype}")
        except AssertionError:
            self.assertEqual(other.answers(name, rdtype), sorted(wanted), f"{name} {rdtype}")
            raise

    def for_each(self, check):
        for kind in (TellableBind, TellableKnot):
            with self.subTest(other=kind.__name__):
                check(self.start_other(kind))

    def check_told(self, other, daemon):
        self.wait_answers(other, SRV, "SRV", ["0 1 8080 m1.app.other.test.", "0 1 8080 m2.app.other.test."])
        self.wait_answers(other, "m2.app.other.test", "A", ["127.0.0.72"])
        self.wait_answers(other, "_services._dns-sd._udp.other.test", "PTR", ["_gslb-register._tcp.other.test.", "_http._tcp.other.test."])
        self.wait_answers(other, "_http._tcp.other.test", "PTR", [
            PRINTER, "m1\\.app._http._tcp.other.test.", "m2\\.app._http._tcp.other.test."])
        self.wait_answers(other, "m1\\.app._http._tcp.other.test", "TXT", ['"service=app.example.com"'])
        register = other.answers("_gslb-register._tcp.other.test", "SRV")
        self.assertEqual(len(register), 1)
        self.assertTrue(register[0].endswith(f" {daemon.http_port} gslb-lb1.other.test."), register)
        self.assertEqual(other.answers("_gslb-register._tcp.other.test", "TXT"), ['"path=/v1" "api=1" "tls=0"'])
        self.assertEqual(other.answers("gslb-lb1.other.test", "A"), [daemon.host])

    def check_untold(self, other):
        self.wait_answers(other, SRV, "SRV", [])
        for name, rdtype in ((SRV, "SRV"), ("m1.app.other.test", "A"), ("m2.app.other.test", "A"), ("gslb-lb1.other.test", "A"),
                             ("_gslb-register._tcp.other.test", "SRV"), ("_gslb-register._tcp.other.test", "TXT"),
                             ("m1\\.app._http._tcp.other.test", "SRV"), ("_gslb-register._tcp.other.test", "PTR")):
            self.wait_answers(other, name, rdtype, [])
        # what is others' stands
        self.wait_answers(other, "_http._tcp.other.test", "PTR", [PRINTER])
        self.wait_answers(other, "_services._dns-sd._udp.other.test", "PTR", ["_http._tcp.other.test."])
        self.wait_answers(other, PRINTER, "TXT", ['"ty=printer"'])

    def test_told_at_start_on_change_and_withdrawn(self):
        def check(other):
            daemon = self.start_teller(other, "m1", "m2")
            self.check_told(other, daemon)
            daemon.set_member("app.example.com", "m2", "down")
            self.wait_answers(other, SRV, "SRV", ["0 1 8080 m1.app.other.test."], 3)
            self.wait_answers(other, "m2.app.other.test", "A", [])
            daemon.clear_member("app.example.com", "m2")
            self.wait_answers(other, SRV, "SRV", ["0 1 8080 m1.app.other.test.", "0 1 8080 m2.app.other.test."], 3)
            self.assertEqual(daemon.stop(), 0)
            self.check_untold(other)
        self.for_each(check)

    def test_what_a_crash_left_behind_is_taken_back(self):
        def check(other):
            daemon = self.start_teller(other, "m1", "m2")
            self.check_told(other, daemon)
            daemon.kill_all()
            self.assertEqual(len(other.answers(SRV, "SRV")), 2)
            daemon.extra["services"] = services("m1")
            daemon.write_config()
            daemon.start()
            self.wait_answers(other, SRV, "SRV", ["0 1 8080 m1.app.other.test."])
            self.wait_answers(other, "m2.app.other.test", "A", [])
            self.wait_answers(other, "_http._tcp.other.test", "PTR", [PRINTER, "m1\\.app._http._tcp.other.test."])
            self.wait_answers(other, "m2\\.app._http._tcp.other.test", "TXT", [])
        self.for_each(check)

    def test_told_once_the_other_server_is_there(self):
        def check(other):
            daemon = self.start_teller(other, "m1", "m2")
            self.check_told(other, daemon)
            other.process.kill()
            other.process.wait()
            daemon.set_member("app.example.com", "m2", "down")
            eventually(lambda: "told -> failing" in daemon.log(), 20, "the failure is told")
            other.launch()
            other.wait()
            self.wait_answers(other, SRV, "SRV", ["0 1 8080 m1.app.other.test."], 40)
        self.for_each(check)

    def test_parts_can_be_left_out(self):
        def check(other):
            self.start_teller(other, "m1", services=False, browse=False)
            eventually(lambda: other.answers("_gslb-register._tcp.other.test", "SRV"), 10, "the registration service")
            self.assertEqual(other.answers(SRV, "SRV"), [])
            self.assertEqual(other.answers("_http._tcp.other.test", "PTR"), [PRINTER])
        self.for_each(check)

    def test_a_refusal_is_logged_with_its_reason(self):
        def check(other):
            daemon = self.start_teller(other, "m1", key="other-key")
            eventually(lambda: "starting -> failing" in daemon.log(), 10, "the refusal is told")
            self.assertRegex(daemon.log(), "starting -> failing: .*BADKEY")
            self.assertEqual(other.answers(SRV, "SRV"), [])
        self.for_each(check)

    def test_a_reload_that_removes_withdraws(self):
        other = self.start_other(TellableBind)
        daemon = self.start_teller(other, "m1", "m2")
        self.check_told(other, daemon)
        del daemon.extra["publish"]
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        self.check_untold(other)


if __name__ == "__main__":
    unittest.main()
