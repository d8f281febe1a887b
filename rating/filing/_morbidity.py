"""Morbidity and demographic change: relative risk of the projected population over that of the experience, in parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import SettingRefused
from rating.filing._experience_input import PARTS, collected, decimal_of, quantities
from rating.filing._findings import FilingFindings, refusal, refuse_rows
from rating.filing._numbers import exact, rounded

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MorbidityChange", "morbidity_change", "movement_change"]

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

EXPERIENCE, PROJECTED, MOVEMENTS = "experience_population", "projected_population", "movements"
_WEIGHTS = ("member_months", "enrollment_days")
_KINDS = ("exit", "entry")


@dataclass(frozen=True)
class MorbidityChange:
    """Change of morbidity and of demographics; see :func:`morbidity_change` and :func:`movement_change`.

    Attributes
    ----------
    parts : DataFrame
        part (exits, stayers, entries, total; or one row per group), member_months_before, member_months_after,
        risk, demographic, morbidity: factors, each over what stands before it; those of the parts multiply to the
        total.
    relative_risk, demographic, morbidity : Decimal
        Exact factors; ``morbidity = relative_risk / demographic``.
    findings : DataFrame
        rule_id, severity, where, message.
    """

    parts: pl.DataFrame
    relative_risk: Decimal
    demographic: Decimal
    morbidity: Decimal
    findings: pl.DataFrame

    def assumptions(self, *, factor_decimals: int = 4) -> dict[str, dict[str, Any]]:
        """Return ``adj_morbidity`` and ``adj_demographic`` as :func:`rating.filing.develop` takes them, rounded."""
        found = {}
        for name, factor in (("adj_morbidity", self.morbidity), ("adj_demographic", self.demographic)):
            note = f"{factor:.10f}, rounded to {factor_decimals} decimals"
            source = "relative risk of the projected over the experience population"
            found[name] = {"value": rounded(factor, factor_decimals), "source": source, "note": note}
        return found


@dataclass(frozen=True)
class _Population:
    """Weights, risk and demographic factors of one population, in parts of :data:`PARTS`."""

    table: str
    weight: Integers
    risk: Integers
    demographic: Integers | None
    enrollee: pl.Series | None

    def mean(self, what: str, rows: Flags | None = None) -> Fraction | None:
        """Return the weighted mean of some rows; None where they have no weight."""
        values = self.risk if what == "risk" else self.demographic
        if values is None:
            return Fraction(1)
        kept = np.ones(len(self.weight), bool) if rows is None else rows
        weight = Fraction(_whole_sum(self.weight[kept]), PARTS)
        return _total(self.weight[kept], values[kept]) / weight if weight else None

    def months(self, rows: Flags | None = None) -> float:
        """Return the weight of some rows."""
        return _whole_sum(self.weight if rows is None else self.weight[rows]) / PARTS


def _total(weight: Integers, values: Integers) -> Fraction:
    """Return the exact sum of products of two columns of parts."""
    # Products of billionths need more than 64 bits: whole and broken parts apart, so that each product fits.
    units, bits = np.divmod(weight, PARTS)
    whole, rest = np.divmod(values, PARTS)
    mixed = _whole_sum(units * rest) + _whole_sum(bits * whole)
    total = _whole_sum(units * whole) * PARTS**2 + mixed * PARTS + _whole_sum(bits * rest)
    return Fraction(total, PARTS**2)


def _whole_sum(numbers: Integers) -> int:
    """Return the sum of whole numbers that might not fit 64 bits together."""
    high, low = np.divmod(numbers, 2**31)
    return int(high.sum()) * 2**31 + int(low.sum())


def morbidity_change(
    experience: pl.DataFrame | pl.LazyFrame,
    projected: pl.DataFrame | pl.LazyFrame,
    *,
    risk: str = "score_silver",
    age_factors: Mapping[int, Any] | None = None,
) -> MorbidityChange:
    """Return how the risk of the projected population differs from that of the experience, net of demographics.

    ``relative risk = R_p / R_e``, R mean score weighted by member months; ``demographic = D_p / D_e``, D mean
    demographic factor; ``morbidity = relative risk / demographic``. Where both populations name their enrollees, the
    parts: exits (stayers at their experience months and scores, over all of the experience), stayers (the same people,
    projected over experience) and entries (all of the projection over its stayers); they multiply to the total.

    Parameters
    ----------
    experience, projected : DataFrame
        A row per enrollee (or group): member_months, or else enrollment_days, as weight; the score; and
        demographic_factor, or age_last with `age_factors`. ``riskadjust.score(...).scores`` can be handed in. Optional
        enrollee_id in both: rows of one enrollee are of the same person.
    risk : str
        Column of the score. One metal's score for both, so that a move between metals is no change of morbidity.
    age_factors : mapping, optional
        Age in completed years -> cost factor. Without it and without demographic_factor, the demographic change is 1
        and morbidity is gross of it (MOR-005).

    Returns
    -------
    MorbidityChange

    Raises
    ------
    InputRefused
        Rules MOR-001, MOR-002.

    Notes
    -----
    Sources: 45 CFR 154.301(a)(4)(v); URR instructions (morbidity adjustment, demographic shift); RV-056, RV-057.

    Examples
    --------
    The healthier of two leaves: risk 1.0 -> 1.5, age factor 1.2 -> 1.6.

    >>> import polars as pl
    >>> before = pl.DataFrame({"enrollee_id": ["a", "b"], "member_months": [12, 12], "score_silver": [0.5, 1.5],
    ...     "demographic_factor": [0.8, 1.6]})
    >>> found = morbidity_change(before, before.filter(enrollee_id="b"))
    >>> found.relative_risk, found.morbidity, found.parts["part"].to_list()
    (Decimal('1.5'), Decimal('1.125'), ['exits', 'stayers', 'entries', 'total'])
    """
    findings = FilingFindings()
    old = _population(experience, EXPERIENCE, risk, age_factors)
    new = _population(projected, PROJECTED, risk, age_factors)
    if (old.demographic is None) != (new.demographic is None):
        lacking = EXPERIENCE if old.demographic is None else PROJECTED
        raise refusal(
            "MOR-001", "only one population has demographic factors", lacking, "add them to both, or to neither"
        )
    if old.demographic is None:
        findings.add("MOR-005", f"{EXPERIENCE}, {PROJECTED}", "no demographic_factor and no age_factors")
    stays_old, stays_new = _stayers(old, new, findings)
    steps = {what: _steps(old, new, what, stays_old, stays_new) for what in ("risk", "demographic")}
    total = {what: _ratio(new.mean(what), old.mean(what), what) for what in steps}
    morbidity = total["risk"] / total["demographic"]
    return MorbidityChange(
        parts=_part_frame(old, new, steps, total, stays_old, stays_new),
        relative_risk=decimal_of(total["risk"]),
        demographic=decimal_of(total["demographic"]),
        morbidity=decimal_of(morbidity),
        findings=findings.frame(),
    )


def _population(given: Any, table: str, risk: str, age_factors: Mapping[int, Any] | None) -> _Population:
    frame = collected(given, table, (risk,))
    weight = next((c for c in _WEIGHTS if c in frame.columns), None)
    if weight is None:
        _frames.need_columns(frame, table, _WEIGHTS[:1])
        raise AssertionError
    enrollee = None
    if "enrollee_id" in frame.columns:
        enrollee = _frames.text_column(frame, table, "enrollee_id").str.strip_chars()
        blank = (enrollee.is_null() | (enrollee == "").fill_null(True)).to_numpy()
        refuse_rows("MOR-001", table, "enrollee_id", blank, "the enrollee id is blank", "name the enrollee")
    found = _Population(
        table=table,
        weight=quantities(frame, table, weight, "MOR-001"),
        risk=quantities(frame, table, risk, "MOR-001"),
        demographic=_demographic(frame, table, age_factors),
        enrollee=enrollee,
    )
    for what in ("risk", "demographic"):
        if not found.mean(what):
            raise refusal("MOR-002", f"no weight, or no {what}", table, "check the weights and the columns")
    return found


def _demographic(frame: pl.DataFrame, table: str, age_factors: Mapping[int, Any] | None) -> Integers | None:
    import polars as pl

    if "demographic_factor" in frame.columns:
        return quantities(frame, table, "demographic_factor", "MOR-001")
    if age_factors is None:
        return None
    _frames.need_columns(frame, table, ("age_last",))
    by_age = {int(age): exact(factor, f"age factor {age}") for age, factor in age_factors.items()}
    if min(by_age.values(), default=Decimal(0)) < 0:
        raise SettingRefused("age_factors are below zero", remedy="write factors, zero or more")
    ages = frame["age_last"].cast(pl.Int64, strict=False)
    known = ages.is_in(list(by_age)).fill_null(False).to_numpy()
    refuse_rows("MOR-001", table, "age_last", ~known, "an age has no factor", "add the age to age_factors")
    parts = [int(rounded(factor, 9).scaleb(9)) for factor in by_age.values()]
    return ages.replace_strict(list(by_age), parts, return_dtype=pl.Int64).to_numpy()


def _stayers(old: _Population, new: _Population, findings: FilingFindings) -> tuple[Flags | None, Flags | None]:
    """Return which rows of each are of enrollees that are in both; None where they are not told apart."""
    if old.enrollee is None or new.enrollee is None:
        findings.add("MOR-003", f"{EXPERIENCE}, {PROJECTED}", "no column enrollee_id in both")
        return None, None
    stays_old = old.enrollee.is_in(new.enrollee.unique().implode()).to_numpy()
    stays_new = new.enrollee.is_in(old.enrollee.unique().implode()).to_numpy()
    if not all(_means(old, stays_old) + _means(new, stays_new)):
        findings.add("MOR-003", f"{EXPERIENCE}, {PROJECTED}", "no enrollee with months and risk is in both")
        return None, None
    return stays_old, stays_new


def _means(of: _Population, rows: Flags) -> list[Fraction | None]:
    return [of.mean(what, rows) for what in ("risk", "demographic")]


def _ratio(above: Fraction | None, below: Fraction | None, what: str) -> Fraction:
    if above is None or not below:
        raise refusal("MOR-002", f"no {what}", f"{EXPERIENCE}, {PROJECTED}", "check the weights and the columns")
    return above / below


def _steps(
    old: _Population, new: _Population, what: str, stays_old: Flags | None, stays_new: Flags | None
) -> list[Fraction]:
    """Return the factors of exits, stayers and entries; nothing where they are not told apart."""
    if stays_old is None or stays_new is None:
        return []
    means = [old.mean(what), old.mean(what, stays_old), new.mean(what, stays_new), new.mean(what)]
    return [_ratio(b, a, what) for a, b in pairwise(means)]


def _part_frame(
    old: _Population,
    new: _Population,
    steps: dict[str, list[Fraction]],
    total: dict[str, Fraction],
    stays_old: Flags | None,
    stays_new: Flags | None,
) -> pl.DataFrame:
    lines: list[tuple[Any, ...]] = []
    if stays_old is not None and stays_new is not None:
        months = [old.months(), old.months(stays_old), new.months(stays_new), new.months()]
        named = zip(("exits", "stayers", "entries"), steps["risk"], steps["demographic"], strict=True)
        lines = [_part(name, months[i], months[i + 1], r, d) for i, (name, r, d) in enumerate(named)]
    lines.append(_part("total", old.months(), new.months(), total["risk"], total["demographic"]))
    return _frame(lines)


def _part(name: str, before: float, after: float, risk: Fraction, demographic: Fraction) -> tuple[Any, ...]:
    return name, before, after, float(risk), float(demographic), float(risk / demographic)


def _frame(lines: list[tuple[Any, ...]]) -> pl.DataFrame:
    import polars as pl

    names = ("member_months_before", "member_months_after", "risk", "demographic", "morbidity")
    return pl.DataFrame(lines, schema={"part": pl.String} | dict.fromkeys(names, pl.Float64), orient="row")


def movement_change(member_months: Any, movements: pl.DataFrame | pl.LazyFrame) -> MorbidityChange:
    """Return how entries and exits of groups change the risk of a population, as member-weighted relative claims.

    The experience has N member months at relative claims 1. After a group of n member months and relative claims c
    left or came, ``relative = (N - n_out c_out + n_in c_in) / (N - n_out + n_in)``; likewise with relative demographic
    factors; ``morbidity`` is the one over the other. Groups count one after the other in the order of the rows; their
    factors multiply to the total.

    Parameters
    ----------
    member_months : number
        N.
    movements : DataFrame
        group (text), kind (``exit`` or ``entry``), member_months, relative_claims (claims PMPM of the group over that
        of the experience); optional relative_demographic.

    Returns
    -------
    MorbidityChange

    Raises
    ------
    InputRefused
        Rules MOR-001, MOR-004.

    Notes
    -----
    Sources: 45 CFR 154.301(a)(4)(v); actuarial practice for changes of subsidies, Medicaid returns and other coverage.

    Examples
    --------
    A tenth leaves at 0.7 of the mean: (1000 - 70) / 900.

    >>> import polars as pl
    >>> left = pl.DataFrame({"group": ["subsidy ends"], "kind": ["exit"], "member_months": [100],
    ...     "relative_claims": [0.7]})
    >>> movement_change(1000, left).morbidity
    Decimal('1.033333333333333333333333333333333')
    """
    frame = collected(movements, MOVEMENTS, ("group", "kind", "member_months", "relative_claims"))
    findings = FilingFindings()
    kind = _frames.text_column(frame, MOVEMENTS, "kind").str.strip_chars().str.to_lowercase()
    unknown = (~kind.is_in(list(_KINDS))).fill_null(True).to_numpy()
    refuse_rows("MOR-001", MOVEMENTS, "kind", unknown, "the kind is neither exit nor entry", "write exit or entry")
    groups = _frames.text_column(frame, MOVEMENTS, "group").fill_null("").to_list()
    months = quantities(frame, MOVEMENTS, "member_months", "MOR-001")
    claims = quantities(frame, MOVEMENTS, "relative_claims", "MOR-001")
    has_ages = "relative_demographic" in frame.columns
    ages = quantities(frame, MOVEMENTS, "relative_demographic", "MOR-001") if has_ages else np.full(len(months), PARTS)
    if not has_ages:
        findings.add("MOR-005", MOVEMENTS, "no relative_demographic")
    size = Fraction(exact(member_months, "member_months"))
    amounts, lines = [size, size, size], []  # member months, claims, demographic weight
    for i, name in enumerate(groups):
        sign = 1 if kind[i] == "entry" else -1
        n = sign * Fraction(int(months[i]), PARTS)
        after = [
            amounts[0] + n,
            *(a + n * Fraction(int(v), PARTS) for a, v in zip(amounts[1:], (claims[i], ages[i]), strict=True)),
        ]
        if min(amounts) <= 0 or min(after) <= 0:
            raise refusal(
                "MOR-004",
                "more leaves than there is",
                f"{MOVEMENTS}, row {i + 1} (first row is 1)",
                "check member months and relative claims",
            )
        before = [a / amounts[0] for a in amounts[1:]]
        now = [a / after[0] for a in after[1:]]
        factors = [b / a for a, b in zip(before, now, strict=True)]
        lines.append(_part(name, float(amounts[0]), float(after[0]), *factors))
        amounts = after
    risk, demographic = amounts[1] / amounts[0], amounts[2] / amounts[0]
    lines.append(_part("total", float(size), float(amounts[0]), risk, demographic))
    return MorbidityChange(
        parts=_frame(lines),
        relative_risk=decimal_of(risk),
        demographic=decimal_of(demographic),
        morbidity=decimal_of(risk / demographic),
        findings=findings.frame(),
    )
