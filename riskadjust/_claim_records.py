"""Enrollment of claims, and the records beside medical claims: supplemental diagnoses and pharmacy fills."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from riskadjust import _claim_versions

if TYPE_CHECKING:
    import polars as pl

__all__ = ["known_scope", "pharmacy", "supplemental", "with_enrollment"]


def with_enrollment(claims: pl.DataFrame, spans: pl.DataFrame, benefit_year: int) -> pl.DataFrame:
    """Return claims with `enrolled` (a span of the plan covers statement-from), `enrolled_in_year` and the market."""
    import polars as pl

    own = _with_plan(claims)
    first = datetime.date(benefit_year, 1, 1)
    pairs = own.select("claim_id", "enrollee_id", "_plan", "_variant", "statement_from", "statement_to").join(
        spans, on="enrollee_id", how="inner"
    )
    pairs = pairs.filter(
        (pl.col("_plan").is_null() | (pl.col("_plan") == pl.col("plan")))
        & (pl.col("_variant").is_null() | pl.col("variant").is_null() | (pl.col("_variant") == pl.col("variant")))
    )
    covers = pl.col("statement_from").is_between("span_start", "span_end")
    in_year = (pl.col("span_end") >= first) & (pl.col("span_start") <= pl.col("statement_to"))
    found = pairs.group_by("claim_id").agg(
        covers.any().alias("enrolled"),
        in_year.any().alias("enrolled_in_year"),
        pl.col("market").filter(covers).drop_nulls().sort().first().alias("market"),
        pl.col("plan").filter(covers).sort().first().str.slice(0, 5).alias("issuer_id"),
    )
    return (
        own.drop("market", "issuer_id", strict=False)
        .join(found, on="claim_id", how="left", maintain_order="left")
        .with_columns(pl.col("enrolled", "enrolled_in_year").fill_null(False))
    )


def _with_plan(claims: pl.DataFrame) -> pl.DataFrame:
    import polars as pl

    plan = (
        pl.col("plan_id").cast(pl.String).str.replace("-", "")
        if "plan_id" in claims.columns
        else pl.lit(None, dtype=pl.String)
    )
    return claims.with_columns(
        plan.str.slice(0, 14).alias("_plan"), plan.str.slice(14).replace("", None).alias("_variant")
    )


def supplemental(records: pl.DataFrame | None, claims: pl.DataFrame) -> tuple[pl.DataFrame | None, pl.DataFrame]:
    """Return the supplemental records that act, and the decision on each."""
    import polars as pl

    schema = dict.fromkeys(("record", "record_id", "claim_class", "reason", "rule"), pl.String)
    empty = pl.DataFrame(schema={**schema, "eligible": pl.Boolean}).select(
        "record", "record_id", "claim_class", "eligible", "reason", "rule"
    )
    if records is None:
        return None, empty
    action = pl.col("action").str.slice(0, 1).str.to_uppercase()
    own = records.with_columns(action.alias("_action"))
    voided = pl.lit(False)
    if "voids_supplemental_id" in own.columns:
        gone = own.filter(pl.col("_action") == "V")["voids_supplemental_id"].drop_nulls()
        voided = pl.col("supplemental_id").is_in(gone.implode())
    own = own.with_columns(voided.alias("_voided")).join(
        claims.select("claim_id", "claim_class", pl.col("eligible").alias("_claim_eligible")),
        on="claim_id",
        how="left",
        maintain_order="left",
    )
    tests = (
        (pl.col("_action") == "V", "void record", "ESSFS"),
        (pl.col("_voided"), "voided by a later record", "ESSFS"),
        (~pl.col("_action").is_in(["A", "D"]).fill_null(False), "action is not add, delete or void", "ESSFS"),
        (~pl.col("_claim_eligible").fill_null(False), "does not point to an eligible claim", "R09, R10"),
    )
    reason, rule = pl.lit(None, dtype=pl.String), pl.lit(None, dtype=pl.String)
    for holds, text, source in reversed(tests):
        reason = pl.when(holds).then(pl.lit(text)).otherwise(reason)
        rule = pl.when(holds).then(pl.lit(source)).otherwise(rule)
    own = own.with_columns(reason.alias("reason"), rule.alias("rule"))
    decisions = own.select(
        pl.lit("supplemental_diagnosis").alias("record"),
        pl.col("supplemental_id").alias("record_id"),
        "claim_class",
        pl.col("reason").is_null().alias("eligible"),
        pl.col("reason").fill_null("acts on an eligible claim"),
        pl.col("rule").fill_null("R09, R10"),
    )
    acting = own.filter(pl.col("reason").is_null()).select("claim_id", "_action", "diagnosis_code")
    return acting, decisions


def pharmacy(claims: pl.DataFrame | None, spans: pl.DataFrame, benefit_year: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the drugs of pharmacy claims filled in the year while the enrollee had the plan, and each decision."""
    import polars as pl

    drug_schema = {"enrollee_id": pl.String, "code_type": pl.String, "code": pl.String, "service_date": pl.Date}
    drug_schema["claim_id"] = pl.String
    if claims is None:
        return pl.DataFrame(schema=drug_schema), supplemental(None, pl.DataFrame())[1]
    first, last = datetime.date(benefit_year, 1, 1), datetime.date(benefit_year, 12, 31)
    own = _with_plan(_claim_versions.newest_fills(claims))
    dated = own.with_columns(pl.col("fill_date").alias("statement_from"), pl.col("fill_date").alias("statement_to"))
    dated = with_enrollment(dated, spans, benefit_year)
    reason = (
        pl.when(pl.col("version_reason").is_not_null())
        .then(pl.col("version_reason"))
        .when(~pl.col("fill_date").is_between(first, last).fill_null(False))
        .then(pl.lit("fill date outside the benefit year"))
        .when(~pl.col("enrolled"))
        .then(pl.lit("no enrollment in the plan on the fill date"))
    )
    rule = (
        pl.when(pl.col("version_reason").is_not_null())
        .then(pl.lit("newest accepted version"))
        .when(~pl.col("fill_date").is_between(first, last).fill_null(False))
        .then(pl.lit("R11"))
        .when(~pl.col("enrolled"))
        .then(pl.lit("R12, R14"))
    )
    dated = dated.with_columns(reason.alias("reason"), rule.alias("rule"))
    decisions = dated.select(
        pl.lit("pharmacy_claim").alias("record"),
        pl.col("claim_id").alias("record_id"),
        pl.lit("pharmacy").alias("claim_class"),
        pl.col("reason").is_null().alias("eligible"),
        pl.col("reason").fill_null("eligible fill"),
        pl.col("rule").fill_null("R11-R14"),
    )
    drugs = dated.filter(pl.col("reason").is_null()).select(
        "enrollee_id",
        pl.lit("ndc").alias("code_type"),
        pl.col("ndc").alias("code"),
        pl.col("fill_date").alias("service_date"),
        "claim_id",
        "issuer_id",
        "market",
    )
    return known_scope(drugs), decisions


def known_scope(frame: pl.DataFrame) -> pl.DataFrame:
    """Return the frame without issuer_id or market where no row has one."""
    return frame.drop([c for c in ("issuer_id", "market") if frame[c].null_count() == frame.height])
