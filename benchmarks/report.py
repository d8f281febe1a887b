"""Print the figures of the last benchmark run as the tables of ``docs/benchmarks.md``.

    python benchmarks/report.py [--write] [RESULT.json]

Without a file, the newest one under ``.asv/results``. ``--write`` puts the tables into the page.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".asv" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- figures: benchmarks/report.py --write -->", "<!-- end of figures -->"
WITHOUT_PARAMETERS = {
    "actuarial_values.Designs": "made-up designs, columns of 2026",
    "actuarial_values.Levers": "1,000 made-up designs on silver tables",
    "scoring.AgainstHccpy": "5% mapped, benefit year 2019",
    "start.Start": "files in the system's cache",
    "prices.Households": "30 plans in each area, Parquet to Parquet",
    "prices.MemberRates": "four factors by position",
    "transfers.EveryState": "made-up plan rows",
    "transfers.Market": "100,000 enrollees, 40 plans",
}


@dataclass(frozen=True)
class Row:
    """A figure of the page: the benchmark it comes from, how it is written, and the bar it is held to."""

    what: str
    benchmark: str
    form: str
    floor: str = ""
    aim: str = ""


RATIOS = (
    Row(
        "`riskadjust.score` from text frames against DuckDB SQL",
        "scoring.FromText.track_ratio_to_duckdb",
        "{:.2f} x",
        "2 x",
        "4 x",
    ),
    Row(
        "kernel, five metals, against hccpy (five calls)",
        "scoring.AgainstHccpy.track_ratio_five_metals",
        "{:,.0f} x",
        "1,000 x",
        "5,000 x",
    ),
    Row("kernel, five metals, against one metal of hccpy", "scoring.AgainstHccpy.track_ratio_one_metal", "{:,.0f} x"),
    Row(
        "`riskadjust.score` from text frames against one metal of hccpy",
        "scoring.AgainstHccpy.track_ratio_from_text",
        "{:,.0f} x",
    ),
    Row("kernel against DuckDB SQL on integers", "scoring.Kernel.track_ratio_to_duckdb", "{:.1f} x", "20 x", "60 x"),
    Row("kernel as a share of the gather rate", "scoring.Kernel.track_share_of_gather_rate", "{:.3f}", "0.25", "0.6"),
    Row("kernel on two threads against one", "scoring.Kernel.track_speedup_of_two_threads", "{:.2f} x"),
    Row("`riskadjust.score` on two threads against one", "scoring.FromText.track_speedup_of_two_threads", "{:.2f} x"),
    Row(
        "`riskadjust.transfers`, 5,000 plan rows, against the bare formula in DuckDB SQL",
        "transfers.EveryState.track_ratio_to_duckdb",
        "{:.2f} x",
    ),
    Row(
        "member-rate kernel against DuckDB SQL on doubles",
        "prices.MemberRates.track_ratio_to_duckdb",
        "{:.1f} x",
        "7 x",
    ),
    Row(
        "`rating.actuarial_value` from columns, a design, against the same method in plain Python",
        "actuarial_values.Designs.track_ratio_to_plain_python",
        "{:,.0f} x",
    ),
    Row("enrollees for whom hccpy gives the same score", "scoring.AgainstHccpy.track_share_that_agrees", "{:.1%}"),
)
ABSOLUTE = (
    Row("`riskadjust.score` from text frames", "scoring.FromText.time_score", "{:.2f} s"),
    Row("the same, diagnoses a second", "scoring.FromText.track_diagnoses_per_second", "{:,.0f}"),
    Row("peak memory of that process", "scoring.FromText.peakmem_score", "{:,.0f} MB"),
    Row("of it the input frames", "scoring.FromText.track_bytes_of_frames", "{:,.0f} MB"),
    Row("kernel", "scoring.Kernel.time_kernel", "{:.3f} s"),
    Row("kernel, enrollees a second", "scoring.Kernel.track_enrollees_per_second", "{:,.0f}"),
    Row("`import riskadjust`, whole process", "start.Start.time_import_riskadjust", "{:.3f} s", "0.5 s", "0.25 s"),
    Row("the first score of a process, one enrollee", "start.Start.time_first_score", "{:.2f} s"),
    Row("`poolwise --help`, whole process", "start.Start.time_poolwise_help", "{:.3f} s", "0.7 s", "0.35 s"),
    Row(
        "`riskadjust.transfers`, 5,000 plan rows of 150 pools",
        "transfers.EveryState.track_milliseconds",
        "{:.0f} ms",
        "50 ms",
        "10 ms",
    ),
    Row("`riskadjust.plan_risk`", "transfers.Market.track_seconds_of_plan_risk", "{:.2f} s"),
    Row("1,000 draws of `bootstrap_transfers`", "transfers.Market.track_seconds_of_1000_draws", "{:.1f} s", "20 s"),
    Row("1,000 mixes", "transfers.Market.track_seconds_of_1000_mixes", "{:.1f} s", "60 s", "10 s"),
    Row("member-rate kernel, rows a second", "prices.MemberRates.track_rows_per_second", "{:,.0f}", "150 M", "400 M"),
    Row(
        "`rating.member_rate` from four columns of floats, rows a second",
        "prices.MemberRates.track_rows_per_second_from_columns",
        "{:,.0f}",
    ),
    Row(
        "`rating.quote_files`, households a second",
        "prices.Households.track_households_per_second",
        "{:,.0f}",
        "16,667",
    ),
    Row("peak memory of that process", "prices.Households.peakmem_quote_files", "{:,.0f} MB", "1 GB"),
    Row(
        "`rating.actuarial_value` from columns, designs a second",
        "actuarial_values.Designs.track_designs_per_second",
        "{:,.0f}",
        "20,000",
        "100,000",
    ),
    Row(
        "the same where no design names a metal: up to four tables each",
        "actuarial_values.Designs.track_designs_per_second_metal_open",
        "{:,.0f}",
    ),
    Row(
        "`rating.solve_lever`: the deductible that makes each 70 percent",
        "actuarial_values.Levers.track_seconds_of_1000_targets",
        "{:.2f} s",
        "2 s",
    ),
    Row(
        "`rating.adjudicate`, ten lines an enrollee under twenty designs, lines x designs a second",
        "adjudicate.Adjudications.track_line_designs_per_second",
        "{:,.0f}",
        "3,333,333",
    ),
    Row("peak memory of that process", "adjudicate.Adjudications.peakmem_adjudicate", "{:,.0f} MB", "2 GB"),
    Row("Python alone, whole process", "start.Start.time_python", "{:.3f} s"),
)


def figures(results: dict[str, dict[str, object]], row: Row) -> Iterator[tuple[str, float | None]]:
    """Return each parameter combination of a benchmark, in words, with its figure (None: failed or left out)."""
    found = results.get(row.benchmark)
    if found is None:
        return
    names = ("enrollees", "diagnoses" if "FromText" in row.benchmark else "mapped")
    if row.benchmark.startswith("adjudicate."):
        names = ("order", "")
    values = found["result"] if isinstance(found["result"], list) else []
    for chosen, value in zip(product(*found["params"]), values, strict=False):  # type: ignore[misc]
        words = []
        for name, text in zip(names, chosen, strict=False):
            plain = text.strip("'")
            words.append(f"{int(plain):,} enrollees" if name == "enrollees" else plain)
            if name == "mapped":
                words[-1] = f"{float(plain):.0%} mapped"
        yield ", ".join(words) or WITHOUT_PARAMETERS[row.benchmark.rsplit(".", 1)[0]], value


def table(results: dict[str, dict[str, object]], rows: tuple[Row, ...]) -> list[str]:
    """Return a Markdown table."""
    lines = ["| what | of | measured | floor | aim |", "|---|---|---:|---:|---:|"]
    for row in rows:
        for words, value in figures(results, row):
            if value is None or value != value:
                continue
            shown = row.form.format(value / 10**6 if "MB" in row.form else value)
            lines.append(f"| {row.what} | {words} | {shown} | {row.floor} | {row.aim} |")
    return lines


def machine() -> str:
    """Return the machine in general terms, and the versions that matter."""
    versions = []
    for name in ("polars", "numpy", "duckdb"):
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} missing")
    memory = ""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GB memory, "
    cores = f"{os.cpu_count()} cores ({platform.machine()}), {memory}{platform.system()}"
    return f"{cores}, Python {platform.python_version()}, {', '.join(versions)}"


def load(path: Path) -> dict[str, dict[str, object]]:
    """Return asv's results by benchmark: values, one for each combination, and the parameters."""
    content = json.loads(path.read_text(encoding="utf-8"))
    columns = content["result_columns"]
    named = {name: dict(zip(columns, cells, strict=False)) for name, cells in content["results"].items()}
    return {name: {"result": cells["result"], "params": cells["params"]} for name, cells in named.items()}


def newest() -> Path:
    """Return the file of the last run."""
    files = [f for f in RESULTS.glob("*/*.json") if f.name != "machine.json"]
    if not files:
        raise SystemExit("no results yet: make bench")
    return max(files, key=lambda f: f.stat().st_mtime)


def write(text: str) -> None:
    """Put the tables between the two marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{PAGE.name} lacks the marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Print the report, or write it."""
    files = [Path(a) for a in arguments if a != "--write"]
    results = load(files[0] if files else newest())
    parts = [
        f"Machine: {machine()}.",
        "### Ratios",
        "\n".join(table(results, RATIOS)),
        "### Times, rates and memory",
        "\n".join(table(results, ABSOLUTE)),
    ]
    text = "\n\n".join(parts)
    if "--write" in arguments:
        write(text)
    else:
        print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
