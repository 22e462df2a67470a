"""Point 9, the page: a real browser at the width of a phone."""
import base64
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest
import urllib.request

from tests.system.harness import ROOT, Case, Gslbd, addresses, end_process, eventually, free_port

WIDTH, HEIGHT = 390, 844
SHOTS = ROOT / "build" / "test"
WWW = "www.example.com"
BROWSER_OPTIONS = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--disable-background-networking",
                   "--disable-dev-shm-usage"] + (["--no-sandbox"] if os.getuid() == 0 else [])


class Browser:
    """Chromium through chromedriver's HTTP interface (W3C WebDriver)."""

    def __init__(self, width, height):
        host, self.directory = "127.0.0.1", tempfile.mkdtemp(prefix="gslb-browser-")
        port = free_port(host)
        self.base = f"http://{host}:{port}"
        self.driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       env={**os.environ, "TMPDIR": self.directory, "HOME": self.directory})
        eventually(self.is_up, 20, "chromedriver is up")
        options = {"args": [*BROWSER_OPTIONS, f"--user-data-dir={self.directory}/profile"],
                   "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1, "touch": True}}}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                   "goog:loggingPrefs": {"browser": "ALL"}}}}
        self.session = f"/session/{self.call('POST', '/session', wanted)['sessionId']}"

    def is_up(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, headers={"Content-Type": "application/json"},
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())["value"]

    def open(self, url):
        self.call("POST", f"{self.session}/url", {"url": url})

    def run(self, script):
        return self.call("POST", f"{self.session}/execute/sync", {"script": script, "args": []})

    def text(self):
        return self.run("return document.body.innerText")

    def screenshot(self):
        return base64.b64decode(self.call("GET", f"{self.session}/screenshot"))

    def messages(self):
        """What stands in the console as an error."""
        rows = self.call("POST", f"{self.session}/se/log", {"type": "browser"})
        return [row["message"] for row in rows if row["level"] == "SEVERE" and "favicon" not in row["message"]]

    def close(self):
        try:
            self.call("DELETE", self.session)
        except OSError:
            pass
        end_process(self.driver)
        shutil.rmtree(self.directory, ignore_errors=True)


@unittest.skipUnless(shutil.which("chromedriver") and shutil.which("chromium"), "no chromium with chromedriver here")
class Page(Case):
    @classmethod
    def setUpClass(cls):
        port = free_port("127.0.0.1")
        closed = [addresses.take() for _ in range(2)]
        cls.gslbd = cls.share(Gslbd({
            "sites": [{"name": "fra"}],
            "monitors": [{"name": "port", "type": "tcp", "port": port, "interval": "300ms", "timeout": "200ms", "rise": 1, "fall": 2}],
            "services": [
                {"name": WWW, "ttl": {"max": "30s", "min": "1s"}, "monitors": ["port"], "method": "weighted",
                 "members": [{"name": "fra-1", "site": "fra", "addresses": [closed[0]]},
                             {"name": "a-member-with-quite-a-long-name-that-must-not-widen-the-page", "addresses": [closed[1]]}]},
                {"name": "a-rather-long-service-name-for-a-small-screen.example.com", "ttl": {"max": "30s", "min": "1s"},
                 "method": "all", "members": [{"name": "steady", "addresses": ["127.0.0.1", "2001:db8:1234:5678:9abc:def0:1234:5678"]}]},
            ],
        }))
        cls.gslbd.wait_states(WWW, fra_1="down")
        cls.browser = Browser(WIDTH, HEIGHT)
        cls.addClassCleanup(cls.browser.close)
        cls.url = f"http://{cls.gslbd.host}:{cls.gslbd.http_port}/"

    def open(self):
        self.browser.open(self.url)
        eventually(lambda: "fra-1" in self.browser.text(), 10, "the page shows members")

    def test_page_shows_services_members_states_and_reasons(self):
        self.open()
        text = self.browser.text()
        for shown in (WWW, "fra-1", "steady", "lb1.example.net"):
            self.assertIn(shown, text)
        for state in ("down", "up"):
            self.assertIn(state, text.lower())
        self.assertIn("refused", text)

    def test_page_refreshes_by_itself(self):
        self.open()
        self.gslbd.set_member(WWW, "fra-1", "up", "shown on the page")
        try:
            eventually(lambda: "shown on the page" in self.browser.text(), 10, "the reason appears without a reload")
            self.assertIn("set up by", self.browser.text())
        finally:
            self.gslbd.clear_member(WWW, "fra-1")
        # past events may tell of it for longer
        eventually(lambda: "set up by" not in self.browser.text(), 10, "and the override goes again")

    def test_page_counts_answers(self):
        self.open()
        for _ in range(1234):
            self.gslbd.ask("a-rather-long-service-name-for-a-small-screen.example.com")
        eventually(lambda: any(form in self.browser.text() for form in ("1234", "1,234", "1 234", "1.2k", "1.2 k", "1\u202f234")), 10,
                   "the answers are counted")

    def test_phone_needs_no_sideways_scroll(self):
        self.open()
        picture = self.browser.screenshot()
        SHOTS.mkdir(parents=True, exist_ok=True)
        (SHOTS / "page-390.png").write_bytes(picture)
        self.assertEqual(struct.unpack("!I", picture[16:20])[0], WIDTH)
        self.assertEqual(self.browser.run("return window.innerWidth"), WIDTH)
        wide = self.browser.run(
            "return [document.documentElement.scrollWidth, [...document.querySelectorAll('body *')]"
            ".filter(e => e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)"
            ".map(e => e.tagName + '.' + e.className + ': ' + e.textContent.slice(0, 40))]")
        self.assertLessEqual(wide[0], WIDTH, wide[1])
        self.assertEqual(wide[1], [])

    def test_text_is_readable(self):
        self.open()
        smallest = self.browser.run(
            "return Math.min(...[...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && [...e.childNodes]"
            ".some(n => n.nodeType == 3 && n.textContent.trim())).map(e => parseFloat(getComputedStyle(e).fontSize)))")
        self.assertGreaterEqual(smallest, 11)

    def test_nothing_is_fetched_from_elsewhere_and_nothing_fails(self):
        self.open()
        names = self.browser.run("return performance.getEntriesByType('resource').map(e => e.name)")
        self.assertEqual([name for name in names if not name.startswith(self.url)], [])
        self.assertEqual(self.browser.messages(), [])

    def test_page_without_a_driver(self):
        dump = subprocess.run(["chromium", *BROWSER_OPTIONS, "--virtual-time-budget=4000", f"--user-data-dir={self.browser.directory}/dump",
                               "--dump-dom", self.url], capture_output=True, text=True, timeout=60, check=False)
        for shown in (WWW, "fra-1", "steady"):
            self.assertIn(shown, dump.stdout)

    def test_page_is_cached_and_guarded_sensibly(self):
        reply = self.gslbd.api("/")
        self.assertEqual(reply.status, 200)
        self.assertIn("text/html", reply.headers["Content-Type"])
        self.assertIn("viewport", reply.text)


if __name__ == "__main__":
    unittest.main()
