"""Benefits and cost sharing of the public exchange files: on what terms a plan shares each service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rating._av_columns import SERVICES, DesignColumns
from rating._plan_benefits_plans import PlanRows, Problems
from rating._plan_benefits_text import answers, charges, plain_key

if TYPE_CHECKING:
    import polars as pl

__all__ = ["OPTIONAL", "REQUIRED", "TABLE", "fill_services"]

Flags = NDArray[np.bool_]

TABLE = "benefits"
REQUIRED = ("PlanId", "BenefitName", "IsCovered", "CopayInnTier1", "CoinsInnTier1")
OPTIONAL = (
    "BusinessYear",
    "CopayInnTier2",
    "CoinsInnTier2",
    "IsSubjToDedTier1",
    "IsSubjToDedTier2",
    "IsExclFromInnMOOP",
    "QuantLimitOnSvc",
)
_COVERED, _NOT_COVERED = ("covered", "yes", "true"), ("not covered", "no", "false")
_CODES = {name: code for code, name in enumerate(SERVICES)}
_PREVENTIVE, _PRIMARY_CARE = _CODES["preventive"], _CODES["primary_care"]
_STAYS = {_CODES["inpatient"]: "inpatient_per_day", _CODES["skilled_nursing"]: "skilled_nursing_per_day"}
_PART = "part"
_SAID = ("copay", "copay_when", "copay_per", "percent", "percent_when")
_TERMS = ("subject_to_deductible", "subject_to_coinsurance", "copay_after_deductible", "copay", "coinsurance")
_WITHIN = ("with", "before")


def fill_services(cells: pl.DataFrame, plans: PlanRows, names: pl.DataFrame, problems: Problems) -> None:
    """Fill the terms of every service into the designs of `plans`, tier 2 where a plan has one.

    Parameters
    ----------
    cells : DataFrame
        Benefits as text, with plan_id and csr_variant.
    plans : PlanRows
        As read from the plan attributes; its arrays are written to.
    names : DataFrame
        ``av/benefit_names``.
    problems : Problems
        What is noticed goes there.
    """
    import polars as pl

    rows = _of_services(cells, plans, names, problems)
    main = rows.filter(pl.col("fit") != _PART)
    _note_missing(main, plans, names, problems)
    covered = answers(main["IsCovered"], _COVERED, _NOT_COVERED)["answer"].fill_null(False)
    _add("service_not_covered", main.filter(~covered), problems, "IsCovered")
    main = main.filter(covered)
    for flag, column in (("excluded_from_moop", "IsExclFromInnMOOP"), ("benefit_limited", "QuantLimitOnSvc")):
        _add(flag, main.filter(answers(main[column])["answer"].fill_null(False)), problems, column)
    parts = rows.filter(pl.col("fit") == _PART)
    parts = parts.filter(answers(parts["IsCovered"], _COVERED, _NOT_COVERED)["answer"].fill_null(False))
    has_two = plans.designs.tier1_share < 1
    for tier, designs in ((1, plans.designs), (2, plans.designs.tier2)):
        own = main if tier == 1 else main.filter(pl.Series(has_two).gather(main["plan"]))
        of_parts = parts if tier == 1 else parts.filter(pl.Series(has_two).gather(parts["plan"]))
        if designs is not None and own.height:
            read = _with_terms(own, tier, plans.designs)
            _note_terms(read, tier, plans.designs, problems)
            _compare_parts(of_parts, read, tier, problems)
            _fill(read, designs)
            unused = (designs.inpatient_max_days > 0) & (designs.inpatient_per_day == 0)
            problems.where("days_unused", unused & (has_two | (tier == 1)))
            designs.inpatient_max_days[unused] = 0
    _copy_tier_1(plans.designs, ~has_two)


def _of_services(cells: pl.DataFrame, plans: PlanRows, names: pl.DataFrame, problems: Problems) -> pl.DataFrame:
    """Return the rows whose benefit stands for a service, of plans that are there, one per plan and benefit."""
    import polars as pl

    known = names.select(
        pl.Series("_key", [plain_key(name) for name in names["benefit_name"]]),
        pl.col("service").replace_strict(_CODES, return_dtype=pl.Int64),
        "fit",
        pl.col("benefit_name").alias("benefit"),
    )
    key = pl.col("BenefitName").str.to_lowercase().str.replace_all("[^a-z0-9]", "")
    rows = cells.with_columns(_key=key).join(known, on="_key", how="inner", validate="m:1", maintain_order="left")
    # A plan id without its variant can only mean the plan's one variant.
    single = plans.keys.filter(~pl.col("plan_id").is_duplicated()).select("plan_id", pl.col("plan").alias("_only"))
    keyed = plans.keys.with_columns(pl.col("csr_variant").cast(pl.String))
    rows = rows.join(keyed, on=["plan_id", "csr_variant"], how="left", validate="m:1", maintain_order="left")
    rows = rows.join(single, on="plan_id", how="left", validate="m:1", maintain_order="left")
    only = pl.when(pl.col("csr_variant").is_null()).then("_only")
    rows = rows.with_columns(pl.coalesce("plan", only).alias("plan")).filter(pl.col("plan").is_not_null())
    used = ["plan", "service", "benefit", "fit", *REQUIRED[2:], *OPTIONAL[1:]]
    rows = rows.select(used).unique().sort(used)
    twice = rows.filter(pl.struct("plan", "benefit").is_duplicated())
    _add("benefit_twice", twice.unique(["plan", "benefit"], keep="first", maintain_order=True), problems, "BenefitName")
    return rows.unique(["plan", "benefit"], keep="first", maintain_order=True)


def _add(flag: str, rows: pl.DataFrame, problems: Problems, column: str) -> None:
    import polars as pl

    text = rows[column] if column in rows.columns else pl.lit(None)
    problems.add(
        flag, rows["plan"], benefit=rows["benefit"], column=column, text=text if isinstance(text, pl.Series) else None
    )


def _note_missing(main: pl.DataFrame, plans: PlanRows, names: pl.DataFrame, problems: Problems) -> None:
    """Put down the services that have no row; preventive care is the same in every plan and needs none."""
    has = np.zeros((plans.keys.height, len(SERVICES)), bool)
    has[main["plan"].to_numpy(), main["service"].to_numpy()] = True
    has[:, _PREVENTIVE] = True
    whole = names.filter(names["fit"] != _PART)
    benefit_of = dict(zip(whole["service"].to_list(), whole["benefit_name"].to_list(), strict=True))
    for code, service in enumerate(SERVICES):
        problems.add(
            "service_not_listed", np.flatnonzero(~has[:, code]), benefit=benefit_of[service], column="BenefitName"
        )


def _with_terms(rows: pl.DataFrame, tier: int, designs: DesignColumns) -> pl.DataFrame:
    """Return what the texts of a tier say of each row, and the terms that the calculator knows it as."""
    import polars as pl

    said = charges(rows[f"CopayInnTier{tier}"], rows[f"CoinsInnTier{tier}"])
    counted = pl.Series("_counted", designs.first_visits_copay > 0).gather(rows["plan"])
    frame = pl.concat([rows, said, counted.to_frame()], how="horizontal")
    has_copay, has_percent = pl.col("has_copay"), pl.col("has_percent")
    later, coins_later = pl.col("copay_when") != "", pl.col("percent_when") == "after"
    # First visits at a copay, then deductible and coinsurance: the one case in which both are known side by side.
    is_first = pl.col("_counted") & (pl.col("service") == _PRIMARY_CARE) & has_copay & ~later
    return frame.with_columns(
        is_first=is_first,
        subject_to_deductible=pl.when(has_percent | is_first)
        .then(coins_later)
        .when(has_copay)
        .then(later)
        .otherwise(later | coins_later),
        subject_to_coinsurance=has_percent | is_first | ~has_copay,
        copay_after_deductible=has_copay & (pl.col("copay_when") == "after") & ~has_percent,
    ).with_columns(
        pl.when(has_copay).then("copay").alias("copay"),
        pl.when(pl.col("subject_to_coinsurance")).then("plan_share").alias("coinsurance"),
    )


def _faults(tier: int) -> dict[str, pl.Expr]:
    """Return what keeps a row's texts from being terms of the calculator; the first that holds is told."""
    import polars as pl

    has_copay, has_percent, is_first = pl.col("has_copay"), pl.col("has_percent"), pl.col("is_first")
    when, coins_later = pl.col("copay_when"), pl.col("percent_when") == "after"
    is_within = has_copay & when.is_in(_WITHIN)
    is_stay = pl.col("service").is_in(list(_STAYS))
    is_preventive = pl.col("service") == _PREVENTIVE
    is_counted = pl.col("_counted") & (pl.col("service") == _PRIMARY_CARE)
    is_split = is_first & (has_percent | coins_later)
    return {
        "cost_sharing_not_read": ~pl.col("is_read"),
        "cost_sharing_not_said" if tier == 1 else "tier_not_said": pl.col("is_blank"),
        "preventive_charged": is_preventive & (has_copay | has_percent | (when != "") | coins_later),
        "copay_unit_not_said": is_stay & has_copay & (pl.col("copay_per") == ""),
        "copay_unit_unexpected": ~is_stay & (pl.col("copay_per") != ""),
        "first_visits_unclear": is_counted & ~is_split,
        "copay_and_coinsurance": has_copay & has_percent & ~is_first & ~(is_within & coins_later),
        "deductible_unclear": (has_copay & ~has_percent & ~is_first & (when == "") & coins_later)
        | (has_percent & ~has_copay & (when != "") & ~coins_later),
    }


def _note_terms(read: pl.DataFrame, tier: int, designs: DesignColumns, problems: Problems) -> None:
    import polars as pl

    columns = (f"CopayInnTier{tier}", f"CoinsInnTier{tier}")
    both = pl.concat_str(columns, separator=" | ").alias("_both")
    fault = pl.coalesce(
        *(pl.when(broken).then(pl.lit(flag)) for flag, broken in _faults(tier).items()), pl.lit(None, pl.String)
    )
    faulty = read.with_columns(both, fault.alias("_fault"))

    def note(flag: str, rows: pl.DataFrame, column: str = "") -> None:
        text = rows[column] if column else rows["_both"]
        problems.add(flag, rows["plan"], benefit=rows["benefit"], column=column or " | ".join(columns), text=text)

    for flag in _faults(tier):
        note(flag, faulty.filter(pl.col("_fault") == flag))
    fine = faulty.filter(pl.col("_fault").is_null())
    column = f"IsSubjToDedTier{tier}"
    flagged = answers(fine[column])["answer"]
    is_other = (flagged != fine["subject_to_deductible"]).fill_null(False)
    note("deductible_disagrees", fine.filter(is_other & (fine["service"] != _PREVENTIVE)), column)
    within = pl.col("has_copay") & pl.col("copay_when").is_in(_WITHIN)
    note("copay_within_deductible", fine.filter(within & pl.col("has_percent")))
    note("copay_before_deductible", fine.filter(within & (pl.col("copay_when") == "before")))
    has_deductible = pl.Series((designs.deductible > 0).any(axis=1)).gather(fine["plan"])
    exempt = pl.col("has_percent") & ~pl.col("subject_to_deductible") & ~pl.col("is_first")
    note("exempt_coinsurance", fine.filter(exempt & has_deductible))


def _compare_parts(parts: pl.DataFrame, read: pl.DataFrame, tier: int, problems: Problems) -> None:
    """Put down benefits that fall under a service and have other terms than the one that is read."""
    import polars as pl

    if not parts.height:
        return
    said = charges(parts[f"CopayInnTier{tier}"], parts[f"CoinsInnTier{tier}"])
    both = pl.concat([parts, said.select(_SAID)], how="horizontal")
    of_main = read.select("plan", "service", *(pl.col(name).alias(f"main_{name}") for name in _SAID))
    both = both.join(of_main, on=["plan", "service"], how="inner", validate="m:1", maintain_order="left")
    differs = pl.any_horizontal(
        pl.col(name).fill_null(_blank_of(name)) != pl.col(f"main_{name}").fill_null(_blank_of(name)) for name in _SAID
    )
    _add("part_differs", both.filter(differs), problems, f"CopayInnTier{tier}")


def _blank_of(name: str) -> float | str:
    return 0.0 if name in ("copay", "percent") else ""  # no copay and a copay of 0 are the same terms


def _fill(read: pl.DataFrame, designs: DesignColumns) -> None:
    import polars as pl

    rows = read.filter(pl.col("service") != _PREVENTIVE)
    plan, service = rows["plan"].to_numpy(), rows["service"].to_numpy()
    for name in _TERMS:
        array = getattr(designs, name)
        values = rows[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
        array[plan, service] = values.astype(array.dtype)
    for code, option in _STAYS.items():
        of = rows.filter((pl.col("service") == code) & (pl.col("copay_per") == "day") & pl.col("has_copay"))
        getattr(designs, option)[of["plan"].to_numpy()] = 1


def _copy_tier_1(designs: DesignColumns, rows: Flags) -> None:
    """Give plans with one tier the same terms in the second, which nobody looks at."""
    if designs.tier2 is None:
        return
    names: Sequence[str] = [name for name in vars(designs) if name != "tier2"]
    for name in names:
        getattr(designs.tier2, name)[rows] = getattr(designs, name)[rows]
