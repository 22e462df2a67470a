"""Answers over TCP, beside other servers: few connections and many, one query at a time and pipelined (RFC 7766)."""
import contextlib
import json
import random
import subprocess

from tests.bench.answering import machine, peers, turns
from tests.bench.answering.content import MIX
from tests.bench.answering.load import spread
from tests.bench.answering.table import between, table
from tests.system import harness

PROGRAM = harness.ROOT / "build/bench/dns_streams"
CONNECTIONS_MOST = 12_000
FULL = {"rounds": 2, "seconds": 0.6, "warm_up": 0.3,
        "cases": ((1, 1), (1, 64), (100, 1), (100, 16), (10_000, 1), (10_000, 4))}
QUICK = {"rounds": 1, "seconds": 0.2, "warm_up": 0.1, "cases": ((1, 64), (100, 4))}


class Gdnsd(peers.Gdnsd):
    def options(self):
        return super().options().replace("tcp_threads => 1,",
                                         f"tcp_threads => 1, tcp_clients_per_thread => {CONNECTIONS_MOST},")


class Knot(peers.Knot):
    def configure(self):
        super().configure()
        path = self.directory / "knot.conf"
        path.write_text(path.read_text().replace("server:\n", f"server:\n    tcp-max-clients: {CONNECTIONS_MOST}\n", 1))


class Bind(peers.Bind):
    def configure(self):
        super().configure()
        path = self.directory / "named.conf"
        path.write_text(path.read_text().replace("options {\n", f"options {{\n  tcp-clients {CONNECTIONS_MOST};\n", 1))


def chosen(context):
    content = context.content
    limits = {"tcp": {"connections": CONNECTIONS_MOST, "per_client": CONNECTIONS_MOST}}
    servers = [peers.Gslb(content, server=limits)]
    if not context.quick:
        servers += [peers.Nsd(content), Knot(content), Bind(content), Gdnsd(content)]
    missing = [server for server in servers if not server.is_installed()]
    for server in missing:
        server.end()
    return [server for server in servers if server not in missing]


def measure(context, server, case, plan):
    """The account of dns_streams, with `cpu` of the server in seconds per million answers."""
    connections, depth = case
    pids = server.pids()
    before = machine.run_s(pids)
    arguments = [PROGRAM, "--server", server.host, "--port", server.port, "--mix", context.file(MIX),
                 "--connections", connections, "--depth", depth, "--seconds", plan["seconds"], "--warm-up", plan["warm_up"],
                 "--seed", random.randrange(1 << 30)]
    process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE, text=True)
    machine.pin([process.pid], context.client_processor)
    machine.prefer([process.pid])
    text, _ = process.communicate(timeout=60)
    if process.returncode != 0: # it could not open that many connections in time, and says so
        return None
    account = json.loads(text)
    account["cpu"] = (machine.run_s(pids) - before) / max(1, account["answered"]) * 1e6
    return account


def run(context):
    plan = QUICK if context.quick else FULL
    found = {}
    with contextlib.ExitStack() as stack:
        servers = chosen(context)
        for server in servers:
            stack.callback(server.end)
        for server in servers:
            context.progress(f"starting {server.name}")
            context.settle(server.start())
            server.suspend()
        for number in range(plan["rounds"]):
            for server in turns.in_order(servers, number):
                with turns.turn(server):
                    for case in plan["cases"]:
                        context.progress(f"tcp, round {number + 1}: {case[0]} connections, {case[1]} queries each: {server.name}")
                        account = measure(context, server, case, plan)
                        found.setdefault((case, server.name), []).append(account)
        return tell(plan, servers, found)


def cells(accounts, nsd):
    good = [account for account in accounts if account]
    if not good:
        return ["-"] * 8
    rates = [account["rate"] for account in good]
    beside = spread([account["rate"] for account in nsd])[0] if nsd else 0
    return [f"{spread(rates)[0]:,.0f}", between(rates), f"{spread(rates)[0] / beside:.2f}" if beside else "-",
            f"{spread([account['cpu'] for account in good])[0]:.2f}",
            *(f"{spread([account[key] for account in good])[0]:,.0f}" for key in ("p50_us", "p99_us")),
            f"{sum(account['lost'] for account in good):,}",
            f"{sum(account['wrong'] + account['mismatched'] for account in good):,}"]


def tell(plan, servers, found):
    heads = ["connections x queries", "a second", "", "of NSD", "CPU s/1M", "p50 us", "p99 us", "lost", "wrong"]
    rows = []
    for case in plan["cases"]:
        rows.append(f"  {case[0]:,} x {case[1]}")
        nsd = [account for account in found.get((case, "NSD, static"), []) if account]
        rows += [["  " + server.name, *cells(found[case, server.name], nsd)] for server in servers]
    return [f"Answers over TCP, the mix; medians (least-greatest) of {plan['rounds']} rounds of {plan['seconds']:g} s that take"
            " turns; one thread of each server;", "so many queries under way on each connection", "", *table(heads, rows)]
