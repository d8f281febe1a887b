"""What a household's income opens besides the credit: the cost-sharing variant of a plan, and Medicaid for adults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from rating._eligibility import IncomeLimits
from rating._figures import Figures, whole_year
from rating._frame_rows import FrameRows, collected, word_series
from rating._money import money_series
from rating._outcome import Outcome, outcome_of
from rating._poverty import LARGEST_SIZE, PovertyLines, income_percent
from rating._subsidy_settings import MedicaidSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "METAL_LEVELS",
    "OUTCOMES",
    "Assistance",
    "VariantRules",
    "cost_sharing_variant",
    "medicaid_outcome",
]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

METAL_LEVELS = ("platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic")
SILVER, CATASTROPHIC = 2, 5
OUTCOMES = ("credit", "medicaid", "below_poverty", "above_limit", "medicaid_unknown")
CREDIT, MEDICAID, GAP, ABOVE, UNKNOWN = range(5)

_BANDS = "rating/csr_bands"
_MEDICAID = "rating/medicaid_adult_limits"
NO_LIMIT_HELD, BAD_DATE = "SUB-030", "SUB-031"
_TENTHS = 10  # limits are published in whole percent; tenths leave room


@dataclass(frozen=True)
class Assistance(Outcome):
    """What incomes open, household by household.

    Attributes
    ----------
    households : DataFrame
        See :func:`cost_sharing_variant` and :func:`medicaid_outcome`.
    findings, counts, settings, uncertain, refused, tables
        See :class:`rating.Outcome`.
    plan_year : int
        The year of cover.
    """

    households: pl.DataFrame
    plan_year: int


# ------------------------------------------------------------------------------------------------ variants


@dataclass(frozen=True)
class VariantRules:
    """Which cost-sharing variant goes with an income, of ``rating/csr_bands``.

    Attributes
    ----------
    rows : DataFrame
        The table.
    by_income : array of int
        Row of the variant of silver plans by whole percent 0 to 401; -1: none.
    zero_cost : array of int
        The same for members of federally recognized tribes, at any metal level.
    limited, standard, off_exchange : int
        Rows of limited cost sharing, of the standard plan on the exchange, and of cover bought outside it.
    """

    rows: pl.DataFrame
    by_income: Integers
    zero_cost: Integers
    limited: int
    standard: int
    off_exchange: int

    @classmethod
    def read(cls, figures: Figures) -> VariantRules:
        """Return the rules in force.

        Examples
        --------
        >>> rules = VariantRules.read(Figures())
        >>> rules.rows["hios_variant"][rules.by_income[[99, 100, 150, 151, 200, 250]]].to_list()
        ['06', '06', '06', '05', '05', '04']
        >>> rules.by_income[251].item()
        -1
        """
        from rating._poverty import HIGHEST_PERCENT

        rows = figures.rows(_BANDS).sort("basis", "fpl_pct_to")
        places = np.full((2, HIGHEST_PERCENT + 1), -1, np.int64)
        single = dict.fromkeys(("tribal_limited_cost_sharing", "standard_on_exchange", "off_exchange"), -1)
        for i, row in enumerate(rows.to_dicts()):
            if row["basis"] in single:
                single[row["basis"]] = i
                continue
            part = places[1 if row["basis"] == "tribal_zero_cost_sharing" else 0]
            # Upper ends are inside, and one band begins where the one below it ends. Below the lowest band the
            # variant is that of the band: whoever has a credit there has its variant too.
            part[: row["fpl_pct_to"] + 1][part[: row["fpl_pct_to"] + 1] < 0] = i
        return cls(rows, places[0], places[1], *single.values())

    def positions(
        self, percent: Integers, metal: Integers, *, has_credit: Flags, is_tribal: Flags, on_exchange: Flags
    ) -> Integers:
        """Return the row of the variant of each household.

        Parameters
        ----------
        percent : array of int
            Income in whole percent of the poverty line (truncated; 401 above 400).
        metal : array of int
            Position in :data:`METAL_LEVELS`.
        has_credit : array of bool
            Whether they can have the premium tax credit.
        is_tribal : array of bool
            Whether all members belong to federally recognized tribes.
        on_exchange : array of bool
            Whether the plan is bought through the exchange.
        """
        found = np.full(len(percent), self.standard, np.int64)
        by_income = self.by_income[percent]
        silver = has_credit & (metal == SILVER) & (by_income >= 0)
        found[silver] = by_income[silver]
        tribal = is_tribal & (metal != CATASTROPHIC)
        lowest = self.lowest_tribal_pct()
        zero = np.where((percent >= lowest) | has_credit, self.zero_cost[percent], -1)
        found[tribal] = np.where(zero >= 0, zero, self.limited)[tribal]
        found[~on_exchange] = self.off_exchange
        return found

    def lowest_tribal_pct(self) -> int:
        """Return the lower end of the incomes with zero cost sharing."""
        rows = self.rows.filter(self.rows["basis"] == "tribal_zero_cost_sharing")
        return int(rows["fpl_pct_from"].min() or 0)  # type: ignore[arg-type]


def cost_sharing_variant(households: pl.DataFrame | pl.LazyFrame, *, plan_year: int) -> Assistance:
    """Return which cost-sharing variant of a plan each household gets, as the two digits after the plan id.

    Silver plans, for those who can have the credit: to 150 percent of the poverty line 94 (``06``), to 200 87
    (``05``), to 250 73 (``04``), upper ends inside on the truncated percent. Members of federally recognized tribes,
    at any metal level: to 300 percent no cost sharing (``02``), above it limited (``03``). Else ``01``; bought outside
    the exchange ``00``. The premium of a variant is that of the standard plan.

    Parameters
    ----------
    households : DataFrame
        A row per household_id (text): ``annual_income``, ``tax_household_size``, ``state`` or ``region``,
        ``metal_level``. Optional: ``is_credit_eligible`` (default: whether the income is within the limits of the
        year), ``is_tribal`` (false), ``on_exchange`` (true).
    plan_year : int
        The year of cover.

    Returns
    -------
    Assistance
        ``households``, sorted by household_id: income_pct_of_poverty, is_credit_eligible, csr_variant, target_av_pct
        (actuarial value of the variant; blank: that of the plan).

    Notes
    -----
    Cost sharing is settled in advance and never reconciled. Where a credit is due below 100 percent the variant is 94
    (general knowledge). Source: 45 CFR 155.305(g), 155.350, 156.410.

    Examples
    --------
    2026, one person: 23,475 dollars are exactly 150 percent of 15,650.

    >>> import polars as pl
    >>> homes = pl.DataFrame({"household_id": ["a", "b"], "annual_income": [23475, 23632], "tax_household_size": [1, 1],
    ...     "state": ["TX", "TX"], "metal_level": ["silver", "silver"]})
    >>> found = cost_sharing_variant(homes, plan_year=2026).households
    >>> found.select("income_pct_of_poverty", "csr_variant", "target_av_pct").rows()
    [(150, '06', 94), (151, '05', 87)]
    """
    import polars as pl

    year = whole_year(plan_year, "plan_year")
    figures, findings = Figures(), Findings()
    columns = ("household_id", "annual_income", "tax_household_size", "metal_level")
    rows = FrameRows(collected(households, "households", columns), "households", findings)
    rows.key(["household_id"])
    income = rows.income("annual_income")
    sizes, regions = rows.whole("tax_household_size", 1, LARGEST_SIZE, rule_id="SUB-003"), rows.region()
    metal = rows.choice("metal_level", METAL_LEVELS, None)
    is_tribal, on_exchange = rows.flag("is_tribal", False), rows.flag("on_exchange", True)
    at = rows.keep(["household_id"])
    lines, limits, rules = (
        PovertyLines.of_year(figures, year - 1),
        IncomeLimits.of_year(figures, year),
        VariantRules.read(figures),
    )
    percent = income_percent(income.cents, lines.dollars(regions, sizes))
    has_credit = ~limits.is_below(percent) & ~limits.is_above(percent)
    if "is_credit_eligible" in rows.frame.columns:
        has_credit = np.where(
            rows.frame["is_credit_eligible"].is_null().to_numpy(), has_credit, rows.flag("is_credit_eligible", False)
        )
    found = rules.positions(percent, metal, has_credit=has_credit, is_tribal=is_tribal, on_exchange=on_exchange)[at]
    lines.put_down(figures, regions[at], sizes[at], "csr_variant")
    limits.put_down(figures, len(at), "csr_variant")
    used = np.bincount(found, minlength=rules.rows.height)
    figures.took_part(_BANDS, rules.rows, ["basis", "hios_variant"], used, "csr_variant")
    result = (
        rows.frame[at]
        .select("household_id")
        .with_columns(
            pl.Series("income_pct_of_poverty", percent[at]),
            pl.Series("is_credit_eligible", has_credit[at]),
            rules.rows["hios_variant"][found].alias("csr_variant"),
            rules.rows["target_av_pct"][found].alias("target_av_pct"),
        )
    )
    return _assistance(result, findings, figures, pl.DataFrame(schema=MedicaidSettings().frame().schema), year)


def _assistance(
    result: pl.DataFrame, findings: Findings, figures: Figures, settings: pl.DataFrame, year: int
) -> Assistance:
    return Assistance(
        result,
        year,
        **outcome_of(findings, figures, settings).parts(),
    )


# ------------------------------------------------------------------------------------------------ Medicaid


def medicaid_outcome(
    households: pl.DataFrame | pl.LazyFrame,
    *,
    plan_year: int,
    settings: Mapping[str, Any] | MedicaidSettings | None = None,
) -> Assistance:
    """Return whether adults of each household have Medicaid, the credit, or neither, by income, state and date.

    ``Medicaid: income <= limit x guideline current at application`` (138 percent: 133 and a disregard of 5), unrounded.
    The credit uses the guideline of the year before cover, so that near the limit a household can be under one line
    and over the other. Adults without children only: limits of children, parents and pregnant people are not held.

    Parameters
    ----------
    households : DataFrame
        A row per household_id (text): ``annual_income``, ``tax_household_size``, ``state``. Optional:
        ``application_date`` (date; default 1 January of `plan_year`), ``refused_for_status`` (Medicaid refuses the
        person for immigration status; false).
    plan_year : int
        The year of cover.
    settings : mapping, optional
        ``guideline_year``, see :class:`rating.MedicaidSettings`.

    Returns
    -------
    Assistance
        ``households``, sorted by household_id: income_pct_of_poverty (line of the credit, truncated),
        medicaid_poverty_line (dollars), medicaid_limit_pct (blank: the state has no such Medicaid, or none is held),
        adult_medicaid (blank: not known), outcome: medicaid; credit (income within the limits of the credit, or
        excepted below them for status); below_poverty (neither); above_limit; medicaid_unknown (no limit is held for
        that date, and the income is not above the highest limit that is held).

    Raises
    ------
    InputRefused
        A column is missing or of another type.
    NotYetPublished, TableMissing
        No guideline is held for the year of an application.

    Notes
    -----
    The limits held begin in 2018. Source: 42 U.S.C. 1396a(a)(10)(A)(i)(VIII); 42 CFR 435.603; state limits of KFF and
    CMS.

    Examples
    --------
    2026, one person with 12,000 dollars (76 percent): Medicaid in California, nothing in Texas.

    >>> import polars as pl
    >>> homes = pl.DataFrame({"household_id": ["a", "b"], "annual_income": [12000, 12000], "tax_household_size": [1, 1],
    ...     "state": ["CA", "TX"]})
    >>> medicaid_outcome(homes, plan_year=2026).households["outcome"].to_list()
    ['medicaid', 'below_poverty']
    """
    import polars as pl

    year, chosen = whole_year(plan_year, "plan_year"), MedicaidSettings.of(settings)
    figures, findings = Figures(), Findings()
    columns = ("household_id", "annual_income", "tax_household_size", "state")
    rows = FrameRows(collected(households, "households", columns), "households", findings)
    rows.key(["household_id"])
    income = rows.income("annual_income").cents
    sizes, regions = rows.whole("tax_household_size", 1, LARGEST_SIZE, rule_id="SUB-003"), rows.region()
    refused_for_status = rows.flag("refused_for_status", False)
    dates = _dates(rows, year)
    at = rows.keep(["household_id"])
    income, sizes, regions, refused_for_status = income[at], sizes[at], regions[at], refused_for_status[at]
    dates, states = (
        dates[at],
        _frames.text_column(rows.frame, "households", "state")[at].str.strip_chars().str.to_uppercase(),
    )
    limits, credit_lines = IncomeLimits.of_year(figures, year), PovertyLines.of_year(figures, year - 1)
    percent = income_percent(income, credit_lines.dollars(regions, sizes))
    credit_lines.put_down(figures, regions, sizes, "outcome")
    limits.put_down(figures, len(at), "outcome")
    line = _current_lines(dates, regions, sizes, chosen, figures)
    tenths, is_held, has_group, highest = _state_limits(states, dates, figures)
    fits = has_group & (income * _TENTHS <= tenths * line) & ~refused_for_status
    is_low, is_high = limits.is_below(percent), limits.is_above(percent)
    outcomes = np.full(len(at), CREDIT, np.int64)
    outcomes[is_low & ~(refused_for_status & limits.status_exception)] = GAP
    outcomes[is_high] = ABOVE
    outcomes[fits] = MEDICAID
    # Without a limit of that day the highest one of any state and day says whether it can matter.
    unknown = ~is_held & (income * _TENTHS <= highest * line) & ~refused_for_status
    outcomes[unknown] = UNKNOWN
    findings.note(NO_LIMIT_HELD, "households", int(unknown.sum()))
    adult = pl.Series("adult_medicaid", fits).set(pl.Series(unknown), None)
    limit = pl.Series("medicaid_limit_pct", tenths / _TENTHS).set(~pl.Series(has_group), None)
    result = (
        rows.frame[at]
        .select("household_id")
        .with_columns(
            pl.Series("income_pct_of_poverty", percent),
            money_series("medicaid_poverty_line", 100 * line),
            limit,
            adult,
            word_series("outcome", OUTCOMES, outcomes),
        )
    )
    return _assistance(result, findings, figures, chosen.frame(), year)


def _dates(rows: FrameRows, year: int) -> pl.Series:
    import polars as pl

    first_day = pl.date(year, 1, 1)
    if "application_date" not in rows.frame.columns:
        return pl.select(pl.repeat(first_day, rows.height)).to_series()
    dates = _frames.date_column(rows.frame, "households", "application_date")
    rows.broken(BAD_DATE, (dates.is_null() & rows.frame["application_date"].is_not_null()).to_numpy())
    return dates.to_frame("date").select(pl.col("date").fill_null(first_day)).to_series()


def _current_lines(
    dates: pl.Series, regions: Integers, sizes: Integers, settings: MedicaidSettings, figures: Figures
) -> Integers:
    """Return poverty lines (dollars) of the guideline current at each application."""
    if settings.guideline_year is not None:
        years = np.full(len(dates), int(settings.guideline_year), np.int64)
    else:
        years = dates.dt.year().to_numpy().astype(np.int64)
    line = np.zeros(len(dates), np.int64)
    for year in sorted(set(years.tolist())):
        rows = years == year
        lines = PovertyLines.of_year(figures, year)
        line[rows] = lines.dollars(regions[rows], sizes[rows])
        lines.put_down(figures, regions[rows], sizes[rows], "adult_medicaid")
    return line


def _state_limits(states: pl.Series, dates: pl.Series, figures: Figures) -> tuple[Integers, Flags, Flags, int]:
    """Return limits in tenths of a percent, whether a row is held for state and date, whether it has a limit.

    Last comes the highest limit of the table.
    """
    import polars as pl

    rows = figures.rows(_MEDICAID).sort("in_source_from", "state").with_row_index("_place")
    asked = pl.DataFrame({"state": states, "date": dates}).with_row_index("_at").sort("date")
    joined = asked.join_asof(
        rows.select("state", "in_source_from", "limit_fpl_pct", "_place"),
        left_on="date",
        right_on="in_source_from",
        by="state",
        check_sortedness=False,
    ).sort("_at")
    places = joined["_place"]
    used = np.bincount(places.drop_nulls().to_numpy(), minlength=rows.height)
    figures.took_part(_MEDICAID, rows, ["state", "in_source_from"], used, "adult_medicaid")
    exact = {p: int(Fraction(repr(p)) * _TENTHS) for p in rows["limit_fpl_pct"].drop_nulls().unique().to_list()}
    limit = joined["limit_fpl_pct"].replace_strict(exact, default=None, return_dtype=pl.Int64)
    return (
        limit.fill_null(0).to_numpy(),
        places.is_not_null().to_numpy(),
        limit.is_not_null().to_numpy(),
        max(exact.values(), default=0),
    )
