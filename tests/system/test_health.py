"""Points 7 and 8: probes, and what they make of the answers, in time."""
import signal
import time
import unittest

import dns.rcode

from tests.system.harness import Case, data, eventually, free_port, has_v6

ALONE = True  # measures time

MARGIN_S = 0.1


def monitor(name="web", port=0, **changes):
    """The monitor of the promise: 1 s, 500 ms, rise 2, fall 2."""
    return {"name": name, "type": "http", "port": port, "path": "/health", "expect": {"status": "200", "body": "ok"},
            "interval": "1s", "timeout": "500ms", "rise": 2, "fall": 2, **changes}


def service(name, members, **changes):
    return {"name": f"{name}.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all", "answers": 1,
            "monitors": ["web"], "when_down": "empty", "members": members, **changes}


def member_row(name, *addresses):
    return {"name": name, "addresses": list(addresses)}


class Health(Case):
    def setUp(self):
        self.port = free_port("127.0.0.1", *(["::1"] if has_v6() else []))

    def start_with(self, count=2, monitors=None, services=None, **options):
        """A daemon over count members, all of them up."""
        self.members = [self.start_member(f"m{i}", self.port) for i in range(1, count + 1)]
        rows = [member_row(member.name, member.address) for member in self.members]
        services = services(rows) if services else [service("www", rows)]
        daemon = self.start({"monitors": monitors or [monitor(port=self.port)], "services": services}, **options)
        for each in services:
            daemon.wait_states(each["name"], **{row["name"]: "up" for row in each["members"]})
        return daemon

    def first_time(self, daemon, condition, deadline_s=8.0, name="www.example.com", rdtype="A"):
        """Asks again and again; when the first answer came for which the condition holds."""
        def seen():
            return condition(daemon.answers(name, rdtype)) and time.monotonic()
        return eventually(seen, deadline_s, "the answer", interval_s=0.001)

    def check_left_out(self, daemon, member, bound_s):
        gone = self.first_time(daemon, lambda got: member.address not in got)
        taken = gone - member.last_good()
        self.assertLessEqual(taken, bound_s + MARGIN_S)
        for _ in range(20):
            self.assertNotIn(member.address, daemon.answers("www.example.com"))

    def check_back_after(self, daemon, member, rise, since, bound_s):
        back = self.first_time(daemon, lambda got: member.address in got)
        good = [at for at, status in member.probes() if status == "200" and since <= at <= back]
        self.assertEqual(len(good), rise)
        self.assertLessEqual(back - since, bound_s + MARGIN_S)

    def test_killed_server_leaves_in_time_and_returns_after_rise(self):
        daemon = self.start_with(2)
        member = self.members[0]
        member.kill()
        self.check_left_out(daemon, member, 2 * 1.0 + 0.5)
        self.assertIn("refused", str(daemon.member("www.example.com", "m1")["addresses"][0]))
        since = time.monotonic()
        member.start()
        self.addCleanup(member.end)
        self.check_back_after(daemon, member, 2, since, 2 * 1.0 + 0.5 + 1.0)  # its start takes a while

    def test_server_that_hangs_leaves_in_time(self):
        daemon = self.start_with(2)
        member = self.members[0]
        member.signal(signal.SIGSTOP)
        self.addCleanup(member.signal, signal.SIGCONT)
        self.check_left_out(daemon, member, 2 * 1.0 + 0.5)

    def test_server_that_says_503_or_something_else_leaves_and_returns(self):
        fast = monitor(port=self.port, interval="400ms", timeout="200ms", rise=3, fall=3)
        daemon = self.start_with(2, [fast])
        for health in ("down", "wrong"):
            with self.subTest(health=health):
                member = self.members[0]
                member.set_health(health)
                gone = self.first_time(daemon, lambda got: member.address not in got)
                self.assertLessEqual(gone - member.probes()[0][0], 60)
                since = time.monotonic()
                member.set_health("up")
                self.check_back_after(daemon, member, 3, since, 3 * 0.4 + 0.2)

    def test_fewer_failures_than_fall_change_nothing_but_the_ttl(self):
        slow_to_fall = monitor(port=self.port, interval="300ms", timeout="200ms", rise=1, fall=30)
        daemon = self.start_with(2, [slow_to_fall])

        def ttl():
            return daemon.ask("www.example.com").answer[0].ttl
        eventually(lambda: ttl() == 30, 5, "TTL is max when calm")
        self.members[0].set_health("down")
        eventually(lambda: ttl() < 10, 5, "TTL sinks when a change is near")
        self.assertGreaterEqual(ttl(), 1)
        self.assertEqual(len(daemon.answers("www.example.com")), 2)
        self.members[0].set_health("up")
        eventually(lambda: ttl() == 30, 5, "TTL is max again")
        self.assertEqual(daemon.member("www.example.com", "m1")["state"], "up")

    def test_probes_come_on_time_though_others_hang(self):
        fast = monitor(port=self.port, interval="500ms", timeout="400ms", fall=3)
        daemon = self.start_with(6, [fast])
        for member in self.members[1:]:
            member.set_health("hang")
        daemon.wait_states("www.example.com", m1="up", **{f"m{i}": "down" for i in range(2, 7)})
        since = time.monotonic()
        time.sleep(4)
        times = [at for at, _ in self.members[0].probes() if at >= since]
        gaps = [b - a for a, b in zip(times, times[1:])]
        self.assertGreaterEqual(len(gaps), 6)
        self.assertGreater(min(gaps), 0.5 * 0.9 - 0.05)
        self.assertLess(max(gaps), 0.5 + 0.05)

    def test_probes_are_spread_over_the_interval(self):
        self.start_with(8, [monitor(port=self.port, rise=1)])
        first = sorted(member.probes()[0][0] for member in self.members)
        self.assertGreater(first[-1] - first[0], 0.3)
        self.assertLess(first[-1] - first[0], 1.1)

    @unittest.skipUnless(has_v6(), "no ::1 here")
    def test_address_that_fails_is_left_out_of_its_family_only(self):
        fast = monitor(port=self.port, interval="300ms", timeout="200ms")
        four, six = self.start_member("four", self.port), self.start_member("six", self.port, "::1")
        daemon = self.start({"monitors": [fast], "services": [service("www", [member_row("both", four.address, "::1")])]})
        daemon.wait_states("www.example.com", both="up")
        self.assertEqual(daemon.answers("www.example.com", "AAAA"), ["::1"])
        six.kill()
        self.first_time(daemon, lambda got: got == [], rdtype="AAAA")
        self.assertEqual(daemon.answers("www.example.com"), [four.address])
        row = daemon.member("www.example.com", "both")
        self.assertEqual(row["state"], "degraded")
        self.assertEqual({each["address"]: each["answered"] for each in row["addresses"]}, {four.address: True, "::1": False})
        four.kill()
        daemon.wait_states("www.example.com", both="down")

    def test_unknown_members_are_used_at_a_cold_start(self):
        # the first round of probes is spread over an hour
        rows = [member_row("m1", "127.0.0.1"), member_row("m2", "127.0.0.2")]
        daemon = self.start({"monitors": [monitor(port=self.port, interval="1h")], "services": [service("www", rows)]})
        reply = daemon.ask("www.example.com")
        self.assertEqual(data(reply.answer, "A"), ["127.0.0.1", "127.0.0.2"])
        self.assertEqual(reply.answer[0].ttl, 1)
        self.assertEqual(daemon.api("/v1/services/www.example.com").json["mode"], "unknown")
        self.assertEqual(daemon.member("www.example.com", "m1")["state"], "unknown")
        # as soon as one is known to be up, the unknown ones are not used
        daemon.set_member("www.example.com", "m2", "up")
        self.first_time(daemon, lambda got: got == ["127.0.0.2"])

    def test_all_down(self):
        fast = monitor(port=self.port, interval="300ms", timeout="200ms", rise=1)

        def services(rows):
            return [service(f"down-{policy}", rows, when_down=policy) for policy in ("all", "empty", "last")]
        daemon = self.start_with(2, [fast], services)
        first, second = self.members
        first.kill()
        for policy in ("all", "empty", "last"):
            self.first_time(daemon, lambda got: got == [second.address], name=f"down-{policy}.example.com")
        time.sleep(0.5)  # so that control has stored the last good set
        second.kill()
        for policy in ("all", "empty", "last"):
            daemon.wait_states(f"down-{policy}.example.com", m1="down", m2="down")
        both = sorted([first.address, second.address])
        self.first_time(daemon, lambda got: got == both, name="down-all.example.com")
        self.first_time(daemon, lambda got: got == [], name="down-empty.example.com")
        self.first_time(daemon, lambda got: got == [second.address], name="down-last.example.com")
        empty = daemon.ask("down-empty.example.com")
        self.assertEqual((empty.rcode(), len(data(empty.authority, "SOA"))), (dns.rcode.NOERROR, 1))
        self.assertEqual(daemon.ask("down-all.example.com").answer[0].ttl, 1)
        modes = {row["name"]: row["mode"] for row in daemon.api("/v1/services").json["services"]}
        self.assertEqual(modes, {f"down-{policy}.example.com": f"down-{policy}" for policy in ("all", "empty", "last")})
        # whom an operator took out stays out, also where all are answered
        daemon.set_member("down-all.example.com", "m1", "down")
        self.first_time(daemon, lambda got: got == [second.address], name="down-all.example.com")
        daemon.set_member("down-all.example.com", "m2", "down")
        self.first_time(daemon, lambda got: got == [], name="down-all.example.com")

    def test_tcp_and_dns_monitors(self):
        member = self.start_member("m1", self.port)
        fast = {"interval": "300ms", "timeout": "200ms", "rise": 1, "fall": 1}
        daemon = self.prepare({})
        query = {"name": "static.example.com", "type": "A"}
        daemon.extra = {
            "monitors": [
                {"name": "open", "type": "tcp", "port": self.port, **fast},
                {"name": "closed", "type": "tcp", "port": free_port(member.address), **fast},
                {"name": "right", "type": "dns", "port": daemon.port, "query": query,
                 "expect": {"rcode": "NOERROR", "answer": "192.0.2.80"}, **fast},
                {"name": "wrong", "type": "dns", "port": daemon.port, "query": query,
                 "expect": {"rcode": "NOERROR", "answer": "192.0.2.81"}, **fast},
                {"name": "absent", "type": "dns", "port": daemon.port, "query": {"name": "nobody.example.com", "type": "A"},
                 "expect": {"rcode": "NXDOMAIN"}, **fast},
            ],
            "services": [
                service("open", [member_row("m", member.address)], monitors=["open"]),
                service("closed", [member_row("m", member.address)], monitors=["closed"]),
                service("right", [member_row("m", daemon.host)], monitors=["right"]),
                service("wrong", [member_row("m", daemon.host)], monitors=["wrong"]),
                service("absent", [member_row("m", daemon.host)], monitors=["absent"]),
                service("both", [member_row("m", daemon.host)], monitors=["right", "wrong"]),
            ],
        }
        daemon.write_config()
        daemon.start()
        wanted = {"open": "up", "closed": "down", "right": "up", "wrong": "down", "absent": "up", "both": "down"}
        for name, state in wanted.items():
            daemon.wait_states(f"{name}.example.com", m=state)
        probe = daemon.member("right.example.com", "m")["addresses"][0]["probes"][0]
        self.assertEqual((probe["monitor"], probe["state"], probe["last_passed"]), ("right", "up", True))
        self.assertGreater(probe["rtt_us"], 0)
        self.assertLess(probe["rtt_us"], 200_000)


if __name__ == "__main__":
    unittest.main()
