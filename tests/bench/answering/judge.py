"""Judges responses by dnspython, which shares no code with any of the servers."""
import ipaddress
import re

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from tests.bench.answering.content import NEAR_ZONE, SRV_PORT, ZONE


class Judge:
    """Of the names of content.py."""

    def __init__(self, content):
        self.v4 = {member.v4 for member in content.members}
        self.v6 = {member.v6 for member in content.members}
        self.targets = {(SRV_PORT, member.weight, f"{member.name}.www.{ZONE}.") for member in content.members}
        self.sites = content.sites()
        self.content = content

    def check_file(self, path):
        """(how many samples, [what is wrong with some])"""
        problems, count = [], 0
        with open(path, encoding="ascii") as samples:
            for sample in samples:
                _, query, response = sample.split()
                count += 1
                try:
                    self.check(dns.message.from_wire(bytes.fromhex(query)), dns.message.from_wire(bytes.fromhex(response)))
                except (AssertionError, dns.exception.DNSException) as problem:
                    problems.append(f"{problem!r} in {response}")
        return count, problems

    def check(self, query, response):
        assert query.is_response(response), "not a response to its query"
        assert response.flags & dns.flags.AA, "without authority"
        assert (response.edns >= 0) == (query.edns >= 0), "EDNS of one side only"
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True), question.rdtype
        answer = [(rrset.name, item) for rrset in response.answer for item in rrset if rrset.rdtype == kind]
        assert all(owner == question.name for owner, _ in answer), "records of another name"
        texts = [item.to_text() for _, item in answer]
        assert response.rcode() == dns.rcode.NOERROR or not texts, "records with an error"
        if name == f"www.{ZONE}":
            allowed = self.v4 if kind == dns.rdatatype.A else self.v6
            assert len(texts) == 1 and texts[0] in allowed, f"not a member: {texts}"
        elif name == f"www.{NEAR_ZONE}":
            self.check_near(query, response, texts)
        elif kind == dns.rdatatype.SRV:
            found = {(item.port, item.weight, item.target.to_text()) for _, item in answer}
            assert found == self.targets, f"not the members: {found}"
        elif name == f"ftp.{ZONE}":
            assert texts == ["192.0.2.80"], f"not the static address: {texts}"
        elif host := re.fullmatch(rf"h(\d+)\.{ZONE}", name):
            assert texts == [self.content.host_address(int(host.group(1)))], f"not the static address: {texts}"
        else:
            assert response.rcode() == dns.rcode.NXDOMAIN and not response.answer, "not NXDOMAIN"
            assert any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority), "NXDOMAIN without SOA"
        if name != f"www.{NEAR_ZONE}" and (asked := subnet_of(query)) and (told := subnet_of(response)):
            assert (told.address, told.srclen, told.scopelen) == (asked.address, asked.srclen, 0), "another subnet or scope"

    def check_near(self, query, response, texts):
        """The address is that of the client's network, and of every other one within the scope."""
        asked, told = subnet_of(query), subnet_of(response)
        assert told and (told.address, told.srclen) == (asked.address, asked.srclen), "another subnet"
        scope = ipaddress.ip_network(f"{asked.address}/{told.scopelen}", strict=False)
        client = ipaddress.ip_network(f"{asked.address}/{asked.srclen}", strict=False)
        held = [member.v4 for network, member in self.sites if network.overlaps(scope) or network.overlaps(client)]
        assert held and set(texts) == set(held), f"{texts} for {scope}, whose networks have {sorted(set(held))}"


def subnet_of(message):
    return next((option for option in message.options if isinstance(option, dns.edns.ECSOption)), None)
