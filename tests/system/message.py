"""DNS messages made by hand, bit by bit, for what a decent library would not send; replies are read by dnspython."""
import random
import socket
import struct

import dns.message
import dns.name
import dns.rdatatype

QR, AA, TC, RD, RA, Z, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0040, 0x0020, 0x0010
DO = 0x8000
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, NOTAUTH, BADVERS, BADCOOKIE = 0, 1, 2, 3, 4, 5, 9, 16, 23
NSID, SUBNET, EXPIRE, COOKIE, KEEPALIVE, PADDING, EXTENDED_ERROR = 3, 8, 9, 10, 11, 12, 15
IN, CH, HS, ANY = 1, 3, 4, 255


def number(rdtype):
    return rdtype if isinstance(rdtype, int) else int(dns.rdatatype.from_text(rdtype))


def option(code, value=b""):
    return struct.pack("!HH", code, len(value)) + value


def opt(options=b"", payload=1232, version=0, flags=0, rcode=0):
    return b"\0" + struct.pack("!HHBBHH", 41, payload, rcode, version, flags, len(options)) + options


def subnet(family, source, scope, address):
    return option(SUBNET, struct.pack("!HBB", family, source, scope) + address)


def make(name, rdtype="SOA", rdclass=IN, flags=0, opcode=0, additional=(), ident=None, questions=1):
    """A query; `additional` holds whole records, such as those that opt() makes."""
    ident = random.randrange(65536) if ident is None else ident
    question = dns.name.from_text(name).to_wire() + struct.pack("!HH", number(rdtype), rdclass)
    return struct.pack("!6H", ident, flags | opcode << 11, questions, 0, 0, len(additional)) + question * questions \
        + b"".join(additional)


class Reply:
    """What came back: the header as it is on the wire, the rest as dnspython reads it."""

    def __init__(self, wire):
        self.wire = wire
        self.ident, self.flags, *self.counts = struct.unpack("!6H", wire[:12])
        self.opcode = self.flags >> 11 & 15
        # as a query's reply, since the decoder wants more of an update
        self.message = dns.message.from_wire(wire[:2] + bytes([wire[2] & 0x87]) + wire[3:])
        self.rcode = int(self.message.rcode())
        self.version = self.message.edns
        self.edns_flags = self.message.ednsflags & 0xFFFF
        self.payload = self.message.payload

    def has(self, flag):
        return bool(self.flags & flag)

    def options(self):
        """{code: data}"""
        return {int(each.otype): each.to_wire() for each in self.message.options}

    def option_codes(self):
        return [int(each.otype) for each in self.message.options]

    def records(self, section, rdtype=None):
        wanted = None if rdtype is None else number(rdtype)
        return [(rrset.name.to_text(), rrset.ttl, item) for rrset in getattr(self.message, section) for item in rrset
                if wanted is None or rrset.rdtype == wanted]

    def texts(self, section, rdtype=None):
        return sorted(item.to_text() for _, _, item in self.records(section, rdtype))

    def __repr__(self):
        return f"flags {self.flags:#06x}\n{self.message}"


def over_udp(address, packet, timeout=1.0, tries=2):
    """The reply's bytes, None for silence."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout)
        sock.connect(address)
        for _ in range(tries):
            sock.send(packet)
            try:
                while (wire := sock.recv(65535))[:2] != packet[:2]:
                    pass
                return wire
            except socket.timeout:
                continue
    return None


def over_tcp(address, packet, timeout=3.0):
    """The first reply's bytes, None when the connection ends without one."""
    with socket.create_connection(address, timeout) as sock:
        sock.sendall(struct.pack("!H", len(packet)) + packet)
        return receive(sock)


def receive(sock):
    """One message of a TCP connection, None at its end."""
    taken = b""
    while len(taken) < 2 or len(taken) < 2 + struct.unpack("!H", taken[:2])[0]:
        wanted = 2 if len(taken) < 2 else 2 + struct.unpack("!H", taken[:2])[0]
        piece = sock.recv(wanted - len(taken))
        if not piece:
            return None
        taken += piece
    return taken[2:]
