"""Issue 6, point 5: a compiled image is used again while nothing that it was made of has changed, and never otherwise."""
from tests.system.harness import Case, ZONE, eventually

NAMES = 30000
KEPT = "the kept name image is used"
UNUSED = "the kept name image is not used"


def zone(last="127.0.0.9"):
    return ZONE + "".join(f"n{number} IN A 127.1.{number >> 8}.{number & 255}\n" for number in range(NAMES)) \
        + f"last IN A {last}\n"


class KeptImage(Case):
    def start_large(self, **options):
        daemon = self.start(zone=zone(), **options)
        self.wait_kept(daemon)
        return daemon

    def image(self, daemon):
        return daemon.directory / "state" / "compiled" / "image"

    def wait_kept(self, daemon, before=None):
        def is_other():
            path = self.image(daemon)
            return path.exists() and path.stat().st_ino != before
        eventually(is_other, 20, "the image is kept")

    def again(self, daemon):
        """Ends it and starts it; what it logged since."""
        self.assertEqual(daemon.stop(), 0)
        seen = len(daemon.log())
        daemon.start()
        return daemon.log()[seen:]

    def answer(self, daemon):
        return daemon.answers("last.example.com")

    def test_the_next_start_uses_it(self):
        daemon = self.start_large()
        self.assertIn(KEPT, self.again(daemon))
        self.assertEqual(self.answer(daemon), ["127.0.0.9"])
        self.assertEqual(daemon.answers(f"n{NAMES - 1}.example.com"), [f"127.1.{NAMES - 1 >> 8}.{NAMES - 1 & 255}"])

    def test_a_zone_that_changed_meanwhile_is_compiled(self):
        daemon = self.start_large()
        self.assertEqual(daemon.stop(), 0)
        daemon.write_zone("example.com", zone("127.0.0.8"))
        before = self.image(daemon).stat().st_ino
        self.assertNotIn(KEPT, self.again(daemon))
        self.assertEqual(self.answer(daemon), ["127.0.0.8"])
        self.wait_kept(daemon, before)
        self.assertIn(KEPT, self.again(daemon))
        self.assertEqual(self.answer(daemon), ["127.0.0.8"])

    def test_a_damaged_one_is_told_and_not_used(self):
        daemon = self.start_large()
        self.assertEqual(daemon.stop(), 0)
        with open(self.image(daemon), "r+b") as file:
            file.seek(-1000, 2)
            file.write(b"damage")
        self.assertIn(UNUSED, self.again(daemon))
        self.assertEqual(self.answer(daemon), ["127.0.0.9"])

    def test_a_broken_zone_is_refused_though_the_old_image_is_there(self):
        daemon = self.start_large()
        daemon.write_zone("example.com", zone() + "broken IN A nonsense\n")
        self.assertNotEqual(daemon.ctl("reload").returncode, 0)
        self.assertEqual(self.answer(daemon), ["127.0.0.9"])
        daemon.write_zone("example.com", zone())
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        self.assertEqual(self.answer(daemon), ["127.0.0.9"])

    def test_a_directory_that_cannot_be_written_only_costs_the_next_start_time(self):
        daemon = self.start_large()
        self.assertEqual(daemon.stop(), 0)
        self.image(daemon).unlink()
        self.image(daemon).parent.rmdir()
        self.image(daemon).parent.write_text("in the way")
        self.assertNotIn(KEPT, self.again(daemon))
        self.assertEqual(self.answer(daemon), ["127.0.0.9"])
        eventually(lambda: "not kept for the next start" in daemon.log(), 10, "a word in the log")
