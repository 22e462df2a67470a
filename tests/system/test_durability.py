"""What was acknowledged is kept: registrations come in all the time while the balancer is killed at random moments."""
import http.client
import json
import os
import random
import signal
import threading
import time
import unittest

import dns.rcode

from tests.system.account import tell
from tests.system.harness import NO_ANSWER, Case, eventually
from tests.system.length import count
from tests.system.registrant import Registrant, create_token, registration

ALONE = True  # keeps a rate

RATE = 50  # registrations a second
THREADS = 4
SERVICES = 8
ASKED = 100  # names that DNS is asked for after each kill


class Hand(threading.Thread):
    """Registers, replaces and deregisters resources of its own, one after the other, and keeps account: `sure` holds what was
    acknowledged (None: that it has gone), `open` what may have been taken or not, since no answer came."""

    def __init__(self, storm, number):
        super().__init__(daemon=True)
        self.storm, self.number, self.random = storm, number, random.Random(f"{storm.seed} {number}")
        self.sure, self.open, self.made, self.acknowledged, self.unanswered, self.wrong = {}, {}, 0, 0, 0, []
        self.connection = None

    def run(self):
        next_s = time.monotonic()
        while self.storm.may_go(self):
            next_s = max(next_s + THREADS / RATE, time.monotonic() - 1)
            self.do(*self.choose())
            time.sleep(max(0.0, next_s - time.monotonic()))
        self.let_go()

    def choose(self):
        """(id, what it is to be: an address, or None for gone)"""
        draw = self.random.random()
        known = [name for name, wanted in self.sure.items() if wanted and name not in self.open] if draw < 0.3 else []
        if not known:
            self.made += 1
            return f"h{self.number}-{self.made}", self.address()
        name = self.random.choice(known)
        return name, (None if draw < 0.1 else self.address())

    def address(self):
        return f"127.{self.random.randint(1, 254)}.{self.random.randint(0, 255)}.{self.random.randint(1, 254)}"

    def do(self, name, wanted):
        before = self.sure.get(name)
        self.open[name] = {before, wanted}
        try:
            status = self.send(name, wanted)
        except (OSError, http.client.HTTPException):
            self.unanswered += 1
            return
        if status == 503:
            self.unanswered += 1
        elif status in ((202, 204) if wanted is None else (200, 201)):
            self.sure[name] = wanted
            del self.open[name]
            self.acknowledged += 1
        else:
            self.wrong.append((name, wanted, status))

    def send(self, name, wanted):
        """Over one connection as long as it holds."""
        try:
            if self.connection is None:
                self.connection = self.storm.client.connect()
            body = registration(wanted, service=service_of(name), lease_s=3600) if wanted else None
            self.connection.request("PUT" if wanted else "DELETE", f"/v1/resources/{name}", json.dumps(body) if body else None,
                                    self.storm.client.headers(body, None))
            answer = self.connection.getresponse()
            answer.read()
            if answer.will_close:
                self.let_go()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.let_go()
            raise

    def let_go(self):
        if self.connection:
            self.connection.close()
        self.connection = None


def service_of(name):
    return f"s{sum(name.encode()) % SERVICES}.example.com"


class Storm:
    """Several hands, which can be held and let go."""

    def __init__(self, client, seed):
        self.client, self.seed = client, seed
        self.condition, self.is_going, self.is_over, self.resting = threading.Condition(), False, False, set()
        self.hands = [Hand(self, number) for number in range(THREADS)]
        for hand in self.hands:
            hand.start()

    def may_go(self, hand):
        with self.condition:
            self.resting.add(hand)
            self.condition.notify_all()
            self.condition.wait_for(lambda: self.is_going or self.is_over)
            self.resting.discard(hand)
            return not self.is_over

    def go(self):
        with self.condition:
            self.is_going = True
            self.condition.notify_all()

    def hold(self):
        """Until every hand has its answer, or knows that none will come."""
        with self.condition:
            self.is_going = False
            assert self.condition.wait_for(lambda: len(self.resting) == THREADS, 60), "a hand waits for an answer"

    def end(self):
        with self.condition:
            self.is_over = True
            self.condition.notify_all()
        for hand in self.hands:
            hand.join(30)

    def total(self, column):
        return sum(getattr(hand, column) for hand in self.hands)


class Durability(Case):
    def setUp(self):
        self.seed = random.randrange(1 << 32)
        self.random = random.Random(self.seed)
        self.gslbd = self.prepare({"services": [
            {"name": f"s{i}.example.com", "ttl": {"max": "30s", "min": "1s"}, "when_down": "empty",
             "accept": {"tokens": ["app"], "members": 4096}}
            for i in range(SERVICES)]})
        self.gslbd.extra["control"] = {**self.gslbd.configuration()["control"], "leave": "0ms"}
        self.gslbd.write_config()
        self.gslbd.start()
        self.client = Registrant(self.gslbd, create_token(self.gslbd, "app"), timeout=30)
        self.storm = Storm(self.client, self.seed)
        self.addCleanup(self.storm.end)

    def stored(self):
        """{id: address} of all that the balancer lists."""
        found, after = {}, {}
        while True:
            page = self.client.list(limit=1000, **after).json
            found.update((row["id"], row["addresses"][0]) for row in page["resources"])
            if page["next"] is None:
                return found
            after = {"after": page["next"]}

    def check(self, words):
        """Everything acknowledged is there as it was acknowledged; what was not is there whole or not at all."""
        self.storm.hold()
        stored = self.stored()
        problems = []
        for hand in self.storm.hands:
            self.assertEqual(hand.wrong, [], words)
            for name, wanted in hand.sure.items():
                if name not in hand.open and stored.get(name) != wanted:
                    problems.append((name, "acknowledged", wanted, "is", stored.get(name)))
            for name, options in hand.open.items():
                if stored.get(name) not in options:
                    problems.append((name, "may be", options, "is", stored.get(name)))
                hand.sure[name] = stored.get(name)
            hand.open.clear()
            known = hand.sure
            for name in [name for name in stored if name.startswith(f"h{hand.number}-") and name not in known]:
                problems.append((name, "was never asked for"))
        self.assertEqual(problems[:20], [], f"{words}, seed {self.seed}: {len(problems)} of {len(stored)}")
        self.check_dns(words, ASKED)
        return len(stored)

    def check_dns(self, words, most):
        known = [each for hand in self.storm.hands for each in hand.sure.items()]
        for name, wanted in self.random.sample(known, min(most, len(known))):
            reply = self.gslbd.ask(f"{name}.{service_of(name)}")
            if wanted:
                self.assertEqual([str(item) for rrset in reply.answer for item in rrset], [wanted],
                                 f"{name}, {words}, seed {self.seed}")
            else:
                self.assertEqual(reply.rcode(), dns.rcode.NXDOMAIN, f"{name}, {words}, seed {self.seed}")

    def kill_control(self):
        old_pid = self.pid
        os.kill(old_pid, signal.SIGKILL)

        def replaced():
            try:
                pid = self.gslbd.processes()["control"]["pid"]
                return pid not in (0, old_pid) and self.gslbd.is_ready() and pid
            except (*NO_ANSWER, KeyError):
                return None
        self.pid = eventually(replaced, 30, "control is replaced")

    def account(self, kills):
        made, sure = self.storm.total("made"), sum(len([1 for wanted in hand.sure.values() if wanted]) for hand in self.storm.hands)
        tell(f"{kills} kills, {self.storm.total('acknowledged')} calls acknowledged and none lost, {self.storm.total('unanswered')} without "
             f"an answer; {made} ids, {sure} registered at the end")

    def test_death_of_control(self):
        kills = count(20, 200)
        self.pid = self.gslbd.processes()["control"]["pid"]
        start, acknowledged, going_s = time.monotonic(), 0, 0.0
        for kill in range(kills):
            since = time.monotonic()
            self.storm.go()
            time.sleep(self.random.uniform(0.02, 1.2))
            going_s += time.monotonic() - since
            acknowledged = self.storm.total("acknowledged")
            self.kill_control()
            self.check(f"kill {kill + 1}")
            if kill % 5 == 4:
                # a child that dies often is restarted later and later; this begins anew
                self.assertEqual(self.gslbd.stop(), 0)
                self.gslbd.start()
                self.check(f"restart after kill {kill + 1}")
                self.pid = self.gslbd.processes()["control"]["pid"]
        self.account(kills)
        self.assertGreater(acknowledged, kills * 5, "the storm was one")
        self.check_dns("at the end", 1 << 20)
        self.assertGreater(self.storm.total("unanswered"), 0, "some were under way when control was killed")
        self.assertLess(time.monotonic() - start, count(300, 2500))

    def test_death_of_all(self):
        kills = count(6, 60)
        for kill in range(kills):
            self.storm.go()
            time.sleep(self.random.uniform(0.02, 1.2))
            self.gslbd.kill_all()
            self.gslbd.start()
            self.check(f"kill {kill + 1}")
        self.account(kills)
        self.check_dns("at the end", 1 << 20)

    def test_tokens_overrides_and_removals_too(self):
        """Everything else that is acknowledged before the balancer dies."""
        for turn in range(count(5, 30)):
            name = f"other-{turn}"
            token = create_token(self.gslbd, f"t{turn}", f"other-{turn}*")
            self.assertEqual(self.client.put(name, registration("127.0.0.1", service="s0.example.com", lease_s=0)).status, 201)
            self.assertEqual(self.gslbd.set_member("s0.example.com", name, "down", f"turn {turn}").status, 200)
            gone = f"gone-{turn}"
            self.assertEqual(self.client.put(gone, registration("127.0.0.2", service="s0.example.com")).status, 201)
            self.assertEqual(self.gslbd.api(f"/v1/resources/{gone}?remove=1", "DELETE", unix=True).status, 202)
            self.gslbd.kill_all()
            self.gslbd.start()
            self.assertEqual(Registrant(self.gslbd, token).get(name).status, 200)
            self.assertEqual(self.gslbd.member("s0.example.com", name)["override"]["why"], f"turn {turn}")
            self.assertEqual(self.client.put(gone, registration("127.0.0.2", service="s0.example.com")).status, 410)


if __name__ == "__main__":
    unittest.main()
