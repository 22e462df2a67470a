"""Figures and monitors by SNMP: a real snmpd, v2c and v3, traps, and many devices at once."""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from tests.system.harness import Case, addresses, end_process, eventually, free_port
from tests.system.length import count

ALONE = True  # measures time

SNMPD = "/usr/sbin/snmpd"
OWN = "1.3.6.1.4.1.8072.9999.9999"
USER = {"user": "probe", "auth": "sha256", "auth_secret": "authentic-secret", "privacy": "aes", "privacy_secret": "private-secret"}
OBJECTS = Path(__file__).with_name("snmp_objects.py")

# What devices of these makers say, by the numbers in their MIBs, and what is to become of it: figures, and those a second.
CITRIX, BIGIP, ALTEON, CISCO = (f"1.3.6.1.4.1.{enterprise}" for enterprise in (5951, 3375, 1872, 9))
WEB = "3.119.101.98"  # the index of a row called "web"
VENDORS = {
    "citrix-adc": (CITRIX, {
        f"{CITRIX}.4.1.1.41.1.0": ["gauge", 37], f"{CITRIX}.4.1.1.41.2.0": ["gauge", 52],
        f"{CITRIX}.4.1.1.46.1.0": ["counter", 900], f"{CITRIX}.4.1.1.46.2.0": ["counter", 1200],
        f"{CITRIX}.4.1.1.48.67.0": ["counter64", [10**12, 500]],
        f"{CITRIX}.4.1.3.1.1.7.{WEB}": ["gauge", 17], f"{CITRIX}.4.1.3.1.1.59.{WEB}": ["string", "web"],
    }, {"cpu_utilization": 0.37, "mem_utilization": 0.52, "connections": 1200, "server_connections": 900,
        "virtual_connections.web": 17}, {"requests": 500}),
    "f5-bigip": (BIGIP, {
        **{f"{BIGIP}.2.1.7.5.2.1.27.{core}": ["gauge", load] for core, load in ((0, 20), (1, 40))},
        f"{BIGIP}.2.1.1.2.1.44.0": ["counter64", 8 << 30], f"{BIGIP}.2.1.1.2.1.45.0": ["counter64", 2 << 30],
        f"{BIGIP}.2.1.1.2.1.8.0": ["counter64", 321], f"{BIGIP}.2.1.1.2.1.15.0": ["counter64", 123],
        f"{BIGIP}.2.1.1.2.9.2.0": ["counter64", 45], f"{BIGIP}.2.1.1.2.1.7.0": ["counter64", [5000, 100]],
        f"{BIGIP}.2.1.1.2.1.56.0": ["counter64", [7000, 200]], f"{BIGIP}.2.1.1.2.1.3.0": ["counter64", [1 << 40, 3000]],
        f"{BIGIP}.2.1.1.2.1.5.0": ["counter64", [1 << 41, 4000]],
        f"{BIGIP}.2.2.10.2.3.1.1.{WEB}": ["string", "/Common/web"], f"{BIGIP}.2.2.10.2.3.1.12.{WEB}": ["counter64", 99],
    }, {"cpu_utilization": 0.3, "mem_utilization": 0.25, "connections": 321, "server_connections": 123,
        "tls_connections": 45, "virtual_connections./Common/web": 99},
        {"connections_accepted": 100, "requests": 200, "network_in_bytes": 3000, "network_out_bytes": 4000}),
    "radware-alteon": (ALTEON, {
        f"{ALTEON}.2.5.1.2.2.3.0": ["integer", 61],
        **{f"{ALTEON}.2.5.1.2.4.1.1.4.{processor}": ["integer", load] for processor, load in ((1, 10), (2, 20))},
        f"{ALTEON}.2.5.1.2.8.1.0": ["gauge", 4000], f"{ALTEON}.2.5.1.2.8.3.0": ["gauge", 1000],
        f"{ALTEON}.2.5.4.2.5.1.0": ["gauge", 10000], f"{ALTEON}.2.5.4.2.5.2.0": ["gauge", 2500],
        f"{ALTEON}.2.5.4.2.2.1.2.7": ["gauge", 70], f"{ALTEON}.2.5.4.2.4.1.2.3": ["gauge", 30],
    }, {"cpu_utilization": 0.61, "switch_cpu_utilization": 0.15, "mem_utilization": 0.75, "sessions": 2500,
        "sessions_ceiling": 10000, "real_sessions.7": 70, "virtual_sessions.3": 30}, {}),
    "cisco-slb": (CISCO, {
        f"{CISCO}.9.109.1.1.1.1.7.1": ["gauge", 44],
        f"{CISCO}.9.161.1.1.1.1.7.1": ["counter64", [1000, 60]], f"{CISCO}.9.161.1.1.1.1.9.1": ["counter64", [1000, 50]],
        f"{CISCO}.9.161.1.1.1.1.11.1": ["counter64", [1000, 40]],
        f"{CISCO}.9.161.1.3.1.1.5.1.{WEB}.127.0.0.1.80": ["gauge", 11],
        f"{CISCO}.9.161.1.3.1.1.5.1.{WEB}.127.0.0.2.80": ["gauge", 22], f"{CISCO}.9.161.1.4.1.1.17.1.{WEB}": ["gauge", 33],
    }, {"cpu_utilization": 0.44, "connections": 33, f"real_connections.1.{WEB}.127.0.0.1.80": 11,
        f"real_connections.1.{WEB}.127.0.0.2.80": 22, f"virtual_connections.1.{WEB}": 33},
        {"connections_created": 60, "connections_established": 50, "connections_destroyed": 40}),
}

ACCESSES = [{"name": "plain", "version": "v2c", "community": "measure"}, {"name": "secret", "version": "v3", **USER}]


class Snmpd:
    """One snmpd with its own configuration and directory; listen as snmpd.conf has it. passed: a tree and its objects, as
    snmp_objects.py has them."""

    def __init__(self, listen, values=None, passed=None):
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-snmpd-"))
        self.listen, self.values, self.process = listen, dict(values or {}), None
        self.passed = []
        if passed:
            tree, objects = passed
            self.pass_objects(objects)
            self.passed = [f"pass_persist .{tree} {sys.executable} {OBJECTS} {self.directory / 'objects'}"]

    def pass_objects(self, objects):
        """Serves these from now on, without a start."""
        path = self.directory / "objects"
        path.with_suffix(".new").write_text(json.dumps(objects))
        path.with_suffix(".new").replace(path)

    def configuration(self):
        return "\n".join([
            "rocommunity measure", "rouser probe priv", f"agentaddress {self.listen}", "sysname device-1",
            f"createUser probe SHA-256 {USER['auth_secret']} AES {USER['privacy_secret']}",
            *(f"override .{oid} integer {value}" for oid, value in self.values.items()), *self.passed, "",
        ])

    def start(self):
        path = self.directory / "snmpd.conf"
        path.write_text(self.configuration())
        self.process = subprocess.Popen(
            [SNMPD, "-f", "-r", "-C", "-c", path, "-Ln", "-I", "-smux"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "SNMP_PERSISTENT_DIR": str(self.directory), "MIBS": ""},
        )
        eventually(self.answers, 20, "snmpd answers")
        return self

    def answers(self):
        place = self.listen.split(",")[0]
        return tool("snmpget", "-v2c", "-c", "measure", "-r", "0", "-t", "0.5", place, ".1.3.6.1.2.1.1.5.0").returncode == 0

    def set_value(self, oid, value):
        """A new value, after a start at the same place."""
        self.end_process()
        self.values[oid] = value
        return self.start()

    def end_process(self):
        if self.process:
            end_process(self.process)

    def end(self):
        self.end_process()
        shutil.rmtree(self.directory, ignore_errors=True)


def tool(name, *arguments):
    """One of net-snmp's own programs, which reads no files."""
    environment = {**os.environ, "SNMPCONFPATH": "/dev/null/none", "SNMP_PERSISTENT_DIR": "/dev/null/none", "MIBS": ""}
    return subprocess.run([name, *arguments], capture_output=True, text=True, timeout=30, env=environment, check=False)


def figures(daemon, member="m1"):
    """{name: {"value", "age_s"}} of what SNMP told of the member, as the API has it."""
    sources = daemon.api(f"/v1/members/www.example.com/{member}/load").json["sources"]
    return {value["name"]: {"value": value["value"], "age_s": source["age_s"]}
            for source in sources if source["source"] == "snmp" for value in source["values"]}


def service(members, **changes):
    return {"name": "www.example.com", "ttl": {"max": "30s", "min": "1s"}, "method": "all", "answers": 1,
            "when_down": "empty", "members": members, **changes}


@unittest.skipUnless(os.path.exists(SNMPD), "snmpd is not installed")
class Snmp(Case):
    def start_snmpd(self, listen, **values):
        device = Snmpd(listen, **values)
        self.addCleanup(device.end)
        return device.start()

    def device(self, values=None, passed=None):
        """An snmpd at an address of its own: (device, address, port)."""
        address = addresses.take()
        port = free_port(address)
        return self.start_snmpd(f"udp:{address}:{port}", values=values, passed=passed), address, port

    def value(self, daemon, name, member="m1"):
        return figures(daemon, member).get(name, {}).get("value")

    def start_reading(self, address, port, access, **changes):
        source = {"name": "device", "type": "snmp", "access": access, "port": port, "interval": "1s", "timeout": "800ms",
                  **({} if "table" in changes else
                     {"metrics": [{"name": "sessions", "oid": f"{OWN}.1.0"}]}), **changes}
        extra = {"snmp": ACCESSES, "sources": [source],
                 "services": [service([{"name": "m1", "addresses": [address]}], sources=["device"],
                                      load={"metrics": [{"name": "sessions", "ceiling": 100}]})]}
        return self.start(extra)

    def test_figure_is_what_the_device_says_by_v2c_and_v3(self):
        for access in ("plain", "secret"):
            with self.subTest(access):
                device, address, port = self.device({f"{OWN}.1.0": 42})
                daemon = self.start_reading(address, port, access)
                eventually(lambda: self.value(daemon, "sessions") == 42, 15, "the figure is there")
                device.set_value(f"{OWN}.1.0", 43)
                eventually(lambda: self.value(daemon, "sessions") == 43, 15, "the figure follows")
                daemon.stop()

    def test_ready_table_equals_what_snmpget_says(self):
        _, address, port = self.device()
        source = {"name": "device", "type": "snmp", "access": "secret", "port": port, "interval": "1s",
                  "timeout": "800ms", "table": "host-resources"}
        daemon = self.start({"snmp": ACCESSES, "sources": [source],
                             "services": [service([{"name": "m1", "addresses": [address]}], sources=["device"],
                                                  load={"metrics": [{"name": "cpu_utilization"}, {"name": "mem_utilization"},
                                                                    {"name": "processes", "ceiling": 1000}]})]})
        eventually(lambda: self.value(daemon, "processes") is not None, 15, "the table is read")
        got = tool("snmpget", "-v2c", "-c", "measure", "-Oqv", f"{address}:{port}", ".1.3.6.1.2.1.25.1.6.0")
        self.assertAlmostEqual(self.value(daemon, "processes"), float(got.stdout), delta=60)
        self.assertTrue(0 < self.value(daemon, "mem_utilization") < 1)

    def test_ready_tables_of_vendors_read_what_their_mibs_hold(self):
        for table, (tree, objects, wanted, growing) in VENDORS.items():
            with self.subTest(table):
                _, address, port = self.device(passed=(tree, objects))
                daemon = self.start_reading(address, port, "plain", table=table)
                first = next(iter({**growing, **wanted}))
                eventually(lambda: self.value(daemon, first) is not None, 15, f"{first} is read")  # noqa: B023
                found = {name: row["value"] for name, row in figures(daemon).items()}
                self.assertEqual(set(found), set(wanted) | set(growing))
                for name, value in wanted.items():
                    self.assertAlmostEqual(found[name], value, 9, name)
                for name, value in growing.items():  # the agent may be slow for once on a busy machine
                    eventually(lambda: abs(self.value(daemon, name) - value) < 0.2 * value, 15, f"{name} is {value}")  # noqa: B023
                asked = [daemon.build / "gslbctl", "-o", "json", "snmp", "suggest", f"{address}@{port}", "--community", "measure"]
                suggested = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
                tables = {row["table"]: row["metrics"] for row in json.loads(suggested.stdout)["tables"]}
                self.assertLessEqual(set(wanted), set(tables[table]))
                self.assertEqual([other for other in VENDORS if other != table and tables[other]], [])
                daemon.stop()

    def test_own_metrics_find_their_row_by_another_column(self):
        def ports(*names):
            """A table of ports: their names, and counters of bytes that grow by 1000 a second, 2000, ..."""
            return {f"{OWN}.2.1.{row}": ["string", name] for row, name in enumerate(names, 1)} | {
                f"{OWN}.2.2.{row}": ["counter64", [row << 32, 1000 * row]] for row, name in enumerate(names, 1)} | {
                f"{OWN}.2.3.{row}": ["gauge", 10 * row] for row, name in enumerate(names, 1)}
        device, address, port = self.device(passed=(OWN + ".2", ports("ge-0/0/0", "ge-0/0/1", "ge-0/0/2")))
        where = {"oid": f"{OWN}.2.1", "value": "ge-0/0/1"}
        daemon = self.start_reading(address, port, "secret", metrics=[
            {"name": "queue", "oid": f"{OWN}.2.3", "where": where, "scale": 0.5}, {"name": "second", "oid": f"{OWN}.2.3.2"},
            {"name": "out_bits", "oid": f"{OWN}.2.2", "where": where, "rate": True, "scale": 8}])
        eventually(lambda: self.value(daemon, "queue") == 10, 15, "half of what the second row says")
        eventually(lambda: abs((self.value(daemon, "out_bits") or 0) - 16000) < 3000, 10, "its growth a second in bits")
        device.pass_objects(ports("ge-0/0/9", "ge-0/0/0", "ge-0/0/1"))  # a card was put in
        eventually(lambda: self.value(daemon, "queue") == 15, 10, "the row is found where it is now")
        self.assertEqual(self.value(daemon, "second"), 20)
        eventually(lambda: abs(self.value(daemon, "out_bits") - 24000) < 4500, 15, "the other counter grows otherwise")
        device.pass_objects(ports("ge-0/0/0"))
        eventually(lambda: self.value(daemon, "queue") is None or self.row(daemon)["reason"], 10, "the row is gone, and that is told")

    def test_row_has_its_age_and_its_counters_and_the_load_is_made_of_it(self):
        device, address, port = self.device({f"{OWN}.1.0": 25})
        daemon = self.start_reading(address, port, "secret")
        eventually(lambda: self.value(daemon, "sessions") == 25, 15, "the figure is there")
        document = daemon.api("/v1/members/www.example.com/m1/load").json
        term, source = document["load"]["terms"][0], document["sources"][0]
        self.assertEqual((term["source"], term["value"], term["ceiling"], document["load"]["load"]), ("snmp", 25, 100, 0.25))
        self.assertEqual((source["interval_s"], source["failed"], source["reason"]), (1, 0, None))
        device.end_process()
        row = eventually(lambda: self.row(daemon)["failed"] >= 2 and self.row(daemon), 10, "it fails")
        self.assertTrue(row["reason"])
        self.assertEqual(self.value(daemon, "sessions"), 25)
        self.assertGreater(self.row(daemon)["age_s"], 1)

    def row(self, daemon):
        return daemon.api("/v1/members/www.example.com/m1/load").json["sources"][0]

    def test_monitor_compares_an_object(self):
        device, address, port = self.device({f"{OWN}.1.0": 1})
        monitor = {"name": "state", "type": "snmp", "port": port, "access": "secret", "oid": f"{OWN}.1.0",
                   "compare": "equal", "value": "1", "interval": "1s", "timeout": "500ms", "rise": 1, "fall": 1}
        daemon = self.start({"snmp": ACCESSES, "monitors": [monitor],
                             "services": [service([{"name": "m1", "addresses": [address]}], monitors=["state"])]})
        daemon.wait_states("www.example.com", m1="up")
        device.set_value(f"{OWN}.1.0", 2)
        daemon.wait_states("www.example.com", m1="down")
        eventually(lambda: "2, expected 1" in json.dumps(daemon.member("www.example.com", "m1")), 10, "the reason is told")

    def start_with_traps(self, trap_port=None):
        device, address, port = self.device({f"{OWN}.1.0": 1})
        listen = addresses.take()
        trap_port = trap_port or free_port(listen)
        source = {"name": "device", "type": "snmp", "access": "plain", "port": port, "interval": "1h", "timeout": "2s",
                  "metrics": [{"name": "sessions", "oid": f"{OWN}.1.0"}]}
        daemon = self.start({"snmp": ACCESSES, "traps": {"listen": f"{listen}@{trap_port}"}, "sources": [source],
                             "services": [service([{"name": "m1", "addresses": [address]}], sources=["device"],
                                                  load={"metrics": [{"name": "sessions", "ceiling": 100}]})]})

        def is_read():  # asked for again where the machine stood still for longer than the time-out
            self.assertEqual(daemon.ctl("measure", "www.example.com/m1").returncode, 0)
            return self.value(daemon, "sessions") == 1
        eventually(is_read, 15, "the figure is there", interval_s=1)
        device.set_value(f"{OWN}.1.0", 2)
        return daemon, address, f"{listen}:{trap_port}"

    def test_trap_has_the_device_read_at_once(self):
        daemon, address, place = self.start_with_traps()
        event = ["", "1.3.6.1.6.3.1.1.5.3"]
        refused = tool("snmptrap", "-v2c", "-c", "guess", "--clientaddr=" + address, place, *event)
        self.assertEqual(refused.returncode, 0, refused.stderr)
        time.sleep(1)
        self.assertEqual(self.value(daemon, "sessions"), 1, "a wrong community is not heard")
        tool("snmptrap", "-v2c", "-c", "measure", "--clientaddr=" + address, place, *event)
        eventually(lambda: self.value(daemon, "sessions") == 2, 5, "the trap is heard")

    def tell(self, address, place):
        tool("snmptrap", "-v2c", "-c", "measure", "--clientaddr=" + address, place, "", "1.3.6.1.6.3.1.1.5.3")

    @unittest.skipUnless(os.getuid() == 0, "needs a right to ports below 1024")
    def test_traps_come_to_the_port_that_only_root_may_open(self):
        daemon, address, place = self.start_with_traps(162)
        probe = daemon.processes()["probe"]["pid"]
        held = next(line for line in Path(f"/proc/{probe}/status").read_text().splitlines() if line.startswith("CapEff"))
        self.assertEqual(int(held.split()[1], 16), 0, "the probe process has no rights of its own")
        self.tell(address, place)
        eventually(lambda: self.value(daemon, "sessions") == 2, 5, "the trap is heard")

    def test_reload_moves_the_traps_to_another_address(self):
        daemon, address, place = self.start_with_traps()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        self.tell(address, place)
        eventually(lambda: self.value(daemon, "sessions") == 2, 5, "the socket stays while its address does")
        probe = daemon.processes()["probe"]
        other = addresses.take()
        moved = f"{other}:{free_port(other)}"
        daemon.extra["traps"]["listen"] = moved.replace(":", "@")
        daemon.write_config()
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        time.sleep(1.1)  # a device that spoke just now is read no more than once a second
        read = self.row(daemon)["read"]
        self.tell(address, moved)
        eventually(lambda: self.row(daemon)["read"] > read, 5, "traps come to the new address")
        self.assertEqual(daemon.processes()["probe"]["pid"], probe["pid"])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((other, 0))
            daemon.extra["traps"]["listen"] = f"{other}@{taken.getsockname()[1]}"
            daemon.write_config()
            refused = daemon.ctl("reload")
        self.assertIn("traps.listen: UDP", refused.stdout + refused.stderr)
        time.sleep(1.1)
        read = self.row(daemon)["read"]
        self.tell(address, moved)
        eventually(lambda: self.row(daemon)["read"] > read, 5, "what was there goes on")

    def test_v3_inform_is_answered_and_heard(self):
        daemon, address, place = self.start_with_traps()
        sent = tool("snmpinform", "-v3", "-u", "probe", "-l", "authPriv", "-a", "SHA-256", "-A", USER["auth_secret"],
                    "-x", "AES", "-X", USER["privacy_secret"], "-r", "2", "-t", "2", "--clientaddr=" + address, place, "",
                    "1.3.6.1.6.3.1.1.5.3")
        self.assertEqual(sent.returncode, 0, sent.stderr)
        eventually(lambda: self.value(daemon, "sessions") == 2, 5, "the inform is heard")

    def test_operator_looks_at_a_device(self):
        _, address, port = self.device({f"{OWN}.1.0": 42})
        daemon = self.start_reading(address, port, "secret")
        config = ["--config", str(daemon.config_path)]
        walked = subprocess.run([daemon.build / "gslbctl", *config, "snmp", "walk", "www.example.com/m1", OWN],
                                capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(walked.stdout, f"{OWN}.1.0 = integer: 42\n", walked.stderr)
        place = f"{address}@{port}"
        suggested = subprocess.run([daemon.build / "gslbctl", "-o", "json", "snmp", "suggest", place, "--community", "measure"],
                                   capture_output=True, text=True, timeout=60, check=False)
        tables = {row["table"]: row["metrics"] for row in json.loads(suggested.stdout)["tables"]}
        self.assertIn("mem_utilization", tables["host-resources"])
        self.assertIn("load_1m", tables["ucd"])
        self.assertEqual(tables["f5-bigip"], {})

    def test_many_devices_are_read_within_their_interval(self):
        devices, interval_s = count(200, 1000), count(3, 5)
        port = free_port("127.0.0.1")
        hosts = [f"127.201.{index // 250}.{index % 250 + 1}" for index in range(devices)]
        for first in range(0, devices, 100):  # snmpd takes no longer list of addresses
            listen = ",".join(f"udp:{host}:{port}" for host in hosts[first:first + 100])
            self.start_snmpd(listen, values={f"{OWN}.1.0": 7})
        source = {"name": "device", "type": "snmp", "access": "secret", "port": port, "interval": f"{interval_s}s",
                  "timeout": "2s", "metrics": [{"name": "sessions", "oid": f"{OWN}.1.0"}]}
        members = [{"name": f"m{index}", "addresses": [host]} for index, host in enumerate(hosts)]
        daemon = self.start({"snmp": ACCESSES, "sources": [source],
                             "services": [service(members, sources=["device"],
                                                  load={"metrics": [{"name": "sessions", "ceiling": 100}]})]})
        last = f"m{devices - 1}"
        eventually(lambda: self.value(daemon, "sessions", last) == 7, 30, "the last device is read")
        time.sleep(3 * interval_s)
        for index in range(0, devices, 7):
            rows = figures(daemon, f"m{index}")
            self.assertEqual(rows["sessions"]["value"], 7)
            self.assertLess(rows["sessions"]["age_s"], 1.5 * interval_s, f"m{index}")


if __name__ == "__main__":
    unittest.main()
