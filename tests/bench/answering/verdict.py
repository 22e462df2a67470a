"""From a verdict to the last answer with the dead address, beside gdnsd.

A target that is probed at short intervals fails, and whoever asks notes when the last answer with its address came. Both
servers take the first failure as the verdict. Counted from the failing reply, by the target's clock; and for gslbd from the
health fact that follows, as stored (whole milliseconds), and from an override, as asked for and as told by the API. gdnsd probes each 2 s, as
its time-outs have whole seconds; that is before the failing reply and does not count here.
"""
import contextlib
import datetime
import time

from tests.bench.answering import peers
from tests.bench.answering.content import BALANCED, ZONE
from tests.bench.answering.crowd import Crowd
from tests.bench.answering.load import spread
from tests.bench.answering.table import table
from tests.system.harness import eventually

FULL = {"ours": 5, "overrides": 4, "gdnsd": 3, "services": (10, 10_000), "gdnsd_s": 4.5, "settle_s": 3}
QUICK = {"ours": 2, "overrides": 2, "gdnsd": 0, "services": (10, 100), "gdnsd_s": 6.0, "settle_s": 1}
CHANGES = 1000
OURS_S = {"probe": 1.0, "override": 1.5}  # an override waits for the disk
RATE = 20_000
LIMIT_MS = 50


class Watch:
    """Asks all the time, and knows when the last answer with the member's address came."""

    def __init__(self, context, server, mix, address, seconds):
        self.context = context
        self.process = context.start_load(server, mix, seconds, warm_up=0, rate=RATE, pause=50, watch=address, queries=1024)
        time.sleep(0.4)

    def last_ms(self, since):
        """Milliseconds from each (time.monotonic()) to that answer; none where the machine did not let the client run."""
        account = self.context.finish_load(self.process)[-1]
        if not account["watched"]:
            return []
        return [1000 * (account["watched_last_s"] - each) for each in since]


def stored_at(daemon, service, name, address):
    """time.monotonic() of the health fact that says that the address is down. House time is the wall clock's, as it was
    when gslbd started, and goes on by itself; nothing steps the clock here."""
    def found():
        rows = daemon.member(service, name)["addresses"]
        return next((probe for row in rows if row["address"] == address for probe in row["probes"]
                     if probe["state"] == "down"), None)
    text = eventually(found, 5, f"{name} is down")["since_at"]
    return datetime.datetime.fromisoformat(text).timestamp() - (time.time() - time.monotonic())


def fail_once(context, server, mix, member, seconds, stored=None):
    """[ms from the failing reply, ms from the stored fact]; the second only with stored; [] where it is not known."""
    watch = Watch(context, server, mix, member.v4, seconds)
    member.fail()
    try:
        since = [eventually(member.failed_at, 5, "a failing reply", 0.005)]
        if stored:
            since.append(stored())
        return watch.last_ms(since)
    finally:
        member.mend()


def override_once(context, server, mix, service, member):
    """[ms from the request, ms from its answer, which comes when the override is on disk]; [] where it is not known"""
    watch = Watch(context, server, mix, member.v4, OURS_S["override"])
    begun = time.monotonic()
    answer = server.daemon.set_member(service, member.name, "down")
    told = time.monotonic()
    if answer.status != 200:
        raise RuntimeError(f"the override was answered with {answer.status}")
    try:
        return watch.last_ms([begun, told])
    finally:
        server.daemon.clear_member(service, member.name)


def measure_ours(context, plan, found, title, crowd, member):
    service = f"quick.{ZONE}"
    mix = f"1 {service} A\n"
    for number in range(plan["ours"]):
        context.progress(f"verdict: {title}, probe {number + 1}")
        crowd.daemon.wait_states(service, **{member.name: "up"})
        taken = fail_once(context, crowd, mix, member, OURS_S["probe"],
                          lambda: stored_at(crowd.daemon, service, member.name, member.v4))
        for since, taken_ms in zip(("failing reply", "stored fact"), taken):
            found.setdefault(f"{title}: {since}", []).append(taken_ms)
    for number in range(plan["overrides"]):
        context.progress(f"verdict: {title}, override {number + 1}")
        crowd.daemon.wait_states(service, **{member.name: "up"})
        for since, taken_ms in zip(("override asked for", "override told"), override_once(context, crowd, mix, service, member)):
            found.setdefault(f"{title}: {since}", []).append(taken_ms)


def run(context):
    plan = QUICK if context.quick else FULL
    found = {}
    member = context.content.members[0]
    for services in plan["services"]:
        with contextlib.ExitStack() as stack:
            context.progress(f"verdict: starting {services:,} services")
            crowd = Crowd(services, CHANGES, context.content)
            stack.callback(crowd.end)
            crowd.start()
            crowd.settle(context)
            measure_ours(context, plan, found, f"gslb, {services:,} services", crowd, member)
            if services == plan["services"][-1]:
                crowd.targets.say("turn")
                time.sleep(plan["settle_s"])
                measure_ours(context, plan, found, f"gslb, {services:,}, {CHANGES:,} changes/s", crowd, member)
    if peers.Gdnsd.is_installed() and plan["gdnsd"]:
        with contextlib.ExitStack() as stack:
            gdnsd = peers.Gdnsd(context.content, thresholds=(1, 1, 1))
            stack.callback(gdnsd.end)
            context.settle(gdnsd.start())
            for number in range(plan["gdnsd"]):
                context.progress(f"verdict: gdnsd {number + 1}")
                eventually(lambda: member.v4 in {text for _ in range(200) for text in gdnsd.answers(f"www.{ZONE}")}, 20,
                           "gdnsd answers with the member")
                found.setdefault("gdnsd: failing reply", []).extend(
                    fail_once(context, gdnsd, BALANCED, member, plan["gdnsd_s"]))
    return tell(found)


def tell(found):
    rows = [[name, len(values), *(f"{value:.1f}" for value in spread(values))] for name, values in found.items()]
    lines = ["From a verdict to the last answer with the address, at 20,000 queries a second", "",
             *table(["ms, from", "times", "median", "least", "most"], rows)]
    late = [name for name, values in found.items() if name.endswith(("stored fact", "told")) and max(values) > LIMIT_MS]
    return lines + ["", f"  above {LIMIT_MS} ms at worst: {', '.join(late) or 'none'}"]
