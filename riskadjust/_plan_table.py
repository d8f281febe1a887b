"""The plans of a benefit year: risk pool, metal figures and age curve; unusable rows are counted out by rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_specs import _frames, _registry
from data_specs._policy import AgeCurve, FamilyTiers, age_curve, family_tiers
from data_specs.errors import InputRefused, TableMissing

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings

__all__ = ["MARKETS", "PLAN_14", "Plans", "UncertainUse", "accepted_plans", "frame_of", "rows_of_uncertain"]

MARKETS = ("individual", "small_group")
PLAN_COLUMNS = ("plan_id", "issuer_id", "state", "market", "metal_level")
_METALS = ("platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic")
# A plan id of 14 characters, also with its variant behind it.
PLAN_14 = r"^([0-9]{5}[A-Z]{2}[0-9]{7})(?:-?[0-9]{2})?$"

UncertainUse = tuple[str, str, int]


@dataclass(frozen=True)
class Plans:
    """Usable plans, sorted by state, risk_pool, issuer_id, plan_id.

    Attributes
    ----------
    frame : DataFrame
        plan_id, issuer_id, state, market, metal_level, risk_pool, av, idf, market_index.
    markets : list
        State and market by market_index, with the family tiers (or None) and the age curve.
    set_aside : DataFrame
        plan_id of the plans whose rows were refused.
    merged_uncertain : frozenset of str
        States that are merged by a row marked uncertain.
    """

    frame: pl.DataFrame
    markets: list[tuple[str, str, FamilyTiers | None, AgeCurve]]
    set_aside: pl.Series
    merged_uncertain: frozenset[str]


def frame_of(frame: Any, table: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return a frame, collected if it was lazy, with the columns that are needed."""
    import polars as pl

    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if not isinstance(frame, pl.DataFrame):
        raise InputRefused(
            f"{table} is a {type(frame).__name__}", where=table, remedy="hand in a polars DataFrame or LazyFrame"
        )
    _frames.need_columns(frame, table, columns)
    return frame


def rows_of_uncertain(uses: list[UncertainUse]) -> pl.DataFrame:
    """Return table, what, lines of the uncertain figures that took part."""
    import polars as pl

    schema = {"table": pl.String, "what": pl.String, "lines": pl.Int64}
    return pl.DataFrame([u for u in uses if u[2]], schema=schema, orient="row")


def accepted_plans(plans: Any, benefit_year: int, findings: Findings) -> Plans:
    """Return the plans of the benefit year that risk adjustment covers.

    Parameters
    ----------
    plans : DataFrame
        plan_id (14 characters; 16 and 17 are cut), issuer_id, state, market (individual, small_group), metal_level.
        Optional: plan_year (other years are left out), ra_covered (false: left out).

    Raises
    ------
    InputRefused
        No rows, or a column is missing or of the wrong type.
    TableMissing
        The metal figures or merged markets of the year are not held.
    """
    import polars as pl

    given = frame_of(plans, "plans", PLAN_COLUMNS)
    if given.height == 0:
        raise InputRefused("the table has no rows", where="plans", rule="FILE-002", remedy="check the file or query")
    findings.table("plans", given.height)
    own = _cleaned(given, benefit_year)
    own = own.with_columns(_broken_rule().alias("rule"))
    own = _without_repeats(own)
    markets, curves = _markets(own.filter(pl.col("rule").is_null()), benefit_year)
    own = own.join(curves, on=["state", "market"], how="left", maintain_order="left")
    has_no_curve = pl.col("rule").is_null() & pl.col("market_index").is_null()
    own = own.with_columns(pl.when(has_no_curve).then(pl.lit("PLR-032")).otherwise("rule").alias("rule"))
    for rule_id in sorted(own["rule"].drop_nulls().unique().to_list()):
        action = "keep_one" if rule_id == "PLAN-001 repeat" else ""
        refused = given.filter((own["rule"] == rule_id).fill_null(False))
        findings.refuse(rule_id.split(" ")[0], "plans", refused, action)
    usable = own.filter(pl.col("rule").is_null())
    usable, merged_uncertain = _with_pools(usable, benefit_year)
    usable = _with_metal_figures(usable, benefit_year).sort("state", "risk_pool", "issuer_id", "plan_id")
    columns = (*PLAN_COLUMNS, "risk_pool", "av", "idf", "market_index")
    refused = own.filter((pl.col("rule") != "PLR-035") & ~pl.col("plan_id").is_in(usable["plan_id"].implode()))
    return Plans(usable.select(columns), markets, refused["plan_id"].drop_nulls().unique(), merged_uncertain)


def _cleaned(given: pl.DataFrame, benefit_year: int) -> pl.DataFrame:
    """Return the plan columns as clean text, with is_of_year and is_covered."""
    import polars as pl

    texts = pl.DataFrame({c: _frames.text_column(given, "plans", c) for c in PLAN_COLUMNS})
    own = texts.select(
        pl.col("plan_id").str.strip_chars().str.extract(PLAN_14, 1),
        pl.col("issuer_id").str.strip_chars(),
        pl.col("state").str.strip_chars().str.to_uppercase(),
        *(
            pl.col(c).str.strip_chars().str.to_lowercase().str.replace_all("[ -]", "_")
            for c in ("market", "metal_level")
        ),
    )
    year = given["plan_year"] if "plan_year" in given.columns else None
    covered = given["ra_covered"] if "ra_covered" in given.columns else None
    if year is not None and not year.dtype.is_integer():
        raise _wrong_type("plan_year", year.dtype, "a whole number")
    if covered is not None and covered.dtype not in (pl.Boolean, pl.Null):
        raise _wrong_type("ra_covered", covered.dtype, "true or false")
    everyone = pl.repeat(True, given.height, eager=True)
    return own.with_columns(
        (everyone if year is None else (year == benefit_year).fill_null(True)).alias("is_of_year"),
        (everyone if covered is None else covered.cast(pl.Boolean).fill_null(True)).alias("is_covered"),
    )


def _wrong_type(column: str, dtype: object, wanted: str) -> InputRefused:
    return InputRefused(
        f"column {column!r} is {dtype}, not {wanted}",
        where=f"plans, column {column}",
        rule="FILE-002: a required column has its declared type",
        remedy="convert the column, or leave it out",
    )


def _broken_rule() -> pl.Expr:
    """Return the first rule that a row breaks, or null."""
    import polars as pl

    plan, state = pl.col("plan_id"), pl.col("state")
    broken = (
        ("PLR-035", ~pl.col("is_of_year")),
        ("PLAN-001", plan.is_null()),
        ("PLAN-002", ~pl.col("metal_level").is_in(_METALS).fill_null(False)),
        ("PLAN-004", (pl.col("issuer_id") != plan.str.slice(0, 5)).fill_null(True)),
        ("PLR-030", (state != plan.str.slice(5, 2)).fill_null(True)),
        ("PLR-031", ~pl.col("market").is_in(MARKETS).fill_null(False)),
        ("PLR-033", ~pl.col("is_covered")),
    )
    rule = pl.lit(None, pl.String)
    for rule_id, breaks in reversed(broken):
        rule = pl.when(breaks).then(pl.lit(rule_id)).otherwise(rule)
    return rule


def _without_repeats(own: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with PLAN-001 on repeats of a plan: one of equal rows is kept, none of contradicting ones."""
    import polars as pl

    usable = own.with_row_index("_row").filter(pl.col("rule").is_null())
    if not usable["plan_id"].is_duplicated().any():
        return own
    own = own.with_row_index("_row")
    is_single = pl.struct(PLAN_COLUMNS).n_unique().over("plan_id") == 1
    is_first = pl.col("_row") == pl.col("_row").min().over("plan_id")
    repeat = pl.when(~is_single).then(pl.lit("PLAN-001")).when(~is_first).then(pl.lit("PLAN-001 repeat"))
    marks = usable.select("_row", repeat.alias("repeat"))
    own = own.join(marks, on="_row", how="left", maintain_order="left")
    return own.with_columns(pl.coalesce("rule", "repeat").alias("rule")).drop("_row", "repeat")


def _markets(
    usable: pl.DataFrame, benefit_year: int
) -> tuple[list[tuple[str, str, FamilyTiers | None, AgeCurve]], pl.DataFrame]:
    """Return the markets that have an age curve, and their numbers by state and market."""
    import polars as pl

    markets = []
    for state, market in usable.select("state", "market").unique().sort("state", "market").rows():
        try:
            curve = age_curve(state, market, benefit_year)
        except TableMissing:
            continue
        markets.append((state, market, family_tiers(state, market, benefit_year), curve))
    rows = [(state, market, i) for i, (state, market, _, _) in enumerate(markets)]
    schema = {"state": pl.String, "market": pl.String, "market_index": pl.Int64}
    return markets, pl.DataFrame(rows, schema=schema, orient="row")


def _with_pools(usable: pl.DataFrame, benefit_year: int) -> tuple[pl.DataFrame, frozenset[str]]:
    """Return plans with risk_pool: catastrophic plans apart, merged states of the year, else the market."""
    import polars as pl

    merged = _registry.table("transfers/merged_markets", year=benefit_year)
    uncertain = merged.filter(pl.col("verification") == "uncertain")["state"].to_list()
    pool = (
        pl.when(pl.col("metal_level") == "catastrophic")
        .then(pl.lit("catastrophic"))
        .when(pl.col("state").is_in(merged["state"].to_list()))
        .then(pl.lit("merged"))
        .otherwise("market")
    )
    return usable.with_columns(pool.alias("risk_pool")), frozenset(uncertain)


def _with_metal_figures(usable: pl.DataFrame, benefit_year: int) -> pl.DataFrame:
    """Return plans with av and idf of their metal level; expanded bronze settles as bronze."""
    import polars as pl

    figures = _registry.table("transfers/metal_av_idf", year=benefit_year)
    figures = figures.select(
        "metal_level", pl.col("transfer_av").alias("av"), pl.col("induced_demand_factor").alias("idf")
    )
    metal = pl.col("metal_level").replace({"expanded_bronze": "bronze"}).alias("_metal")
    own = usable.with_columns(metal).join(
        figures, left_on="_metal", right_on="metal_level", how="left", maintain_order="left", validate="m:1"
    )
    missing = sorted(own.filter(pl.col("av").is_null())["_metal"].unique().to_list())
    if missing:
        raise TableMissing(
            f"transfers/metal_av_idf has no row for {', '.join(missing)} in {benefit_year}",
            rule="a metal level settles with its published value and induced demand factor",
            remedy="supply the rows (data_specs.use, --tables DIR)",
        )
    return own.drop("_metal")
