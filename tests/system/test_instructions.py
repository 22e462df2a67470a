"""What an answer costs: its instructions by kind of query (tests/bench/instructions) do not grow unseen."""
import os
import re
import subprocess
import tempfile
from pathlib import Path

from tests.system.account import tell
from tests.system.harness import ASAN_BUILD, ROOT, Case

BUILD = ASAN_BUILD.parent  # the figures are of a build without sanitizers, also when the programs have them
PROGRAM = BUILD / "bench/answer_instructions"
KEPT = ROOT / "tests/bench/instructions.txt"


class Instructions(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        built = subprocess.run(["make", "--no-print-directory", "-j2", f"BUILD={os.path.relpath(BUILD, ROOT)}",
                                os.path.relpath(PROGRAM, ROOT)], cwd=ROOT, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout + built.stderr
        directory = tempfile.TemporaryDirectory(prefix="gslb-instructions-")
        cls.addClassCleanup(directory.cleanup)
        cls.measured = Path(directory.name) / "measured"
        cls.changed = Path(directory.name) / "changed"
        done = cls.run_bench("--kept", cls.measured, "--keep")
        assert done.returncode == 0, done.stdout + done.stderr

    @classmethod
    def run_bench(cls, *arguments):
        return subprocess.run([ROOT / "tests/bench/instructions", *arguments], env={**os.environ, "GSLB_BUILD": str(BUILD)},
                              capture_output=True, text=True, check=False, timeout=180)

    def compare(self, kept):
        done = self.run_bench("--measured", self.measured, "--kept", kept)
        return done.returncode, done.stdout + done.stderr

    def compare_changed(self, pattern, replacement):
        text, count = re.subn(pattern, replacement, self.measured.read_text(), flags=re.MULTILINE)
        self.assertEqual(count, 1)
        self.changed.write_text(text)
        return self.compare(self.changed)

    def kept_times(self, kind, factor):
        figure = float(re.search(rf"^{kind} +(\S+)$", self.measured.read_text(), re.MULTILINE)[1])
        return self.compare_changed(rf"^{kind} .*$", f"{kind} {figure * factor}")

    def test_no_kind_of_answer_takes_over_5_percent_more_than_kept(self):
        status, output = self.compare(KEPT)
        if "not compared" in output:
            self.skipTest(output.splitlines()[-1])
        self.assertEqual(status, 0, output)
        tell(re.search(r"^the mix.*$", output, re.MULTILINE)[0])

    def test_growth_is_told(self):
        status, output = self.kept_times("geography", 1 / 1.06)
        self.assertEqual(status, 1, output)
        self.assertIn("geography takes 6.0 % more", output)
        self.assertEqual(len(re.findall(r"takes .* more", output)), 1)

    def test_growth_within_bounds_and_shrinking_pass(self):
        for factor in (1 / 1.04, 2):
            status, output = self.kept_times("geography", factor)
            self.assertEqual(status, 0, output)

    def test_kind_that_is_missing_on_either_side_is_told(self):
        status, output = self.compare_changed(r"^nodata ", "renamed ")
        self.assertEqual(status, 1, output)
        self.assertIn("nodata has no kept figure", output)
        self.assertIn("renamed is kept and was not measured", output)

    def test_figures_of_another_compiler_are_not_compared(self):
        status, output = self.compare_changed(r"^# \w+ \d+\.", "# gcc 99.")
        self.assertEqual(status, 0, output)
        self.assertIn("not compared: the kept figures are of gcc 99", output)

    def test_counts_repeat_exactly(self):
        done = self.run_bench("--kept", self.changed, "--keep")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.changed.read_text(), self.measured.read_text())

    def test_functions_of_a_kind_are_shown(self):
        done = self.run_bench("--functions", "static-a")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("answer_query", done.stdout)

    def test_program_tells_times(self):
        done = subprocess.run([PROGRAM, "--time", "static-a", "refused"], capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(re.findall(r"^(\S+) +[\d.]+ ns$", done.stdout, re.MULTILINE), ["static-a", "refused"])
