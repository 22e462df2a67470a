#!/usr/bin/python3
"""Objects of foreign MIBs as snmpd's pass_persist takes them: the file named by the argument holds {oid: [type, value]} in JSON
and is read again for each question. A value of [start, growth] is a counter that grows so much a second from the file's time."""
import json
import os
import sys
import time


def number(oid):
    return [int(part) for part in oid.strip(".").split(".")]


def read(path):
    with open(path, encoding="utf-8") as source:
        objects = json.load(source)
    return sorted((number(oid), kind, value) for oid, (kind, value) in objects.items()), os.stat(path).st_mtime


def told(entry, began):
    oid, kind, value = entry
    if isinstance(value, list):
        value = value[0] + int(value[1] * (time.time() - began))
    return f".{'.'.join(map(str, oid))}\n{kind}\n{value}"


def answer(command, oid, path):
    entries, began = read(path)
    wanted = number(oid)
    for entry in entries:
        if entry[0] == wanted if command == "get" else entry[0] > wanted:
            return told(entry, began)
    return "NONE"


def main():
    while line := sys.stdin.readline():
        command = line.strip()
        print("PONG" if command == "PING" else answer(command, sys.stdin.readline().strip(), sys.argv[1]), flush=True)


if __name__ == "__main__":
    main()
