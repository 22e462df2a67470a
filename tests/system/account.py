"""What a test tells of its counts."""

MARK = "# "


def tell(*words):
    """A line that tests/run shows, also when all went well."""
    print(f"\n{MARK}{' '.join(map(str, words))}", flush=True)
