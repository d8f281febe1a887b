"""The years of issuers as loss ratios read them: checked, markets merged, one sum per issuer, market and year."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused
from riskadjust._cents import exact, exact_on_grid
from riskadjust._findings import Findings
from riskadjust._loss_ratio_terms import MARKETS, MERGED, MERGING, Terms
from riskadjust._mlr_credibility import FULLY_CREDIBLE, life_years, mlr_credibility
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns, rule_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["KEYS", "YEARS", "Amounts", "Block", "Key", "read_years", "total"]

YEARS = "years"
KEYS = ("state", "market", "issuer_id")
Key = tuple[str, str, str]
Mask = NDArray[np.bool_]

# Short names that are read too.
_SHORT = {
    "claims": "incurred_claims",
    "quality": "quality_improvement",
    "taxes": "taxes_and_fees",
    "ra_received": "net_risk_adjustment_received",
    "corridor_received": "net_corridor_received",
}
_POSITIVE = ("incurred_claims", "quality_improvement", "premium", "taxes_and_fees")
_TRANSFER, _CORRIDOR = "net_risk_adjustment_received", "net_corridor_received"
_OPTIONAL = ("reinsurance_received", "regulatory_fees", "average_deductible", _CORRIDOR, "preliminary_mlr")
_LIFE_YEARS, _MONTHS = "life_years", "member_months"
# Member months are whole or thirtieths; life-years are twelfths of them. A third of a life-year has no end as a
# decimal: read as one, 3 x 4,000 months would be a little less than 1,000 life-years.
_PARTS = {_MONTHS: 30, _LIFE_YEARS: 360}


@dataclass(frozen=True)
class Amounts:
    """Amounts of an issuer in a state and market: of a year, or of several together. Dollars, exact.

    ``deductibles``: life-years times average deductible; None where a deductible is missing.
    """

    claims: Fraction = Fraction(0)
    quality: Fraction = Fraction(0)
    premium: Fraction = Fraction(0)
    taxes: Fraction = Fraction(0)
    transfers: Fraction = Fraction(0)
    reinsurance: Fraction = Fraction(0)
    corridors: Fraction = Fraction(0)
    life_years: Fraction = Fraction(0)
    deductibles: Fraction | None = Fraction(0)

    def __add__(self, other: Amounts) -> Amounts:
        return Amounts(
            *(_sum(getattr(self, field.name), getattr(other, field.name)) for field in fields(Amounts))  # type: ignore[arg-type]
        )

    def numerator(self, *, in_premium: bool = False) -> Fraction:
        """Claims and quality less what was received; without transfers where these are counted as premium."""
        received = self.reinsurance + self.corridors + (0 if in_premium else self.transfers)
        return self.claims + self.quality - received

    def denominator(self, *, in_premium: bool = False) -> Fraction:
        """Premium less taxes and fees; with transfers where these are counted as premium."""
        return self.premium - self.taxes + (self.transfers if in_premium else 0)

    def ratio(self, *, in_premium: bool = False) -> Fraction | None:
        """Return numerator over denominator; None where that is not above zero."""
        denominator = self.denominator(in_premium=in_premium)
        return self.numerator(in_premium=in_premium) / denominator if denominator > 0 else None

    @property
    def average_deductible(self) -> Fraction | None:
        """Dollars per person, weighted by life-years; None where it is not known or there are none."""
        if self.deductibles is None or not self.life_years:
            return None
        return self.deductibles / self.life_years


def _sum(one: Fraction | None, other: Fraction | None) -> Fraction | None:
    return None if one is None or other is None else one + other


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Return the sum of amounts."""
    return sum(amounts, Amounts())


@dataclass(frozen=True)
class Block:
    """What one ratio is of: an issuer in a state and market, by year, with what it reported for earlier years."""

    key: Key
    by_year: dict[int, Amounts]
    reported: dict[int, Fraction | None]

    def window(self, year: int, terms: Terms) -> list[int]:
        """Return the years that the ratio of a reporting year rests on, oldest first, whether they are at hand or not.

        2012 rests on 2012 alone where that year is fully credible by itself (45 CFR 158.220(c)(2)).
        """
        count = terms.years_in_ratio(year)
        if count == 2 and year in self.by_year:
            alone = mlr_credibility(self.by_year[year].life_years)
            count = 1 if alone.status == FULLY_CREDIBLE else count
        return list(range(year - count + 1, year + 1))


def read_years(given: Any, terms: Terms, findings: Findings) -> list[Block]:
    """Return the issuers by state and market, sorted by key, each with its years.

    Raises
    ------
    InputRefused
        Rules MLR-001 to MLR-005, MLR-007 to MLR-009, MLR-011.
    """
    import polars as pl

    frame = _keyed(given)
    findings.table(YEARS, frame.height)
    frame = _in_time(frame, terms, findings)
    numbers = _numbers(frame)
    blank = {c: frame[c].is_null().to_numpy() for c in numbers}
    has_programs = _check_amounts(frame, numbers, blank, terms)
    market = _merged(frame, terms, findings)
    frame = frame.with_columns(pl.Series("_market", market, dtype=pl.String))
    _note_programs(frame, numbers, has_programs, terms, findings)
    by_key: dict[Key, dict[int, Amounts]] = {}
    reported: dict[Key, dict[int, Fraction | None]] = {}
    own: dict[Key, set[int]] = {}
    columns = {c: _exact(values, c) for c, values in numbers.items()}
    flat = 0
    for i, (state, at, issuer, year, given_market) in enumerate(
        frame.select("state", "_market", "issuer_id", "year", "market").rows()
    ):
        row = {c: values[i] for c, values in columns.items()}
        amounts, is_flat = _amounts(row, year, terms)
        flat += is_flat
        key = (state, at, issuer)
        years = by_key.setdefault(key, {})
        is_second = year in years
        years[year] = years[year] + amounts if is_second else amounts
        known = reported.setdefault(key, {})
        ratio = row.get("preliminary_mlr")
        # Two markets that are merged now may have reported apart: no ratio of both is known then.
        known[year] = None if is_second and known[year] != ratio else ratio
        own.setdefault((state, given_market, issuer), set()).add(year)
    findings.note("MLR-035", YEARS, flat)
    blocks = [Block(key, by_key[key], reported[key]) for key in sorted(by_key)]
    return _complete(blocks, own, frame, terms, findings)


# ------------------------------------------------------------------------------------------------ reading


def _keyed(given: Any) -> pl.DataFrame:
    """Return the rows with our names, keys checked, sorted by key; ``_row`` is the position that was handed in."""
    import polars as pl

    frame = collected(given, YEARS, (*KEYS, "year"))
    both = [short for short, name in _SHORT.items() if short in frame.columns and name in frame.columns]
    if both or {_LIFE_YEARS, _MONTHS} <= set(frame.columns):
        pairs = [f"{short} and {_SHORT[short]}" for short in both] or [f"{_LIFE_YEARS} and {_MONTHS}"]
        raise InputRefused(
            f"columns {'; '.join(pairs)} say the same", where=YEARS, rule="FILE-002", remedy="leave one of them out"
        )
    frame = frame.select(pl.exclude("^_.*$")).rename({s: n for s, n in _SHORT.items() if s in frame.columns})
    lives = _MONTHS if _MONTHS in frame.columns else _LIFE_YEARS
    _frames.need_columns(frame, YEARS, (*KEYS, "year", *_POSITIVE, _TRANSFER, lives))
    frame = frame.with_columns(_frames.text_column(frame, YEARS, c).str.strip_chars() for c in KEYS)
    if not (frame.schema["year"].is_integer() or frame.schema["year"] == pl.Null):
        raise InputRefused(
            f"column 'year' is {frame.schema['year']}, not a whole number",
            where=f"{YEARS}, column year",
            rule="FILE-002: a required column has its declared type",
            remedy="cast it to Int64",
        )
    frame = frame.with_columns(pl.col("year").cast(pl.Int64, strict=False)).with_row_index("_row")
    refusals = Refusals(YEARS)
    refusals.add("MLR-001", "issuer_id", frame.select(pl.col("issuer_id").fill_null("") == "").to_series().to_numpy())
    refusals.add("MLR-001", "state", ~frame["state"].fill_null("").str.contains("^[A-Z]{2}$").to_numpy())
    refusals.add("MLR-001", "market", ~frame["market"].fill_null("").is_in(list(MARKETS)).to_numpy())
    refusals.add("MLR-001", "year", frame["year"].is_null().to_numpy())
    refusals.add("MLR-001", " + ".join((*KEYS, "year")), frame.select(*KEYS, "year").is_duplicated().to_numpy())
    refusals.check()
    return frame.sort(*KEYS, "year")


def _in_time(frame: pl.DataFrame, terms: Terms, findings: Findings) -> pl.DataFrame:
    """Return rows that a ratio of the reporting year, or of the two years before, may rest on; set the others aside."""
    import polars as pl

    last = terms.reporting_year
    first = min(year - terms.years_in_ratio(year) + 1 for year in range(last - 2, last + 1))
    takes_part = pl.col("year").is_between(max(first, terms.first_reporting_year()), last)
    findings.refuse("MLR-020", YEARS, frame.filter(~takes_part).drop("_row"))
    kept = frame.filter(takes_part)
    if kept.height == 0:
        _refuse_missing(frame.select(KEYS).unique().sort(KEYS).rows(), [], last)
    return kept


def _numbers(frame: pl.DataFrame) -> dict[str, NDArray[np.float64]]:
    lives = _MONTHS if _MONTHS in frame.columns else _LIFE_YEARS
    columns = [*_POSITIVE, _TRANSFER, lives, *(c for c in _OPTIONAL if c in frame.columns)]
    return number_columns(frame, YEARS, columns)


def _exact(values: NDArray[np.float64], column: str) -> list[Fraction | None]:
    """Return the numbers that floats stand for; blank ones are None."""
    if column in _PARTS:
        # A quotient of a column and 12 may lie a last bit beside the float of the twelfth.
        near = np.rint(values * _PARTS[column]) / _PARTS[column]
        values = np.where(np.abs(near - values) <= 2 * np.finfo(np.float64).eps * values, near, values)
        return [exact_on_grid(v, _PARTS[column]) for v in values.tolist()]
    return [None if np.isnan(v) else exact(v) for v in values.tolist()]


def _check_amounts(
    frame: pl.DataFrame, numbers: dict[str, NDArray[np.float64]], blank: dict[str, Mask], terms: Terms
) -> Mask:
    """Refuse what no ratio can rest on; return the rows of which the market and year have risk adjustment."""
    year = frame["year"].to_numpy()
    is_large = (frame["market"] == "large_group").to_numpy()
    has_transfers: Mask = (year >= terms.first_transfer_year()) & ~is_large
    has_corridors = (year >= terms.corridor_years()[0]) & ~is_large
    refusals = Refusals(YEARS, frame["_row"].to_numpy().astype(np.int64))
    for column, values in numbers.items():
        is_odd = ~(np.abs(values) < LARGEST)
        if column in (_LIFE_YEARS, _MONTHS):
            refusals.add("MLR-003", column, is_odd | (values < 0))
            continue
        may_be_blank = blank[column] & (~has_transfers if column == _TRANSFER else column in _OPTIONAL)
        refusals.add("MLR-002", column, is_odd & ~may_be_blank)
        if column not in (_TRANSFER, _CORRIDOR, "preliminary_mlr"):
            refusals.add("MLR-004", column, values < 0)
    for column, has_program in ((_TRANSFER, has_transfers), (_CORRIDOR, has_corridors)):
        if column in numbers:
            refusals.add("MLR-007", column, ~has_program & (np.nan_to_num(numbers[column]) != 0))
    refusals.add("MLR-005", "premium", _is_not_above(numbers) & ~((year < terms.reporting_year) & _is_empty(numbers)))
    refusals.check()
    return has_transfers


def _is_empty(numbers: dict[str, NDArray[np.float64]]) -> Mask:
    """Return the rows without business; what is received may still arrive for them."""
    found = [numbers[c] == 0 for c in (*_POSITIVE, _MONTHS if _MONTHS in numbers else _LIFE_YEARS)]
    if "regulatory_fees" in numbers:
        found.append(np.nan_to_num(numbers["regulatory_fees"]) == 0)
    is_empty: Mask = np.logical_and.reduce(found)
    return is_empty


def _is_not_above(numbers: dict[str, NDArray[np.float64]]) -> Mask:
    """Return the rows whose premium is not above taxes and fees, exactly: a sum of two floats may lie beside it."""
    premium, taxes = numbers["premium"], numbers["taxes_and_fees"]
    if "regulatory_fees" not in numbers:
        return premium <= taxes
    fees = np.nan_to_num(numbers["regulatory_fees"])
    near = np.flatnonzero(np.abs(premium - taxes - fees) <= 1e-9 * np.abs(premium))
    found = premium <= taxes + fees
    for i in near.tolist():
        found[i] = exact(premium[i]) <= exact(taxes[i]) + exact(fees[i])
    return found


def _merged(frame: pl.DataFrame, terms: Terms, findings: Findings) -> list[str]:
    """Return the market that each row belongs to in the reporting year."""
    states, markets = frame["state"].to_list(), frame["market"].to_list()
    merging = terms.merged_states(set(states))
    refusals = Refusals(YEARS, frame["_row"].to_numpy().astype(np.int64))
    pairs = list(zip(states, markets, strict=True))
    clash = {s for s, m in pairs if m == MERGED} & {s for s, m in pairs if m in MERGING}
    refusals.add("MLR-011", "market", np.array([s in clash and m != "large_group" for s, m in pairs], dtype=bool))
    refusals.check()
    findings.note("MLR-033", YEARS, sum(m == MERGED and s not in merging for s, m in pairs))
    return [MERGED if s in merging and m in MERGING else m for s, m in pairs]


def _note_programs(
    frame: pl.DataFrame,
    numbers: dict[str, NDArray[np.float64]],
    has_programs: Mask,
    terms: Terms,
    findings: Findings,
) -> None:
    year, market = frame["year"].to_numpy(), frame["market"].to_list()
    nothing = np.full(frame.height, np.nan)
    corridors, reinsurance = (numbers.get(c, nothing) for c in (_CORRIDOR, "reinsurance_received"))
    is_reinsured = np.array([m in ("individual", MERGED) for m in market], dtype=bool)
    (first, last), (low, high) = terms.corridor_years(), terms.reinsurance_years()
    unsaid = has_programs & (year >= first) & (year <= last) & np.isnan(corridors)
    unsaid |= is_reinsured & (year >= low) & (year <= high) & np.isnan(reinsurance)
    findings.note("MLR-022", YEARS, int(unsaid.sum()))
    lives = numbers[_MONTHS if _MONTHS in numbers else _LIFE_YEARS]
    findings.note("MLR-037", YEARS, int(((numbers["premium"] > 0) & (lives == 0)).sum()))
    findings.note("MLR-034", YEARS, int(((year > last) & (np.nan_to_num(corridors) != 0)).sum()))


def _amounts(row: dict[str, Fraction | None], year: int, terms: Terms) -> tuple[Amounts, bool]:
    """Return the amounts of a row, and whether a flat share was chosen that its year does not have."""
    premium, quality = row["premium"] or Fraction(0), row["quality_improvement"] or Fraction(0)
    is_unheld = False
    if terms.chosen.quality == "flat":
        share = terms.flat_quality_share(year)
        is_unheld = share is None
        quality = quality if share is None else share * premium
    lives = life_years(row[_MONTHS]) if _MONTHS in row else row[_LIFE_YEARS] or Fraction(0)
    deductible = row.get("average_deductible")
    dollars = deductible if deductible is None else lives * deductible
    amounts = Amounts(
        row["incurred_claims"] or Fraction(0),
        quality,
        premium,
        (row["taxes_and_fees"] or 0) + (row.get("regulatory_fees") or Fraction(0)),
        row[_TRANSFER] or Fraction(0),
        row.get("reinsurance_received") or Fraction(0),
        row.get(_CORRIDOR) or Fraction(0),
        lives,
        dollars if lives else Fraction(0),
    )
    return amounts, is_unheld


# ------------------------------------------------------------------------------------------------ missing years


def _complete(
    blocks: list[Block], own: dict[Key, set[int]], frame: pl.DataFrame, terms: Terms, findings: Findings
) -> list[Block]:
    """Return the issuers that have a ratio; refuse years that are not there, or note them where that is chosen."""
    import polars as pl

    last = terms.reporting_year
    of_block: dict[Key, list[Key]] = {}
    merged = {(s, m, i): at for s, m, i, at in frame.select("state", "market", "issuer_id", "_market").rows()}
    for key in own:
        of_block.setdefault((key[0], merged[key], key[2]), []).append(key)
    without_last, missing, kept = [], [], []
    for block in blocks:
        if last not in block.by_year:
            without_last.append(block.key)
            continue
        kept.append(block)
        window = block.window(last, terms)
        # A market of a merged state that the issuer was never in is not missing.
        parts = [key for key in of_block[block.key] if own[key] & set(window)]
        missing += [(key, year) for key in parts for year in window if year not in own[key]]
    if terms.chosen.missing_years == "refuse":
        _refuse_missing(without_last, missing, last)
    findings.note("MLR-021", YEARS, len(missing))
    gone = pl.DataFrame(without_last, schema=dict.fromkeys(("state", "_market", "issuer_id"), pl.String), orient="row")
    aside = frame.join(gone, on=gone.columns, how="semi").drop("_row", "_market")
    findings.refuse("MLR-036", YEARS, aside)
    if not kept:
        _refuse_missing(without_last, [], last)
    return kept


def _refuse_missing(without_last: list[Key], missing: list[tuple[Key, int]], last: int) -> None:
    if without_last:
        places = [" ".join(key) for key in without_last]
        what = f"{len(places)} issuer{'s' if len(places) > 1 else ''} without a row for {last}"
        remedy = 'add the row, or say settings={"missing_years": "no_business"}: such an issuer has no ratio'
        raise InputRefused(what, where=f"{YEARS}: {_few(places)}", rule=rule_text("MLR-008"), remedy=remedy)
    if missing:
        places = [f"{' '.join(key)} {year}" for key, year in missing]
        what = f"{len(places)} year{'s' if len(places) > 1 else ''} of ratios without a row"
        remedy = (
            'add the rows (zeros for a year without business), or say settings={"missing_years": "no_business"}: '
            "a new issuer's ratio is of the years it has"
        )
        raise InputRefused(what, where=f"{YEARS}: {_few(places)}", rule=rule_text("MLR-009"), remedy=remedy)


def _few(places: list[str], most: int = 5) -> str:
    return "; ".join(places[:most]) + (f" ... ({len(places)})" if len(places) > most else "")
