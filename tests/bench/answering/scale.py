"""What many names and many services take: memory, start, reload, and what an answer costs among them."""
import contextlib
import time
import typing
from pathlib import Path

from tests.bench.answering import crowd, machine, many, peers, sharing
from tests.bench.answering.content import ZONE
from tests.bench.answering.load import spread
from tests.bench.answering.table import between, table
from tests.bench.answering.targets import Targets
from tests.bench.answering.turns import in_order, rest, turn
from tests.system.harness import eventually

# sizes: how many names, and for how long queries are sent while they are read again
FULL = {"sizes": {1_000: 2.0, 100_000: 2.5, 1_000_000: 6.0}, "services": 10_000, "rounds": 5, "seconds": 1.0, "quiet_s": 1.5,
        "reloads": 5}
QUICK = {"sizes": {1_000: 1.2}, "services": 100, "rounds": 1, "seconds": 0.2, "quiet_s": 0.4, "reloads": 1}
MEMBERS = 8
RATE = 5000  # while it is reloaded
INTERVAL_S = 0.1
REST_S = 0.3  # so long a look whether a server rests
CPU_KINDS = "gslb", "gdnsd"  # whose costs are compared round by round


class Reload(typing.NamedTuple):
    took: float  # seconds
    quiet: list  # what dns_load tells of intervals before it
    meanwhile: list
    lost: int  # in all


def reload_under_load(context, server, plan, count, changes=True):
    """A Reload."""
    load = context.start_load(server, many.uniform(count), plan["sizes"][count], rate=RATE, warm_up=0.1, interval=INTERVAL_S)
    began = time.monotonic()
    if changes:
        server.change()
    time.sleep(max(0.0, plan["quiet_s"] - (time.monotonic() - began)))
    since = time.monotonic()
    server.reload()
    took = many.Asker(server, many.MARKER).wait(f"192.0.2.{server.version}", since) if changes else wait_taken(server, since)
    *intervals, total = context.finish_load(load)
    first = int((since - began) / INTERVAL_S)
    last = min(len(intervals), first + int(took / INTERVAL_S) + 3)
    return Reload(took, intervals[1:first - 1], intervals[first:last], total["lost"])


def p999_us(intervals):
    """Of all responses of some intervals together."""
    left = sum(row.get("received", 0) for row in intervals) // 1000
    for time_us, count in sorted((pair for row in intervals for pair in row.get("tail", [])), reverse=True):
        left -= count
        if left < 0:
            return time_us
    return 0


def wait_taken(server, since):
    """A reload that changes nothing shows in the generation alone."""
    before = server.generation
    eventually(lambda: server.daemon.api("/v1/status").json["generation"] > before, many.PATIENCE_S, "a reload", interval_s=0.005)
    return time.monotonic() - since


class Row:
    """One server with one zone."""

    def __init__(self, context, plan, kind, count):
        self.server, self.count = kind(context.content, count), count
        self.context, self.plan, self.again, self.unchanged = context, plan, None, None
        self.cost, self.reloads = [], []

    def measure(self):
        server, context, plan = self.server, self.context, self.plan
        context.progress(f"{self.count:,} names: {server.name}")
        self.start = many.start(context, server)
        rest(server, REST_S)
        if server.kind == "gslb":
            server.daemon.stop()
            self.again = many.start(context, server, first_time=False)
            rest(server, REST_S)
        self.ask(touch=True)
        self.memory = machine.memory_mb(server.all_pids())
        is_compared = server.kind in CPU_KINDS and self.count == max(plan["sizes"])
        for _ in range(plan["reloads"] if is_compared else 1):
            self.reloads.append(reload_under_load(context, server, plan, self.count))
            rest(server, REST_S)
        if server.kind == "gslb":
            server.generation = server.daemon.api("/v1/status").json["generation"]
            self.unchanged = reload_under_load(context, server, plan, self.count, changes=False)

    def ask(self, touch=False):
        """All names, as fast as it answers; for the memory that this brings in, or for its cost."""
        account = self.context.run_load(self.server, many.uniform(self.count), self.plan["seconds"])
        if account["received"] == 0 or account["wrong"] or account["mismatched"]:
            self.context.fail(f"{self.server.name} with {self.count:,} names: wrong answers: {account}")
        if not touch:
            self.cost.append(account["run_s"] / account["answered"] * 1e6)

    def cells(self):
        took, _, _ = spread([reload.took for reload in self.reloads])
        parts = [[row for reload in self.reloads for row in getattr(reload, when)] for when in ("quiet", "meanwhile")]
        quiet, meanwhile = map(p999_us, parts)
        worst = [f"{spread([row['p999_us'] for row in rows if row['received']])[0]:,.0f}" for rows in parts]
        lost = sum(reload.lost for reload in self.reloads)
        cost = f"{spread(self.cost)[0]:.2f}" if self.cost else "-"
        return [f"{self.server.name}, {self.count:,}", f"{self.memory:,.0f}", f"{self.start:.2f}",
                f"{self.again:.2f}" if self.again else "-", f"{took:.2f}",
                f"{self.unchanged.took:.2f}" if self.unchanged else "-",
                f"{lost:,}", f"{quiet:,.0f}", f"{meanwhile:,.0f}", *worst, cost,
                between(self.cost, "{:.2f}") if self.cost else "-"]


HEADS = ["server, names", "PSS MB", "start s", "again", "reload s", "unchanged", "lost", "p99.9 us", "meanwhile", "worst of tenths",
         "meanwhile", "CPU s/1M", ""]


def chosen(context, count):
    """The others are there for the most names alone: what takes long does so there."""
    kinds = many.KINDS[:1] if context.quick else many.KINDS
    return [kind for kind in kinds if kind.is_installed() and (kind.kind in CPU_KINDS or count == max(FULL["sizes"]))]


def measure_names(context, plan):
    rows, kept = [], []
    with contextlib.ExitStack() as stack:
        for count in plan["sizes"]:
            for kind in chosen(context, count):
                row = Row(context, plan, kind, count)
                stack.callback(row.server.end)
                try:
                    row.measure()
                except AssertionError as problem:
                    rows.append(f"  {row.server.name}, {count:,}: {problem}")
                    row.server.end()
                    if kind.kind == "gslb":
                        raise
                    continue
                rows.append(row)
                is_compared = kind.kind in CPU_KINDS and count in (min(plan["sizes"]), max(plan["sizes"]))
                if is_compared:
                    kept.append(row)
                    row.server.suspend()
                else:
                    row.ask()
                    row.server.end()
        for number in range(plan["rounds"]):
            for row in in_order(kept, number):
                context.progress(f"round {number + 1}: {row.server.name}, {row.count:,} names")
                with turn(row.server):
                    row.ask()
    return rows


def compare(rows):
    """What the most names cost beside the fewest, round by round."""
    found = {(row.server.kind, row.count): row.cost for row in rows if isinstance(row, Row) and len(row.cost) > 0}
    ours = sorted(count for kind, count in found if kind == "gslb")
    if len(ours) < 2:
        return []
    least, most = found["gslb", ours[0]], found["gslb", ours[-1]]
    ratios = [mine / its for mine, its in zip(most, least)]
    lines = ["", f"gslb, {ours[-1]:,} names / {ours[0]:,}: CPU times {spread(ratios)[0]:.2f} ({between(ratios, '{:.2f}')})"]
    if theirs := found.get(("gdnsd", ours[-1])):
        ratios = [mine / its for mine, its in zip(most, theirs)]
        lines.append(f"gslb / gdnsd, {ours[-1]:,} names: CPU times {spread(ratios)[0]:.2f} ({between(ratios, '{:.2f}')})")
    return lines


class ManyServices(peers.Gslb):
    """Services of MEMBERS members each, at addresses that ten of them share, as where machines run several services; probed
    so seldom that it takes nothing while it is measured."""

    def __init__(self, content, count):
        groups = max(1, count // crowd.SHARED)
        self.targets = Targets(groups * MEMBERS, 600_000).start()

        def change(extra):
            extra["monitors"].append({"name": "still", "type": "tcp", "port": self.targets.port, "interval": "600s"})
            extra["services"] += [{"name": f"s{number}.{ZONE}", "monitors": ["still"], "members": [
                {"name": f"m{i}", "addresses": [self.targets.address(number % groups * MEMBERS + i)], "weight": i + 1}
                for i in range(MEMBERS)]} for number in range(count)]
        super().__init__(content, change=change)

    def end(self):
        try:
            super().end()
        finally:
            self.targets.end()


def by_process(pids):
    return ", ".join(f"{Path(f'/proc/{pid}/comm').read_text().strip().removeprefix('gslb-')} {machine.memory_mb([pid]):,.0f}"
                     for pid in pids)


def measure_services(context, plan):
    count = plan["services"]
    context.progress(f"{count:,} services")
    server = ManyServices(context.content, count)
    try:
        since = time.monotonic()
        server.daemon.start(ready=False)
        server.process = server.daemon.process
        took = many.Asker(server, f"ns1.{ZONE}").wait("192.0.2.1", since)
        context.settle(server)
        eventually(server.daemon.is_ready, 30, "control is ready")
        rest(server, REST_S)
        pids = server.all_pids()
        lines = [f"gslb, {count:,} services of {MEMBERS} members: start {took:.2f} s; PSS {machine.memory_mb(pids):,.0f} MB: "
                 + by_process(pids)]
        since = time.monotonic()
        done = server.daemon.ctl("reload", timeout=many.PATIENCE_S)
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)
        took = time.monotonic() - since
        rest(server, REST_S)
        pids = server.all_pids()
        lines.append(f"  reload {took:.2f} s; after it {machine.memory_mb(pids):,.0f} MB: {by_process(pids)}")
        return lines
    finally:
        server.end()


def run(context):
    plan = QUICK if context.quick else FULL
    rows = measure_names(context, plan)
    lines = ["Many names: memory once all were asked; start to the first answer, first with nothing kept, again with the image"
             f" of the run before; reload of the changed zone, p99.9 of {RATE:,} queries a second before it and"
             " meanwhile, the longest wait in a tenth of a second (median of the tenths); cost with names drawn uniformly", ""]
    lines += table(HEADS, [row.cells() if isinstance(row, Row) else row for row in rows])
    lines += compare(rows) + [""] + measure_services(context, plan) + [""] + sharing.measure(context, plan)
    return lines
