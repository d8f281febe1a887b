"""The exhibits of a rate filing: tables of an actuarial memorandum, for page and workbook alike."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from poolwise.report._filing_chain import chain_steps
from poolwise.report._sheets import Column
from rating.filing._formulas import CATEGORIES
from rating.filing._sensitivity import sensitivity

if TYPE_CHECKING:
    from rating.filing import Bridge, Credibility, Experience, Filing, MorbidityChange, TrendStudy
    from rating.review import Review

__all__ = [
    "Exhibit",
    "FilingExhibits",
    "category_name",
    "category_rank",
    "quantity_name",
    "studies",
]

_ALLOWED = ("ehb_allowed", "non_ehb_allowed")
_TOTALS = {
    "allowed_claims": "Allowed claims",
    "reinsurance": "Reinsurance received",
    "incurred_claims": "Incurred claims",
    "risk_adjustment": "Risk adjustment (receipt positive)",
    "premium": "Premium",
}
_RATES = ("mean_premium_pmpm", "market_adjusted_index_rate")
_EFFECTS = ("value", "effect_down", "effect_up", "ratio_down", "ratio_up")
_MEASURES = {"pmpm": "PMPM", "utilization": "utilization", "unit_cost": "unit cost"}
_METHODS = {
    "chain_ladder": "factors of the triangle",
    "given_factor": "factors handed in",
    "trended_pmpm": "trended PMPM of complete months",
    "paid_to_date": "paid to date",
}


@dataclass(frozen=True)
class Exhibit:
    """One table: what it is called, what it says, its columns and rows.

    Attributes
    ----------
    key : str
        Name of the exhibit in the templates; ``title`` is also the name of its sheet.
    title, explanation : str
        Heading, and a sentence under it.
    columns : tuple of Column
        As sheets have them; the kind of a column says how its cells are shown.
    rows : list of tuple
        Values, not texts.
    total : tuple
        A last row that is set apart; empty where there is none.
    """

    key: str
    title: str
    explanation: str
    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    total: tuple[Any, ...] = ()


@dataclass(frozen=True)
class FilingExhibits:
    """A filing with the studies behind it: one thing for page, reliance page and workbook.

    Attributes
    ----------
    filing : Filing
        Developed, or read from a workbook.
    experience : Experience, optional
        What :func:`rating.filing.experience` made of the claims.
    trend : TrendStudy, optional
        Of :func:`rating.filing.trend_study`.
    credibility : Credibility, optional
        Of :func:`rating.filing.credibility`.
    morbidity : MorbidityChange, optional
        Of :func:`rating.filing.morbidity_change` or ``movement_change``.
    bridge : Bridge, optional
        From the filing in force to this one.
    reviewed : Review, optional
        Of :func:`rating.review.run`; run here where none is given.
    """

    filing: Filing
    experience: Experience | None = None
    trend: TrendStudy | None = None
    credibility: Credibility | None = None
    morbidity: MorbidityChange | None = None
    bridge: Bridge | None = None
    reviewed: Review | None = None

    @cached_property
    def review(self) -> Review:
        """The checks of the filing with their four results."""
        from rating.review import run

        return self.reviewed or run(self.filing)

    @cached_property
    def rate(self) -> str | None:
        """The rate whose sensitivity is shown: the mean premium; without member months, the market's index rate."""
        return next((name for name in _RATES if self.number(name) is not None), None)

    @cached_property
    def sensitivity(self) -> pl.DataFrame:
        """How the rate moves with each assumption, see :func:`rating.filing.sensitivity`; no rows without a rate."""
        if self.rate is not None:
            return sensitivity(self.filing, target=self.rate)
        return pl.DataFrame(schema=dict.fromkeys(("label", "change"), pl.String) | dict.fromkeys(_EFFECTS, pl.Float64))

    @cached_property
    def offered(self) -> pl.DataFrame:
        """The plans of the filing that are sold in the plan year."""
        plans = self.filing.plans
        if "plan_category" not in plans.columns:
            return plans
        return plans.filter(pl.col("plan_category").fill_null("") != "terminated")

    @cached_property
    def findings(self) -> pl.DataFrame:
        """rule_id, severity, where, message of the filing and of the studies; none twice."""
        behind = (self.experience, self.trend, self.credibility, self.morbidity)
        parts = [self.filing.findings, *(study.findings for study in behind if study is not None)]
        columns = self.filing.findings.columns
        rank = pl.col("severity").replace_strict({"error": 0, "warning": 1, "info": 2}, default=3)
        return pl.concat([part.select(columns) for part in parts]).unique().sort(rank, "rule_id", "where", "message")

    def number(self, name: str, place: str = "") -> Decimal | None:
        """Return a number of the filing, exact; None where it is blank."""
        return self.filing.model.value(name, place)


def category_name(category: str | None) -> str:
    """Return a benefit category for a reader.

    Examples
    --------
    >>> category_name("inpatient_hospital"), category_name("all"), category_name(None)
    ('Inpatient hospital', 'All categories', 'All categories')
    """
    if category in (None, "all"):
        return "All categories"
    words = str(category).replace("_", " ")
    return words[0].upper() + words[1:]


def category_rank() -> pl.Expr:
    """Return the place of ``benefit_category`` on worksheet 1; others after those."""
    places = {category: place for place, category in enumerate(CATEGORIES)}
    return pl.col("benefit_category").replace_strict(places, default=len(places), return_dtype=pl.Int64)


def quantity_name(name: str) -> str:
    """Return the name of a quantity for a reader.

    Examples
    --------
    >>> quantity_name("mean_premium_pmpm"), quantity_name("adj_non_ehb")
    ('mean premium PMPM', 'adj non EHB')
    """
    words = {"pmpm": "PMPM", "ehb": "EHB", "csr": "CSR", "av": "AV"}
    return " ".join(words.get(word, word) for word in name.split("_"))


def studies(given: FilingExhibits) -> list[Exhibit]:
    """Return the exhibits from claims to the market adjusted index rate, in order of work; those that there are."""
    found = [_totals(given)]
    if given.experience is not None:
        found += [_categories(given.experience), _completion(given.experience)]
        if given.experience.ladder is not None:
            found.append(_factors(given.experience.ladder.factors))
    if given.trend is not None:
        found += [_trends(given.trend), _trend_months(given.trend)]
    found.append(_projection(given))
    if given.morbidity is not None:
        found.append(_morbidity(given.morbidity))
    found.append(_chain(given))
    if given.bridge is not None:
        found.append(_bridge(given.bridge))
    return found


# ------------------------------------------------------------------------------------------------ experience


def _totals(given: FilingExhibits) -> Exhibit:
    rows = [
        (label, given.number(f"exp_{name}_total"), given.number(f"exp_{name}_pmpm")) for name, label in _TOTALS.items()
    ]
    months = given.number("exp_member_months")
    said = "No experience: no member months." if not months else f"{months:,.0f} member months."
    return Exhibit(
        "experience",
        "Experience period",
        f"Worksheet 1, section I. {said} Blank: not handed in.",
        (Column("", width=34), Column("Total, $", "count", width=18), Column("PMPM, $", "dollars")),
        rows,
    )


def _categories(study: Experience) -> Exhibit:
    columns = ("allowed_paid_to_date", "allowed_developed", "allowed", "rebates", "allowed_net", "pmpm")
    shown = study.categories.filter(pl.any_horizontal(pl.col(c) != 0 for c in columns[:4]))
    rows = [
        (category_name(row["benefit_category"]), "yes" if row["is_ehb"] else "no", *(row[c] for c in columns))
        for row in shown.rows(named=True)
    ]
    total = ("All", "", *(_total(row[i] for row in rows) for i in range(2, 2 + len(columns))))
    headings = ("Paid to date, $", "By factors, $", "Selected, $", "Rebates, $", "Allowed, $")
    return Exhibit(
        "categories",
        "Experience by category",
        "Allowed claims paid to date, completed by development factors alone, and as selected (months of low "
        "completion take another estimate), less drug rebates.",
        (
            Column("Benefit category", width=22),
            Column("EHB", width=7),
            *(Column(heading, "count", width=15) for heading in headings),
            Column("PMPM, $", "dollars"),
        ),
        rows,
        total,
    )


def _completion(study: Experience) -> Exhibit:
    months: dict[Any, dict[str, Any]] = {}
    inside = study.months.filter(pl.col("in_period"), pl.col("basis").is_in(_ALLOWED)).sort(
        "incurred_month", "benefit_category", "basis"
    )
    for row in inside.rows(named=True):
        held = months.setdefault(row["incurred_month"], {"paid": [], "selected": [], "methods": {}, "members": 0.0})
        held["paid"].append(row["paid_to_date"])
        held["selected"].append(row["selected"])
        held["members"] = max(held["members"], row["member_months"] or 0.0)
        if row["selected"]:
            held["methods"][row["method"]] = None
    rows = []
    for month, held in months.items():
        paid, selected = math.fsum(held["paid"]), math.fsum(held["selected"])
        methods = "; ".join(_METHODS.get(m, m) for m in held["methods"])
        share = paid / selected if selected else None
        rows.append((month.isoformat()[:7], held["members"], paid, selected, share, methods))
    paid, selected = _total(row[2] for row in rows) or 0.0, _total(row[3] for row in rows) or 0.0
    total = ("All", _total(row[1] for row in rows), paid, selected, paid / selected if selected else None, "")
    return Exhibit(
        "completion",
        "Completion by month",
        "Allowed claims of all categories by month of service: paid by the last paid month, and as selected.",
        (
            Column("Month", width=9),
            Column("Member months", "count", width=14),
            Column("Paid to date, $", "count", width=15),
            Column("Selected, $", "count", width=15),
            Column("Complete", "percent", width=10),
            Column("Estimated by", width=44),
        ),
        rows,
        total,
    )


def _factors(factors: pl.DataFrame) -> Exhibit:
    columns = ("lag_months", "months_used", "age_to_age", "to_ultimate", "completion")
    rows = [
        (category_name(row["benefit_category"]), *(row[c] for c in columns))
        for row in factors.sort(category_rank(), maintain_order=True).rows(named=True)
    ]
    return Exhibit(
        "factors",
        "Development factors",
        "Chain ladder by benefit category: cumulative claims one month later over those at the lag; completion is one "
        "over the product of all later factors and the tail.",
        (
            Column("Benefit category", width=22),
            Column("Lag, months", "count"),
            Column("Months used", "count"),
            Column("Age to age", "factor"),
            Column("To ultimate", "factor", width=12),
            Column("Complete", "percent", width=11),
        ),
        rows,
    )


# ------------------------------------------------------------------------------------------------ trend


def _trends(study: TrendStudy) -> Exhibit:
    columns = ("annual_trend", "low", "high", "months_used", "r_squared", "durbin_watson")
    rows = []
    for row in study.trends.sort(category_rank(), maintain_order=True).rows(named=True):
        view = "monthly" if row["view"] == "monthly" else "rolling 12"
        measure = _MEASURES.get(row["measure"], row["measure"])
        rows.append((category_name(row["benefit_category"]), measure, view, *(row[c] for c in columns)))
    confidence = study.trends["confidence"].max()
    share = f"{confidence:.0%} " if isinstance(confidence, float) else ""
    return Exhibit(
        "trend",
        "Trend study",
        f"Regression of the logarithm of normalized months on time and month of the year, with its {share}interval; "
        "windows of twelve months overlap, so that view has none. Durbin-Watson near 2: residuals "
        "do not follow each other.",
        (
            Column("Benefit category", width=22),
            Column("Measure", width=13),
            Column("View", width=11),
            Column("Annual trend", "percent"),
            Column("From", "percent"),
            Column("To", "percent"),
            Column("Months", "count"),
            Column("R²", "factor"),
            Column("Durbin-Watson", "factor"),
        ),
        rows,
    )


def _trend_months(study: TrendStudy) -> Exhibit:
    numbers = ("value", "normalized", "fitted", "rolling_12", "rolling_12_change")
    rows = [
        (
            category_name(row["benefit_category"]),
            _MEASURES.get(row["measure"], row["measure"]),
            row["incurred_month"].isoformat()[:7],
            *(row[c] for c in numbers),
        )
        for row in study.months.sort(category_rank(), maintain_order=True).rows(named=True)
    ]
    return Exhibit(
        "trend_months",
        "Trend months",
        "The months of the trend study: as they are, normalized (even calendar, indices), fitted, and over 12 months.",
        (
            Column("Benefit category", width=22),
            Column("Measure", width=13),
            Column("Month", width=9),
            Column("Value", "dollars"),
            Column("Normalized", "dollars"),
            Column("Fitted", "dollars"),
            Column("Rolling 12", "dollars"),
            Column("Change", "percent"),
        ),
        rows,
    )


# ------------------------------------------------------------------------------------------------ the chain


def _projection(given: FilingExhibits) -> Exhibit:
    parts = [f"trend_{year}_{kind}" for year in ("y1", "y2") for kind in ("cost", "util")]
    rows = []
    for category in CATEGORIES:
        names = ("ep_index_rate", *parts, "trended_ehb")
        rows.append((category_name(category), *(given.number(f"{name}_{category}") for name in names)))
    total = ("All", given.number("ep_index_rate_total"), *(None,) * len(parts), given.number("trended_ehb_total"))
    headings = ("Cost, year 1", "Use, year 1", "Cost, year 2", "Use, year 2")
    return Exhibit(
        "projection",
        "Projection by category",
        "Worksheet 1, section II: EHB claims of the experience, trended from its middle to that of the plan year.",
        (
            Column("Benefit category", width=22),
            Column("Experience PMPM, $", "dollars"),
            *(Column(heading, "factor", width=11) for heading in headings),
            Column("Trended PMPM, $", "dollars"),
        ),
        rows,
        total,
    )


def _morbidity(change: MorbidityChange) -> Exhibit:
    columns = ("member_months_before", "member_months_after", "demographic", "morbidity", "risk")
    rows = [(str(row["part"]), *(row[c] for c in columns)) for row in change.parts.rows(named=True)]
    return Exhibit(
        "morbidity",
        "Morbidity and demographics",
        "Relative risk of the projected population over that of the experience, in parts; each factor is over what "
        "stands before it.",
        (
            Column("Part", width=24),
            Column("Months before", "count", width=15),
            Column("Months after", "count", width=15),
            Column("Demographic", "factor", width=12),
            Column("Morbidity", "factor", width=12),
            Column("Risk", "factor", width=12),
        ),
        rows,
    )


def _chain(given: FilingExhibits) -> Exhibit:
    rows = [(step.step, step.label, step.factor, step.pmpm) for step in chain_steps(given)]
    return Exhibit(
        "chain",
        "Index rate chain",
        "From the index rate of the experience to the mean premium of all plans. The factor is the amount after a step "
        "over the one before; steps are numbered as in the ledger.",
        (
            Column("Step", width=6),
            Column("What", width=32),
            Column("Factor", "factor"),
            Column("After it, $ PMPM", "dollars"),
        ),
        rows,
    )


def _bridge(found: Bridge) -> Exhibit:
    moved = found.steps.filter((pl.col("amount") != 0) | (pl.col("inputs_changed") > 0))
    rows = [(row["label"], row["amount"], row["ratio_to_old"], row["cumulative"]) for row in moved.rows(named=True)]
    start = ("Filing in force", None, None, float(found.old))
    change = float(found.change)
    share = change / float(found.old) if found.old else None
    return Exhibit(
        "bridge",
        "Bridge from the filing in force",
        f"What moved the {quantity_name(found.target)}{f' of {found.place}' if found.place else ''}. {found.note}",
        (
            Column("Step", width=40),
            Column("Amount, $", "dollars"),
            Column("Of the old rate", "percent", width=12),
            Column("After it, $", "dollars"),
        ),
        [start, *rows],
        ("Change", change, share, float(found.new)),
    )


def _total(values: Iterable[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return math.fsum(held) if held else None
