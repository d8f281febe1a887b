"""Writes the table catalog as a page: every table with its source, columns, verification marks and digest.

    python docs/generate_catalog.py            to standard output
    python docs/generate_catalog.py FILE       into a file

`make docs` runs it while it builds, so the page says what the installed tables say.
"""

import html
import sys
import tomllib
from pathlib import Path

import polars as pl

import data_specs
from data_specs._registry import contracts, year_ranges

MARKS = ("verified", "verified-partly", "single-source", "uncertain", "derived")
MEANINGS = tomllib.loads((Path(__file__).parent / "column_meanings.toml").read_text(encoding="utf-8"))
OPENING = """# Catalog of tables

Every figure that poolwise uses stands in one of these tables, as published, with the year it holds for and where it was
read. This page is made from the installed tables whenever the documentation is built; the same facts are at hand as
`data_specs.catalog()` and `poolwise tables`, and [your own tables](own-tables.md) join them.

Marks of verification, row by row:

| mark | meaning |
| --- | --- |
| verified | two independently transcribed readings of the publication agree on the row |
| verified-partly | copies of one reading agree, and an arithmetic check on other published figures passed |
| single-source | one reading only |
| uncertain | carried to a year it was not published for, recalled, or sources disagree; results resting on it say so |
| derived | computed from another table here |

"""


def code(text):
    """Code within a table cell; as a code span, so that brackets in it are no links."""
    return f"`{text}`"


def cells(values):
    return "| " + " | ".join(str(v) for v in values) + " |"


def markdown_table(heading, rows):
    return "\n".join([cells(heading), cells("---" for _ in heading), *map(cells, rows)]) + "\n"


def anchor(name):
    return name.replace("/", "-")


def number_of(frame, mark):
    return int((frame["verification"] == mark).sum()) if "verification" in frame.columns else 0


def shown(number):
    return f"{number:,}" if number else ""


def years_of(line):
    return line["years"] or "not by year"


def overview(found):
    rows = [
        [
            f"[{code(name)}](#{anchor(name)})",
            contract.title,
            years_of(line),
            f"{line['rows']:,}",
            "<br>".join(f"{mark} {number_of(frame, mark):,}" for mark in MARKS if number_of(frame, mark)),
        ]
        for name, contract, line, frame in found
    ]
    return markdown_table(["table", "what it holds", "years", "rows", "rows by mark"], rows)


def allowed(column):
    """What a cell of a column may hold, besides its type."""
    parts = []
    if column.values:
        parts.append(", ".join(map(code, column.values)))
    if column.pattern:
        parts.append(f"matches {code(column.pattern)}")
    if column.min is not None or column.max is not None:
        low = "" if column.min is None else f"{column.min:g}"
        high = "" if column.max is None else f"{column.max:g}"
        parts.append(f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}")
    if column.references:
        parts.append(f"stands in {code(column.references)}")
    if column.nullable:
        parts.append("may be blank")
    return "; ".join(parts)


def meaning(contract, column):
    of_table = MEANINGS["tables"].get(contract.full_name, {})
    return html.escape(column.about or of_table.get(column.name) or MEANINGS["columns"].get(column.name, ""))


def column_table(contract):
    rows = [
        [
            code(column.name) + (" (key)" if column.name in contract.key else ""),
            column.type,
            column.unit,
            meaning(contract, column),
            allowed(column),
        ]
        for column in contract.columns
    ]
    return markdown_table(["column", "type", "unit", "meaning", "may hold"], rows)


def marks_by_year(contract, frame):
    if "verification" not in frame.columns:
        return ""
    marks = [mark for mark in MARKS if number_of(frame, mark)]
    if not contract.year_column:
        return "Verification: " + ", ".join(f"{mark} {number_of(frame, mark):,}" for mark in marks) + ".\n"
    # Years whose rows are marked alike share a line: most tables have two or three such spells.
    spells = {}
    for (year,), rows in sorted(frame.group_by([contract.year_column], maintain_order=True)):
        key = tuple(mark for mark in marks if number_of(rows, mark))
        spells.setdefault(key, []).append(year)
    lines = []
    for years in spells.values():
        of_years = frame.filter(pl.col(contract.year_column).is_in(years))
        lines.append([year_ranges(years), f"{of_years.height:,}", *(shown(number_of(of_years, m)) for m in marks)])
    return markdown_table(["years", "rows", *marks], lines)


def section(name, contract, line, frame):
    parts = [
        f"## {name} {{ #{anchor(name)} }}",
        f"**{contract.title}.** Source: {contract.source}.",
        html.escape(contract.note),
        f"{line['rows']:,} rows ({years_of(line)}), revision {line['revision']}, supplied by {line['supplied_by']}, "
        f"{code(line['digest'])}",
        column_table(contract),
        marks_by_year(contract, frame),
    ]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n\n"


def catalog_page():
    """The whole page, as Markdown."""
    known = contracts()
    found = [
        (line["name"], known[line["name"]], line, data_specs.table(line["name"]))
        for line in data_specs.catalog().to_dicts()
    ]
    return OPENING + overview(found) + "\n" + "".join(section(*entry) for entry in found)


if __name__ == "__main__":
    text = catalog_page()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text, encoding="utf-8", newline="\n")
    else:
        sys.stdout.write(text)
