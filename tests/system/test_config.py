"""Point 2: the configuration as an operator meets it through --check-config and --help-config."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from tests.system.harness import BUILD, ZONE

# the configuration that was promised to load as it stands
PROMISED = """\
server:
  identity: lb1.example.net
  state: ./state
  listen: ["127.0.0.1@5300", "::1@5300"]
  workers: 2
control:
  listen: 127.0.0.1@8300
  socket: ./control.sock
zones:
  - name: example.com
    file: example.com.zone
sites:
  - {name: fra, location: [50.11, 8.68]}
  - {name: nyc, location: [40.71, -74.01]}
monitors:
  - name: web
    type: http
    port: 8080
    path: /health
    expect: {status: "200", body: ok}
    interval: 1s
    timeout: 500ms
    rise: 2
    fall: 2
  - {name: port, type: tcp, port: 8080, interval: 1s, timeout: 300ms, rise: 1, fall: 2}
  - {name: resolver, type: dns, port: 53, query: {name: probe.example.net, type: A}, expect: {rcode: NOERROR, answer: 192.0.2.53}, interval: 2s, timeout: 500ms}
services:
  - name: www.example.com
    ttl: {max: 30s, min: 5s}
    answers: 1
    method: weighted
    monitors: [web]
    when_down: all
    members:
      - {name: fra-1, site: fra, addresses: [127.0.0.11, "::1"], weight: 3}
      - {name: nyc-1, site: nyc, addresses: [127.0.0.12], weight: 1}
  - name: api.example.com
    ttl: {max: 60s, min: 5s}
    answers: 2
    method: round_robin
    monitors: [port]
    when_down: empty
    members:
      - {name: a1, site: fra, addresses: [127.0.0.21], srv_port: 8443}
      - {name: a2, site: nyc, addresses: [127.0.0.22], srv_port: 8443}
      - {name: a3, site: nyc, addresses: [127.0.0.23], srv_port: 8443}
    srv: _https._tcp
"""


class Config(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="gslb-config-")
        self.addCleanup(holder.cleanup)
        self.directory = Path(holder.name)
        self.path = self.directory / "gslb.yaml"
        (self.directory / "example.com.zone").write_text(ZONE)

    def check(self, text):
        """(exit status, [(line, column, message)] for our file, all output)"""
        self.path.write_text(text)
        done = subprocess.run([BUILD / "gslbd", "--check-config", self.path], capture_output=True, text=True,
                              check=False, timeout=30)
        output = done.stdout + done.stderr
        found = re.findall(rf"^{re.escape(str(self.path))}:(\d+):(\d+): (.+)$", output, re.MULTILINE)
        return done.returncode, [(int(line), int(column), message) for line, column, message in found], output

    def marked(self, *changes):
        """The promised text with (old, new) replaced; «» in new marks where errors are expected. Returns text, marks."""
        text = PROMISED
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new, 1)
        marks, lines = [], []
        for number, line in enumerate(text.split("\n"), 1):
            while "«»" in line:
                marks.append((number, line.index("«»") + 1))
                line = line.replace("«»", "", 1)
            lines.append(line)
        return "\n".join(lines), marks

    def expect(self, changes, *messages):
        """Exactly the marked places are reported, in order, each with all words of its message."""
        text, marks = self.marked(*changes)
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        self.assertEqual([(line, column) for line, column, _ in found], marks, output)
        for (_, _, message), words in zip(found, messages):
            for word in words.split():
                self.assertIn(word.lower(), message.lower())

    def test_promised_configuration_loads_as_it_stands(self):
        status, found, output = self.check(PROMISED)
        self.assertEqual((status, found), (0, []), output)

    def test_check_touches_nothing(self):
        self.check(PROMISED)
        self.assertEqual(sorted(path.name for path in self.directory.iterdir()), ["example.com.zone", "gslb.yaml"])

    def test_syntax_error_has_a_place(self):
        text = PROMISED.replace("  workers: 2\n", "  workers: 2\n bad: [1\n", 1)
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        self.assertEqual(len(found), 1, output)
        self.assertIn(found[0][0], range(6, 9), output)

    def test_tab_is_a_syntax_error_with_a_place(self):
        status, found, output = self.check(PROMISED.replace("  workers: 2\n", "\tworkers: 2\n", 1))
        self.assertEqual(status, 1, output)
        self.assertEqual(found[0][0], 5, output)

    def test_unknown_key_names_the_nearest_one(self):
        self.expect([("    fall: 2\n", "    «»fal: 2\n")], "fal fall")

    def test_unknown_key_at_the_top(self):
        self.expect([("services:", "«»servces:")], "servces services")

    def test_monitor_that_is_not_defined(self):
        self.expect([("monitors: [web]", "monitors: [«»wob]")], "wob")

    def test_site_that_is_not_defined(self):
        self.expect([("site: nyc, addresses: [127.0.0.12]", "site: «»nyx, addresses: [127.0.0.12]")], "nyx")

    def test_address_that_does_not_parse(self):
        self.expect([("[127.0.0.12]", "[«»127.0.0.300]")], "127.0.0.300")

    def test_listen_address_without_port(self):
        self.expect([('"::1@5300"', '«»"::1"')], "::1")

    def test_name_outside_every_zone(self):
        self.expect([("name: www.example.com", "name: «»www.example.org")], "www.example.org zone")

    def test_value_out_of_range(self):
        self.expect([("port: 8080\n    path", "port: «»80800\n    path")], "65535")

    def test_duration_without_unit(self):
        self.expect([("interval: 1s\n", "interval: «»1\n")], "")

    def test_enumeration_tells_its_words(self):
        self.expect([("method: weighted", "method: «»wieghted")], "weighted round_robin all first")

    def test_timeout_above_interval(self):
        text, _ = self.marked(("timeout: 500ms\n", "timeout: 5s\n"))
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        self.assertEqual([line for line, _, _ in found], [22], output)

    def test_ttl_min_above_max(self):
        text, _ = self.marked(("ttl: {max: 30s, min: 5s}", "ttl: {max: 3s, min: 5s}"))
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        self.assertEqual([line for line, _, _ in found], [29], output)

    def test_duplicate_member(self):
        text, _ = self.marked(("{name: nyc-1,", "{name: fra-1,"))
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        line, column, message = found[0]
        self.assertEqual((len(found), line), (1, 36), output)
        self.assertIn(column, (9, 10, 16), output)
        self.assertIn("fra-1", message)

    def test_duplicate_service_monitor_and_zone(self):
        text, _ = self.marked(("name: api.example.com", "name: WWW.example.com"), ("{name: port,", "{name: web,"),
                              ("monitors: [port]", "monitors: [web]"))
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        self.assertEqual([line for line, _, _ in found], [25, 37], output)

    def test_missing_key_is_told_at_its_map(self):
        text, _ = self.marked(("    file: example.com.zone\n", ""))
        status, found, output = self.check(text)
        self.assertEqual(status, 1, output)
        self.assertEqual(found[0][0], 10, output)
        self.assertIn("file", found[0][2])

    def test_all_errors_in_one_run(self):
        self.expect([
            ("workers: 2", "workers: «»0"),
            ("    fall: 2\n", "    «»fal: 2\n"),
            ("when_down: all", "when_down: «»none"),
            ("[127.0.0.12]", "[«»localhost]"),
            ("name: api.example.com", "name: «»api.example.net"),
            ("answers: 2", "answers: «»65000"),
            ("monitors: [port]", "monitors: [«»prt]"),
        ])

    def test_zone_errors_come_in_the_same_run(self):
        (self.directory / "example.com.zone").write_text(ZONE + "broken IN A 192.0.2.999\nfine IN A 192.0.2.7\nbad IN MX mail\n")
        status, _, output = self.check(PROMISED)
        self.assertEqual(status, 1, output)
        lines = len(ZONE.splitlines())
        self.assertIn(f"example.com.zone:{lines + 1}", output)

    def test_zone_file_that_is_not_there(self):
        (self.directory / "example.com.zone").unlink()
        status, _, output = self.check(PROMISED)
        self.assertEqual(status, 1, output)
        self.assertIn("example.com.zone", output)

    def test_service_that_collides_with_a_static_record(self):
        (self.directory / "example.com.zone").write_text(ZONE + "www IN A 192.0.2.9\n")
        status, found, output = self.check(PROMISED)
        self.assertEqual(status, 1, output)
        self.assertIn("www.example.com", output)
        self.assertTrue(any(line == 28 for line, _, _ in found) or "example.com.zone:" in output, output)

    def test_service_beside_a_record_of_another_type_is_fine(self):
        (self.directory / "example.com.zone").write_text(ZONE + 'www IN TXT "hello"\n')
        status, _, output = self.check(PROMISED)
        self.assertEqual(status, 0, output)

    def test_file_that_is_not_there(self):
        done = subprocess.run([BUILD / "gslbd", "--check-config", self.directory / "nothing.yaml"],
                              capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing.yaml", done.stdout + done.stderr)

    def test_daemon_does_not_start_with_a_broken_configuration(self):
        self.path.write_text(PROMISED.replace("workers: 2", "workers: many"))
        done = subprocess.run([BUILD / "gslbd", "--config", self.path], capture_output=True, text=True, check=False,
                              timeout=30)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("gslb.yaml:5:12: ", done.stdout + done.stderr)

    def test_strange_texts_are_refused_and_never_crash(self):
        strange = ["", "[]", "- a\n- b\n", "server: 7\n", "a: &x [*x]\n", "{" * 2000, "? [a]\n: b\n", "server: {server: {}}\n",
                   PROMISED + PROMISED, "\x00\x01", "%YAML 9.9\n---\na: b\n", "---\na: b\n---\nc: d\n", "é: ü\n", "- " * 3000,
                   "a: " + "x" * 200000 + "\n"]
        for text in strange:
            with self.subTest(text=text[:30]):
                status, _, output = self.check(text)
                self.assertEqual(status, 1, output[:500])

    def test_help_tells_every_key(self):
        done = subprocess.run([BUILD / "gslbd", "--help-config"], capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, 0, done.stderr)
        keys = set(re.findall(r"[{ ,]([a-z_]+):", " " + PROMISED.replace("\n", "\n ")))
        for key in keys - {"example"}:
            self.assertRegex(done.stdout, rf"\b{key}\b")
        for word in ("weighted", "round_robin", "empty", "last", "duration", "default"):
            self.assertIn(word, done.stdout)
