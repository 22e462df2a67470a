"""The HTTP API by TLS: tokens and clients' certificates, a certificate that is renewed, and what the configuration refuses.
The certificates are made here, by openssl."""
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import unittest
import warnings
from pathlib import Path

from tests.system.harness import NO_ANSWER, Case, eventually
from tests.system.registrant import Registrant, create_token, registration

NAME = "app.example.com"
SERVICES = [{"name": NAME, "ttl": {"max": "30s", "min": "1s"}, "method": "all", "when_down": "empty", "srv": "_http._tcp",
             "accept": {"tokens": ["app", "web", "db"]}}]


def openssl(*words, **options):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, timeout=60, check=False, **options)
    if done.returncode:
        raise AssertionError(f"openssl {words}: {done.stderr}")
    return done.stdout


class Authorities:
    """Makes certificates in a directory of its own."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="gslb-tls-"))
        self.serial = 100

    def path(self, name):
        return self.directory / name

    def key(self, name):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path(f"{name}.key"))
        return self.path(f"{name}.key")

    def authority(self, name):
        openssl("req", "-x509", "-new", "-key", self.key(name), "-subj", f"/CN={name}", "-days", "2", "-out",
                self.path(f"{name}.pem"),
                "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature")
        return self.path(f"{name}.pem")

    def certificate(self, name, authority, alternative=None, subject=None, use="clientAuth", days=2):
        """(certificate, key); a name of its own in subjectAltName, unless alternative is ""."""
        self.serial += 1
        alternative = f"DNS:{name}" if alternative is None else alternative
        extensions = self.path(f"{name}.cnf")
        extensions.write_text("basicConstraints=critical,CA:FALSE\n" + (f"extendedKeyUsage={use}\n" if use else "") +
                              (f"subjectAltName={alternative}\n" if alternative else ""))
        request = self.path(f"{name}.csr")
        openssl("req", "-new", "-key", self.key(name), "-subj", f"/CN={subject or name}", "-out", request)
        issuer = self.path(authority)
        openssl("x509", "-req", "-in", request, "-CA", issuer.with_suffix(".pem"), "-CAkey", issuer.with_suffix(".key"), "-days",
                days,
                "-set_serial", self.serial, "-extfile", extensions, "-out", self.path(f"{name}.pem"))
        return self.path(f"{name}.pem"), self.path(f"{name}.key")

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Tls(Case):
    @classmethod
    def setUpClass(cls):
        cls.made = Authorities()
        cls.addClassCleanup(cls.made.remove)
        cls.made.authority("ca")
        cls.made.authority("clients")
        cls.made.authority("stranger")

    def server_certificate(self, daemon):
        """A new one, put where the configuration names it, as a tool that renews certificates does: key and certificate each
        replaced in one step. Returns its serial number."""
        certificate, key = self.made.certificate("server", "ca", f"IP:{daemon.host},DNS:lb1.example.net", use="serverAuth")
        for path, name in ((key, "tls.key"), (certificate, "tls.pem")):
            new = daemon.directory / f"{name}.new"
            shutil.copy(path, new)
            new.replace(daemon.directory / name)
        return self.made.serial

    def prepare_tls(self, clients=(), reads=None, with_clients=True, **more):
        daemon = self.prepare({"services": SERVICES})
        self.serial = self.server_certificate(daemon)
        tls = {"certificate": "tls.pem", "key": "tls.key",
               **({"client_ca": str(self.made.path("clients.pem"))} if with_clients else {})}
        daemon.extra["control"] = {**daemon.configuration()["control"], "tls": tls,
                                   **({"clients": list(clients)} if clients else {}),
                                   **({"reads": reads} if reads else {}), **more}
        daemon.write_config()
        daemon.is_ready = lambda: self.is_ready(daemon)
        return daemon

    def start_tls(self, **options):
        daemon = self.prepare_tls(**options).start()
        self.token = create_token(daemon, "app", "app-*")
        return daemon

    def is_ready(self, daemon):
        """By the unix socket, which speaks plain HTTP."""
        if daemon.process.poll() is not None:
            raise AssertionError(f"gslbd ended with {daemon.process.returncode}:\n{daemon.log()}")
        try:
            return daemon.api("/readyz", unix=True).status == 200
        except NO_ANSWER:
            return False

    def trust(self, client=None, authority="ca"):
        context = ssl.create_default_context(cafile=self.made.path(f"{authority}.pem"))
        if client:
            context.load_cert_chain(*client)
        return context

    def by_certificate(self, daemon, *names):
        """One who shows a certificate that is made now."""
        return Registrant(daemon, tls=self.trust(self.made.certificate(*names)))


class Serving(Tls):
    def test_token(self):
        daemon = self.start_tls()
        app = Registrant(daemon, self.token, self.trust())
        reply = app.put("app-1", registration("127.0.0.1"))
        self.assertEqual((reply.status, reply.json["owner"]), (201, "app"))
        eventually(lambda: daemon.answers(NAME) == ["127.0.0.1"], 5, "it is there")
        self.assertEqual(app.status("app-1", reply.json["epoch"], 1).status, 200)
        nobody = Registrant(daemon, tls=self.trust())
        self.assertEqual(nobody.put("app-2", registration("127.0.0.1")).status, 401)
        self.assertEqual(Registrant(daemon, self.token[:-2] + "xx", self.trust()).put("app-2", registration("127.0.0.1")).status,
                         401)
        self.assertEqual(nobody.list().status, 200)
        self.assertEqual(app.delete("app-1").status, 202)

    def test_curl(self):
        daemon = self.start_tls()
        done = subprocess.run(
            ["curl", "-sS", "--cacert", self.made.path("ca.pem"), "-o", "/dev/null", "-w", "%{http_code} %{ssl_verify_result}",
             "-X", "PUT",
             "-H", f"Authorization: Bearer {self.token}", "-H", "Content-Type: application/json",
             "-d", json.dumps(registration("127.0.0.1")), f"https://{daemon.host}:{daemon.http_port}/v1/resources/app-1"],
            capture_output=True, text=True, timeout=20, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "201 0"), done.stderr)

    def test_records_tell_of_it(self):
        daemon = self.start_tls()
        name = "_gslb-register._tcp.example.com"
        eventually(lambda: daemon.answers(name, "TXT"), 2, "it is there")
        self.assertIn(b"tls=1", daemon.ask(name, "TXT").answer[0][0].strings)

    def test_versions_and_plain_text(self):
        daemon = self.start_tls()
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is the point
        for version, is_spoken in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)):
            with self.subTest(version=version):
                context = self.trust()
                context.set_ciphers("DEFAULT:@SECLEVEL=0")
                context.minimum_version = context.maximum_version = version
                try:
                    self.assertEqual(Registrant(daemon, tls=context).list().status, 200)
                    spoken = True
                except (OSError, http.client.HTTPException):
                    spoken = False
                self.assertEqual(spoken, is_spoken)
        with self.assertRaises((OSError, http.client.HTTPException)):
            reply = Registrant(daemon).list()
            self.assertNotEqual(reply.status, 200, "plain HTTP was answered")
        # whoever is not who the client trusts
        with self.assertRaises(ssl.SSLError):
            Registrant(daemon, tls=self.trust(authority="stranger")).list()

    def test_who_never_finishes_the_handshake_keeps_nobody_out(self):
        daemon = self.start_tls()
        for _ in range(200):
            sock = socket.create_connection((daemon.host, daemon.http_port), 5)
            self.addCleanup(sock.close)
            sock.send(b"\x16\x03\x01")
        app = Registrant(daemon, self.token, self.trust())
        self.assertEqual(app.put("app-1", registration("127.0.0.1")).status, 201)

    def test_reads_need_a_token(self):
        daemon = self.start_tls(reads="token")
        nobody, app = Registrant(daemon, tls=self.trust()), Registrant(daemon, self.token, self.trust())
        for path in ("/v1/services", "/v1/resources", "/v1/watch", "/metrics", "/v1/status"):
            self.assertEqual(nobody.call("GET", path).status, 401, path)
            self.assertEqual(app.call("GET", path).status, 200, path)
        for path in ("/v1/balancer", "/healthz", "/readyz", "/v1/openapi.json"):
            self.assertEqual(nobody.call("GET", path).status, 200, path)
        writer = Registrant(daemon, create_token(daemon, "web", "web-*", "*", "--no-read"), self.trust())
        self.assertEqual(writer.list().status, 403)
        self.assertEqual(writer.put("web-1", registration("127.0.0.1")).status, 201)

    def test_page_by_tls(self):
        daemon = self.start_tls()
        reply = Registrant(daemon, tls=self.trust()).call("GET", "/")
        self.assertEqual(reply.status, 200)
        self.assertIn("<html", reply.text.lower())


class Clients(Tls):
    CLIENTS = [{"name": "db", "certificate": "db.example.net"},
               {"name": "web", "certificate": "*.web.example.net", "resources": ["web-*", "{name}"], "services": [NAME]}]

    def setUp(self):
        self.gslbd = self.start_tls(clients=self.CLIENTS)

    def put(self, who, name):
        return who.put(name, registration("127.0.0.1"))

    def test_names_are_mapped_to_ids(self):
        one = self.by_certificate(self.gslbd, "w7.web.example.net", "clients")
        reply = self.put(one, "w7")
        self.assertEqual((reply.status, reply.json["owner"]), (201, "web"))
        self.assertEqual(one.status("w7", reply.json["epoch"], 1).status, 200)
        self.assertEqual(self.put(one, "web-1").status, 201)
        for foreign in ("w8", "db", "app-1"):
            self.assertEqual(self.put(one, foreign).status, 403, foreign)
        # w8 has the same entry, but another name of its own
        other = self.by_certificate(self.gslbd, "w8.web.example.net", "clients")
        self.assertEqual(self.put(other, "w8").status, 201)
        self.assertEqual(self.put(other, "w7").status, 403)
        database = self.by_certificate(self.gslbd, "db.example.net", "clients")
        self.assertEqual(self.put(database, "db").json["owner"], "db")
        self.assertEqual(self.put(database, "db-2").status, 403)
        self.assertEqual(self.put(database, "web-1").status, 403)
        eventually(lambda: len(self.gslbd.api(f"/v1/services/{NAME}", unix=True).json["members"]) == 4, 5, "four are there")

    def test_curl_with_a_certificate(self):
        certificate, key = self.made.certificate("db.example.net", "clients")
        done = subprocess.run(
            ["curl", "-sS", "--cacert", self.made.path("ca.pem"), "--cert", certificate, "--key", key, "-o", "/dev/null", "-w",
             "%{http_code}",
             "-X", "PUT", "-H", "Content-Type: application/json", "-d", json.dumps(registration("127.0.0.1")),
             f"https://{self.gslbd.host}:{self.gslbd.http_port}/v1/resources/db"], capture_output=True, text=True, timeout=20,
             check=False)
        self.assertEqual((done.returncode, done.stdout), (0, "201"), done.stderr)

    def test_which_name_counts(self):
        # the name in subjectAltName stands above the subject
        disguised = self.by_certificate(self.gslbd, "other.example.net", "clients", "DNS:other.example.net", "db.example.net")
        self.assertEqual(self.put(disguised, "db").status, 401)
        # without one the subject's counts, in any case of letters
        plain = self.by_certificate(self.gslbd, "plain", "clients", "", "DB.example.net")
        self.assertEqual(self.put(plain, "db").status, 201)
        # a wildcard stands for one label
        for name in ("web.example.net", "a.b.web.example.net"):
            self.assertEqual(self.put(self.by_certificate(self.gslbd, name, "clients"), "web-1").status, 401, name)

    def refused(self, who, name="db"):
        """Whoever shows a certificate that is not good for it is told so, whatever else the call says."""
        reply = self.put(who, name)
        self.assertEqual(reply.status, 403, reply.text)
        self.assertIn("certificate", reply.json["detail"])
        self.assertEqual(who.call("GET", "/v1/services").status, 403)

    def test_wrong_certificates(self):
        for words in ("of another authority", "of the server's authority", "for servers", "over", "signed by itself"):
            with self.subTest(words):
                self.refused(Registrant(self.gslbd, tls=self.trust(self.wrong(words))))
        self.assertEqual(self.gslbd.api("/v1/resources", unix=True).json["resources"], [])
        # a sound one still does, and whoever shows none is asked for a token
        self.assertEqual(self.put(self.by_certificate(self.gslbd, "db.example.net", "clients"), "db").status, 201)
        self.assertEqual(self.put(Registrant(self.gslbd, tls=self.trust()), "db").status, 401)

    def wrong(self, words):
        name = "db.example.net"
        if words == "signed by itself":
            return self.made.authority(name), self.made.path(f"{name}.key")
        authority = {"of another authority": "stranger", "of the server's authority": "ca"}.get(words, "clients")
        return self.made.certificate(name, authority, use="serverAuth" if words == "for servers" else "clientAuth",
                                     days=-1 if words == "over" else 2)

    def test_wrong_certificate_beside_a_token(self):
        self.refused(Registrant(self.gslbd, self.token, self.trust(self.wrong("of another authority"))), "app-1")
        # a sound one and a token: the token is who asks
        sound = Registrant(self.gslbd, self.token, self.trust(self.made.certificate("db.example.net", "clients")))
        self.assertEqual(self.put(sound, "app-1").json["owner"], "app")

    def test_clients_change_by_a_reload(self):
        one = self.by_certificate(self.gslbd, "db.example.net", "clients")
        row = self.put(one, "db").json
        self.gslbd.extra["control"]["clients"] = self.CLIENTS[1:]
        self.gslbd.write_config()
        self.assertEqual(self.gslbd.ctl("reload").returncode, 0)
        self.assertEqual(one.status("db", row["epoch"], 1).status, 401)


class Renewing(Tls):
    def serial_of(self, daemon):
        """Of the certificate that a new connection is shown."""
        with socket.create_connection((daemon.host, daemon.http_port), 5) as sock, \
                self.trust().wrap_socket(sock, server_hostname=daemon.host) as spoken:
            return int(spoken.getpeercert()["serialNumber"], 16)

    def open(self, daemon):
        connection = http.client.HTTPSConnection(daemon.host, daemon.http_port, timeout=20, context=self.trust())
        self.addCleanup(connection.close)
        return connection

    def ask(self, connection, path="/v1/balancer"):
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def test_by_a_reload_without_dropping_a_connection(self):
        daemon = self.start_tls()
        old = self.serial
        self.assertEqual(self.serial_of(daemon), old)
        kept, waiting, stream = self.open(daemon), self.open(daemon), self.open(daemon)
        self.assertEqual(self.ask(kept)[0], 200)
        held = kept.sock
        position = json.loads(self.ask(waiting, "/v1/watch")[1])["position"]
        waiting.request("GET", f"/v1/watch?since={position}&wait_s=30&resource=app-1")
        stream.request("GET", "/v1/watch?resource=app-1", headers={"Accept": "text/event-stream"})
        events = stream.getresponse()
        pid = daemon.api("/v1/status", unix=True).json["processes"]
        # calls go on all the while, each over a connection of its own
        results, is_over = [], threading.Event()

        def keep_asking():
            while not is_over.is_set():
                try:
                    results.append(self.ask(self.open(daemon))[0])
                except (OSError, http.client.HTTPException) as problem:
                    results.append(repr(problem))
        thread = threading.Thread(target=keep_asking)
        thread.start()
        for _ in range(5):
            new = self.server_certificate(daemon)
            done = daemon.ctl("reload")
            self.assertEqual(done.returncode, 0, done.stderr)
            eventually(lambda: self.serial_of(daemon) == new, 5, "new connections are shown the new one")
        is_over.set()
        thread.join(30)
        self.assertGreater(len(results), 10)
        self.assertEqual(set(results), {200})
        # the old connections go on
        self.assertEqual(self.ask(kept)[0], 200)
        self.assertIs(kept.sock, held)
        self.assertEqual([row["pid"] for row in daemon.api("/v1/status", unix=True).json["processes"]], [row["pid"] for row in pid])
        reply = Registrant(daemon, self.token, self.trust()).put("app-1", registration("127.0.0.1"))
        self.assertEqual(reply.status, 201)
        answer = waiting.getresponse()
        self.assertEqual((answer.status, [row["change"] for row in json.loads(answer.read())["changes"]]), (200, ["registered"]))
        line = b""
        while not line.startswith(b"data:"):
            line = events.readline()
            self.assertTrue(line, "the stream goes on")
        self.assertIn(b"registered", line)

    def test_files_at_another_place(self):
        """Another directory, then a link that is put in place of another."""
        daemon = self.start_tls()
        for turn, path in enumerate(("elsewhere/tls", "links/tls")):
            new = self.server_certificate(daemon)
            place = daemon.directory / f"kept-{turn}"
            place.mkdir()
            (daemon.directory / path).parent.mkdir()
            for end in ("pem", "key"):
                link = (daemon.directory / path).with_suffix(f".{end}")
                (daemon.directory / f"tls.{end}").rename(place / f"tls.{end}")
                link.symlink_to(place / f"tls.{end}")
            daemon.extra["control"]["tls"].update(certificate=f"{path}.pem", key=f"{path}.key")
            daemon.write_config()
            self.assertEqual(daemon.ctl("reload").returncode, 0)
            eventually(lambda: self.serial_shown(daemon) == new, 20, "the new one is shown", 0.1)

    def serial_shown(self, daemon):
        try:
            return self.serial_of(daemon)
        except OSError:
            return None

    def test_files_that_do_not_fit_are_not_taken(self):
        daemon = self.start_tls()
        old = self.serial
        sound = (daemon.directory / "tls.pem").read_bytes(), (daemon.directory / "tls.key").read_bytes()
        other = self.made.certificate("other", "ca", use="serverAuth")[1].read_bytes()
        for words, certificate, key in (("nonsense", b"nonsense\n", sound[1]), ("another key", sound[0], other),
                                        ("no certificate", None, sound[1])):
            with self.subTest(words):
                (daemon.directory / "tls.key").write_bytes(key)
                if certificate is None:
                    (daemon.directory / "tls.pem").unlink()
                else:
                    (daemon.directory / "tls.pem").write_bytes(certificate)
                daemon.ctl("reload")
                self.assertEqual(self.serial_of(daemon), old)
                self.assertEqual(Registrant(daemon, tls=self.trust()).list().status, 200)
        self.assertIn("tls.pem", daemon.log())
        new = self.server_certificate(daemon)
        self.assertEqual(daemon.ctl("reload").returncode, 0)
        eventually(lambda: self.serial_of(daemon) == new, 5, "a sound one is taken")


class Configuring(Tls):
    def check(self, control, **more):
        """What gslbd --check-config says of it: (status, text)."""
        daemon = self.prepare({"services": SERVICES, **more})
        daemon.extra["control"] = {"socket": "./control.sock", **control}
        daemon.write_config()
        for name in ("tls.pem", "tls.key", "ca.pem"):
            (daemon.directory / name).write_text("")
        done = subprocess.run([daemon.build / "gslbd", "--check-config", daemon.config_path], capture_output=True, text=True,
                              timeout=20, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_addresses_that_others_reach(self):
        tls = {"certificate": "tls.pem", "key": "tls.key"}
        for address in ("192.0.2.1", "0.0.0.0", "::", "2001:db8::1"):
            listen = {"listen": f"{address}@8300"}
            for control, is_sound in ((listen, False), ({**listen, "tls": tls}, False), ({**listen, "reads": "token"}, False),
                                      ({**listen, "tls": tls, "reads": "token"}, True), ({**listen, "insecure": True}, True)):
                with self.subTest(control=control):
                    status, text = self.check(control)
                    self.assertEqual(status == 0, is_sound, text)
                    if not is_sound:
                        self.assertRegex(text, r"gslb\.yaml:\d+:\d+: .*" + address)
                        self.assertIn("loopback", text)
        for address in ("127.0.0.1", "127.9.9.9", "::1"):
            status, text = self.check({"listen": f"{address}@8300"})
            self.assertEqual(status, 0, text)

    def test_keys_that_need_others(self):
        clients = [{"name": "db", "certificate": "db.example.net"}]
        tls = {"certificate": "tls.pem", "key": "tls.key"}
        for control in ({"listen": "127.0.0.1@8300", "clients": clients},
                        {"listen": "127.0.0.1@8300", "tls": tls, "clients": clients},
                        {"tls": tls}, {"listen": "127.0.0.1@8300", "tls": {"certificate": "tls.pem"}},
                        {"listen": "127.0.0.1@8300", "tls": {**tls, "client_ca": "ca.pem"}, "clients": clients * 2}):
            with self.subTest(control=control):
                status, text = self.check(control)
                self.assertEqual(status, 1, text)
                self.assertRegex(text, r"gslb\.yaml:\d+:\d+: ")
        status, text = self.check({"listen": "127.0.0.1@8300", "tls": {**tls, "client_ca": "ca.pem"}, "clients": clients})
        self.assertEqual(status, 0, text)

    def test_daemon_does_not_start_where_others_would_reach_it(self):
        daemon = self.prepare({"services": SERVICES})
        daemon.failure_expected = True
        daemon.extra["control"] = {"socket": "./control.sock", "listen": f"0.0.0.0@{daemon.http_port}"}
        daemon.write_config()
        daemon.start(ready=False)
        self.assertNotEqual(daemon.process.wait(15), 0)
        self.assertIn("loopback", daemon.log())

    def test_missing_certificate_leaves_the_names_answered(self):
        daemon = self.prepare_tls()
        (daemon.directory / "tls.pem").unlink()
        daemon.start(ready=False)
        eventually(lambda: self.answers(daemon), 20, "names are answered")
        eventually(lambda: "tls.pem" in daemon.log(), 10, "the log says what is missing")
        # the listener is tried again and again
        self.server_certificate(daemon)
        eventually(lambda: self.serves(daemon), 20, "the API is there", 0.2)

    def serves(self, daemon):
        try:
            return Registrant(daemon, tls=self.trust(), timeout=2).list().status == 200
        except NO_ANSWER:
            return False

    def answers(self, daemon):
        try:
            return daemon.answers("static.example.com", timeout=1)
        except NO_ANSWER:
            return None


if __name__ == "__main__":
    unittest.main()
