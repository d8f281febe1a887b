"""The high-cost risk pool: part of the largest claims of the nation, paid by a charge on all premium."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

import data_specs
from data_specs import _frames
from data_specs._frames import need_columns
from data_specs._registry import rows_in_force
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._cents import as_money, cents_of, exact_on_grid
from riskadjust._findings import Findings
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns, rule_text
from riskadjust._settled import Settled
from riskadjust._transfer_settings import PARAMETER_TABLE, Parameters

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HighCostRiskPool", "high_cost_risk_pool"]

CLAIMS, PREMIUMS = "claims", "premiums"
_CLAIM_COLUMNS = ("issuer_id", "risk_pool", "enrollee_id", "plan_paid")
_PREMIUM_COLUMNS = ("issuer_id", "risk_pool", "premium")
# The national pools, by the risk pools that are in each.
_NATIONAL = {
    "individual": "individual",
    "catastrophic": "individual",
    "merged": "individual",
    "small_group": "small_group",
}
_ONE_POOL = "all"
_THRESHOLD = "hcrp_threshold"
_MICRO = 1_000_000  # claims are added in millionths of a dollar, so that their order changes nothing
_LARGEST_CLAIM = 1e9
_PREMIUM_PARTS = 3000  # cents of a month, by thirtieths


@dataclass(frozen=True, kw_only=True)
class HighCostRiskPool(Settled):
    """The settlement of the high-cost risk pools of one benefit year. Positive: received; negative: paid.

    Attributes
    ----------
    issuers, pools, enrollees : DataFrame
        See :func:`high_cost_risk_pool`.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    benefit_year : int
        The year that was settled.
    """

    issuers: pl.DataFrame
    pools: pl.DataFrame
    enrollees: pl.DataFrame
    benefit_year: int

    def __repr__(self) -> str:
        return (
            f"HighCostRiskPool(benefit_year={self.benefit_year}, issuers={self.issuers.height}, "
            f"enrollees={self.enrollees.height}, findings={self.findings.height}, uncertain={self.uncertain.height})"
        )


def high_cost_risk_pool(
    claims: pl.DataFrame | pl.LazyFrame,
    premiums: pl.DataFrame | pl.LazyFrame,
    *,
    benefit_year: int,
    settings: Mapping[str, Any] | None = None,
) -> HighCostRiskPool:
    """Return what every issuer receives from and pays into the national high-cost risk pools, to the cent.

    ``pay = s max(0, C - A)`` for each enrollee of an issuer, C plan-paid claims of all its plans in the pool, A
    threshold, s share (1,000,000 and 0.60); ``rate = sum of pay / sum of premium`` in the pool;
    ``charge = rate x premium`` of the issuer; ``net = pay - charge``. Two pools: individual with catastrophic and
    merged, and small group. Each pool nets to zero before rounding; payment, charge and net are each rounded from
    their own unrounded amount, halves away from zero.

    Parameters
    ----------
    claims : DataFrame
        issuer_id, risk_pool (individual, catastrophic, merged, small_group), enrollee_id (text), plan_paid (dollars;
        several rows of an enrollee are added, reversals are negative), and state where `premiums` has it. A plan_id may
        be there and is not needed.
    premiums : DataFrame
        issuer_id, risk_pool, premium (dollars), one row each, of every issuer, also of those without large claims;
        optional state, and has_default_charge (true: the issuer pays the charge and receives nothing).
        ``transfers(...).issuers`` can be handed in.
    benefit_year : int
        2018, or 2020 and later.
    settings : mapping, optional
        ``hcrp_threshold``, ``hcrp_coinsurance``, ``hcrp_pool_count`` (2, or 1 for one pool of all): a given one wins
        over ``transfers/program_parameters``.

    Returns
    -------
    HighCostRiskPool
        ``.issuers``: high_cost_risk_pool (individual or small_group), [state,] issuer_id, premium, enrollees_above,
        payment, charge (zero or below), net (Decimal), and the three unrounded. ``.pools``: high_cost_risk_pool,
        issuers, enrollees_above, premium, payment, charge_rate, residual (sum of the rounded net amounts).
        ``.enrollees``: those above the threshold, with plan_paid and payment_unrounded. Sorted by key.

    Raises
    ------
    InputRefused
        Rows that break a rule TRF-050 to TRF-056; all are named by number, never by a value. A benefit year for which
        the pool was not run (TRF-059).
    SettingRefused, TableMissing
        A setting that cannot be; a year without parameters.

    Notes
    -----
    Sources: 81 FR 94058 (2018 payment notice); benefit year 2018 software instructions. No state reduction and no
    administrative cut applies.

    Examples
    --------
    One claimant of 1.5 million: payment 300,000, rate 300,000 / 200 million = 0.0015.

    >>> import polars as pl, riskadjust
    >>> claims = pl.DataFrame({"issuer_id": ["11111"], "risk_pool": ["individual"], "enrollee_id": ["E1"],
    ...     "plan_paid": [1_500_000]})
    >>> premiums = pl.DataFrame({"issuer_id": ["11111", "22222"], "risk_pool": ["individual"] * 2,
    ...     "premium": [50_000_000, 150_000_000]})
    >>> result = riskadjust.high_cost_risk_pool(claims, premiums, benefit_year=2022)
    >>> [str(net) for net in result.issuers["net"]]
    ['225000.00', '-225000.00']
    """
    parameters, findings = Parameters(settings, benefit_year, "high_cost_risk_pool"), Findings()
    if was_left_out(parameters.benefit_year):
        raise InputRefused(
            f"there is no high-cost risk pool for benefit year {benefit_year}",
            where="benefit_year",
            rule=rule_text("TRF-059"),
            remedy="settle 2018, or 2020 and later",
        )
    terms = _Terms.of(parameters)
    paid, owed = _read_claims(claims, terms.pools), _read_premiums(premiums, terms.pools)
    for frame, other, table in ((paid, owed, CLAIMS), (owed, paid, PREMIUMS)):
        need_columns(frame, table, tuple(c for c in ("state",) if c in other.columns))
    keys = ["high_cost_risk_pool", *[c for c in ("state",) if c in owed.columns], "issuer_id"]
    base = _premium_base(owed, keys, findings)
    large = _large_claims(paid, owed, keys, terms.threshold, findings)
    return _settled(large, base, keys, terms, parameters, findings)


def was_left_out(year: int) -> bool:
    """Return whether a year has no parameters of the pool while years before and after it have."""
    firsts = data_specs.table(PARAMETER_TABLE).filter(parameter=_THRESHOLD)["first_benefit_year"].to_list()
    return not is_held(year) and min(firsts) < year < max(firsts)


def is_held(year: int) -> bool:
    """Return whether parameters of the pool are held for a year.

    Examples
    --------
    >>> is_held(2018), is_held(2019)
    (True, False)
    """
    return _THRESHOLD in rows_in_force(PARAMETER_TABLE, year)["parameter"].to_list()


@dataclass(frozen=True)
class _Terms:
    threshold: Fraction
    share: Fraction
    pools: dict[str, str]

    @classmethod
    def of(cls, parameters: Parameters) -> _Terms:
        count = parameters.required("hcrp_pool_count")
        if count not in (1, 2):
            raise SettingRefused("setting 'hcrp_pool_count' is neither 1 nor 2", remedy="two national pools, or one")
        pools = _NATIONAL if count == 2 else dict.fromkeys(_NATIONAL, _ONE_POOL)
        return cls(parameters.required(_THRESHOLD), parameters.required("hcrp_coinsurance"), pools)


def _read(
    given: Any, table: str, columns: tuple[str, ...], ids: tuple[str, ...], pools: dict[str, str]
) -> pl.DataFrame:
    """Return a frame with its ids as text, states in capitals, and the national pool of each row (None: unknown)."""
    import polars as pl

    frame = collected(given, table, columns)
    ids = (*ids, "state") if "state" in frame.columns else ids
    texts = frame.with_columns(_frames.text_column(frame, table, c) for c in ids)
    word = pl.col("risk_pool").str.strip_chars().str.to_lowercase().str.replace_all(r"[ -]", "_")
    national = word.replace_strict(pools, default=None, return_dtype=pl.String).alias("high_cost_risk_pool")
    # The word replaces the risk pool as it was written, once its national pool is known.
    named = pl.when(national.is_not_null()).then(word).otherwise("risk_pool").alias("risk_pool")
    # Blanks around an id would make two enrollees, or two issuers, of one.
    cleaned = [pl.col(c).str.strip_chars() for c in ids if c not in ("risk_pool", "state")]
    states = [pl.col("state").str.strip_chars().str.to_uppercase()] if "state" in ids else []
    return texts.with_columns(national, named, *cleaned, *states)


def _blank(frame: pl.DataFrame, column: str) -> np.ndarray:
    import polars as pl

    blank = (pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")).fill_null(True)
    return frame.select(blank).to_series().to_numpy()


def _read_claims(given: Any, pools: dict[str, str]) -> pl.DataFrame:
    """Return claims with plan_paid in millionths of a dollar."""
    import polars as pl

    frame = _read(given, CLAIMS, _CLAIM_COLUMNS, ("issuer_id", "risk_pool", "enrollee_id"), pools)
    refusals = Refusals(CLAIMS)
    for column in ("issuer_id", "risk_pool", "enrollee_id", *[c for c in ("state",) if c in frame.columns]):
        refusals.add("TRF-050", column, _blank(frame, column))
    _check_pool_names(frame, refusals)
    paid = number_columns(frame, CLAIMS, ["plan_paid"])["plan_paid"]
    refusals.add("TRF-051", "plan_paid", ~(np.abs(paid) < _LARGEST_CLAIM))
    refusals.check()
    return frame.with_columns(pl.Series("_micro", np.rint(paid * _MICRO).astype(np.int64)))


def _read_premiums(given: Any, pools: dict[str, str]) -> pl.DataFrame:
    """Return premiums with is_charged: whether the issuer has a default charge."""
    import polars as pl

    frame = _read(given, PREMIUMS, _PREMIUM_COLUMNS, ("issuer_id", "risk_pool"), pools)
    keys = [c for c in ("state", "risk_pool", "issuer_id") if c in frame.columns]
    refusals = Refusals(PREMIUMS)
    for column in keys:
        refusals.add("TRF-052", column, _blank(frame, column))
    refusals.add("TRF-052", " + ".join(keys), frame.select(keys).is_duplicated().to_numpy())
    _check_pool_names(frame, refusals)
    premium = number_columns(frame, PREMIUMS, ["premium"])["premium"]
    refusals.add("TRF-053", "premium", ~((premium >= 0) & (premium < LARGEST)))
    refusals.check()
    charged = pl.lit(False)
    if "has_default_charge" in frame.columns:
        if frame.schema["has_default_charge"] not in (pl.Boolean, pl.Null):
            raise InputRefused(
                f"column 'has_default_charge' is {frame.schema['has_default_charge']}, not true or false",
                where=f"{PREMIUMS}, column has_default_charge",
                rule="FILE-002: a required column has its declared type",
                remedy="cast it to Boolean",
            )
        charged = pl.col("has_default_charge").fill_null(False).cast(pl.Boolean)
    elif "default_charge" in frame.columns:  # the issuers of a settlement
        charged = pl.col("default_charge").is_not_null()
    return frame.with_columns(charged.alias("_charged"), pl.Series("_premium", premium))


def _check_pool_names(frame: pl.DataFrame, refusals: Refusals) -> None:
    refusals.add(
        "TRF-055", "risk_pool", frame["high_cost_risk_pool"].is_null().to_numpy() & ~_blank(frame, "risk_pool")
    )


@dataclass(frozen=True)
class _Base:
    """What each issuer is charged on, sorted by key."""

    keys: list[tuple[str, ...]]
    premium: list[Fraction]


def _premium_base(owed: pl.DataFrame, keys: list[str], findings: Findings) -> _Base:
    findings.table(PREMIUMS, owed.height)
    findings.note("TRF-058", PREMIUMS, int((owed["_premium"] == 0).sum()))
    premium: dict[tuple[str, ...], Fraction] = {}
    for key, amount in zip(owed.select(keys).rows(), owed["_premium"].to_list(), strict=True):
        premium[key] = premium.get(key, Fraction(0)) + exact_on_grid(amount, _PREMIUM_PARTS)
    order = sorted(premium)
    return _Base(order, [premium[k] for k in order])


def _large_claims(
    paid: pl.DataFrame, owed: pl.DataFrame, keys: list[str], threshold: Fraction, findings: Findings
) -> pl.DataFrame:
    """Return the enrollees above the threshold: keys, enrollee_id, _micro (their claims of the issuer in the pool)."""
    import polars as pl

    findings.table(CLAIMS, paid.height)
    known = owed.select(keys).unique().with_columns(_is_known=True)
    charged = owed.select(*keys, "risk_pool", "_charged")
    paid = paid.join(known, on=keys, how="left", validate="m:1", maintain_order="left").join(
        charged, on=[*keys, "risk_pool"], how="left", validate="m:1", maintain_order="left"
    )
    refusals = Refusals(CLAIMS)
    refusals.add("TRF-054", "issuer_id", paid["_is_known"].is_null().to_numpy())
    refusals.check()
    is_out = pl.col("_charged").fill_null(False)
    findings.refuse("TRF-057", CLAIMS, paid.filter(is_out).drop("_is_known", "_charged", "_micro"))
    limit = threshold * _MICRO
    return (
        paid.filter(~is_out)
        .group_by(*keys, "enrollee_id")
        .agg(pl.col("_micro").sum())
        .filter(pl.col("_micro") > limit.numerator // limit.denominator)
        .sort(*keys, "enrollee_id")
    )


def _settled(
    large: pl.DataFrame, base: _Base, keys: list[str], terms: _Terms, parameters: Parameters, findings: Findings
) -> HighCostRiskPool:
    above: dict[tuple[str, ...], int] = {}
    payment = dict.fromkeys(base.keys, Fraction(0))
    for key, micro in zip(large.select(keys).rows(), large["_micro"].to_list(), strict=True):
        above[key] = above.get(key, 0) + 1
        payment[key] += terms.share * (Fraction(micro, _MICRO) - terms.threshold)
    place = keys.index("high_cost_risk_pool")
    pools = sorted({key[place] for key in base.keys})
    paid = {p: sum((payment[k] for k in base.keys if k[place] == p), Fraction(0)) for p in pools}
    premium = dict(zip(base.keys, base.premium, strict=True))
    total = {p: sum((premium[k] for k in base.keys if k[place] == p), Fraction(0)) for p in pools}
    rate = {p: _charge_rate(p, paid[p], total[p]) for p in pools}
    lines = [
        (*key, above.get(key, 0), premium[key], payment[key], -rate[key[place]] * premium[key]) for key in base.keys
    ]
    issuers = _issuer_frame(lines, keys)
    moved = sum(1 for *_, pay, owed in lines if pay or owed)
    for name in ("hcrp_threshold", "hcrp_coinsurance"):
        parameters.moved(name, "payment and charge of issuers", moved)
    parameters.moved("hcrp_pool_count", "charge of issuers", moved if len(pools) > 1 else 0)
    return HighCostRiskPool(
        issuers=issuers,
        pools=_pool_frame(issuers, pools, paid, total, rate),
        enrollees=_enrollee_frame(large, keys, terms),
        findings=findings.frame(),
        rejected=findings.refused(),
        counts=findings.counts(),
        settings=parameters.frame(),
        uncertain=parameters.uncertain(),
        tables=[PARAMETER_TABLE],
        benefit_year=parameters.benefit_year,
    )


def _charge_rate(pool: str, paid: Fraction, premium: Fraction) -> Fraction:
    if premium > 0:
        return paid / premium
    if paid == 0:
        return Fraction(0)
    raise InputRefused(
        f"the high-cost risk pool {pool} has payments and no premium",
        where=f"{PREMIUMS}, column premium",
        rule=rule_text("TRF-056"),
        remedy="give the premium of every issuer in the pool",
    )


def _issuer_frame(lines: list[tuple[Any, ...]], keys: list[str]) -> pl.DataFrame:
    import polars as pl

    *names, above, premium, pay, charge = zip(*lines, strict=True)
    net = [p + c for p, c in zip(pay, charge, strict=True)]
    amounts = {"payment": pay, "charge": charge, "net": net}
    frame = pl.DataFrame(dict(zip(keys, names, strict=True)), schema=dict.fromkeys(keys, pl.String)).with_columns(
        pl.Series("premium", [float(p) for p in premium]),
        pl.Series("enrollees_above", above, dtype=pl.Int64),
        *[pl.Series(name, [cents_of(v) for v in values], dtype=pl.Int64) for name, values in amounts.items()],
        *[pl.Series(f"{name}_unrounded", [float(v) for v in values]) for name, values in amounts.items()],
    )
    return as_money(frame, *amounts)


def _pool_frame(
    issuers: pl.DataFrame,
    pools: list[str],
    paid: dict[str, Fraction],
    total: dict[str, Fraction],
    rate: dict[str, Fraction],
) -> pl.DataFrame:
    import polars as pl

    counts = (
        issuers.group_by("high_cost_risk_pool")
        .agg(pl.len().cast(pl.Int64).alias("issuers"), pl.col("enrollees_above").sum(), pl.col("net").sum())
        .sort("high_cost_risk_pool")
    )
    frame = counts.select(
        "high_cost_risk_pool",
        "issuers",
        "enrollees_above",
        pl.Series("premium", [float(total[p]) for p in pools]),
        pl.Series("payment", [cents_of(paid[p]) for p in pools], dtype=pl.Int64),
        pl.Series("charge_rate", [float(rate[p]) for p in pools]),
        residual=pl.col("net").cast(pl.Decimal(18, 2)),
    )
    return as_money(frame, "payment")


def _enrollee_frame(large: pl.DataFrame, keys: list[str], terms: _Terms) -> pl.DataFrame:
    import polars as pl

    micro = large["_micro"].to_list()
    above = [terms.share * (Fraction(m, _MICRO) - terms.threshold) for m in micro]
    frame = large.select(*keys, "enrollee_id").with_columns(
        pl.Series("plan_paid", [cents_of(Fraction(m, _MICRO)) for m in micro], dtype=pl.Int64),
        pl.Series("payment_unrounded", [float(v) for v in above], dtype=pl.Float64),
    )
    return as_money(frame, "plan_paid")
