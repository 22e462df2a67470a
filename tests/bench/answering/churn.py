"""Health that changes under load: many members of many services change each second while names are asked for at a share of
capacity, in turns with times in which nothing changes. The probes go on in both.

The threads that answer and the one that builds tables share the processor of servers; the probe process, the targets, the
control process (which writes each change down, durably) and the client share the other. The client goes before them there
and sleeps between sendings, so that they get what it leaves.
"""
import contextlib
import time

from tests.bench.answering import machine
from tests.bench.answering.content import ZONE
from tests.bench.answering.crowd import SHARED, Crowd
from tests.bench.answering.load import PORTS, spread
from tests.bench.answering.table import between, table

FULL = {"services": 10_000, "changes": 1000, "rounds": 5, "seconds": 2.0, "settle_s": 3}
QUICK = {"services": 200, "changes": 200, "rounds": 1, "seconds": 0.5, "settle_s": 1}
SHARE = 0.8
PAUSE_US = 50


def threads(crowd):
    """(that which builds tables, those that answer)"""
    builder = crowd.pid["dns"]  # the first one of the process
    return builder, [task for task in machine.tasks(builder) if task != builder]


def ask(context, crowd, mix, seconds, rate):
    """The account of the load, with what threads did and what changed in that time."""
    builder, others = threads(crowd)

    def now():
        return (time.monotonic(), machine.threads_s([builder])[0], *machine.threads_s(others), crowd.targets.turned() * SHARED)
    before = now()
    account = context.run_load(crowd, mix, seconds, rate=rate, sockets=PORTS, pause=PAUSE_US)
    took, *grown = (after - earlier for after, earlier in zip(now(), before))
    for key, value in zip(("builder", "answering", "waiting", "changes"), grown):
        account[key] = value / took
    return account


def run(context):
    plan = QUICK if context.quick else FULL
    mix = f"90 s#.{ZONE} A range=0-{plan['services'] - 1}\n10 ?.{ZONE} A expect=nxdomain\n"
    with contextlib.ExitStack() as stack:
        context.progress(f"churn: starting {plan['services']:,} services")
        crowd = Crowd(plan["services"], plan["changes"])
        stack.callback(crowd.end)
        crowd.start()
        crowd.settle(context)
        time.sleep(plan["settle_s"])
        capacity = spread([context.run_load(crowd, mix, 0.5, sockets=PORTS)["rate"]
                           for _ in range(1 if context.quick else 3)])[0]
        rounds = {"hold": [], "turn": []}
        for number in range(2 * plan["rounds"]):
            word = ("hold", "turn")[number % 2]
            context.progress(f"churn: round {number + 1}: {word}")
            crowd.targets.say(word)
            time.sleep(0.2)
            rounds[word].append(ask(context, crowd, mix, plan["seconds"], capacity * SHARE))
        return tell(plan, capacity, rounds)


def tell(plan, capacity, rounds):
    rows = []
    for word, name in (("hold", "quiet"), ("turn", "changing")):
        accounts = rounds[word]

        def middle(key, accounts=accounts):
            return spread([account[key] for account in accounts])[0]
        p99 = [account["p99_us"] for account in accounts]
        rows.append([name, f"{middle('changes'):,.0f}", f"{100 * middle('builder'):.1f}",
                     f"{100 * middle('answering'):.1f}", f"{100 * middle('waiting'):.1f}",
                     f"{middle('p50_us'):,.0f}", f"{middle('p99_us'):,.0f}", between(p99),
                     f"{middle('p999_us'):,.0f}", f"{sum(account['lost'] for account in accounts):,}",
                     f"{sum(account['wrong'] for account in accounts):,}",
                     f"{sum(account['sent'] for account in accounts):,}"])
    ratios = [changing["p99_us"] / quiet["p99_us"] for quiet, changing in zip(rounds["hold"], rounds["turn"])]
    return [f"Health changes under load: {plan['services']:,} services with 8 members; {SHARE:.0%} of {capacity:,.0f} queries a"
            f" second;", f"medians (least-greatest) of {plan['rounds']} rounds of {plan['seconds']:g} s, quiet and changing in"
            " turns; changes a second, threads in % of the time (waiting: of those that answer,"
            " for their processor)", "",
            *table(["us", "changes", "builder", "answering", "waiting", "p50", "p99", "", "p99.9", "lost", "wrong", "asked"], rows),
            "", f"  p99 changing / quiet: {spread(ratios)[0]:.2f} ({between(ratios, '{:.2f}')})"]
