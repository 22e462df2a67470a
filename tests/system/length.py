"""Quick or long: `tests/run --long` has the tests that count things use their full counts."""
import os

LONG = os.environ.get("GSLB_TEST_LONG") == "1"


def count(quick, long):
    return long if LONG else quick
