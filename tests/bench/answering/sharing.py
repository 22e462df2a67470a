"""What a second worker brings, and what it costs that two of them share a table, counters and a process.

How many answers two workers give together shows only where the clients have processors of their own. What sharing costs
shows on two processors, too: at a rate that leaves room, with a client on each processor, each worker on one of them and
answering what was sent there (server.cpu_affinity), beside one worker that answers both clients, and one that answers the
client of its own processor alone, with half of the queries. Were the processor time of an answer the same, two would answer
twice as many."""
import contextlib
import os
import random

from tests.bench.answering import machine, many
from tests.bench.answering.load import spread
from tests.bench.answering.table import between, table
from tests.bench.answering.turns import in_order, turn

RATE = 40_000  # of a client
PAUSE_US = 200
SOCKETS = 16


def measure(context, plan):
    return measure_rate(context, plan) + [""] + measure_cost(context, plan)


def measure_rate(context, plan):
    """One and two workers; on two processors the client has none of its own."""
    count, rates = min(plan["sizes"]), {}
    for workers in (1, 2):
        server = many.Gslb(context.content, count, workers=workers)
        try:
            many.start(context, server)
            processors = context.server_processor, context.client_processor
            for task in [task for pid in server.pids() for task in machine.tasks(pid)]:
                os.sched_setaffinity(task, processors[:workers])
            rates[workers] = spread([context.run_load(server, many.uniform(count), plan["seconds"])["rate"]
                                     for _ in range(plan["rounds"])])[0]
        finally:
            server.end()
    where = "the client has a processor of its own" if os.cpu_count() > 2 else \
        "of two processors, of which the client takes one, so this does not show what a second worker brings"
    return [f"gslb, two workers / one: {rates[2] / rates[1]:.2f} ({rates[2]:,.0f} and {rates[1]:,.0f} answers a second); {where}"]


class Case:
    """So many workers, asked by a client on each of the processors."""

    def __init__(self, name, server, processors):
        self.name, self.server, self.processors = name, server, processors
        self.cost, self.busiest = [], []

    def ask(self, context, mix, seconds):
        tasks = [task for pid in self.server.pids() for task in machine.tasks(pid)]
        before = {task: machine.threads_s([task])[0] for task in tasks}
        loads = [context.start_load(self.server, mix, seconds, processor, warm_up=0.2, rate=RATE, pause=PAUSE_US, sockets=SOCKETS,
                                    seed=random.randrange(1 << 30)) for processor in self.processors]
        accounts = [context.finish_load(load)[-1] for load in loads]
        used = [machine.threads_s([task])[0] - before[task] for task in tasks]
        if any(account["wrong"] or account["mismatched"] or not account["received"] for account in accounts):
            context.fail(f"{self.name}: wrong answers: {accounts}")
        self.cost.append(sum(used) / sum(account["answered_in_all"] for account in accounts) * 1e6)
        self.busiest.append(max(used) / sum(used))

    def cells(self):
        return [self.name, f"{RATE * len(self.processors):,}", f"{spread(self.cost)[0]:.2f}", between(self.cost, "{:.2f}"),
                f"{100 * spread(self.busiest)[0]:.0f}"]


def start(context, stack, count, workers, processors):
    """On these processors; stopped."""
    server = many.Gslb(context.content, count, workers=workers, server={"cpu_affinity": True})
    stack.callback(server.end)
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)  # which it takes over
    try:
        many.start(context, server, settles=False)
    finally:
        os.sched_setaffinity(0, own)
    machine.prefer(server.all_pids())
    server.suspend()
    return server


def measure_cost(context, plan):
    count, both = min(plan["sizes"]), (context.server_processor, context.client_processor)
    if both[0] % 2 == both[1] % 2:
        return [f"gslb, what sharing costs: not measured; two workers do not part processors {both[0]} and {both[1]}"]
    with contextlib.ExitStack() as stack:
        one, two = start(context, stack, count, 1, both[:1]), start(context, stack, count, 2, both)
        cases = [Case("one worker, one client", one, both[:1]), Case("one worker, two clients", one, both),
                 Case("two workers, two clients", two, both)]
        for number in range(plan["rounds"]):
            for case in in_order(cases, number):
                context.progress(f"round {number + 1}: {case.name}")
                with turn(case.server):
                    case.ask(context, many.uniform(count), plan["seconds"])
    alone, single, double = cases
    lines = table(["gslb, at a fixed rate", "a second", "CPU s/1M", "", "% by the busiest thread"],
                  [case.cells() for case in cases])
    for what, beside in (("one", single), ("one with one client", alone)):
        ratios = [mine / its for mine, its in zip(double.cost, beside.cost)]
        lines.append(f"  two workers / {what}: CPU times {spread(ratios)[0]:.2f} ({between(ratios, '{:.2f}')})")
    return lines
