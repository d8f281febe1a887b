"""Plan attributes of the public exchange files: which plan variant it is, its deductibles, limits and options."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rating._av_columns import (
    COMBINED_MOOP,
    INTEGRATED,
    MAX_COUNT,
    METAL_LEVELS,
    NOT_SAID,
    SEPARATE_MOOP,
    DesignColumns,
    plain_columns,
)
from rating._plan_benefits_text import Amounts, amounts_by_column, answers, plain_key, whole_numbers

if TYPE_CHECKING:
    import polars as pl

__all__ = ["FILED_IN", "OPTIONAL", "REQUIRED", "TABLE", "PlanRows", "Problems", "read_plans", "with_keys"]

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]

TABLE = "plans"
KEY = ("plan_id", "csr_variant")
REQUIRED = (
    "PlanId",
    "MetalLevel",
    "UniquePlanDesign",
    "MedicalDrugDeductiblesIntegrated",
    "MedicalDrugMaximumOutofPocketIntegrated",
    "TEHBDedInnTier1Individual",
    "TEHBDedInnTier1Coinsurance",
    "TEHBInnTier1IndividualMOOP",
)
_TIERS = (1, 2)
_TOTAL, _SEPARATE = ("TEHB",), ("MEHB", "DEHB")
_COMBINED = ("DedCombInnOonIndividual", "CombInnOonIndividualMOOP")
_OF_TIERS = tuple(
    f"{domain}{name.format(tier)}"
    for domain in (*_TOTAL, *_SEPARATE)
    for tier in _TIERS
    for name in ("DedInnTier{}Individual", "DedInnTier{}Coinsurance", "InnTier{}IndividualMOOP")
)
OPTIONAL = (
    *(name for name in _OF_TIERS if name not in REQUIRED),
    *(domain + name for domain in (*_TOTAL, *_SEPARATE) for name in _COMBINED),
    "BusinessYear",
    "CSRVariationType",
    "MarketCoverage",
    "DentalOnlyPlan",
    "MultipleInNetworkTiers",
    "FirstTierUtilization",
    "SecondTierUtilization",
    "SpecialtyDrugMaximumCoinsurance",
    "InpatientCopaymentMaximumDays",
    "BeginPrimaryCareCostSharingAfterNumberOfVisits",
    "BeginPrimaryCareDeductibleCoinsuranceAfterNumberOfCopays",
    "IsHSAEligible",
    "HSAOrHRAEmployerContribution",
    "HSAOrHRAEmployerContributionAmount",
    "AVCalculatorOutputNumber",
    "IssuerActuarialValue",
)
_FILED = ("AVCalculatorOutputNumber", "IssuerActuarialValue")
FILED_IN = {
    whose: f"Plan Attributes PUF, {column}" for whose, column in zip(("calculator", "issuer"), _FILED, strict=True)
}
_AMOUNTS = (
    *_OF_TIERS,
    *(domain + name for domain in (*_TOTAL, *_SEPARATE) for name in _COMBINED),
    "FirstTierUtilization",
    "SecondTierUtilization",
    "SpecialtyDrugMaximumCoinsurance",
    "HSAOrHRAEmployerContributionAmount",
    *_FILED,
)
_PLAN_ID = r"^([0-9]{5}[A-Z]{2}[0-9]{7})(?:-?([0-9]{2}))?$"  # filing/hios_id_grammar, with or without the variant
# CSRVariationType, without "Standard" and the metal, as plain_key writes it
_VARIATIONS = {
    "offexchangeplan": "00",
    "nonexchangevariant": "00",
    "onexchangeplan": "01",
    "exchangevariantnocsr": "01",
    "zerocostsharingplanvariation": "02",
    "limitedcostsharingplanvariation": "03",
    "73avlevelsilverplan": "04",
    "87avlevelsilverplan": "05",
    "94avlevelsilverplan": "06",
}
_VARIATION = r"^standard(?:platinum|gold|silver|bronze|expandedbronze|catastrophic|high|low)?(onexchange|offexchange)"
_LEVELS = {plain_key(level): code for code, level in enumerate(METAL_LEVELS)}
_DENTAL = ("high", "low")
_OF_MARKET = {"individual": 0, "shopsmallgroup": 1, "smallgroup": 1}
# HSA-eligible plans are high-deductible plans; of these levels, from a year of av/metal_rules on, all are eligible.
_HSA_BY_LAW = tuple(METAL_LEVELS.index(level) for level in ("bronze", "expanded_bronze", "catastrophic"))
_ROUNDING = 1e-9  # of shares that are decimals
_SAME_IN_BOTH = ("inpatient_max_days", "first_visits_free", "first_visits_copay", "specialty_cap")


class Problems:
    """What was noticed of plans, line by line; words are flags of ``av/design_rules``."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, flag: str, plan: Any, *, benefit: Any = None, column: Any = "", text: Any = None) -> None:
        """Put down lines; each is of the plan in that position, the rest as many values or one for all."""
        import polars as pl

        if not len(plan):
            return
        frame = pl.DataFrame({"plan": pl.Series(plan, dtype=pl.Int64)})
        for name, value in (("benefit_name", benefit), ("column", column), ("text", text), ("flag", flag)):
            frame = frame.with_columns(
                value.cast(pl.String).alias(name)
                if isinstance(value, pl.Series)
                else pl.lit(value, pl.String).alias(name)
            )
        self._parts.append(frame)

    def where(self, flag: str, rows: Flags, cells: pl.DataFrame | None = None, column: str = "") -> None:
        """Put down the plans of a mask, with what stands in a column of theirs."""
        plan = np.flatnonzero(rows)
        if not len(plan):
            return
        text = None if cells is None or not column else cells[column].gather(plan)
        self.add(flag, plan, column=column, text=text)

    def frame(self) -> pl.DataFrame:
        """Return plan, benefit_name, column, text, flag, in an order that does not depend on that of the input."""
        import polars as pl

        columns = {"plan": pl.Int64, **dict.fromkeys(("benefit_name", "column", "text", "flag"), pl.String)}
        empty = pl.DataFrame(schema=columns)
        return pl.concat([empty, *(part.select(list(columns)) for part in self._parts)]).unique().sort(list(columns))


@dataclass(frozen=True)
class PlanRows:
    """Plan variants in the order of their key, with what the plan attributes say of each.

    Attributes
    ----------
    keys : DataFrame
        plan, plan_id, csr_variant.
    designs : DesignColumns
        A row per plan; services on default terms, to be filled in. `tier2` is always there.
    filed_by : list
        calculator, issuer, or none.
    """

    keys: pl.DataFrame
    designs: DesignColumns
    filed_by: list[str | None]


def with_keys(cells: pl.DataFrame) -> pl.DataFrame:
    """Return a frame with plan_id and csr_variant behind it, both blank where PlanId is no plan id.

    Examples
    --------
    >>> import polars as pl
    >>> with_keys(pl.DataFrame({"PlanId": ["99999XX0010001-04", "99999XX0010001"]})).select(KEY).rows()
    [('99999XX0010001', '04'), ('99999XX0010001', None)]
    """
    import polars as pl

    plan_id = pl.col("PlanId").str.to_uppercase()
    return cells.with_columns(
        plan_id.str.extract(_PLAN_ID).alias("plan_id"), plan_id.str.extract(_PLAN_ID, 2).alias("csr_variant")
    )


def variations(texts: pl.Series) -> pl.Series:
    """Return the variant that each CSRVariationType names; blank where it names none known.

    Examples
    --------
    >>> import polars as pl
    >>> variations(pl.Series(["Standard Silver Off Exchange Plan", "87% AV Level Silver Plan", "other"])).to_list()
    ['00', '05', None]
    """
    import polars as pl

    key = pl.first().str.to_lowercase().str.replace_all("[^a-z0-9]", "")
    plain = pl.coalesce(key.str.extract(_VARIATION) + pl.lit("plan"), key)
    named = plain.replace_strict(_VARIATIONS, default=None, return_dtype=pl.String)
    return texts.to_frame().select(named).to_series()


def read_plans(
    cells: pl.DataFrame, problems: Problems, variants: Sequence[str], *, all_eligible: bool = True
) -> PlanRows:
    """Return the plan variants of the attributes; `cells` has the columns of this module as text, and the key.

    Rows without a plan id are not to be in `cells`. `variants` are those that the calculator has a rule for. What is
    noticed goes to `problems`. `all_eligible`: plans of some levels are eligible for an HSA by law, whatever they are.
    """
    import polars as pl

    named = variations(cells["CSRVariationType"]).alias("_named")
    rows = cells.with_columns(named, _said=pl.col("csr_variant"))
    rows = rows.with_columns(csr_variant=pl.coalesce("_said", "_named", pl.lit("")))
    rows = rows.drop("PlanId").unique().sort(pl.all())
    twice = rows.select(pl.struct(KEY).is_duplicated().alias("twice"), *KEY).filter("twice").select(KEY).unique()
    rows = rows.unique(KEY, keep="first", maintain_order=True).sort(KEY)
    keys = rows.select(*KEY).with_row_index("plan").with_columns(pl.col("plan").cast(pl.Int64))
    problems.add("plan_twice", keys.join(twice, on=KEY, how="semi")["plan"])
    _check_variants(rows, problems, variants)
    designs = plain_columns(rows.height)
    tier2 = plain_columns(rows.height)
    _set_levels(rows, designs, problems, all_eligible=all_eligible)
    read = _Amounts(rows, problems)
    _set_amounts(rows, (designs, tier2), read, problems)
    _set_options(rows, designs, read, problems)
    filed_by = _set_filed(rows, designs, read, problems)
    options = {name: getattr(designs, name).copy() for name in _SAME_IN_BOTH}
    return PlanRows(keys, designs.with_changes(tier2=tier2.with_changes(**options)), filed_by)


def _check_variants(rows: pl.DataFrame, problems: Problems, with_rule: Sequence[str]) -> None:
    import polars as pl

    of = rows.select(
        differs=(pl.col("_said") != pl.col("_named")).fill_null(False),
        not_said=pl.col("csr_variant") == "",
        without=~pl.col("csr_variant").is_in(["", *with_rule]),
    )
    problems.where("variant_differs", of["differs"].to_numpy(), rows, "CSRVariationType")
    problems.where("variant_not_said", of["not_said"].to_numpy(), rows, "CSRVariationType")
    problems.where("variant_without_rule", of["without"].to_numpy(), rows, "csr_variant")


def _codes(texts: pl.Series, words: dict[str, int]) -> NDArray[np.int64]:
    import polars as pl

    key = pl.first().str.to_lowercase().str.replace_all("[^a-z0-9]", "")
    code = key.replace_strict(words, default=NOT_SAID, return_dtype=pl.Int64)
    return texts.to_frame().select(code).to_series().to_numpy()


def _set_levels(rows: pl.DataFrame, designs: DesignColumns, problems: Problems, *, all_eligible: bool) -> None:
    """Set metal level, market, variant and high-deductible plan; put down dental plans and unique designs."""
    import polars as pl

    level = _codes(rows["MetalLevel"], _LEVELS | dict.fromkeys(_DENTAL, len(METAL_LEVELS)))
    dental = answers(rows["DentalOnlyPlan"])
    is_dental = (dental["answer"].fill_null(False)).to_numpy() | (level == len(METAL_LEVELS))
    problems.where("dental_plan", is_dental)
    level = np.where(is_dental, NOT_SAID, level)
    problems.where("metal_not_read", (level == NOT_SAID) & ~is_dental, rows, "MetalLevel")
    designs.desired_metal[:] = level
    designs.market[:] = _codes(rows["MarketCoverage"], _OF_MARKET)
    number = rows["csr_variant"].cast(pl.Int64, strict=False).fill_null(NOT_SAID)
    designs.csr_variant[:] = number.to_numpy()
    unique = answers(rows["UniquePlanDesign"])["answer"]
    problems.where("unique_design", unique.fill_null(False).to_numpy(), rows, "UniquePlanDesign")
    problems.where("unique_design_not_said", unique.is_null().to_numpy() & ~is_dental, rows, "UniquePlanDesign")
    is_eligible = answers(rows["IsHSAEligible"])["answer"].fill_null(False).to_numpy()
    by_law = is_eligible & np.isin(level, _HSA_BY_LAW) & all_eligible
    problems.where("hsa_says_nothing", by_law, rows, "IsHSAEligible")
    designs.is_hdhp[:] = is_eligible & ~by_law


class _Amounts:
    """Amounts of the plans, and what of them is put down as blank or not understood."""

    def __init__(self, rows: pl.DataFrame, problems: Problems) -> None:
        self.rows, self.problems = rows, problems
        self.read = amounts_by_column(rows, _AMOUNTS)

    def dollars(self, column: str, wanted: Flags, combined: str) -> Floats:
        """Return dollars, or those of `combined` where the column is blank; put down what is `wanted` and not said."""
        read, both = self.read[column], self.read[combined]
        said = ~np.isnan(read.dollars)
        self.problems.where("amount_not_read", wanted & ~said & ~read.is_blank, self.rows, column)
        blank = wanted & read.is_blank
        has = blank & ~np.isnan(both.dollars)
        self.problems.where("combined_network_amount", has, self.rows, combined)
        self.problems.where("per_person_amount", wanted & said & read.is_per_person, self.rows, column)
        self.problems.where("amount_not_said", blank & ~has, self.rows, column)
        return np.where(has, both.dollars, read.dollars)

    def rest(self, column: str, wanted: Flags) -> Floats:
        """Return 1 less the share that a column says: the plan's, where the column has the enrollee's."""
        read = self.read[column]
        self.problems.where("amount_not_said", wanted & read.is_blank, self.rows, column)
        return self._checked(column, wanted).rest

    def share(self, column: str) -> Floats:
        """Return the share that a column says; blank where it says none."""
        return self._checked(column, np.ones(self.rows.height, bool)).share

    def _checked(self, column: str, wanted: Flags) -> Amounts:
        read = self.read[column]
        self.problems.where("amount_not_read", wanted & np.isnan(read.share) & ~read.is_blank, self.rows, column)
        return read


def _set_amounts(
    rows: pl.DataFrame, tiers: tuple[DesignColumns, DesignColumns], read: _Amounts, problems: Problems
) -> None:
    """Set the type of deductible, and deductibles, limits, coinsurances and shares of both network tiers."""
    one_deductible = answers(rows["MedicalDrugDeductiblesIntegrated"])["answer"]
    one_moop = answers(rows["MedicalDrugMaximumOutofPocketIntegrated"])["answer"]
    for column, said in (
        ("MedicalDrugDeductiblesIntegrated", one_deductible),
        ("MedicalDrugMaximumOutofPocketIntegrated", one_moop),
    ):
        problems.where("integration_not_said", said.is_null().to_numpy(), rows, column)
    is_known = (one_deductible.is_not_null() & one_moop.is_not_null()).to_numpy()
    deductible, moop = one_deductible.fill_null(True).to_numpy(), one_moop.fill_null(True).to_numpy()
    problems.where("one_deductible_two_moops", is_known & deductible & ~moop)
    kind = np.where(deductible, INTEGRATED, np.where(moop, COMBINED_MOOP, SEPARATE_MOOP))
    has_two = _set_shares(rows, tiers[0], read, problems)
    for tier, designs in zip(_TIERS, tiers, strict=True):
        used = is_known & (has_two if tier == len(_TIERS) else np.ones(rows.height, bool))
        designs.deductible_type[:] = kind
        for domains, rows_of in ((_TOTAL, used & deductible), (_SEPARATE, used & ~deductible)):
            for place, domain in enumerate(domains):
                value = read.dollars(f"{domain}DedInnTier{tier}Individual", rows_of, f"{domain}DedCombInnOonIndividual")
                rest = read.rest(f"{domain}DedInnTier{tier}Coinsurance", rows_of)
                _put(designs.deductible, value, rows_of, place, domains)
                _put(designs.plan_coinsurance, rest, rows_of, place, domains)
        for domains, rows_of in ((_TOTAL, used & moop), (_SEPARATE, used & ~moop)):
            for place, domain in enumerate(domains):
                value = read.dollars(
                    f"{domain}InnTier{tier}IndividualMOOP", rows_of, f"{domain}CombInnOonIndividualMOOP"
                )
                _put(designs.moop, value, rows_of, place, domains)
        below = (designs.deductible > designs.moop).any(axis=1)  # not where one of them is unknown
        problems.where("moop_below_deductible", below & used)
        for array in (designs.deductible, designs.plan_coinsurance, designs.moop):
            np.nan_to_num(array, copy=False)


def _put(array: Floats, value: Floats, rows: Flags, place: int, domains: Sequence[str]) -> None:
    places = (0, 1) if len(domains) == 1 else (place,)
    for column in places:
        array[rows, column] = value[rows]


def _set_shares(rows: pl.DataFrame, designs: DesignColumns, read: _Amounts, problems: Problems) -> Flags:
    """Set the share of tier 1, and return which plans have two tiers that are used."""
    two = answers(rows["MultipleInNetworkTiers"])["answer"].fill_null(False).to_numpy()
    first, second = read.share("FirstTierUtilization"), read.share("SecondTierUtilization")
    no_second = np.isnan(second) | (second == 0)
    whole = ~(first < 1)  # blank, or all of it
    is_whole = np.abs(first + second - 1.0) < _ROUNDING
    fits = np.where(two, is_whole | (whole & no_second), whole & no_second)
    problems.where("tier_shares_disagree", ~fits, rows, "FirstTierUtilization")
    problems.where("second_tier_unused", two & whole & no_second)
    has_two = two & fits & ~whole
    designs.tier1_share[:] = np.where(has_two, np.nan_to_num(first, nan=1.0), 1.0)
    return np.asarray(has_two)


def _set_options(rows: pl.DataFrame, designs: DesignColumns, read: _Amounts, problems: Problems) -> None:
    """Set days and visits that are counted, the cap of specialty drugs and employer money."""
    counts = {}
    for column, name in (
        ("InpatientCopaymentMaximumDays", "days"),
        ("BeginPrimaryCareCostSharingAfterNumberOfVisits", "free"),
        ("BeginPrimaryCareDeductibleCoinsuranceAfterNumberOfCopays", "copay"),
    ):
        said = whole_numbers(rows[column], MAX_COUNT)
        problems.where("option_not_read", ~said["is_read"].to_numpy(), rows, column)
        counts[name] = said["number"].to_numpy()
    both = (counts["free"] > 0) & (counts["copay"] > 0)
    problems.where("first_visits_twice", both)
    designs.inpatient_max_days[:] = counts["days"]  # left out where the copay turns out not to be per day
    designs.first_visits_free[:] = np.where(both, 0, counts["free"])
    designs.first_visits_copay[:] = np.where(both, 0, counts["copay"])
    cap = read.read["SpecialtyDrugMaximumCoinsurance"]
    unclear = ~cap.is_blank & ~(cap.dollars > 0)
    problems.where("option_not_read", unclear, rows, "SpecialtyDrugMaximumCoinsurance")
    designs.specialty_cap[:] = np.where(cap.dollars > 0, cap.dollars, np.nan)
    column = "HSAOrHRAEmployerContributionAmount"
    gives = answers(rows["HSAOrHRAEmployerContribution"])["answer"].fill_null(False).to_numpy()
    money = read.read[column]
    problems.where("option_not_read", np.isnan(money.dollars) & ~money.is_blank, rows, column)
    problems.where("option_not_read", ~gives & (money.dollars > 0), rows, "HSAOrHRAEmployerContribution")
    problems.where("employer_amount_not_said", gives & money.is_blank, rows, column)
    designs.employer_money[:] = np.where(gives, np.nan_to_num(money.dollars), 0.0)


def _set_filed(rows: pl.DataFrame, designs: DesignColumns, read: _Amounts, problems: Problems) -> list[str | None]:
    """Set the filed actuarial value, and return whose it is."""
    import polars as pl

    values = []
    for column in _FILED:
        said = read.read[column]
        number = rows[column].cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy()
        value = np.where(np.isnan(said.share), number, said.share)
        fits = (value > 0) & (value <= 1)
        problems.where("filed_value_not_read", ~fits & ~said.is_blank & (value != 0), rows, column)  # 0: none
        values.append(np.where(fits, value, np.nan))
    by_calculator, by_issuer = (~np.isnan(value) for value in values)
    problems.where("certified_by_actuary", by_issuer & ~by_calculator, rows, "IssuerActuarialValue")
    designs.filed_av[:] = np.where(by_calculator, *values)
    whose = zip(by_calculator, by_issuer, strict=True)
    return ["calculator" if first else "issuer" if second else None for first, second in whose]
