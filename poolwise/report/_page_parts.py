"""What every page has: one template engine, and the lines about rows, findings and sources."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from data_specs.errors import ExtraMissing
from poolwise.report._suppression import SMALLEST_SHOWN, shown_count

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HIDDEN", "count_lines", "finding_lines", "need_templates", "render", "source_lines"]

HIDDEN = "–"


def need_templates() -> Any:
    """Return the template package, or refuse: before the work of drawing is done.

    Raises
    ------
    ExtraMissing
        When it is not installed.
    """
    try:
        import jinja2
    except ImportError:
        raise ExtraMissing(
            "the page needs jinja2, which is not installed", remedy="pip install 'poolwise[reports]'"
        ) from None
    return jinja2


def render(template: str, **values: Any) -> str:
    """Return the page that a template of ours makes of values; text is escaped, trailing blanks are cut."""
    from data_specs._manifest import product_version

    jinja2 = need_templates()
    folder = files("poolwise.report").joinpath("templates")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    page: str = environment.get_template(template).render(version=product_version(), hidden=HIDDEN, **values)
    return "\n".join(line.rstrip() for line in page.splitlines()) + "\n"


def count_lines(counts: pl.DataFrame, *, not_people: Collection[str] = ()) -> list[dict[str, str]]:
    """Return the rows read of each table as text: table, input, accepted, rejected; small numbers hidden.

    Those of the tables `not_people` are shown however small.
    """
    lines = []
    for row in counts.rows(named=True):
        if row["table"] in not_people:
            lines.append({k: v.replace("_", " ") if k == "table" else f"{v:,}" for k, v in row.items()})
            continue
        parts = {c: row[c] for c in ("accepted", "rejected")}
        has_few = any(0 < n < SMALLEST_SHOWN for n in parts.values())
        # A small number follows from what was read and the other one, which is therefore hidden too.
        shown = {c: HIDDEN if has_few and n >= SMALLEST_SHOWN else shown_count(n) for c, n in parts.items()}
        lines.append({"table": row["table"].replace("_", " "), "input": shown_count(row["input"]), **shown})
    return lines


def finding_lines(findings: pl.DataFrame, *, not_people: Collection[str] = ()) -> list[dict[str, str]]:
    """Return the findings as text: rule_id, severity, table, rows, condition; small numbers hidden."""
    columns = ("rule_id", "severity", "table", "rows", "condition")
    lines = findings.select(columns).rows(named=True)
    counts = [f"{r['rows']:,}" if r["table"] in not_people else shown_count(r["rows"]) for r in lines]
    return [{**r, "rows": n, "table": r["table"].replace("_", " ")} for r, n in zip(lines, counts, strict=True)]


def source_lines(tables: Sequence[str]) -> list[dict[str, str]]:
    """Return title, source, revision and supplier of the tables of published figures that took part."""
    from data_specs._registry import contracts, provenance

    known = contracts()
    return [
        {
            "table": used["table"],
            "title": known[used["table"]].title,
            "source": known[used["table"]].source,
            "revision": used["revision"],
            "supplied_by": used["supplied_by"],
        }
        for used in provenance(list(tables))
    ]
