"""What quotes hand over: tables as files, one JSON document, and what a person sees; one household, or many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.cli._faults import FINDINGS, FINE, PARTIAL
from poolwise.cli._outcome import RunOutcome
from poolwise.cli._results import show_counts, show_findings, write_table
from poolwise.cli._screen import plural, show_table
from poolwise.report._quote_words import (
    NOT_KNOWN,
    OUTCOMES,
    item_amount,
    item_name,
    metal,
    set_in_type,
    usd,
    variant_names,
)

if TYPE_CHECKING:
    from rich.console import Console

    from rating import QuoteFiles, Quotes, Shopping

__all__ = ["PAGE", "PAGE_OF_MANY", "ManyHouseholds", "OneHousehold"]

PAGE, PAGE_OF_MANY = "quote.html", "quotes.html"
_CREDIT = "credit"
_SUMS = ("premium_monthly", "monthly_credit", "net_premium_monthly")
_CENT = Decimal("0.01")


# ------------------------------------------------------------------------------------------------ one household


class OneHousehold(RunOutcome):
    """The plans that one household can choose from, and where each number comes from.

    Parameters
    ----------
    shopping : Shopping
        Of one household, explained.
    plan_ids : sequence of str
        Only these plans are shown; none: all of them.
    missing : int
        How many of those asked for are not offered.
    notes, uncertain
        Further remarks and uncertain figures.
    """

    def __init__(
        self,
        shopping: Shopping,
        *,
        plan_ids: Sequence[str] = (),
        missing: int = 0,
        notes: Sequence[str] = (),
        uncertain: pl.DataFrame,
    ) -> None:
        super().__init__(shopping, plan_year=shopping.plan_year, notes=notes, uncertain=uncertain)
        assert shopping.explanation is not None
        self.shopping = shopping
        self.offers, self.explanation = shopping.offers, shopping.explanation
        self.plan_ids, self._missing = list(plan_ids), missing
        if plan_ids:
            self.offers = self.offers.filter(pl.col("plan_id").is_in(self.plan_ids))
            held = pl.col("plan_id").is_null() | pl.col("plan_id").is_in(self.plan_ids)
            self.explanation = self.explanation.filter(held)

    @property
    def exit_code(self) -> int:
        """Return 3 when a plan asked for is not offered, 1 when a figure that is needed is not published, else 0."""
        if self._missing:
            return PARTIAL
        return FINDINGS if "error" in self.findings["severity"].to_list() else FINE

    def write(self, folder: Path, form: str) -> None:
        """Write the tables into a folder; `form` (parquet, csv) is that of offers and explanation."""
        write_table(self.offers, folder / f"offers.{form}")
        write_table(self.explanation, folder / f"explanation.{form}")
        self.write_lists(folder)

    def draw(self, folder: Path, household: pl.DataFrame, options: Mapping[str, Any]) -> None:
        """Write the page; `options` are those of the shopping: rates, plans, places, settings."""
        from poolwise.report import quote_page

        title = f"Plans of a household, plan year {self.plan_year}"
        self.write_page(
            folder / PAGE, lambda: quote_page(household, self.shopping, title=title, notes=self.notes, **options)
        )

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document; amounts to the cent are text, so that no digit is lost."""
        return {
            "plan_year": self.plan_year,
            "offers": self.offers.drop("household_id").to_dicts(),
            "explanation": self.explanation.drop("household_id").to_dicts(),
            **self.lists(self.exit_code),
        }

    def show(self, console: Console) -> None:
        """Show the offers, and for the cheapest plan (or the plans asked for) where the numbers come from."""
        area = self.offers["rating_area_id"][0]
        number = plural(self.offers.height, "plan")
        reasons = self._reasons()
        title = f"{number} in rating area {area}, plan year {self.plan_year}; dollars a month"
        variants, benchmark = variant_names(), self.offers["benchmark_plan_id"][0]
        columns = [("", "right"), ("plan", "left"), ("metal", "left"), ("cost sharing", "left")]
        columns += [(c, "right") for c in ("gross", "credit", "net")]
        columns += [("why no credit", "left")] if len(set(reasons)) > 1 else []
        rows = [
            [
                f"{row['place']}",
                row["plan_id"],
                metal(row["metal_level"]) + (" (benchmark)" if row["plan_id"] == benchmark else ""),
                variants.get(row["csr_variant"], NOT_KNOWN),
                *(usd(row[c]) for c in _SUMS),
                reason,
            ][: len(columns)]
            for row, reason in zip(self.offers.rows(named=True), reasons, strict=True)
        ]
        show_table(console, title, columns, rows)
        if len(set(reasons)) == 1 and reasons[0]:
            is_unknown = reasons[0].startswith(NOT_KNOWN)
            console.print(f"The credit is {reasons[0]}.\n" if is_unknown else f"No credit: {reasons[0]}.\n")
        self._show_explanation(console)
        if self.findings.height:
            show_findings(console, self.findings)
        self.show_end(console)

    def _reasons(self) -> list[str]:
        """Return why each offer has no credit; empty where it has one."""
        lines = self.explanation.filter(pl.col("item") == "monthly_credit").select("plan_id", "how")
        how = dict(lines.rows())
        pairs = self.offers.select("plan_id", "notes").rows()
        return ["" if note == _CREDIT else str(how.get(plan_id) or "") for plan_id, note in pairs]

    def _show_explanation(self, console: Console) -> None:
        columns = [("number", "left"), ("amount", "right"), ("how [source]", "left")]
        for plan_id in (None, *(self.plan_ids or self.offers["plan_id"].to_list()[:1])):
            lines = self.explanation.filter(pl.col("plan_id").eq_missing(plan_id))
            found = lines.select("item", "member_id", "amount", "how", "source").rows()
            rows = [
                [
                    item_name(item) if who is None else f"{item_name(item)}, person {who}",
                    item_amount(item, amount),
                    f"{set_in_type(how or '')} [{source}]",
                ]
                for item, who, amount, how, source in found
            ]
            title = "Where the numbers come from: the household" if plan_id is None else f"... and plan {plan_id}"
            if rows:
                show_table(console, title, columns, rows)


# ------------------------------------------------------------------------------------------------ many households


class ManyHouseholds(RunOutcome):
    """Quotes of a file of households.

    Parameters
    ----------
    result : Quotes or QuoteFiles
        In memory, or as parts in the folder of the results.
    explanation : DataFrame, optional
        Where each number comes from.
    notes, uncertain
        Further remarks and uncertain figures.
    """

    def __init__(
        self,
        result: Quotes | QuoteFiles,
        *,
        explanation: pl.DataFrame | None = None,
        notes: Sequence[str] = (),
        uncertain: pl.DataFrame,
    ) -> None:
        super().__init__(result, plan_year=result.plan_year, notes=notes, uncertain=uncertain)
        self.result, self.explanation = result, explanation
        self.sums, self.quoted = _summed(_parts(result))
        self.quotes = int(self.sums["quotes"].sum())
        if self.quotes == 0:
            self.notes.append(
                "nobody was quoted: see the findings, and whether plan year and places are the right ones"
            )

    @property
    def exit_code(self) -> int:
        """Return 1 when a row was set aside, a figure is not published, or nobody was quoted, else 0."""
        has_errors = "error" in self.findings["severity"].to_list()
        return FINDINGS if has_errors or self.quotes == 0 else FINE

    def write(self, folder: Path, form: str) -> None:
        """Write what is not written yet; `form` (parquet, csv) is that of households, members and explanation."""
        from rating import Quotes

        if isinstance(self.result, Quotes):
            frames = {
                "households": self.result.households,
                "members": self.result.members,
                "explanation": self.explanation,
            }
            for name, frame in frames.items():
                if frame is not None:
                    write_table(frame, folder / f"{name}.{form}")
            for name, rows in self.result.refused.items():
                if rows.height:
                    write_table(rows, folder / f"rejected_{name}.csv")
        write_table(self.summary(), folder / "summary.csv")
        self.write_lists(folder)

    def draw(self, folder: Path) -> None:
        """Write the page, which tells of nobody in particular."""
        from poolwise.report import quotes_page

        title = f"Quotes of many households, plan year {self.plan_year}"
        self.write_page(folder / PAGE_OF_MANY, lambda: quotes_page(self.result, title=title, notes=self.notes))

    def summary(self) -> pl.DataFrame:
        """Return quotes and mean amounts by metal level and what the credit is."""
        return _means(self.sums)

    def document(self) -> dict[str, Any]:
        """Return the run as one JSON document: its summary, not the quotes of people."""
        return {
            "plan_year": self.plan_year,
            "households": self.quoted,
            "quotes": self.quotes,
            "summary": self.summary().to_dicts(),
            **self.lists(self.exit_code),
        }

    def show(self, console: Console) -> None:
        """Show the run to a person."""
        quotes, households = plural(self.quotes, "quote"), plural(self.quoted, "household")
        console.print(f"{quotes} for {households}, plan year {self.plan_year}; dollars a month\n", style="bold")
        # Means over quotes without a known credit would not be of the same people.
        known = self.sums.filter(pl.col("monthly_credit known") > 0)
        _show_means(console, known, "metal_level", "By metal level, where the credit is known", metal)
        _show_means(console, self.sums, "notes", "By what the credit is", lambda word: OUTCOMES.get(word, metal(word)))
        show_counts(console, self.counts)
        show_findings(console, self.findings)
        self.show_end(console)


def _show_means(console: Console, sums: pl.DataFrame, column: str, title: str, in_words: Callable[[Any], str]) -> None:
    columns = [("", "left"), *((c, "right") for c in ("quotes", "mean gross", "mean credit", "mean net"))]
    by = _means(sums.group_by(column).agg(pl.exclude("metal_level", "notes").sum()).sort(column))
    rows = [[in_words(word), f"{number:,}", *(usd(m) for m in means)] for word, number, *means in by.rows()]
    if rows:
        show_table(console, title, columns, rows)


def _parts(result: Quotes | QuoteFiles) -> Iterable[pl.LazyFrame]:
    from rating import Quotes

    if isinstance(result, Quotes):
        return [result.households.lazy()]
    return [pl.scan_parquet(path) for path in sorted((result.folder / "quotes").glob("part-*.parquet"))]


def _summed(parts: Iterable[pl.LazyFrame]) -> tuple[pl.DataFrame, int]:
    """Return quotes, sums and numbers of known amounts by metal level and note, and how many households have a quote.

    A household lies in one part: no part needs the others.
    """
    money = pl.Decimal(38, 2)
    amounts = [pl.col(c).cast(money).sum().alias(c) for c in _SUMS]
    known = [pl.col(c).count().cast(pl.Int64).alias(f"{c} known") for c in _SUMS]
    keys = ["metal_level", "notes"]
    sums, quoted = [], 0
    for part in parts:
        sums.append(part.group_by(keys).agg(pl.len().cast(pl.Int64).alias("quotes"), *amounts, *known).collect())
        quoted += int(part.select(pl.col("household_id").n_unique()).collect().item())
    whole = pl.concat(sums).group_by(keys).agg(pl.exclude(keys).sum()).sort(keys)
    return whole, quoted


def _means(sums: pl.DataFrame) -> pl.DataFrame:
    """Return the means of known amounts, to the cent."""

    def mean(total: Decimal | None, number: int) -> Decimal | None:
        return None if not number or total is None else (total / number).quantize(_CENT, ROUND_HALF_UP)

    means = [
        pl.Series(f"mean_{c}", [mean(*pair) for pair in sums.select(c, f"{c} known").rows()], dtype=pl.Decimal(18, 2))
        for c in _SUMS
    ]
    return sums.drop(*_SUMS, *(f"{c} known" for c in _SUMS)).with_columns(means)
