"""How many answers a second, at what cost and how late, beside other servers."""
import contextlib
import random
import time

from tests.bench.answering import machine, peers, turns
from tests.bench.answering.content import BALANCED, MIX, NEAR, STATIC, SUBNETS
from tests.bench.answering.judge import Judge
from tests.bench.answering.load import PORTS, UNDER_WAY, quartiles, spread
from tests.bench.answering.table import between, table

FULL = {"rounds": 5, "seconds": 0.6, "warm_up": 0.1, "calls_s": 0.7, "user_s": {"mix": 1.5, "balanced": 0.6, "near": 0.6},
        "dnsperf_s": 1, "sample_every": 4000}
QUICK = {"rounds": 1, "seconds": 0.2, "warm_up": 0.05, "calls_s": 0.2, "user_s": {"mix": 0.2}, "dnsperf_s": 1,
         "sample_every": 100}
SLOW_RATE = 2000
EVEN_RATE = 60_000  # asked of all that answer half as much again
EDNS = 1232
PART_S = 0.1  # lateness is looked at in parts of so long: the whole machine standing still for a moment spoils one of them
# what is asked: the mix, the clients' subnets, and the servers' workload that it belongs to
ASKED = {
    "mix": (MIX, None, "mix"),
    "half": (MIX, None, "mix"),  # of what the server answered of the mix
    "even": (MIX, None, "mix"),  # at the same rate for all
    "ports": (MIX, None, "mix"),  # from so many ports that next to no two answers of a batch go to one of them
    "balanced": (BALANCED, None, "balanced"),
    "near": (NEAR, SUBNETS, "near"),
    "static": (STATIC, None, "static"),
    "static with subnets": (STATIC, SUBNETS, "static"),
}
# what a server is asked for in one turn
TOGETHER = ("mix", "half", "even", "ports"), ("balanced", "static", "near", "static with subnets")
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
        """Seconds per million."""
        return [account["run_s"] / account["answered"] * 1e6 for account in self.rounds]

    def busy(self):
        """Percent of its processor that the server had."""
        return 100 * self.total("run_s") / self.total("took_s")

    def of_parts(self, key):
        return [part[key] for account in self.rounds for part in account["parts"]]

    def shares(self, ceiling):
        return [mine["rate"] / its["rate"] for mine, its in zip(self.rounds, ceiling.rounds)]


class Measurement:
    def __init__(self, context, servers, plan):
        self.context, self.servers, self.plan = context, servers, plan
        self.judge = Judge(context.content)
        self.tallies = {(what, server.name): Tally() for what in ASKED for server in servers
                        if self.takes_part(what, server)}
        self.calls, self.user, self.dnsperf = {}, {}, {}
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
            sample_every=self.plan["sample_every"], seed=random.randrange(1 << 30), interval=PART_S, **options)
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
        for questions in TOGETHER:
            for server in turns.in_order(self.servers, number):
                asked = [what for what in questions if (what, server.name) in self.tallies]
                if asked:
                    self.take_turn(number, server, asked)

    def take_turn(self, number, server, asked):
        with turns.turn(server):
            for what in asked:
                self.context.progress(f"round {number + 1}: {what}: {server.name}")
                options = self.load_options(what, server)
                if options is not None:
                    self.tallies[what, server.name].add(self.ask(what, server, **options))

    def load_options(self, what, server):
        """None: it is not asked that."""
        capacity = spread(self.tallies["mix", server.name].values("rate"))[0] if what in ("half", "even") else None
        if what == "half":
            return {"rate": capacity / 2}
        if what == "even":
            return {"rate": EVEN_RATE} if capacity > 1.5 * EVEN_RATE else None
        return {"sockets": PORTS} if what == "ports" else {}

    def last_turn(self, server):
        """What is counted once."""
        with turns.turn(server):
            self.context.progress(f"system calls: {server.name}")
            self.calls[server.name] = [self.calls_a_query(server, rate) for rate in (None, SLOW_RATE)]
            for what, seconds in self.plan["user_s"].items():
                if (what, server.name) in self.tallies:
                    self.context.progress(f"user time of {what}: {server.name}")
                    self.user[what, server.name] = self.user_share(what, server, seconds)
            if not self.context.quick:
                self.witness(server)

    def user_share(self, what, server, seconds):
        """None where it cannot be told."""
        mix, subnets, _ = ASKED[what]
        process = self.context.start_load(server, mix, seconds + 0.6, edns=EDNS, subnets=subnets)
        time.sleep(0.2)
        share = machine.user_share(server.pids(), seconds, self.context.directory)
        self.context.finish_load(process)
        return share

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
            server.suspend()
        measurement = Measurement(context, servers, plan)
        for number in range(plan["rounds"]):
            measurement.round(number)
        for server in servers:
            measurement.last_turn(server)
        measurement.complain()
        return tell(measurement)


def tell(measurement):
    plan = measurement.plan
    lines = [f"Answers over UDP, medians (least-greatest) of {plan['rounds']} rounds of {plan['seconds']:g} s that take turns;"
             f" one thread of each server; {UNDER_WAY} queries under way", "", *tell_mix(measurement), "",
             *tell_lateness(measurement, "even", "mix at one rate, us"), "",
             *tell_lateness(measurement, "half", "mix at half, us"), "",
             *tell_lateness(measurement, "mix", "mix saturated, us"), ""]
    for what in ("ports", "balanced", "near"):
        lines += [*tell_rates(measurement, what), ""]
    lines += [*tell_deciding(measurement), "", *tell_checks(measurement)]
    problems = [problem for each in measurement.problems.values() for problem in each]
    if problems:
        lines += ["", "What the decoder found:"] + [f"  {problem[:300]}" for problem in problems[:10]]
    return lines


def rate_cells(measurement, what, server):
    tally, ceiling = measurement.tallies[what, server.name], measurement.tallies[what, measurement.servers[0].name]
    rate, shares = spread(tally.values("rate"))[0], tally.shares(ceiling)
    median_cpu, user = spread(tally.cpu_values())[0], measurement.user.get((what, server.name))
    return [f"{rate:,.0f}", between(tally.values("rate")), f"{spread(shares)[0]:.2f}", between(shares, "{:.2f}"),
            f"{median_cpu:.2f}", between(tally.cpu_values(), "{:.2f}"), "-" if user is None else f"{user * median_cpu:.3f}",
            f"{tally.busy():.0f}", f"{tally.total('lost'):,}"]


RATE_HEADS = ["a second", "", "of echo", "", "CPU s/1M", "", "user", "% busy", "lost"]


def tell_mix(measurement):
    rows = []
    for server in measurement.servers:
        calls = [f"{value:.3f}" if value is not None else "-" for value in measurement.calls[server.name]]
        witness = measurement.dnsperf.get(server.name)
        rows.append([server.name, *rate_cells(measurement, "mix", server), *calls, f"{witness[0]:,.0f}" if witness else "-"])
    return table(["mix, saturated", *RATE_HEADS, "calls/query", f"at {SLOW_RATE}/s", "dnsperf"], rows)


def tell_lateness(measurement, what, title):
    rows = []
    for server in measurement.servers:
        tally = measurement.tallies[what, server.name]
        if not tally.rounds:
            continue
        row = [server.name, f"{spread(tally.values('rate'))[0]:,.0f}"]
        for key in ("p50_us", "p99_us"):
            values = tally.of_parts(key)
            row += [f"{spread(values)[0]:,.0f}", between(quartiles(values))]
        row += [f"{spread(tally.values('p99_us'))[0]:,.0f}", between(tally.values("p99_us")),
                f"{spread(tally.values('p999_us'))[0]:,.0f}", f"{tally.total('lost'):,}"]
        rows.append(row)
    return table([title, "a second", "p50", "quartiles", "p99", "quartiles", "p99 of a round", "", "p99.9 of a round", "lost"],
                 rows)


def tell_rates(measurement, what):
    title = {"ports": f"mix from {PORTS} ports", "balanced": "balanced A", "near": "by Client Subnet"}[what]
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
