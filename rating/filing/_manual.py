"""The manual rate: market or affiliate experience on the basis of the issuer's own projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs.errors import SettingRefused
from rating.filing._experience_input import by_category, collected, growth
from rating.filing._findings import FilingFindings, refusal, refuse_rows
from rating.filing._formulas import CATEGORIES
from rating.filing._ledger import COMPUTED, INPUT, MARKET, Entry, Key
from rating.filing._numbers import CONTEXT, exact

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ManualRate", "manual_rate"]

MANUAL = "manual_source"
STEPS = ("area", "age", "benefit", "morbidity")
_FAR = Decimal("0.25")


@dataclass(frozen=True)
class ManualRate:
    """A manual rate; see :func:`manual_rate`.

    Attributes
    ----------
    value : Decimal
        EHB allowed claims PMPM on the basis of the projection, to 34 digits.
    steps : DataFrame
        benefit_category (null: all), step (source, area, age, benefit, morbidity, trend, total), own, source_index,
        factor, pmpm (after the step).
    entries : tuple of Entry
        For the ledger of a filing: ``manual_ehb`` and all that it is worked out from.
    findings : DataFrame
        rule_id, severity, where, message.
    """

    value: Decimal
    steps: pl.DataFrame
    entries: tuple[Entry, ...]
    findings: pl.DataFrame

    def assumption(self) -> dict[str, Any]:
        """Return the value as :func:`rating.filing.develop` takes it: value, source, note."""
        source = next((e.source for e in self.entries if e.role == INPUT), "")
        return {"value": self.value, "source": source, "note": "on the area, age, benefit, morbidity and trend basis"}


def manual_rate(
    source_pmpm: pl.DataFrame | pl.LazyFrame,
    *,
    basis: Mapping[str, Any],
    annual_trend: Any,
    trend_months: Any,
    source: str,
    experience_rate: Any = None,
) -> ManualRate:
    """Return market or affiliate experience on the area, age, benefit, morbidity and trend basis of the projection.

    ``manual = sum over categories of PMPM x (1 + g)^(months / 12) x product of (own index / source index)``, the
    product over area, age, benefit and morbidity. Every basis is said, also where it is the same.

    Parameters
    ----------
    source_pmpm : DataFrame
        benefit_category, allowed_pmpm (EHB, dollars per member month of the source).
    basis : mapping
        area, age, benefit, morbidity -> (own index, source index), or one number, their ratio; 1 for the same basis.
    annual_trend : number or mapping
        g, for all or by category.
    trend_months : number
        From the middle of the source's period to the middle of the projection period.
    source : str
        Where the experience comes from (study, filing, data set).
    experience_rate : number, optional
        The issuer's adjusted trended PMPM, for the finding MAN-003.

    Returns
    -------
    ManualRate
        Blended with the experience in step 5 of the chain: z x experience + (1 - z) x manual.

    Raises
    ------
    InputRefused
        Rules MAN-001, MAN-002.
    SettingRefused
        A category has no trend.

    Notes
    -----
    Source: ASOP 25 (relevance of the complement of credibility); URR template, worksheet 1, manual EHB allowed claims.

    Examples
    --------
    >>> import polars as pl
    >>> market = pl.DataFrame({"benefit_category": ["professional"], "allowed_pmpm": [200]})
    >>> same = {"area": (1.05, 1.0), "age": 1, "benefit": 1, "morbidity": 1}
    >>> manual_rate(market, basis=same, annual_trend=0.1, trend_months=24, source="market study").value
    Decimal('254.1000')
    """
    if not isinstance(source, str) or not source.strip():
        raise refusal("MAN-001", "the source is not named", "source", "say where the experience comes from")
    amounts = _amounts(source_pmpm)
    indices = _indices(basis)
    trends = by_category(annual_trend, "annual_trend", list(amounts))
    months = exact(trend_months, "trend_months")
    lines: list[tuple[Any, ...]] = []
    entries: list[Entry] = _basis_entries(indices, months, source)
    total, parts = Decimal(0), []
    for category, pmpm in amounts.items():
        trend = trends[category]
        if trend is None or trend <= -1:
            raise SettingRefused(f"no trend above -1 is given for {category}", remedy="give a number, 0 for none")
        factor = growth(trend, Fraction(months))
        value = pmpm
        lines.append((category, "source", None, None, None, float(pmpm)))
        for step, (own, of_source) in indices.items():
            ratio = CONTEXT.divide(own, of_source)
            value = CONTEXT.multiply(value, ratio)
            lines.append((category, step, float(own), float(of_source), float(ratio), float(value)))
        value = CONTEXT.multiply(value, factor)
        lines.append((category, "trend", None, None, float(factor), float(value)))
        total = CONTEXT.add(total, value)
        found = _category_entries(category, pmpm, trend, factor, value, source)
        entries += found
        parts.append(found[-1].key)
    lines.append((None, "total", None, None, None, float(total)))
    summed = " + ".join(name for name, _ in parts)
    entries.append(Entry("manual_ehb", MARKET, total, "usd_pmpm", COMPUTED, summed, tuple(parts)))
    return ManualRate(total, _step_frame(lines), tuple(entries), _findings(total, experience_rate))


def _amounts(given: Any) -> dict[str, Decimal]:
    """Return PMPM by benefit category, in the order of the template."""
    frame = collected(given, MANUAL, ("benefit_category", "allowed_pmpm"))
    category = _frames.text_column(frame, MANUAL, "benefit_category").str.strip_chars()
    unknown = (~category.is_in(list(CATEGORIES))).fill_null(True) | category.is_duplicated()
    remedy = "one row per benefit category of worksheet 1"
    refuse_rows("MAN-002", MANUAL, "benefit_category", unknown.to_numpy(), "an unknown or double category", remedy)
    blank = frame["allowed_pmpm"].is_null().to_numpy()
    refuse_rows("MAN-002", MANUAL, "allowed_pmpm", blank, "an amount is blank", "write 0 where there is none")
    by_name = dict(zip(category.to_list(), frame["allowed_pmpm"].to_list(), strict=True))
    found = {c: exact(by_name[c], f"allowed_pmpm of {c}") for c in CATEGORIES if c in by_name}
    below = np.array([found[c] < 0 for c in category.to_list()])
    refuse_rows("MAN-002", MANUAL, "allowed_pmpm", below, "an amount is below zero", "check it")
    return found


def _indices(basis: Mapping[str, Any]) -> dict[str, tuple[Decimal, Decimal]]:
    given = dict(basis) if isinstance(basis, Mapping) else {}
    absent, unknown = [s for s in STEPS if s not in given], sorted(str(k) for k in given if k not in STEPS)
    if absent or unknown:
        what = f"no basis of {', '.join(absent)}" if absent else f"no basis is called {', '.join(unknown)}"
        raise refusal("MAN-001", what, "basis", "say area, age, benefit and morbidity; 1 for the same basis")
    found = {}
    for step in STEPS:
        pair = given[step] if isinstance(given[step], (tuple, list)) else (given[step], 1)
        if len(pair) != 2:
            raise refusal("MAN-001", f"the basis of {step} is no pair", "basis", "write (own index, source index)")
        own, of_source = (exact(value, f"basis of {step}") for value in pair)
        if own <= 0 or of_source <= 0:
            raise refusal("MAN-001", f"the basis of {step} is not above zero", "basis", "write indices above zero")
        found[step] = (own, of_source)
    return found


def _basis_entries(indices: dict[str, tuple[Decimal, Decimal]], months: Decimal, source: str) -> list[Entry]:
    found = [Entry("manual_trend_months", MARKET, months, "months", source=source)]
    for step, (own, of_source) in indices.items():
        names = f"manual_own_{step}", f"manual_source_{step}"
        found += [Entry(n, MARKET, v, "index", source=source) for n, v in zip(names, (own, of_source), strict=True)]
        keys: tuple[Key, ...] = ((names[0], MARKET), (names[1], MARKET))
        ratio = CONTEXT.divide(own, of_source)
        found.append(Entry(f"manual_{step}", MARKET, ratio, "factor", COMPUTED, f"{names[0]} / {names[1]}", keys))
    return found


def _category_entries(
    category: str, pmpm: Decimal, trend: Decimal, factor: Decimal, value: Decimal, source: str
) -> list[Entry]:
    source_name, trend_name = f"manual_source_pmpm_{category}", f"manual_annual_trend_{category}"
    factor_name = f"manual_trend_factor_{category}"
    steps = tuple((f"manual_{step}", MARKET) for step in STEPS)
    expression = " * ".join([source_name, *(name for name, _ in steps), factor_name])
    return [
        Entry(source_name, MARKET, pmpm, "usd_pmpm", source=source),
        Entry(trend_name, MARKET, trend, "ratio", source=source),
        Entry(
            factor_name,
            MARKET,
            factor,
            "factor",
            COMPUTED,
            f"(1 + {trend_name}) to the power manual_trend_months / 12",
            ((trend_name, MARKET), ("manual_trend_months", MARKET)),
        ),
        Entry(
            f"manual_ehb_{category}",
            MARKET,
            value,
            "usd_pmpm",
            COMPUTED,
            expression,
            ((source_name, MARKET), *steps, (factor_name, MARKET)),
        ),
    ]


def _step_frame(lines: list[tuple[Any, ...]]) -> pl.DataFrame:
    import polars as pl

    names = ("own", "source_index", "factor", "pmpm")
    schema: dict[str, Any] = {"benefit_category": pl.String, "step": pl.String}
    return pl.DataFrame(lines, schema=schema | dict.fromkeys(names, pl.Float64), orient="row")


def _findings(total: Decimal, experience_rate: Any) -> pl.DataFrame:
    findings = FilingFindings()
    if experience_rate is not None:
        own = exact(experience_rate, "experience_rate")
        ratio = CONTEXT.divide(total, own) if own > 0 else Decimal(1)
        if abs(ratio - 1) > _FAR:
            findings.add("MAN-003", "manual_ehb", f"manual over experience is {ratio:.4f}")
    return findings.frame()
