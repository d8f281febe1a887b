"""The studies that a filing's document asks for: experience, large claims, trend, morbidity, credibility, manual rate.

Each ends in entries of the ledger: a quantity of the template, and what it was worked out from. An assumption that the
document gives wins over the study, and the ledger says what the study gave.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_specs import _frames
from data_specs.errors import InputRefused
from data_specs.formats import folder
from rating.filing._config import FilingConfig
from rating.filing._credibility import Credibility, credibility
from rating.filing._experience import Experience, experience
from rating.filing._experience_input import PARTS, decimal_of, dollars, month_date, months_column, quantities
from rating.filing._filing_settings import FilingSettings
from rating.filing._findings import FilingFindings, refusal
from rating.filing._formulas import CATEGORIES, Formulas
from rating.filing._large_claims import PooledClaims, pooled_claims
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key
from rating.filing._manual import ManualRate, manual_rate
from rating.filing._morbidity import MorbidityChange, morbidity_change
from rating.filing._numbers import CONTEXT, exact, number_text, rounded
from rating.filing._series import SERIES
from rating.filing._trend import TrendStudy, trend_study

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Reader", "Studies", "run_studies", "trend_factors"]

_ONE = Decimal(1)
_FAR = Decimal("0.5")  # rule LCL-004


class Reader:
    """Tables of files, each read once; text cells that are blank are absent."""

    def __init__(self) -> None:
        self._held: dict[Path, pl.DataFrame] = {}

    def read(self, path: Path) -> pl.DataFrame:
        """Return the rows of a CSV or Parquet file."""
        import polars as pl

        if path not in self._held:
            frame = folder.read_cells(path)
            frame = frame.rename({c: c.strip().lstrip("\ufeff").lower() for c in frame.columns})
            texts = pl.col(pl.String).str.strip_chars()
            self._held[path] = frame.with_columns(pl.when(texts != "").then(texts))
        return self._held[path]

    def optional(self, config: FilingConfig, key: str) -> pl.DataFrame | None:
        """Return a table of ``[inputs]``, or None where the document names none."""
        path = config.section("inputs").get(key)
        return None if path is None else self.read(path)


@dataclass(frozen=True)
class Studies:
    """What the studies of a document found; those that it does not ask for are None.

    Attributes
    ----------
    experience : Experience or None
        Totals and index rate by benefit category.
    large_claims : PooledClaims or None
        Claims above the threshold, from the list of large claims; its pooling charge is not spread over months.
    trend : TrendStudy or None
        By regression.
    morbidity : MorbidityChange or None
    manual : ManualRate or None
    credibility : Credibility or None
    entries : tuple of Entry
        What they mean for the template, and what that was worked out from.
    findings : FilingFindings
    """

    experience: Experience | None = None
    large_claims: PooledClaims | None = None
    trend: TrendStudy | None = None
    morbidity: MorbidityChange | None = None
    manual: ManualRate | None = None
    credibility: Credibility | None = None
    entries: tuple[Entry, ...] = ()
    findings: FilingFindings = field(default_factory=FilingFindings)


def run_studies(
    config: FilingConfig, reader: Reader, settings: FilingSettings, begin: Callable[[str], None] = lambda _: None
) -> Studies:
    """Return the studies of a document.

    Raises
    ------
    InputRefused, SettingRefused
        As the studies themselves: an input cannot be used, or too little of it is there.
    """
    findings = FilingFindings()
    entries: list[Entry] = []
    studied = pooling = trend = None
    if "experience" in config.section("inputs"):
        begin("experience")
        studied = _experience(config, reader, settings)
        entries += studied.entries
        findings.extend(studied.findings)
    if "large_claims" in config.sections and studied is not None:
        pooling = _large_claims(config, reader)
        entries += _pooling_entries(pooling, studied, settings, findings)
    entries += _declared_trend(config)
    if "trend.study" in config.sections:
        begin("trend")
        trend = _trend(config, reader, studied, pooling)
        findings.extend(trend.findings)
        entries += _entries(trend.assumptions(factor_decimals=settings.factor_decimals))
    begin("morbidity and credibility")
    morbidity = _morbidity(config, reader)
    if morbidity is not None:
        findings.extend(morbidity.findings)
        entries += _entries(morbidity.assumptions(factor_decimals=settings.factor_decimals))
    believed = _credibility(config, studied)
    if believed is not None:
        findings.extend(believed.findings)
        entries += _credibility_entries(believed, settings)
    manual = _manual(config, reader)
    if manual is not None:
        findings.extend(manual.findings)
        source = config.section("manual")["source"]
        entries += [replace(e, source=e.source or source) if e.name == "manual_ehb" else e for e in manual.entries]
    large = None if pooling is None else pooling.listed
    return Studies(studied, large, trend, morbidity, manual, believed, tuple(entries), findings)


def _entries(assumptions: Mapping[str, Mapping[str, Any]]) -> list[Entry]:
    """Return the assumptions that a study gives as entries of the ledger."""
    quantities_of = Formulas.of(FilingSettings().as_dict())
    found = []
    for name, given in assumptions.items():
        quantity = quantities_of.quantity(name, "market")
        unit = quantity.unit if quantity else ""
        found.append(Entry(name, MARKET, exact(given["value"], name), unit, source=given["source"], note=given["note"]))
    return found


# ------------------------------------------------------------------------------------------------ experience


def _experience(config: FilingConfig, reader: Reader, settings: FilingSettings) -> Experience:
    header = config.section("filing")
    first, last = header.get("exp_period_start"), header.get("exp_period_end")
    completing = config.section("completion")
    return experience(
        _with_flags(reader.read(config.section("inputs")["experience"])),
        triangle=reader.optional(config, "triangle"),
        period=None if first is None or last is None else (first, last),
        plan_year=header["plan_year"],
        paid_through=header.get("claims_paid_through"),
        annual_trend=completing.get("annual_trend"),
        absent_cells=completing.get("absent_cells", "refuse"),
        settings=settings,
    )


def _with_flags(frame: pl.DataFrame) -> pl.DataFrame:
    """Return an experience whose flag is true or false, as text files write it in words."""
    import polars as pl

    if "is_ehb" not in frame.columns or frame["is_ehb"].dtype != pl.String:
        return frame
    words = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}
    lowered = pl.col("is_ehb").str.to_lowercase()
    return frame.with_columns(lowered.replace_strict(words, default=None, return_dtype=pl.Boolean))


# ------------------------------------------------------------------------------------------------ large claims


@dataclass(frozen=True)
class _Pooling:
    """Large claims taken out, and what is put in for them: dollars per member month, or a share of the rest."""

    listed: PooledClaims
    threshold: Decimal
    pmpm: Decimal | None
    share: Decimal | None

    def put_in(self, months: Decimal, left: Decimal) -> Decimal:
        """Return the expected excess of so many member months and claims below the threshold."""
        if self.pmpm is not None:
            return CONTEXT.multiply(months, self.pmpm)
        return CONTEXT.multiply(left, self.share or Decimal(0))

    def excess(self, first: date, last: date) -> Decimal:
        """Return what lies above the threshold in some months, to the cent; a list without months is all of them."""
        import polars as pl

        months = self.listed.months
        inside = pl.col("incurred_month").is_between(first, last) | pl.col("incurred_month").is_null()
        amounts = months.filter(inside)["excess"].to_list()
        return sum((rounded(exact(amount, "excess"), 2) for amount in amounts), Decimal(0))


def _large_claims(config: FilingConfig, reader: Reader) -> _Pooling:
    given = config.section("large_claims")
    charges = [given.get(name) for name in ("pooling_charge_pmpm", "expected_excess_share")]
    known = [None if charge is None else exact(charge, "large_claims") for charge in charges]
    if sum(charge is not None for charge in known) != 1 or min(c for c in known if c is not None) < 0:
        raise InputRefused(
            "the expected excess is not given once, zero or more",
            where=f"{config.path}, [large_claims]",
            rule="claims above the threshold are taken out, and what is expected of them is put in",
            remedy="give pooling_charge_pmpm or expected_excess_share",
        )
    frame = reader.read(given["claims"])
    # The list holds large claims alone: what is put in is worked out over all of the experience, not over the list.
    listed = pooled_claims(frame, large_claim_threshold=given["threshold"], expected_excess_share=0, amounts="allowed")
    return _Pooling(listed, exact(given["threshold"], "threshold"), known[0], known[1])


def _pooling_entries(
    pooling: _Pooling, studied: Experience, settings: FilingSettings, findings: FilingFindings
) -> list[Entry]:
    """Return ``adj_other`` with what it is worked out from: EHB claims less excess plus charge, over EHB claims."""
    import polars as pl

    claims, months = studied.value("exp_ehb_allowed_total"), studied.value("exp_member_months")
    if not claims or months is None:
        raise refusal("LCL-002", "there are no claims to pool", "experience", "take [large_claims] out")
    excess = pooling.excess(*studied.period)
    left = CONTEXT.subtract(claims, excess)
    put_in = pooling.put_in(months, left)
    # What is put in is compared below; and months without a large claim make no year of a list less whole.
    findings.extend(pooling.listed.findings.filter(~pl.col("rule_id").is_in(["LCL-004", "LCL-006"])))
    if excess and abs(put_in - excess) > _FAR * excess:
        said = f"charge {number_text(rounded(put_in, 2))}, excess {number_text(excess)} dollars"
        findings.add("LCL-004", "large_claims", said)
    factor = CONTEXT.divide(CONTEXT.add(left, put_in), claims)
    above: Key = ("large_claim_excess", MARKET)
    charge: Key = ("pooling_charge", MARKET)
    rate: Key = ("pooling_charge_pmpm", MARKET) if pooling.pmpm is not None else ("expected_excess_share", MARKET)
    words = "exp_member_months * pooling_charge_pmpm"
    base: tuple[Key, ...] = (("exp_member_months", MARKET),)
    if pooling.pmpm is None:
        words = "(exp_ehb_allowed_total - large_claim_excess) * expected_excess_share"
        base = (("exp_ehb_allowed_total", MARKET), above)
    source = f"list of large claims, above {number_text(pooling.threshold)} dollars an enrollee and year"
    unit = "usd_pmpm" if pooling.pmpm is not None else "ratio"
    decimals = settings.factor_decimals
    inputs = (("exp_ehb_allowed_total", MARKET), above, charge)
    formula = "(exp_ehb_allowed_total - large_claim_excess + pooling_charge) / exp_ehb_allowed_total"
    note = f"rounded to {decimals} decimals"
    value = rounded(factor, decimals)
    return [
        Entry(*above, excess, "usd", source=source),
        Entry(*rate, pooling.pmpm if pooling.pmpm is not None else pooling.share, unit, source="[large_claims]"),
        Entry(*charge, put_in, "usd", COMPUTED, words, (*base, rate)),
        Entry("adj_other", MARKET, value, "factor", COMPUTED, formula, inputs, "large claims pooled", note, factor),
    ]


# ------------------------------------------------------------------------------------------------ trend


def trend_factors(config: FilingConfig) -> dict[str, tuple[Decimal, Decimal, str, str]]:
    """Return cost and utilization factor of a year, source and note of each category with a declared trend.

    Raises
    ------
    InputRefused
        Cost stands without utilization, or the other way about.
    """
    found = {}
    for category in CATEGORIES:
        own = config.section(f"trend.{category}")
        where = f"trend.{category}" if own else "trend"
        given = own or config.section("trend")
        parts = [given.get(name) for name in ("cost", "utilization")]
        if parts == [None, None]:
            continue
        if None in parts:
            raise InputRefused(
                "cost and utilization trend are not given together",
                where=f"{config.path}, [{where}]",
                rule="worksheet 1 takes a cost and a utilization factor; absent is not zero",
                remedy="write both: cost = 0.045 and utilization = 0.01, say",
            )
        cost, use = (CONTEXT.add(_ONE, exact(part, where)) for part in parts)
        found[category] = (cost, use, given.get("source", f"[{where}]"), given.get("note", ""))
    return found


def _declared_trend(config: FilingConfig) -> list[Entry]:
    return [
        Entry(f"trend_{year}_{kind}_{category}", MARKET, factor, "factor", source=source, note=note)
        for category, (cost, use, source, note) in trend_factors(config).items()
        for year in ("y1", "y2")
        for kind, factor in (("cost", cost), ("util", use))
    ]


def _trend(config: FilingConfig, reader: Reader, studied: Experience | None, pooling: _Pooling | None) -> TrendStudy:
    given = dict(config.section("trend.study"))
    series = _completed(reader.read(given.pop("series")), studied, str(config.path))
    if pooling is not None:
        series = _without_excess(series, pooling)
    return trend_study(series, **given)


def _completed(frame: pl.DataFrame, studied: Experience | None, where: str) -> pl.DataFrame:
    """Return a series with completed ``allowed``: as it is, or paid to date over the completion of month and category.

    Raises
    ------
    InputRefused
        Claims are paid to date, and nothing completes them.
    """
    import polars as pl

    if "allowed" in frame.columns:
        return frame.drop("completion_factor", "allowed_paid_to_date", strict=False)
    if "allowed_paid_to_date" not in frame.columns:
        raise InputRefused(
            "the series has neither allowed nor allowed_paid_to_date",
            where=f"{where}, [trend.study] series",
            rule=SERIES,
            remedy="add allowed (completed claims), or allowed_paid_to_date, completed here by the triangle",
        )
    ladder = None if studied is None else studied.ladder
    months = months_column(frame, SERIES, "incurred_month", "SER-001").tolist()
    cents = dollars(frame, SERIES, "allowed_paid_to_date", "SER-001")[0].tolist()
    categories = frame["benefit_category"].to_list() if "benefit_category" in frame.columns else ["all"] * len(months)
    factors = frame["completion_factor"].to_list() if "completion_factor" in frame.columns else [None] * len(months)
    amounts = []
    for month, paid, category, given in zip(months, cents, categories, factors, strict=True):
        amount = Decimal(paid).scaleb(-2)
        if ladder is not None and category in ladder.developments:
            ultimate = ladder.to_ultimate(category, month)
            amount = CONTEXT.multiply(amount, ultimate) if ultimate is not None else amount
        elif given is not None:
            amount = CONTEXT.divide(amount, exact(given, "completion_factor"))
        else:
            raise refusal(
                "EXP-013",
                f"claims of {category} have no completion",
                SERIES,
                "add the category to the triangle, or completion_factor to the series (1 where claims are complete)",
            )
        amounts.append(str(rounded(amount, 2)))
    done = frame.drop("allowed_paid_to_date", "completion_factor", strict=False)
    return done.with_columns(pl.Series("allowed", amounts, dtype=pl.String))


def _without_excess(series: pl.DataFrame, pooling: _Pooling) -> pl.DataFrame:
    """Return a series with large claims taken out month by month, and what is expected of them put in.

    A charge per member month goes to the categories in proportion to all that was taken out of them.
    """
    import polars as pl

    months = pooling.listed.months
    taken = {(c, m): rounded(exact(v, "excess"), 2) for c, m, v in months.select(
        "benefit_category", "incurred_month", "excess"
    ).rows() if m is not None}  # fmt: skip
    if not taken or "benefit_category" not in series.columns:
        return series
    of_category = {c: sum((v for (k, _), v in taken.items() if k == c), Decimal(0)) for c, _ in taken}
    total = sum(of_category.values(), Decimal(0))
    keys = [month_date(month) for month in months_column(series, SERIES, "incurred_month", "SER-001").tolist()]
    cents = dollars(series, SERIES, "allowed", "SER-001")[0].tolist()
    members = quantities(series, SERIES, "member_months", "SER-001").tolist()
    amounts = []
    for category, month, paid, parts in zip(series["benefit_category"], keys, cents, members, strict=True):
        left = CONTEXT.subtract(Decimal(paid).scaleb(-2), taken.get((category, month), Decimal(0)))
        of_month = decimal_of(Fraction(parts, PARTS))
        put_in = pooling.put_in(of_month, left)
        if pooling.pmpm is not None:
            share = of_category.get(category, Decimal(0))
            put_in = CONTEXT.divide(CONTEXT.multiply(put_in, share), total) if total else Decimal(0)
        amounts.append(str(rounded(CONTEXT.add(left, put_in), 2)))
    return series.with_columns(pl.Series("allowed", amounts, dtype=pl.String))


# ------------------------------------------------------------------------------------------------ people


def _morbidity(config: FilingConfig, reader: Reader) -> MorbidityChange | None:
    given = config.section("morbidity")
    if not given:
        return None
    factors = None
    if "age_factors" in given:
        table = reader.read(given["age_factors"])
        _frames.need_columns(table, "age_factors", ("age_last", "factor"))
        ages = quantities(table, "age_factors", "age_last", "MOR-001")
        factors = {int(a) // PARTS: f for a, f in zip(ages, table["factor"].to_list(), strict=True)}
    return morbidity_change(
        _typed_ages(reader.read(given["experience"])),
        _typed_ages(reader.read(given["projected"])),
        risk=given.get("risk", "score_silver"),
        age_factors=factors,
    )


def _typed_ages(frame: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    return frame.with_columns(pl.col("age_last").cast(pl.Int64, strict=False)) if "age_last" in frame.columns else frame


def _credibility(config: FilingConfig, studied: Experience | None) -> Credibility | None:
    given = config.section("credibility")
    if not given or studied is None:
        return None
    months = studied.value("exp_member_months")
    return credibility(months or 0, full_standard=given["full_standard"], source=given.get("source", ""))


def _credibility_entries(found: Credibility, settings: FilingSettings) -> list[Entry]:
    full: Key = ("full_credibility_member_months", MARKET)
    decimals = settings.factor_decimals
    return [
        Entry(*full, found.full_standard, "member_months", source=found.source or "[credibility]"),
        Entry(
            "credibility",
            MARKET,
            rounded(found.z, decimals),
            "ratio",
            COMPUTED,
            "min(1, square root of exp_member_months / full_credibility_member_months)",
            (("exp_member_months", MARKET), full),
            source=found.source or "limited fluctuation, declared standard",
            note=f"rounded to {decimals} decimals",
            replaced=found.z,
        ),
    ]


def _manual(config: FilingConfig, reader: Reader) -> ManualRate | None:
    given = config.section("manual")
    if not given:
        return None
    return manual_rate(
        reader.read(given["source_pmpm"]),
        basis={name: given[name] for name in ("area", "age", "benefit", "morbidity")},
        annual_trend=given["annual_trend"],
        trend_months=given["trend_months"],
        source=given["source"],
    )
