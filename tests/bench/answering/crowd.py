"""Many services with many members, all probed by HTTP: gslbd and the targets of its probes.

Each address is that of a member in ten services, as where machines run several services: one probe feeds ten members. The
targets answer 200, or, while they turn, each time another code than before: then each probe changes the health of ten
members.
"""
import json

from tests.bench.answering import machine, peers
from tests.bench.answering.content import SRV_PORT, WEIGHTS, ZONE
from tests.bench.answering.targets import Targets
from tests.system import harness

SHARED = 10


class Daemon(harness.Gslbd):
    def write_config(self, text=None):
        # JSON is YAML, and written faster
        super().write_config(text or json.dumps(self.configuration(), indent=0))


class Crowd:
    """`changes_per_s`: how many members change a second while the targets turn. `content`: its members stand in one more
    service, `quick`, which is probed each 100 ms."""

    def __init__(self, services, changes_per_s, content=None):
        members = len(WEIGHTS)
        self.services, groups = services, max(1, services // SHARED)
        interval_ms = max(100, groups * members * SHARED * 1000 // changes_per_s)
        self.targets = Targets(groups * members, interval_ms).start()
        monitor = {"type": "http", "path": "/health", "host": f"www.{ZONE}", "rise": 1, "fall": 1}
        monitors = [{"name": "crowd", **monitor, "port": self.targets.port, "interval": f"{interval_ms}ms",
                     "timeout": f"{min(2000, interval_ms)}ms", "starts_as": "up"}]
        rows = [{"name": f"s{number}.{ZONE}", "monitors": ["crowd"],
                 "members": [{"name": f"m{index}", "weight": weight, "srv_port": SRV_PORT,
                              "addresses": [self.targets.address(number % groups * members + index)]}
                             for index, weight in enumerate(WEIGHTS)]} for number in range(services)]
        if content:
            monitors.append({"name": "quick", **monitor, "port": content.port, "interval": "100ms", "timeout": "90ms"})
            rows.append({"name": f"quick.{ZONE}", "monitors": ["quick"],
                         "members": [{"name": member.name, "addresses": [member.v4], "weight": member.weight}
                                     for member in content.members]})
        zone = f"$ORIGIN {ZONE}.\n$TTL 60\n@ IN SOA ns1 hostmaster 1 3600 600 86400 60\n@ IN NS ns1\nns1 IN A 192.0.2.1\n"
        self.daemon = Daemon({"monitors": monitors, "services": rows}, zones={ZONE: zone}, workers=1,
                             server={"log": {"level": "error"}})
        self.host, self.port = self.daemon.host, self.daemon.port

    def start(self):
        self.daemon.start(deadline_s=120)
        self.pid = {name: row["pid"] for name, row in self.daemon.processes().items()}
        return self

    def settle(self, context):
        """Its dns process alone on the processor of servers, and before other work."""
        for name, pid in self.pid.items():
            machine.pin([pid], context.server_processor if name == "dns" else context.client_processor)
        machine.pin([self.targets.process.pid], context.client_processor)
        machine.prefer(self.pids())

    def pids(self):
        return [self.pid["dns"]]

    def end(self):
        status = self.daemon.stop()
        self.targets.end()
        peers.expect_good_end(self.daemon, status)
