"""DNS cookies (RFC 7873) in the form that servers of different makers share (RFC 9018), computed here once more. What the
server takes for valid shows in what is not limited: clients with a valid cookie are exempt from rate limiting."""
import os
import signal
import socket
import struct
import time
import unittest

from tests.system.harness import ZONE, Case, addresses, eventually
from tests.system.message import COOKIE, FORMERR, NOERROR, TC, Reply, make, opt, option, over_tcp, over_udp

CLIENT = bytes.fromhex("2464c4abcf10c957")
OLD, NEW = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf"), bytes.fromhex("dd3bdf9344b678b185a6f5cb60fca715")
MASK = (1 << 64) - 1


def siphash(key, message):
    """SipHash-2-4, as its authors describe it; 8 bytes, little-endian."""
    def left(value, bits):
        return (value << bits | value >> 64 - bits) & MASK

    k0, k1 = struct.unpack("<QQ", key)
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573]

    def rounds(count):
        for _ in range(count):
            v[0], v[2] = v[0] + v[1] & MASK, v[2] + v[3] & MASK
            v[1], v[3] = left(v[1], 13) ^ v[0], left(v[3], 16) ^ v[2]
            v[0] = left(v[0], 32)
            v[2], v[0] = v[2] + v[1] & MASK, v[0] + v[3] & MASK
            v[1], v[3] = left(v[1], 17) ^ v[2], left(v[3], 21) ^ v[0]
            v[2] = left(v[2], 32)

    padded = message + b"\0" * (7 - len(message) % 8) + bytes([len(message) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return struct.pack("<Q", v[0] ^ v[1] ^ v[2] ^ v[3])


def cookie(secret, host, at, client=CLIENT):
    head = client + b"\1\0\0\0" + struct.pack("!I", int(at) & 0xFFFFFFFF)
    return head + siphash(secret, head + socket.inet_aton(host))


class Cookies(Case):
    def begin(self, secrets=None, limit=4, **more):
        cookies = {}
        daemon = self.prepare(zone=ZONE, workers=1)
        if secrets is not None:
            self.write_secrets(daemon, *secrets)
            cookies = {"secret": "cookie-secrets"}
        daemon.server.update({"cookies": {**cookies, **more}, "rate_limit": {"responses": limit, "slip": 1, "exempt": []}})
        daemon.write_config()
        return daemon.start()

    def write_secrets(self, daemon, *secrets):
        (daemon.directory / "cookie-secrets").write_text("".join(f"{secret.hex()}\n" for secret in secrets))

    def ask(self, daemon, value=None, host="127.0.0.1", tries=2):
        """The reply to a query from that address with that cookie."""
        packet = make("static.example.com", "A", additional=[opt(b"" if value is None else option(COOKIE, value))])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
            sock.settimeout(2)
            sock.connect((daemon.host, daemon.port))
            for _ in range(tries):
                sock.send(packet)
                try:
                    return Reply(sock.recv(4096))
                except socket.timeout:
                    continue
        raise AssertionError("no answer")

    def is_valid(self, daemon, value, host):
        """Whether a client there with this cookie is exempt: all of many queries are answered, none truncated."""
        return not any(self.ask(daemon, value, host).has(TC) for _ in range(20))

    def test_the_hash_is_that_of_the_standard(self):
        at = 1559731985  # RFC 9018 appendix A.1
        self.assertEqual(cookie(OLD, "198.51.100.100", at).hex(), "2464c4abcf10c957010000005cf79f111f8130c3eee29480")

    def test_who_sends_none_gets_none(self):
        daemon = self.begin()
        self.assertEqual(self.ask(daemon).option_codes(), [])

    def test_cookie_is_made_as_the_standard_says(self):
        daemon = self.begin([OLD])
        host = addresses.take()
        value = self.ask(daemon, CLIENT, host).options()[COOKIE]
        at = struct.unpack("!I", value[12:16])[0]
        self.assertAlmostEqual(at, time.time(), delta=5)
        self.assertEqual(value, cookie(OLD, host, at))

    def test_cookie_over_tcp_and_with_refusals(self):
        daemon = self.begin(limit=1000)
        packet = make("static.example.com", "A", additional=[opt(option(COOKIE, CLIENT))])
        self.assertEqual(len(Reply(over_tcp((daemon.host, daemon.port), packet)).options()[COOKIE]), 24)
        packet = make("example.org", "A", additional=[opt(option(COOKIE, CLIENT))])
        self.assertEqual(len(Reply(over_udp((daemon.host, daemon.port), packet)).options()[COOKIE]), 24)

    def test_valid_cookie_is_exempt_and_others_are_answered_but_limited(self):
        daemon = self.begin([OLD])
        now = time.time()
        stranger = addresses.take()
        good = {"fresh": now, "half an hour old": now - 1800, "a little ahead": now + 200}
        bad = {"over an hour old": now - 3700, "far ahead": now + 400}
        for kind, at in good.items():
            with self.subTest(kind=kind):
                self.assertTrue(self.is_valid(daemon, cookie(OLD, stranger, at), stranger))
        wrong = {kind: cookie(OLD, stranger, at) for kind, at in bad.items()}
        wrong["another secret"] = cookie(NEW, stranger, now)
        wrong["another address"] = cookie(OLD, "127.0.0.1", now)
        wrong["another client's"] = cookie(OLD, stranger, now, b"87654321")[:8][::-1] + cookie(OLD, stranger, now)[8:]
        wrong["a changed hash"] = cookie(OLD, stranger, now)[:-1] + bytes([cookie(OLD, stranger, now)[-1] ^ 1])
        wrong["another version"] = CLIENT + b"\2" + cookie(OLD, stranger, now)[9:]
        wrong["none of the server's"] = CLIENT
        wrong["too short"] = cookie(OLD, stranger, now)[:16]
        wrong["too long"] = cookie(OLD, stranger, now) + b"\0" * 16
        for kind, value in wrong.items():
            with self.subTest(kind=kind):
                self.assertFalse(self.is_valid(daemon, value, stranger))
                reply = self.ask(daemon, value, stranger)
                self.assertEqual(reply.rcode, NOERROR)
                self.assertTrue(self.is_valid(daemon, reply.options()[COOKIE], stranger), "the fresh one in the reply is valid")

    def test_secret_is_shared_among_servers_and_rotated(self):
        first, second = self.begin([OLD]), self.begin([OLD])
        host = addresses.take()
        value = self.ask(first, CLIENT, host).options()[COOKIE]
        self.assertTrue(self.is_valid(second, value, host))
        self.write_secrets(second, NEW, OLD)
        done = second.ctl("reload")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

        def made_by_new():
            fresh = self.ask(second, value, host).options()[COOKIE]
            return fresh == cookie(NEW, host, struct.unpack("!I", fresh[12:16])[0])
        eventually(made_by_new, 5, "the new secret makes cookies")
        self.assertTrue(self.is_valid(second, value, host), "the old one is taken still")
        self.write_secrets(second, NEW)
        self.assertEqual(second.ctl("reload").returncode, 0)
        eventually(lambda: not self.is_valid(second, value, host), 10, "the old secret is gone")

    def test_broken_secret_file_is_refused_with_its_place(self):
        daemon = self.begin([OLD])
        (daemon.directory / "cookie-secrets").write_text(f"{OLD.hex()}\nnot hexadecimal\n")
        done = daemon.ctl("reload")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("cookie-secrets", done.stdout + done.stderr)
        self.assertNotIn(OLD.hex(), done.stdout + done.stderr + daemon.log())

    def test_made_up_secret_outlives_the_dns_process(self):
        daemon = self.begin()
        host = addresses.take()
        value = self.ask(daemon, CLIENT, host).options()[COOKIE]
        self.assertTrue(self.is_valid(daemon, value, host))
        os.kill(daemon.processes()["dns"]["pid"], signal.SIGKILL)
        self.ask(daemon, tries=5)
        self.assertTrue(self.is_valid(daemon, value, host))

    def test_cookies_can_be_turned_off(self):
        daemon = self.begin(enabled=False)
        reply = self.ask(daemon, CLIENT)
        self.assertEqual((reply.rcode, reply.option_codes()), (NOERROR, []))

    def test_malformed_cookies_are_formerr(self):
        daemon = self.begin(limit=1000)
        for size in (0, 1, 7, 9, 15, 41, 100):
            with self.subTest(size=size):
                self.assertEqual(self.ask(daemon, b"\1" * size).rcode, FORMERR)


if __name__ == "__main__":
    unittest.main()
