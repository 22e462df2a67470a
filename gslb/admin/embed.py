"""Prints a C fragment that holds the files named as arguments, for gslb/admin/assets.c.

Usage: embed.py FILE... > web_files.h
"""
import hashlib
import os
import sys

CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
# all others stand at "/" and their name
PATHS = {"index.html": "/", "openapi.json": "/v1/openapi.json"}


def c_bytes(data):
    """The bytes as rows of a C array's initialiser."""
    rows = (data[at : at + 20] for at in range(0, len(data), 20))
    return ",\n".join("  " + ", ".join(str(byte) for byte in row) for row in rows)


def main(files):
    if not files:
        sys.exit("embed.py: no files")
    entries = []
    print("/* made by gslb/admin/embed.py */")
    for number, file in enumerate(files):
        name = os.path.basename(file)
        content_type = CONTENT_TYPES.get(os.path.splitext(name)[1])
        if content_type is None:
            sys.exit(f"embed.py: {file}: no content type is known for it")
        with open(file, "rb") as stream:
            data = stream.read()
        etag = hashlib.sha256(data).hexdigest()[:16]
        path = PATHS.get(name, "/" + name)
        print(f"static const unsigned char web_file_{number}[] = {{\n{c_bytes(data + bytes(1))}}};")
        entries.append(
            f'  {{"{path}", "{content_type}", "\\"{etag}\\"", (const char *)web_file_{number}, {len(data)}}},'
        )
    print("static const struct asset web_files[] = {")
    print("\n".join(entries))
    print("};")


main(sys.argv[1:])
