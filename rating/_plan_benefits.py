"""Designs read from the public exchange files, and for which plans these files say enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs.errors import InputRefused, TableMissing
from rating import _plan_benefits_plans as attributes
from rating import _plan_benefits_terms as terms
from rating._av_columns import MARKETS, METAL_LEVELS, DesignColumns
from rating._figures import Figures, whole_year
from rating._frame_rows import word_series
from rating._outcome import Outcome, outcome_of
from rating._plan_benefits_plans import PlanRows, Problems
from rating._plan_benefits_text import text_cells, whole_numbers
from rating._sourced_settings import SourcedSettings
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

    from rating._av_designs import Design

__all__ = ["PlanBenefitDesigns", "designs_of_plan_benefits"]

_RULES, _NAMES, _VARIANTS = "av/design_rules", "av/benefit_names", "av/variant_tables"
_NUMBERS = "av/metal_rules"
_BAD_ID, _LOOSE, _DENTAL, _BY_LAW = "AVC-200", "AVC-253", "dental_plan", "hsa_says_nothing"
_LAST_YEAR = 9999
_BLOCKING = "error"


@dataclass(frozen=True, kw_only=True)
class PlanBenefitDesigns(Outcome):
    """Designs of the plans that the public files say enough of, and what is said of every plan.

    Attributes
    ----------
    design_ids : list of str
        Plan id and variant of each design ("99999XX0010001-01").
    designs : DesignColumns
        In that order, for :func:`rating.actuarial_value`.
    plans : DataFrame
        A row per plan variant of the plan attributes, by plan_id and csr_variant: plan_id, csr_variant, metal_level,
        market, suffices (it has a design), design (its position among the designs; blank: none), reasons (why it has
        none: flags of ``av/design_rules``, sorted), notes (what the design leaves out or was read into it, sorted),
        filed_av (share), filed_by (calculator, or issuer: certified by an actuary).
    problems : DataFrame
        A line per reason and note: plan_id, csr_variant, benefit_name (blank: of the plan), column, text, flag,
        severity (error: the plan has no design).
    """

    design_ids: list[str]
    designs: DesignColumns
    plans: pl.DataFrame
    problems: pl.DataFrame

    def typed(self) -> list[Design]:
        """Return the designs as objects with plan id, variant and the column that the filed value stood in.

        :func:`rating.actuarial_value` takes either; with objects its results carry the ids.
        """
        from rating._plan_benefits_typed import typed_designs

        used = self.plans.filter(self.plans["suffices"])
        sources = [attributes.FILED_IN.get(whose) for whose in used["filed_by"].to_list()]
        return typed_designs(self.designs, self.design_ids, used["plan_id"].to_list(), sources)


def designs_of_plan_benefits(
    plans: pl.DataFrame | pl.LazyFrame, benefits: pl.DataFrame | pl.LazyFrame, *, plan_year: int | None = None
) -> PlanBenefitDesigns:
    """Return the designs that the public exchange files say in full, and why the other plans have none.

    Nothing is guessed: a text that is not understood, a blank, a copay beside coinsurance that the calculator has no
    terms for, and a plan that its issuer calls unique or had certified by an actuary leave a plan without a design.

    Parameters
    ----------
    plans : DataFrame or LazyFrame
        Plan Attributes PUF, under its own column names (case and punctuation do not matter; further columns are
        ignored). Deductibles, limits and coinsurances are those of ``TEHB...``, or ``MEHB...`` and ``DEHB...`` where
        medical and drug are not integrated, of network tier 1 and, where two tiers share the utilization, tier 2.
    benefits : DataFrame or LazyFrame
        Benefits and Cost Sharing PUF: ``PlanId``, ``BenefitName``, ``IsCovered``, ``CopayInnTier1``,
        ``CoinsInnTier1``; tier 2, ``IsSubjToDedTier1`` and ``IsExclFromInnMOOP`` where there are.
    plan_year : int, optional
        Rows of other years (``BusinessYear``) are left out. Needed where the files hold several.

    Returns
    -------
    PlanBenefitDesigns
        ``designs`` with ``design_ids``, ``plans``, ``problems``, and what was counted.

    Raises
    ------
    InputRefused
        A column is missing or stands twice, ids are numbers, or the files hold several years and none was chosen.
    TableMissing
        The files do not hold `plan_year`.

    Notes
    -----
    Coinsurance of the files is the enrollee's; that of a design is the plan's. Texts are read as follows.

    ======================================  ==========================================================================
    "$30.00", "$30.00 Copay"                copay, neither deductible nor coinsurance
    "$30.00 Copay after deductible"         copay once the deductible is met
    "$30.00 Copay with deductible"          copay, and what is left counts toward the deductible
    "... per Day", "... per Stay"           of inpatient and skilled nursing stays only
    "20.00%"                                coinsurance without the deductible
    "20.00% Coinsurance after deductible"   coinsurance under the deductible
    "No Charge"                             the plan pays all, without the deductible
    "No Charge after deductible"            the plan pays all once the deductible is met
    ======================================  ==========================================================================

    Source: CMS, Center for Consumer Information and Insurance Oversight, Exchange Public Use Files, data dictionaries
    of the Plan Attributes PUF and of the Benefits and Cost Sharing PUF, plan years 2014 to 2026. Which benefit stands
    for which service: ``av/benefit_names``.

    Examples
    --------
    >>> import polars as pl
    >>> plan = pl.DataFrame({"PlanId": ["99999XX0010001-01"], "MetalLevel": ["Silver"], "UniquePlanDesign": ["Yes"],
    ...     "MedicalDrugDeductiblesIntegrated": ["Yes"], "MedicalDrugMaximumOutofPocketIntegrated": ["Yes"],
    ...     "TEHBDedInnTier1Individual": ["$5,000"], "TEHBDedInnTier1Coinsurance": ["40.00%"],
    ...     "TEHBInnTier1IndividualMOOP": ["$8,000"]})
    >>> benefit = pl.DataFrame({"PlanId": ["99999XX0010001-01"], "BenefitName": ["Specialist Visit"],
    ...     "IsCovered": ["Covered"], "CopayInnTier1": ["$80.00"], "CoinsInnTier1": ["Not Applicable"]})
    >>> found = designs_of_plan_benefits(plan, benefit)
    >>> found.plans.select("csr_variant", "suffices", "reasons").row(0)
    ('01', False, ['service_not_listed', 'unique_design'])
    """
    figures, findings, problems = Figures(), Findings(), Problems()
    year = None if plan_year is None else whole_year(plan_year, "plan_year")
    rows = text_cells(plans, attributes.TABLE, attributes.REQUIRED, attributes.OPTIONAL)
    cells = text_cells(benefits, terms.TABLE, terms.REQUIRED, terms.OPTIONAL)
    year = _one_year(rows, year)
    rows, cells = _of_year(rows, attributes.TABLE, year), _of_year(cells, terms.TABLE, year)
    rows, cells = _keyed(rows, attributes.TABLE, findings), _keyed(cells, terms.TABLE, findings)
    variants = figures.rows(_VARIANTS)["csr_variant"].to_list()
    by_law_from = dict(figures.rows(_NUMBERS).select("rule", "number").rows())["hsa_eligible_by_law_from"]
    all_eligible = year is None or year >= by_law_from
    read = attributes.read_plans(rows, problems, variants, all_eligible=all_eligible)
    terms.fill_services(cells, read, figures.rows(_NAMES), problems)
    findings.note(_LOOSE, terms.TABLE, _without_plan(cells, read))
    by_law = problems.frame().filter(flag=_BY_LAW)["plan"].n_unique()
    figures.put_down(_NUMBERS, "hsa_eligible_by_law_from: recalled", "designs", by_law)
    return _result(read, problems, findings, figures)


def _one_year(rows: pl.DataFrame, year: int | None) -> int | None:
    """Return the year of the plans: the one chosen, or the one they are all of."""
    held = whole_numbers(rows["BusinessYear"], _LAST_YEAR)
    years = held.filter(held["number"] > 0)["number"].unique().sort().to_list()
    listed = ", ".join(map(str, years))
    if year is not None and years and year not in years:
        raise TableMissing(
            f"the plans of {year} are not in the file", where=attributes.TABLE, remedy=f"choose one of {listed}"
        )
    if year is None and len(years) > 1:
        raise InputRefused(
            f"the plans are of several years: {listed}",
            where=f"{attributes.TABLE}, column BusinessYear",
            rule="a plan variant has one design a year",
            remedy="pass plan_year",
        )
    return year if year is not None else years[0] if years else None


def _of_year(rows: pl.DataFrame, table: str, year: int | None) -> pl.DataFrame:
    """Return the rows of a year; a row that says no year is of every one."""
    held = whole_numbers(rows["BusinessYear"], _LAST_YEAR)
    if not held["is_read"].all():
        row = (~held["is_read"]).arg_max() or 0
        raise InputRefused(
            "a year cannot be read",
            where=f"{table}, row {row + 1}, column BusinessYear",
            rule="a whole number",
            remedy="mend the year",
        )
    return (rows if year is None else rows.filter(held["number"].is_in([0, year]))).drop("BusinessYear")


def _keyed(rows: pl.DataFrame, table: str, findings: Findings) -> pl.DataFrame:
    """Return the rows with their key; those without a plan id are set aside and counted."""
    import polars as pl

    keyed = attributes.with_keys(rows)
    has_none = pl.col("plan_id").is_null()
    if table == attributes.TABLE:
        findings.table(table, keyed.height)
        findings.refuse(_BAD_ID, table, keyed.filter(has_none).select("PlanId"))
    else:
        findings.note(_BAD_ID, table, keyed.select(has_none.sum()).item())
    return keyed.filter(~has_none)


def _without_plan(cells: pl.DataFrame, read: PlanRows) -> int:
    import polars as pl

    loose = cells.join(read.keys, on=["plan_id"], how="anti").height
    known = cells.filter(pl.col("csr_variant").is_not_null())
    known = known.join(read.keys, on=["plan_id"], how="semi")
    return loose + known.join(read.keys, on=["plan_id", "csr_variant"], how="anti").height


def _result(read: PlanRows, problems: Problems, findings: Findings, figures: Figures) -> PlanBenefitDesigns:
    import polars as pl

    rules = figures.rows(_RULES).select("rule_id", "flag", "severity")
    lines = problems.frame()
    # Of a dental plan nothing else is worth saying.
    dental = lines.filter(flag=_DENTAL).select("plan")
    lines = pl.concat([lines.join(dental, on="plan", how="anti"), lines.filter(flag=_DENTAL)])
    lines = lines.with_columns(
        pl.col("flag").replace_strict(rules["flag"], rules[name], return_dtype=pl.String).alias(name)
        for name in ("rule_id", "severity")
    )
    blocks = pl.col("severity") == _BLOCKING
    listed = lines.group_by("plan").agg(
        pl.col("flag").filter(blocks).unique().sort().alias("reasons"),
        pl.col("flag").filter(~blocks).unique().sort().alias("notes"),
    )
    named = read.keys.join(listed, on="plan", how="left", validate="1:1", maintain_order="left")
    nothing = pl.lit([], dtype=pl.List(pl.String))
    named = named.with_columns(pl.col("reasons", "notes").fill_null(nothing))
    suffices = (named["reasons"].list.len() == 0).to_numpy()
    used = np.flatnonzero(suffices)
    designs = read.designs.take(used)
    if not (designs.tier1_share < 1).any():
        designs = designs.with_changes(tier2=None)
    _count(lines, named, findings)
    ids = named.select(pl.concat_str("plan_id", "csr_variant", separator="-")).to_series()
    return PlanBenefitDesigns(
        design_ids=ids.gather(used).to_list(),
        designs=designs.checked(),
        plans=_plans(named, read, suffices),
        problems=lines.join(read.keys, on="plan", how="left", validate="m:1", maintain_order="left")
        .select("plan_id", "csr_variant", "benefit_name", "column", "text", "flag", "severity")
        .sort(pl.all(), nulls_last=True),
        **outcome_of(findings, figures, SourcedSettings().frame()).parts(),
    )


def _plans(named: pl.DataFrame, read: PlanRows, suffices: np.ndarray) -> pl.DataFrame:
    import polars as pl

    designs = read.designs
    position = np.where(suffices, np.cumsum(suffices) - 1, -1)
    return named.select(
        "plan_id",
        pl.when(pl.col("csr_variant") != "").then("csr_variant").alias("csr_variant"),
        word_series("metal_level", (*METAL_LEVELS, None), designs.desired_metal.astype(np.int64)),  # type: ignore[arg-type]
        word_series("market", (*MARKETS, None), designs.market.astype(np.int64)),  # type: ignore[arg-type]
        pl.Series("suffices", suffices),
        pl.when(pl.Series("design", position) >= 0).then(pl.Series("design", position)).alias("design"),
        "reasons",
        "notes",
        pl.Series("filed_av", designs.filed_av).fill_nan(None),
        pl.Series("filed_by", read.filed_by, dtype=pl.String),
    )


def _count(lines: pl.DataFrame, named: pl.DataFrame, findings: Findings) -> None:
    """Count plans by rule; a plan without a design is refused once, by its first reason."""
    import polars as pl

    first = lines.filter(pl.col("severity") == _BLOCKING).select("plan", "rule_id").unique()
    refused = first.group_by("plan").agg(pl.col("rule_id").min()).sort("plan")
    keys = named.select("plan", "plan_id", "csr_variant").join(refused, on="plan", how="inner").sort("plan")
    for rule_id in keys["rule_id"].unique().sort().to_list():
        rows = keys.filter(pl.col("rule_id") == rule_id).select("plan_id", "csr_variant")
        findings.refuse(rule_id, attributes.TABLE, rows)
    others = lines.select("plan", "rule_id").unique().join(refused, on=["plan", "rule_id"], how="anti")
    for rule_id, number in others.group_by("rule_id").len().sort("rule_id").rows():
        findings.note(rule_id, attributes.TABLE, number)
