"""The bench of answers runs, and what gslb answers under load is right."""
import subprocess
import unittest

from tests.system.harness import ROOT

ALONE = True  # it takes both processors before all others


class AnswersBench(unittest.TestCase):
    def test_quick_run_of_the_rates_tells_every_table_and_finds_no_wrong_answer(self):
        run = subprocess.run([ROOT / "tests/bench/answers", "--quick", "rates"], capture_output=True, text=True, timeout=120,
                             check=False)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        for title in ("mix, saturated", "mix, us", "balanced A", "by Client Subnet", "CPU, times"):
            rows = run.stdout.partition(f"  {title} ")[2].splitlines()
            self.assertTrue(any(row.startswith("  gslb ") for row in rows[:3]), f"{title}: {run.stdout}")
        row = next(row for row in run.stdout.splitlines()[::-1] if row.startswith("  gslb "))
        asked, _, wrong, decoded, found_wrong = (int(cell.replace(",", "")) for cell in row.split()[1:])
        self.assertGreater(asked, 1000)
        self.assertGreater(decoded, 100)
        self.assertEqual((wrong, found_wrong), (0, 0))


if __name__ == "__main__":
    unittest.main()
