"""Lines of a table as it stands in docs/performance.md."""


def table(heads, rows):
    """The first column to the left, the others to the right; a row that is text stands as it is."""
    cells = [list(map(str, heads))] + [list(map(str, row)) for row in rows if not isinstance(row, str)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]

    def line(row):
        if isinstance(row, str):
            return row
        first, *others = zip(map(str, row), widths)
        return ("  " + first[0].ljust(first[1]) + "".join("  " + cell.rjust(width) for cell, width in others)).rstrip()
    return [line(row) for row in [heads, *rows]]


def between(values, form="{:,.0f}"):
    """least-greatest"""
    return f"{form.format(min(values))}-{form.format(max(values))}"
