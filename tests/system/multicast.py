"""A client of multicast DNS in Python, for the tests: sends questions to the group on one interface, keeps what it hears.
Messages are read by dnspython, whose classes lack the two bits that multicast DNS puts there; they are taken off first."""
import socket
import struct
import time

import dns.message
import dns.name
import dns.rdatatype

GROUP, PORT = "224.0.0.251", 5353
GROUP6 = "ff02::fb"
TOP = 0x8000


def skip_name(wire, at):
    while wire[at]:
        if wire[at] & 0xc0:
            return at + 2
        at += 1 + wire[at]
    return at + 1


class Heard:
    """One message: `message` by dnspython; `flushed` holds (owner, type) of records with the cache-flush bit."""

    def __init__(self, wire, source):
        wire = bytearray(wire)
        self.size, self.source, self.flushed, self.ttls = len(wire), source, set(), {}
        marked, at = [], 12
        counts = struct.unpack("!4H", wire[4:12])
        for _ in range(counts[0]):
            at = skip_name(wire, at) + 4
        for section in range(1, 4):
            for index in range(counts[section]):
                at = skip_name(wire, at)
                kind = int.from_bytes(wire[at + 2:at + 4], "big")
                marked.append((section, index, bool(kind & TOP)))
                wire[at + 2:at + 4] = (kind & ~TOP).to_bytes(2, "big")
                at += 10 + int.from_bytes(wire[at + 8:at + 10], "big")
        self.message = dns.message.from_wire(bytes(wire), one_rr_per_rrset=True)
        for section, index, is_marked in marked:
            row = self.message.sections[section][index]
            if is_marked:
                self.flushed.add((row.name.to_text(), row.rdtype))

    def rows(self, section=None):
        """Texts "owner ttl type data" of the answers and additional records, or of one section."""
        lists = [self.message.answer, self.message.additional] if section is None else [section]
        return [f"{row.name} {row.ttl} {dns.rdatatype.to_text(row.rdtype)} {rdata}"
                for rows in lists for row in rows for rdata in row]

    @property
    def answers(self):
        return self.rows(self.message.answer)


class Client:
    """port 0: one of its own, as one-shot queriers have it; PORT: a full participant that hears the group."""

    def __init__(self, interface="lo", port=0, v6=False):
        self.v6, index = v6, socket.if_nametoindex(interface)
        self.sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if v6:
            self.group = (GROUP6, PORT, 0, index)
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            member = (socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, GROUP6) + struct.pack("@I", index))
        else:
            self.group = (GROUP, PORT)
            request = socket.inet_aton(GROUP) + socket.inet_aton("0.0.0.0") + struct.pack("@i", index)
            self.sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
            member = (socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        self.sock.bind(("::" if v6 else "0.0.0.0", port))
        if port:
            self.sock.setsockopt(*member)

    def ask(self, *questions, known=(), unicast=False, cut=False, ident=0):
        """questions: (name, type); known: dnspython RRsets that are told as known answers."""
        message = dns.message.Message(id=ident)
        for name, rdtype in questions:
            message.find_rrset(message.question, dns.name.from_text(name), 1, dns.rdatatype.from_text(rdtype), create=True, force_unique=True)
        message.answer.extend(known)
        wire = bytearray(message.to_wire())
        if cut:
            wire[2] |= 2
        at = 12
        for _ in questions:
            at = skip_name(wire, at) + 4
            if unicast:
                wire[at - 2] |= 0x80
        self.sock.sendto(bytes(wire), self.group)

    def hear(self, wanted=lambda heard: True, deadline_s=3.0):
        """The first response for which wanted is true; None after the deadline."""
        end = time.monotonic() + deadline_s
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                wire, source = self.sock.recvfrom(9000)
            except socket.timeout:
                return None
            if len(wire) >= 12 and wire[2] & 0x80:
                heard = Heard(wire, source)
                if wanted(heard):
                    return heard
        return None

    def close(self):
        self.sock.close()
