"""Medical loss ratios of issuers over three years, and the rebates that follow where the standard is not met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from riskadjust._cents import as_money, cents_of
from riskadjust._findings import Findings
from riskadjust._loss_ratio_policies import Due, Paid, policy_frame
from riskadjust._loss_ratio_terms import LossRatioSettings, Terms, rounded_ratio
from riskadjust._loss_ratio_years import KEYS, Amounts, Block, Key, read_years, total
from riskadjust._mlr_credibility import NOT_CREDIBLE, PARTLY_CREDIBLE, MlrCredibility, mlr_credibility
from riskadjust._refusals import rule_text
from riskadjust._settled import Settled
from riskadjust._stabilizer_figures import UsedFigures, whole_year

if TYPE_CHECKING:
    import polars as pl

__all__ = ["LossRatios", "medical_loss_ratio"]

ISSUERS = "issuers"
_LOW_YEARS = 3  # of the rule that no credibility is added after three low years


@dataclass(frozen=True, kw_only=True)
class LossRatios(Settled):
    """Medical loss ratios and rebates of one reporting year.

    Attributes
    ----------
    issuers, years, policies : DataFrame
        See :func:`medical_loss_ratio`.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    reporting_year : int
        The year that was reported.
    """

    issuers: pl.DataFrame
    years: pl.DataFrame
    policies: pl.DataFrame
    reporting_year: int

    def __repr__(self) -> str:
        return (
            f"LossRatios(reporting_year={self.reporting_year}, issuers={self.issuers.height}, "
            f"rebate={self.issuers['rebate'].sum()}, findings={self.findings.height}, "
            f"uncertain={self.uncertain.height})"
        )


def medical_loss_ratio(
    years: pl.DataFrame | pl.LazyFrame,
    *,
    reporting_year: int,
    policies: pl.DataFrame | pl.LazyFrame | None = None,
    settings: Mapping[str, Any] | None = None,
) -> LossRatios:
    """Return the medical loss ratio of each issuer, state and market, and the rebate it owes, to the cent.

    ``MLR = round(sum of (claims + quality - received) / sum of (premium - taxes and fees) + credibility, 3)`` over the
    reporting year and the two before, received: risk adjustment, reinsurance and risk corridors, net;
    ``credibility = base(life-years) x factor(average deductible)`` where the ratio is partly credible;
    ``rebate = max(0, standard - MLR) x (premium - taxes and fees of the reporting year)``. Ratio and rebate are
    rounded once, halves away from zero; sums are exact.

    Parameters
    ----------
    years : DataFrame
        A row per state ("TX"), market (individual, small_group, large_group, merged), issuer_id and year:
        incurred_claims, quality_improvement, premium, taxes_and_fees (with user fees and reinsurance contributions),
        net_risk_adjustment_received (negative: paid; blank where there is none: large group, before 2014) in dollars;
        life_years, or member_months (a twelfth counts): credibility is of their sum, so where only that is known any
        split over the rows will do, but for the rule of three low years. Optional: average_deductible (dollars per
        person: needed where a ratio is partly credible), reinsurance_received, net_corridor_received (blank in their
        years: noted), regulatory_fees (further fees), preliminary_mlr (the ratio reported for that year, without
        credibility). The names claims, quality, taxes, ra_received and corridor_received are read too. A year without
        business is a row of zeros (what is received may still arrive). Rows of other years are set aside.
    reporting_year : int
        2011 rests on itself, 2012 on two years (alone where fully credible), later ones on three.
    policies : DataFrame, optional
        state, market, issuer_id, policy_id, premium of the reporting year. Optional: paid_to (policyholder: usual for
        groups; subscribers), subscribers (their number, for groups whose rebate goes to them).
    settings : mapping, optional
        ``ratio_decimals``: 0 to 12, or ``none`` (default: the table's 3). ``standard``: a number, or "NY", "individual"
        or "NY/individual" -> number, in place of the table. ``merged_states``: in place of the table.
        ``missing_years``: ``refuse`` (default) or ``no_business``: a new issuer's ratio is of the years it has.
        ``deductible_factor``: ``average`` (default) or ``one``. ``low_years``: no credibility is added when each of
        three years has partly credible life-years and each ratio is below the standard without it: the ratios
        ``reported`` for the three years (default; preliminary_mlr, or made from five years of rows), those of each
        ``single_year``, or ``off``. ``quality``: ``actual`` (default) or ``flat`` (a share of premium, in the years
        that had it). ``transfer_option``: None (default), ``all`` or a list of issuer ids: issuers whose net transfers
        are at least ``qualifying_share`` of premium, all years together (default: the table's, from 2026), count them
        as premium instead of taking them off claims; ``qualifying_rebate_base``: ``premium`` (default) or
        ``premium_and_transfers``. ``small_rebates``: what is too small to be paid is shared ``evenly`` among the others
        (default: per policyholder or subscriber) or ``by_rebate``.

    Returns
    -------
    LossRatios
        ``.issuers``, sorted by key (state, market, issuer_id): first_year, years; the sums incurred_claims,
        quality_improvement, net_risk_adjustment_received, reinsurance_received, net_corridor_received, premium,
        taxes_and_fees, numerator, denominator (Decimal); transfers_as_premium; life_years, preliminary_mlr (Float64),
        credibility (not_credible, partly_credible, fully_credible), base_credibility, average_deductible,
        deductible_factor, credibility_adjustment, mlr (Float64), standard, meets_standard (presumed where not
        credible), rebate_base, rebate (Decimal, what the issuer pays), rebate_per_life_year, policies_paid,
        rebate_paid (null without policies). ``.years``: the rows of the ratios by year, with year_mlr, the ratio of
        that year alone. ``.policies``: policy_id, policy_market, paid_to, subscribers, premium, rebate_owed (by
        premium), is_small, rebate (paid): the rebates of an issuer and market add up to its rebate.

    Raises
    ------
    InputRefused
        Rules MLR-001 to MLR-015: rows are named by number, never by a value. A year without a program (MLR-006).
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Sources: 42 USC 300gg-18; 45 CFR 158.210 (standards), 158.211 (higher ones of states), 158.220 (years, merged
    markets), 158.221 (formula), 158.230 to 158.232 (credibility), 158.240 (rebate), 158.243 (small rebates); payment
    notice for 2026 (transfers of qualifying issuers). Deductible factors, the three decimals, the rebate's base, the
    option and the flat share are from general knowledge or one summary: the result says which moved it.

    Examples
    --------
    Two like years and a cheaper one: 226 / 300 million is 0.753; 4.7 percent of the 100 million of 2023.

    >>> import polars as pl, riskadjust
    >>> years = pl.DataFrame({"state": ["TX"] * 3, "market": ["individual"] * 3, "issuer_id": ["11111"] * 3,
    ...     "year": [2021, 2022, 2023], "incurred_claims": [77e6, 77e6, 70e6], "quality_improvement": [1e6, 1e6, 0.0],
    ...     "premium": [103e6] * 3, "taxes_and_fees": [3e6] * 3, "net_risk_adjustment_received": [0.0] * 3,
    ...     "life_years": [30_000] * 3})
    >>> found = riskadjust.medical_loss_ratio(years, reporting_year=2023)
    >>> found.issuers.select("mlr", "standard", "rebate").row(0)
    (0.753, 0.8, Decimal('4700000.00'))
    """
    year = whole_year(reporting_year, "reporting_year")
    findings, used = Findings(), UsedFigures()
    chosen = LossRatioSettings.of(settings)
    terms = Terms(year, chosen, set(settings or {}), used)
    blocks = read_years(years, terms, findings)
    share = terms.qualifying_share()
    lines = [_line(block, terms, share) for block in blocks]
    _check_deductibles(lines)
    _put_down(lines, terms, findings)
    due = Due({line.key: cents_of(line.rebate) for line in lines}, {line.key: line.last.premium for line in lines})
    shared, paid = policy_frame(policies, due, terms, findings)
    return LossRatios(
        issuers=_issuer_frame(lines, paid),
        years=_year_frame(lines),
        policies=shared,
        findings=findings.frame(),
        rejected=findings.refused(),
        counts=findings.counts(),
        settings=used.frame(),
        uncertain=used.uncertain(),
        tables=used.tables(),
        reporting_year=year,
    )


# ------------------------------------------------------------------------------------------------ one ratio


@dataclass(frozen=True)
class _Line:
    key: Key
    by_year: dict[int, Amounts]
    sums: Amounts
    last: Amounts
    in_premium: bool
    qualifies: bool
    elects: bool
    credibility: MlrCredibility
    low_years: bool | None  # whether three low years forbid the addition; None: not known
    ratio: Fraction
    addition: Fraction
    mlr: Fraction
    is_rounded: bool
    standard: Fraction
    base: Fraction

    @property
    def is_credible(self) -> bool:
        return self.credibility.status != NOT_CREDIBLE

    @property
    def rebate(self) -> Fraction:
        """Dollars, not rounded."""
        return max(Fraction(0), self.standard - self.mlr) * self.base if self.is_credible else Fraction(0)


def _line(block: Block, terms: Terms, share: Fraction | None) -> _Line:
    state, market, issuer = block.key
    year, chosen = terms.reporting_year, terms.chosen
    by_year = {y: block.by_year[y] for y in block.window(year, terms) if y in block.by_year}
    sums, last = total(by_year.values()), block.by_year[year]
    qualifies = share is not None and sums.transfers >= share * sums.premium
    elects = terms.elects(issuer)
    in_premium = qualifies and elects
    ratio = sums.numerator(in_premium=in_premium) / sums.denominator(in_premium=in_premium)
    standard = terms.standard(state, market, year)
    credibility = _credibility(sums, chosen)
    low = None
    if credibility.status == PARTLY_CREDIBLE:
        low = _low_years(block, terms, ratio, in_premium=in_premium)
    addition = Fraction(0) if low else credibility.addition or Fraction(0)
    mlr = rounded_ratio(ratio + addition, terms.decimals)
    base = last.denominator(in_premium=in_premium and chosen.qualifying_rebate_base != "premium")
    return _Line(
        key=block.key,
        by_year=by_year,
        sums=sums,
        last=last,
        in_premium=in_premium,
        qualifies=qualifies,
        elects=elects,
        credibility=credibility,
        low_years=low,
        ratio=ratio,
        addition=addition,
        mlr=mlr,
        is_rounded=mlr != ratio + addition,
        standard=standard,
        base=max(base, Fraction(0)),
    )


def _credibility(sums: Amounts, chosen: LossRatioSettings) -> MlrCredibility:
    """Return the credibility of all years; with the factor 1 in place of the deductible's where that is chosen."""
    if chosen.deductible_factor == "average":
        return mlr_credibility(sums.life_years, average_deductible=sums.average_deductible)
    found = mlr_credibility(sums.life_years)
    addition = found.base_factor if found.status == PARTLY_CREDIBLE else found.addition
    return replace(found, deductible_factor=Fraction(1), addition=addition)


def _low_years(block: Block, terms: Terms, ratio: Fraction, *, in_premium: bool) -> bool | None:
    """Return whether each of three years was at least partly credible, and each ratio below its standard.

    None: what is known says so, and a ratio reported for an earlier year is not known.
    """
    last, (state, market, _) = terms.reporting_year, block.key
    if terms.chosen.low_years == "off" or terms.years_in_ratio(last) < _LOW_YEARS:
        return False
    is_open = False
    for year in range(last, last - _LOW_YEARS, -1):
        own = block.by_year.get(year)
        if own is None or mlr_credibility(own.life_years).status == NOT_CREDIBLE:
            return False
        standard = terms.standard(state, market, year)
        if terms.chosen.low_years == "single_year":
            found = own.ratio(in_premium=in_premium)
        else:
            found = ratio if year == last else _reported(block, year, terms)
        if found is None:
            is_open = True
        elif found >= standard:
            return False
    return None if is_open else True


def _reported(block: Block, year: int, terms: Terms) -> Fraction | None:
    """Return the ratio of an earlier reporting year without credibility; None: neither given nor all its years."""
    given = block.reported.get(year)
    window = block.window(year, terms)
    if given is not None or not window or not set(window) <= set(block.by_year):
        return given
    return total(block.by_year[y] for y in window).ratio()


def _check_deductibles(lines: list[_Line]) -> None:
    # After three low years nothing is added: no deductible is needed.
    places = [" ".join(line.key) for line in lines if line.credibility.addition is None and not line.low_years]
    if places:
        raise InputRefused(
            f"{len(places)} partly credible ratio{'s' if len(places) > 1 else ''} without an average deductible",
            where="years, column average_deductible: " + "; ".join(places[:5]) + (" ..." if len(places) > 5 else ""),
            rule=rule_text("MLR-010"),
            remedy='give it for each year with life-years, or choose settings={"deductible_factor": "one"}',
        )


def _put_down(lines: list[_Line], terms: Terms, findings: Findings) -> None:
    """Put down what a reader should know of ratios, and which uncertain figures moved them."""
    partly = [line for line in lines if line.credibility.status == PARTLY_CREDIBLE]
    notes = {
        "MLR-023": (not line.is_credible for line in lines),
        "MLR-024": (line.low_years is True for line in partly),
        "MLR-025": (line.low_years is None for line in partly),
        "MLR-026": (line.elects and not line.qualifies and terms.chosen.transfer_option != "all" for line in lines),
        "MLR-027": (line.qualifies and not line.elects for line in lines),
        "MLR-032": (line.sums.numerator(in_premium=line.in_premium) < 0 for line in lines),
    }
    findings.note("MLR-038", "years", len(terms.elected() - {line.key[2] for line in lines}))
    for rule_id, fired in notes.items():
        findings.note(rule_id, ISSUERS, sum(fired))
    moved: dict[str, int] = {}
    for line in partly:
        for name in line.credibility.uncertain if line.addition else ():
            moved[name] = moved.get(name, 0) + 1
    terms.credibility_moved(moved)
    used, what = terms.used, "mlr of issuers"
    used.moved("ratio_decimals", what, sum(line.is_rounded for line in lines))
    used.moved("qualifying_share", what, sum(line.in_premium for line in lines))
    if terms.chosen.quality == "flat":
        used.moved("flat_quality_share", what, len(lines))
    merged = [line.key[0] for line in lines if line.key[1] == "merged"]
    for state in sorted(set(merged)):
        used.moved("merged_market", what, merged.count(state), applies_to=state)


# ------------------------------------------------------------------------------------------------ frames


_MONEY = {
    "incurred_claims": "claims",
    "quality_improvement": "quality",
    "net_risk_adjustment_received": "transfers",
    "reinsurance_received": "reinsurance",
    "net_corridor_received": "corridors",
    "premium": "premium",
    "taxes_and_fees": "taxes",
}


def _key_columns(keys: list[Key]) -> list[pl.Series]:
    import polars as pl

    return [pl.Series(name, [key[i] for key in keys], dtype=pl.String) for i, name in enumerate(KEYS)]


def _money_columns(amounts: list[Amounts]) -> list[pl.Series]:
    import polars as pl

    return [
        pl.Series(name, [cents_of(getattr(a, field)) for a in amounts], dtype=pl.Int64)
        for name, field in _MONEY.items()
    ]


def _float(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


def _issuer_frame(lines: list[_Line], paid: dict[Key, Paid]) -> pl.DataFrame:
    import polars as pl

    def floats(name: str, values: list[Fraction | None]) -> pl.Series:
        return pl.Series(name, [_float(v) for v in values], dtype=pl.Float64)

    def cents(name: str, values: list[Fraction]) -> pl.Series:
        return pl.Series(name, [cents_of(v) for v in values], dtype=pl.Int64)

    of_key = [paid.get(line.key) for line in lines]
    frame = pl.DataFrame(
        [
            *_key_columns([line.key for line in lines]),
            pl.Series("first_year", [min(line.by_year) for line in lines], dtype=pl.Int64),
            pl.Series("years", [len(line.by_year) for line in lines], dtype=pl.Int64),
            *_money_columns([line.sums for line in lines]),
            cents("numerator", [line.sums.numerator(in_premium=line.in_premium) for line in lines]),
            cents("denominator", [line.sums.denominator(in_premium=line.in_premium) for line in lines]),
            pl.Series("transfers_as_premium", [line.in_premium for line in lines], dtype=pl.Boolean),
            floats("life_years", [line.sums.life_years for line in lines]),
            floats("preliminary_mlr", [line.ratio for line in lines]),
            pl.Series("credibility", [line.credibility.status for line in lines], dtype=pl.String),
            floats("base_credibility", [line.credibility.base_factor for line in lines]),
            floats("average_deductible", [line.sums.average_deductible for line in lines]),
            floats("deductible_factor", [line.credibility.deductible_factor for line in lines]),
            floats("credibility_adjustment", [line.addition for line in lines]),
            floats("mlr", [line.mlr for line in lines]),
            floats("standard", [line.standard for line in lines]),
            pl.Series(
                "meets_standard",
                [not line.is_credible or line.mlr >= line.standard for line in lines],
                dtype=pl.Boolean,
            ),
            cents("rebate_base", [line.base for line in lines]),
            cents("rebate", [line.rebate for line in lines]),
            floats("rebate_per_life_year", [_per_life(line) for line in lines]),
            pl.Series("policies_paid", [p and p.policies for p in of_key], dtype=pl.Int64),
            pl.Series("rebate_paid", [p and p.cents for p in of_key], dtype=pl.Int64),
        ]
    )
    return as_money(frame, *_MONEY, "numerator", "denominator", "rebate_base", "rebate", "rebate_paid")


def _per_life(line: _Line) -> Fraction | None:
    """Return the rebate per life-year of the reporting year; None without any."""
    return Fraction(cents_of(line.rebate), 100) / line.last.life_years if line.last.life_years else None


def _year_frame(lines: list[_Line]) -> pl.DataFrame:
    import polars as pl

    rows = [(line, year, amounts) for line in lines for year, amounts in sorted(line.by_year.items())]
    ratios = [_float(a.ratio(in_premium=line.in_premium)) for line, _, a in rows]
    frame = pl.DataFrame(
        [
            *_key_columns([line.key for line, _, _ in rows]),
            pl.Series("year", [year for _, year, _ in rows], dtype=pl.Int64),
            *_money_columns([a for _, _, a in rows]),
            pl.Series("life_years", [float(a.life_years) for _, _, a in rows], dtype=pl.Float64),
            pl.Series("average_deductible", [_float(a.average_deductible) for _, _, a in rows], dtype=pl.Float64),
            pl.Series("year_mlr", ratios, dtype=pl.Float64),
        ]
    )
    return as_money(frame, *_MONEY)
