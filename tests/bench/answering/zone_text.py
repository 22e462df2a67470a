#!/usr/bin/python3
"""Writes a master file of many names with one A record each: host1000000, host1000001, …

    zone_text.py COUNT [FILE]          without FILE to standard output

The number has seven digits, so names are of one length up to nine million, and a load program may draw them by
"host#" with a range from 1000000 on. address(i) is what the i-th name has, to check answers by."""
import sys

FIRST = 1_000_000
HEAD = """$TTL 300
@ IN SOA ns1 hostmaster 1 3600 600 86400 60
@ IN NS ns1
ns1 IN A 192.0.2.1
"""


def address(index):
    return f"10.{index >> 16 & 255}.{index >> 8 & 255}.{index & 255}"


def write(count, out):
    out.write(HEAD)
    out.writelines(f"host{FIRST + index} IN A {address(index)}\n" for index in range(count))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or not sys.argv[1].isdigit():
        sys.exit(__doc__)
    if len(sys.argv) == 3:
        with open(sys.argv[2], "w", encoding="ascii") as file:
            write(int(sys.argv[1]), file)
    else:
        write(int(sys.argv[1]), sys.stdout)
