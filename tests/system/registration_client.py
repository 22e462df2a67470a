#!/usr/bin/python3
"""A second client of registration, which shares nothing with gslb-agent or with the rest of these tests: it knows a domain
name, a DNS server and a token, and learns everything else from the DNS and from the server's /v1/openapi.json.

    registration_client.py --domain example.com --dns 127.0.0.1:5300 --id app-1 --address 127.0.0.77 \\
        --service app.example.com --port 8080 [--instance NAME] [--lease 5] [--renewals 3] < token

Finds a balancer by SRV, registers, browses by DNS-SD until it finds itself, renews so many times at the pace that it is
asked for, deregisters. Prints a JSON object for each step; ends with 1 and the reason when a step fails.
"""
import argparse
import http.client
import json
import random
import sys
import time
from urllib.parse import quote, urlencode

import dns.message
import dns.name
import dns.query
import dns.rdatatype

REGISTRATION_SERVICE = "_gslb-register._tcp"
BROWSED_WITHIN_S = 5


class Failure(Exception):
    pass


class Directory:
    """What a DNS server says; all over UDP, and over TCP where that is truncated."""

    def __init__(self, address, port):
        self.address, self.port = address, port

    def ask(self, name, rdtype):
        """The answer's records of that type, and the whole message for what came along."""
        query = dns.message.make_query(name, rdtype)
        reply, _ = dns.query.udp_with_fallback(query, self.address, timeout=3, port=self.port)
        wanted = dns.rdatatype.from_text(rdtype)
        return [item for rrset in reply.answer if rrset.rdtype == wanted for item in rrset], reply

    def texts(self, name):
        """TXT as RFC 6763 section 6 has it: {key: value}."""
        pairs = {}
        for record in self.ask(name, "TXT")[0]:
            for text in record.strings:
                key, _, value = text.decode().partition("=")
                pairs.setdefault(key, value)
        return pairs

    def addresses(self, name):
        return [item.address for rdtype in ("A", "AAAA") for item in self.ask(name, rdtype)[0]]

    def places(self, domain):
        """Where to register, in the order in which to try (RFC 2782), and the TXT record's pairs."""
        name = f"{REGISTRATION_SERVICE}.{domain}"
        records = self.ask(name, "SRV")[0]
        if not records:
            raise Failure(f"nothing stands at {name}")
        ordered = sorted(records, key=lambda item: (item.priority, -random.random() ** (1 / max(item.weight, 0.001))))
        return [(address, item.port) for item in ordered for address in self.addresses(item.target)], self.texts(name)

    def browse(self, domain):
        """{instance: {"type", "host", "port", "addresses", "txt"}} of all types, as RFC 6763 browses."""
        found = {}
        for kind in self.ask(f"_services._dns-sd._udp.{domain}", "PTR")[0]:
            for pointer in self.ask(kind.target, "PTR")[0]:
                instance = pointer.target
                label = instance.labels[0].decode()
                for srv in self.ask(instance, "SRV")[0]:
                    found[label] = {"type": kind.target.to_text(omit_final_dot=True), "host": srv.target.to_text(), "port": srv.port,
                                    "addresses": self.addresses(srv.target), "txt": self.texts(instance)}
        return found


class Interface:
    """The HTTP interface as its own description has it."""

    def __init__(self, address, port, token, base="/v1"):
        self.address, self.port, self.token = address, port, token
        self.description = None
        status, self.description = self.send("GET", f"{base}/openapi.json")
        if status != 200 or not self.description["openapi"].startswith("3.1"):
            raise Failure("it does not describe itself")
        self.operations = {operation["operationId"]: (method.upper(), path, operation)
                           for path, item in self.description["paths"].items()
                           for method, operation in item.items() if isinstance(operation, dict) and "operationId" in operation}

    def send(self, method, path, body=None, kind=None):
        connection = http.client.HTTPConnection(self.address, self.port, timeout=10)
        try:
            headers = {"Authorization": f"Bearer {self.token}"} if self.description else {}
            if kind:
                headers["Content-Type"] = kind
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            is_json = "json" in (answer.headers["Content-Type"] or "")
            return answer.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def call(self, name, body=None, query=None, **places):
        """Does what the description calls so. The status must be one that it lists, and lies below 300."""
        method, path, operation = self.operations[name]
        for place, value in places.items():
            path = path.replace("{" + place + "}", quote(value, safe=""))
        if query:
            path += "?" + urlencode(query)
        kinds = list(operation.get("requestBody", {}).get("content", {}))
        status, document = self.send(method, path, body, kinds[0] if kinds else None)
        if str(status) not in operation["responses"]:
            raise Failure(f"{name}: {status} is not described")
        if status >= 300:
            raise Failure(f"{name}: {status} {document}")
        return status, document


class Registration:
    """One resource, and what the server told of its lease."""

    def __init__(self, interface, ident, document):
        self.interface, self.ident, self.document = interface, ident, document
        self.epoch = self.renew_in_s = None
        self.sequence = 0

    def register(self):
        status, answer = self.interface.call("register", self.document, id=self.ident)
        self.epoch, self.renew_in_s = answer["epoch"], answer["lease"]["renew_in_s"]
        self.sequence = answer["lease"]["sequence"]
        return status, answer

    def renew(self, **figures):
        self.sequence += 1
        _, answer = self.interface.call("renew", {"epoch": self.epoch, "sequence": self.sequence, **figures}, id=self.ident)
        self.renew_in_s = answer["renew_in_s"]
        return answer

    def deregister(self):
        return self.interface.call("deregister", id=self.ident)


def find(directory, domain, token):
    """The first balancer that answers."""
    places, told = directory.places(domain)
    if told.get("tls") == "1":
        raise Failure("this client speaks no TLS")
    for address, port in places:
        try:
            return Interface(address, port, token, told.get("path", "/v1"))
        except OSError as error:
            tell("not there", address=address, port=port, error=str(error))
    raise Failure(f"none of {places} answers")


def browse_until(directory, domain, wanted):
    end = time.monotonic() + BROWSED_WITHIN_S
    while wanted not in (found := directory.browse(domain)):
        if time.monotonic() > end:
            raise Failure(f"{wanted} is not among {sorted(found)}")
        time.sleep(0.05)
    return found[wanted]


def tell(step, **more):
    print(json.dumps({"step": step, **more}), flush=True)


def run(options, token):
    address, _, port = options.dns.rpartition(":")
    directory = Directory(address, int(port))
    interface = find(directory, options.domain, token)
    tell("found", address=interface.address, port=interface.port, title=interface.description["info"]["title"])
    offer = {"name": options.service, "port": options.port, **({"instance": options.instance} if options.instance else {})}
    document = {"addresses": options.address, "lease_s": options.lease, "labels": {"client": "independent"}, "services": [offer]}
    registration = Registration(interface, options.id, document)
    status, answer = registration.register()
    tell("registered", status=status, renew_in_s=registration.renew_in_s, report=answer["report"])
    tell("browsed", **browse_until(directory, options.domain, options.instance or options.id))
    for number in range(options.renewals):
        time.sleep(registration.renew_in_s)
        answer = registration.renew(cpu_utilization=0.1 * (number % 10), state="up")
        tell("renewed", sequence=registration.sequence, ends_at=answer["ends_at"])
    status, answer = registration.deregister()
    tell("deregistered", status=status, clients_until_at=answer["clients_until_at"] if status == 202 else None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--domain", "--dns", "--id", "--service"):
        parser.add_argument(name, required=True)
    parser.add_argument("--address", required=True, action="append")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--instance")
    parser.add_argument("--lease", type=float, default=30)
    parser.add_argument("--renewals", type=int, default=1)
    options = parser.parse_args()
    try:
        run(options, sys.stdin.readline().strip())
    except (Failure, OSError) as error:
        tell("failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
