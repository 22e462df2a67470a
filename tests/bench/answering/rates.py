"""How many answers a second, at what cost and how late, beside other servers."""
import contextlib
import random
import time

from tests.bench.answering import machine, peers
from tests.bench.answering.content import BALANCED, MIX, NEAR, STATIC, SUBNETS, ZONE
from tests.bench.answering.judge import Judge
from tests.bench.answering.load import spread
from tests.bench.answering.table import between, table

FULL = {"rounds": 5, "seconds": 0.8, "warm_up": 0.2, "half_rounds": 3, "calls_s": 0.7, "dnsperf_s": 2, "sample_every": 2000}
QUICK = {"rounds": 1, "seconds": 0.2, "warm_up": 0.05, "half_rounds": 1, "calls_s": 0.2, "dnsperf_s": 1, "sample_every": 100}
SLOW_RATE = 2000
EDNS = 1232
# what is asked: the mix, the clients' subnets, and the servers' workload that it belongs to
ASKED = {
    "mix": (MIX, None, "mix"),
    "balanced": (BALANCED, None, "balanced"),
    "near": (NEAR, SUBNETS, "near"),
    "static": (STATIC, None, "static"),
    "static with subnets": (STATIC, SUBNETS, "static"),
}
DECIDERS = "gslb", "gdnsd", "Knot DNS", "PowerDNS"  # of which is shown what choosing costs


class Tally:
    """All rounds of one server with one kind of questions."""

    def __init__(self):
        self.rounds = []

    def add(self, account):
        self.rounds.append(account)

    def values(self, key):
        return [account[key] for account in self.rounds]

    def total(self, key):
        return sum(self.values(key))

    def cpu_values(self):
        return [(account["user_s"] + account["system_s"]) / account["answered"] * 1e6 for account in self.rounds]

    def user(self):
        """Seconds per million of all rounds together: processor time is counted in ticks."""
        return self.total("user_s") / self.total("answered") * 1e6

    def cpu(self):
        return (self.total("user_s") + self.total("system_s")) / self.total("answered") * 1e6

    def busy(self):
        """Percent of its processor that the server had."""
        return 100 * (self.total("user_s") + self.total("system_s")) / self.total("took_s")

    def shares(self, ceiling):
        return [mine["rate"] / its["rate"] for mine, its in zip(self.rounds, ceiling.rounds)]


class Measurement:
    def __init__(self, context, servers, plan):
        self.context, self.servers, self.plan = context, servers, plan
        self.judge = Judge(context.content)
        self.tallies = {(what, server.name): Tally() for what in ASKED for server in servers
                        if self.takes_part(what, server)}
        self.half = {server.name: Tally() for server in servers}
        self.calls, self.dnsperf = {}, {}
        self.checked, self.problems, self.bad = {}, {}, {}

    @staticmethod
    def takes_part(what, server):
        if what in ("static", "static with subnets"):
            return server.kind in DECIDERS and "near" in server.workloads
        return ASKED[what][2] in server.workloads

    def ask(self, what, server, **options):
        """Once more where nothing came at all within a second: other work had the processor then. What was lost counts."""
        for _ in range(3):
            account = self.ask_once(what, server, **options)
            if account["received"]:
                return account
        raise RuntimeError(f"{server.name} answers nothing of {what}: {account}")

    def ask_once(self, what, server, **options):
        mix, subnets, _ = ASKED[what]
        sample = None if server.kind == "echo" else self.context.directory / "sample"
        account = self.context.run_load(
            server, mix, self.plan["seconds"], warm_up=self.plan["warm_up"], edns=EDNS, subnets=subnets, sample=sample,
            sample_every=self.plan["sample_every"], seed=random.randrange(1 << 30), **options)
        if sample:
            self.look_at(server, what, sample, account)
        return account

    def look_at(self, server, what, sample, account):
        count, problems = self.judge.check_file(sample)
        self.checked[server.name] = self.checked.get(server.name, 0) + count
        self.problems.setdefault(server.name, []).extend(f"{server.name}, {what}: {problem}" for problem in problems)
        wrong, lost = self.bad.get(server.name, (0, 0))
        self.bad[server.name] = wrong + account["wrong"] + account["mismatched"], lost + account["lost"]

    def round(self, number):
        """Each server once with all that it is asked for, in another order each time."""
        for what in ASKED:
            turns = [server for server in self.servers if (what, server.name) in self.tallies]
            turn = number % len(turns)
            for server in turns[turn:] + turns[:turn]:
                self.context.progress(f"round {number + 1}: {what}: {server.name}")
                self.tallies[what, server.name].add(self.ask(what, server))

    def half_round(self, number):
        turn = number % len(self.servers)
        for server in self.servers[turn:] + self.servers[:turn]:
            self.context.progress(f"half of capacity: {server.name}")
            rate = spread(self.tallies["mix", server.name].values("rate"))[0] / 2
            self.half[server.name].add(self.ask("mix", server, rate=rate))

    def count_calls(self, server):
        """System calls a query, saturated and at a low rate."""
        self.context.progress(f"system calls: {server.name}")
        self.calls[server.name] = [self.calls_a_query(server, rate) for rate in (None, SLOW_RATE)]

    def calls_a_query(self, server, rate):
        """None where they cannot be counted: not allowed, or the load was over before perf was."""
        seconds = self.plan["calls_s"]
        for more_s in (0.6, 2, 5):
            process = self.context.start_load(server, MIX, seconds + more_s, edns=EDNS, rate=rate)
            time.sleep(0.2)
            calls = machine.system_calls(server.pids(), seconds)
            is_whole = process.poll() is None
            account = self.context.finish_load(process)[-1]
            if calls is None or is_whole:
                return calls and calls / account["rate"]
        return None

    def complain(self):
        for server in self.servers:
            if server.kind == "gslb" and (self.bad[server.name][0] or self.problems[server.name]):
                self.context.fail(f"{server.name}: {self.bad[server.name][0]} wrong answers; "
                                  + "; ".join(self.problems[server.name][:3]))

    def witness(self, server):
        self.context.progress(f"dnsperf: {server.name}")
        found = self.context.run_dnsperf(server, dnsperf_questions(), self.plan["dnsperf_s"])
        if found:
            self.dnsperf[server.name] = found


def dnsperf_questions(count=20000):
    """The mix as dnsperf reads it."""
    draw = random.Random(1)
    lines = [line.split() for line in MIX.splitlines()]
    rows = []
    for _, name, kind, *_ in draw.choices(lines, [float(line[0]) for line in lines], k=count):
        label = "".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=10))
        rows.append(f"{name.replace('#', str(draw.randrange(1000))).replace('?', label)} {kind}\n")
    return "".join(rows)


def chosen(context):
    content = context.content
    if context.quick:
        return [peers.Echo(content), peers.Gslb(content)]
    servers = [peers.Echo(content), peers.Gslb(content), peers.Gdnsd(content),
               peers.Gdnsd(content, "gdnsd, static", balanced=False), peers.Nsd(content), peers.Knot(content),
               peers.PowerDns(content), peers.Bind(content)]
    missing = [server for server in servers if not server.is_installed()]
    for server in missing:
        context.progress(f"{server.name} is not installed")
        server.end()
    return [server for server in servers if server not in missing]


def run(context):
    plan = {**(QUICK if context.quick else FULL), **({"rounds": context.rounds} if context.rounds else {})}
    with contextlib.ExitStack() as stack:
        servers = chosen(context)
        for server in servers:
            stack.callback(server.end)
        for server in servers:
            context.progress(f"starting {server.name}")
            context.settle(server.start())
        measurement = Measurement(context, servers, plan)
        for number in range(plan["rounds"]):
            measurement.round(number)
        for number in range(plan["half_rounds"]):
            measurement.half_round(number)
        for server in servers:
            measurement.count_calls(server)
            if not context.quick:
                measurement.witness(server)
        measurement.complain()
        return tell(measurement)


def tell(measurement):
    plan = measurement.plan
    lines = [f"Answers over UDP, medians (least-greatest) of {plan['rounds']} rounds of {plan['seconds']:g} s that take turns;"
             " one thread of each server", "", *tell_mix(measurement), "", *tell_lateness(measurement), ""]
    for what in ("balanced", "near"):
        lines += [*tell_rates(measurement, what), ""]
    lines += [*tell_deciding(measurement), "", *tell_checks(measurement)]
    problems = [problem for each in measurement.problems.values() for problem in each]
    if problems:
        lines += ["", "What the decoder found:"] + [f"  {problem[:300]}" for problem in problems[:10]]
    return lines


def rate_cells(measurement, what, server):
    tally, ceiling = measurement.tallies[what, server.name], measurement.tallies[what, measurement.servers[0].name]
    rate, shares = spread(tally.values("rate"))[0], tally.shares(ceiling)
    median_cpu = spread(tally.cpu_values())[0]
    return [f"{rate:,.0f}", between(tally.values("rate")), f"{spread(shares)[0]:.2f}", between(shares, "{:.2f}"),
            f"{median_cpu:.2f}", between(tally.cpu_values(), "{:.2f}"), f"{tally.user():.2f}", f"{tally.busy():.0f}"]


RATE_HEADS = ["a second", "", "of echo", "", "CPU s/1M", "", "user", "% busy"]


def tell_mix(measurement):
    rows = []
    for server in measurement.servers:
        calls = [f"{value:.3f}" if value is not None else "-" for value in measurement.calls[server.name]]
        witness = measurement.dnsperf.get(server.name)
        rows.append([server.name, *rate_cells(measurement, "mix", server), *calls, f"{witness[0]:,.0f}" if witness else "-"])
    return table(["mix, saturated", *RATE_HEADS, "calls/query", f"at {SLOW_RATE}/s", "dnsperf"], rows)


def tell_lateness(measurement):
    rows = []
    for server in measurement.servers:
        row = [server.name]
        for tally in (measurement.half[server.name], measurement.tallies["mix", server.name]):
            row += [f"{spread(tally.values(key))[0]:,.0f}" for key in ("p50_us", "p99_us")]
            row += [between(tally.values("p99_us")), f"{spread(tally.values('p999_us'))[0]:,.0f}"]
        rows.append(row)
    return table(["mix, us", "half: p50", "p99", "", "p99.9", "saturated: p50", "p99", "", "p99.9"], rows)


def tell_rates(measurement, what):
    title = {"balanced": "balanced A", "near": "by Client Subnet"}[what]
    return table([title, *RATE_HEADS], [[server.name, *rate_cells(measurement, what, server)]
                                        for server in measurement.servers if (what, server.name) in measurement.tallies])


def tell_deciding(measurement):
    """What choosing costs: processor time beside the same server's answers without it."""
    rows = []
    for server in measurement.servers:
        if ("static", server.name) not in measurement.tallies or ("near", server.name) not in measurement.tallies:
            continue
        row = [server.name]
        for with_it, without in (("balanced", "static"), ("near", "static with subnets")):
            above, below = measurement.tallies[with_it, server.name], measurement.tallies[without, server.name]
            rounds = [mine / its for mine, its in zip(above.cpu_values(), below.cpu_values())]
            row += [f"{spread(rounds)[0]:.2f}", between(rounds, "{:.2f}")]
        rows.append(row)
    return table(["CPU, times", "balanced / static", "", "near / static, both with subnets", ""], rows)


def tell_checks(measurement):
    rows = []
    for server in measurement.servers:
        if server.kind == "echo":
            continue
        wrong, lost = measurement.bad[server.name]
        asked = sum(tally.total("sent") for (_, name), tally in measurement.tallies.items() if name == server.name)
        rows.append([server.name, f"{asked:,}", f"{lost:,}", f"{wrong:,}", f"{measurement.checked[server.name]:,}",
                     len(measurement.problems[server.name])])
    return table(["answers", "asked", "lost", "wrong", "decoded", "found wrong"], rows)
