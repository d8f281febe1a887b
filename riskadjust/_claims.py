"""Claims -> the diagnoses and drugs that count for risk adjustment, with a decision for every record."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from data_specs import _registry
from data_specs._declared import Declared
from data_specs._frames import date_column, need_columns
from data_specs.errors import InputRefused, TableMissing
from riskadjust import _claim_records, _claim_versions

if TYPE_CHECKING:
    import polars as pl

__all__ = ["ClaimSettings", "Selection", "select_claims"]

_COLUMNS = {
    "medical_claims": ("claim_id", "enrollee_id", "form_type", "statement_from", "statement_to"),
    "medical_claim_lines": ("claim_id", "service_code"),
    "claim_diagnoses": ("claim_id", "diagnosis_code"),
    "enrollment_spans": ("enrollee_id", "plan_id", "span_start", "span_end"),
    "supplemental_diagnoses": ("supplemental_id", "claim_id", "action", "diagnosis_code"),
    "pharmacy_claims": ("claim_id", "enrollee_id", "ndc", "fill_date"),
}
_DATES = ("statement_from", "statement_to", "service_to", "fill_date", "span_start", "span_end")
_REQUIRED = ("medical_claims", "medical_claim_lines", "claim_diagnoses", "enrollment_spans")


@dataclass(frozen=True)
class ClaimSettings(Declared):
    """Declared settings of claim selection.

    Attributes
    ----------
    bill_types
        ``faq_121``: the bill types of HHS FAQ 121 (default); ``wider``: also those that only other readers accept.
    diagnosis_date
        Date of a claim's diagnoses: its ``statement_to`` (default), or the last service date of its ``line`` rows.
    hcpcs_rxc_claims
        Which claims' HCPCS codes can give a drug category: every newest claim of an accepted ``claim_class``
        (default), or only claims that are ``eligible`` themselves.
    refused_discharge_status
        Discharge status codes that keep an inpatient claim out; the refused list is not published in full, ``("30",)``
        (still a patient) is the default.
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "bill_types": ("faq_121", "wider"),
        "diagnosis_date": ("statement_to", "line"),
        "hcpcs_rxc_claims": ("claim_class", "eligible"),
    }

    bill_types: str = "faq_121"
    diagnosis_date: str = "statement_to"
    hcpcs_rxc_claims: str = "claim_class"
    refused_discharge_status: tuple[str, ...] = ("30",)

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        """Return a value as it is kept; the discharge status codes are any codes, as text."""
        if name == "refused_discharge_status":
            return tuple(str(code) for code in value)
        return super()._checked(name, value)


@dataclass(frozen=True)
class Selection:
    """Diagnoses and drugs that count, ready for :func:`riskadjust.score`, and why each record did or did not.

    Attributes
    ----------
    diagnoses : DataFrame
        enrollee_id, diagnosis_code, service_date, claim_id, and issuer_id, market where the claims or spans say them.
    drugs : DataFrame
        enrollee_id, code_type, code, service_date, claim_id, issuer_id, market (the last two as above).
    decisions : DataFrame
        record (medical_claim, pharmacy_claim, supplemental_diagnosis), record_id, claim_class, eligible, reason, rule.
    uncertain : DataFrame
        table, what, records: uncertain figures that took part.
    settings : dict
        Every declared setting with the value used.
    """

    diagnoses: pl.DataFrame
    drugs: pl.DataFrame
    decisions: pl.DataFrame
    uncertain: pl.DataFrame
    settings: dict[str, Any]


def select_claims(
    tables: Mapping[str, pl.DataFrame | pl.LazyFrame], *, benefit_year: int, settings: Mapping[str, Any] | None = None
) -> Selection:
    """Return the risk-adjustment-eligible diagnoses and drugs of a year's claims.

    A claim counts when it is the newest version, not void, not denied, of an accepted class (inpatient bill types
    111 and 117; outpatient bill types and professional claims with an eligible service code), discharged in the year,
    and the enrollee had the plan on the statement-from date. Supplemental records act on eligible claims only, deletes
    before adds.

    Parameters
    ----------
    tables : mapping of DataFrame
        medical_claims, medical_claim_lines, claim_diagnoses, enrollment_spans; optional supplemental_diagnoses,
        pharmacy_claims. form_type is I or P (or institutional, professional); ids and codes are text.
    benefit_year : int
        The year that discharge and fill dates must lie in.
    settings : mapping, optional
        See :class:`riskadjust.ClaimSettings`.

    Raises
    ------
    InputRefused
        A table or column is missing.
    SettingRefused
        Unknown setting or value.

    Notes
    -----
    Sources: HHS Risk Adjustment FAQ 121 (2020-08-13); EDGE FAQ 276 (exclusion reasons R01-R14), EDGE FAQ 134; DIY
    tables, Table 2 of the benefit year. Where the year has no Table 2 the effective-dated reference list is used, and
    the result says so.
    """
    import polars as pl

    chosen = ClaimSettings.of(settings)
    frames = _checked(tables)
    spans = _spans(frames["enrollment_spans"])
    claims = _claim_versions.newest_versions(frames["medical_claims"])
    claims = _with_class(claims, chosen)
    eligible_lines, uncertain_codes = _eligible_lines(frames["medical_claim_lines"], claims, benefit_year)
    claims = claims.join(eligible_lines, on="claim_id", how="left", maintain_order="left").with_columns(
        pl.col("has_eligible_code").fill_null(False), pl.col("line_date").fill_null(pl.col("statement_to"))
    )
    claims = _claim_records.with_enrollment(claims, spans, benefit_year)
    claims = _decided(claims, chosen, benefit_year)
    acting, decisions = _claim_records.supplemental(frames.get("supplemental_diagnoses"), claims)
    diagnoses = _diagnoses(frames["claim_diagnoses"], claims, acting, chosen)
    drugs = [_hcpcs(frames["medical_claim_lines"], claims, benefit_year, chosen)]
    fills, pharmacy_decisions = _claim_records.pharmacy(frames.get("pharmacy_claims"), spans, benefit_year)
    drugs.append(fills)
    medical = claims.select(
        pl.lit("medical_claim").alias("record"),
        pl.col("claim_id").alias("record_id"),
        "claim_class",
        "eligible",
        "reason",
        "rule",
    )
    table = "hhs_hcc/service_code_effective_dates"
    needing = int(claims.select((pl.col("eligible") & pl.col("needs_eligible_service_code")).sum()).item())
    noted = [(table, f"benefit year {benefit_year} has no Table 2", needing)] if uncertain_codes and needing else []
    return Selection(
        diagnoses=diagnoses,
        drugs=pl.concat(drugs, how="diagonal").sort(pl.all()),
        decisions=pl.concat([medical, decisions, pharmacy_decisions]).sort("record", "record_id"),
        uncertain=pl.DataFrame(
            noted, schema={"table": pl.String, "what": pl.String, "records": pl.Int64}, orient="row"
        ),
        settings=chosen.as_dict(),
    )


def _checked(tables: Mapping[str, Any]) -> dict[str, pl.DataFrame]:
    import polars as pl

    named = {"enrollment_spans" if name == "spans" else name: frame for name, frame in tables.items()}
    missing = [t for t in _REQUIRED if named.get(t) is None]
    if missing:
        raise InputRefused(
            f"the table {missing[0]} is missing", rule=f"claim selection reads {', '.join(_REQUIRED)}", remedy="add it"
        )
    frames = {}
    for name, columns in _COLUMNS.items():
        frame = named.get(name)
        if frame is None:
            continue
        frame = frame.collect() if isinstance(frame, pl.LazyFrame) else frame
        need_columns(frame, name, columns)
        dates = [c for c in _DATES if c in frame.columns]
        frames[name] = frame.with_columns(date_column(frame, name, c).alias(c) for c in dates)
    return frames


def _spans(spans: pl.DataFrame) -> pl.DataFrame:
    """Return enrollee_id, plan (14 characters), variant, span_start, span_end, issuer_id, market."""
    import polars as pl

    market = pl.col("market") if "market" in spans.columns else pl.lit(None, dtype=pl.String)
    variant = pl.col("csr_variant") if "csr_variant" in spans.columns else pl.lit(None, dtype=pl.String)
    return spans.select(
        "enrollee_id",
        pl.col("plan_id").str.slice(0, 14).alias("plan"),
        pl.coalesce(pl.col("plan_id").str.replace("-", "").str.slice(14).replace("", None), variant).alias("variant"),
        "span_start",
        "span_end",
        market.alias("market"),
    )


def _with_class(claims: pl.DataFrame, settings: ClaimSettings) -> pl.DataFrame:
    """Return claims with claim_class and needs_eligible_service_code, from the published bill types."""
    import polars as pl

    rules = _registry.rows("hhs_hcc/claim_eligibility_rules")
    if settings.bill_types == "faq_121":
        rules = rules.filter(pl.col("verification") == "verified")
    bill = pl.col("bill_type").cast(pl.String).str.strip_chars().str.strip_chars_start("0")
    form = pl.col("form_type").str.slice(0, 1).str.to_uppercase()
    if "bill_type" not in claims.columns:
        claims = claims.with_columns(pl.lit(None, dtype=pl.String).alias("bill_type"))
    claims = claims.with_columns(form.alias("_form"), bill.alias("_bill"))
    claim_class = pl.lit(None, dtype=pl.String)
    needs = pl.lit(False)
    for row in rules.to_dicts():
        if row["match"] == "form_type":
            holds = pl.col("_form") == "P"
        elif row["match"] == "prefix2":
            holds = (pl.col("_form") == "I") & pl.col("_bill").str.starts_with(row["bill_type"])
        else:
            holds = (pl.col("_form") == "I") & (pl.col("_bill") == row["bill_type"])
        claim_class = pl.when(holds).then(pl.lit(row["claim_class"])).otherwise(claim_class)
        needs = pl.when(holds).then(row["needs_eligible_service_code"]).otherwise(needs)
    return claims.with_columns(claim_class.alias("claim_class"), needs.alias("needs_eligible_service_code"))


def _eligible_lines(lines: pl.DataFrame, claims: pl.DataFrame, benefit_year: int) -> tuple[pl.DataFrame, bool]:
    """Return claim_id, has_eligible_code, line_date (last service date); and whether the list used is uncertain."""
    import polars as pl

    date = pl.col("service_to") if "service_to" in lines.columns else pl.lit(None, dtype=pl.Date)
    code = pl.col("service_code").cast(pl.String).str.strip_chars().str.to_uppercase()
    own = lines.select("claim_id", code.alias("code"), date.alias("service_to"))
    try:
        listed = _registry.rows("hhs_hcc/included_service_codes", year=benefit_year)
        listed = listed.filter("included").select("code", pl.lit(True).alias("listed"))
        own = own.join(listed, on="code", how="left", maintain_order="left", validate="m:1")
        uncertain = False
    except TableMissing:
        dated = _registry.rows("hhs_hcc/service_code_effective_dates").filter("eligible")
        on_date = own.join(claims.select("claim_id", "statement_to"), on="claim_id", how="left", maintain_order="left")
        day = pl.coalesce("service_to", "statement_to")
        open_end = pl.col("effective_to").fill_null(datetime.date(9999, 12, 31))
        hits = (
            on_date.with_row_index("_line")
            .join(dated, on="code", how="inner")
            .filter(day.is_between(pl.col("effective_from"), open_end))["_line"]
            .unique()
        )
        own = own.with_row_index("_line").with_columns(pl.col("_line").is_in(hits.implode()).alias("listed"))
        uncertain = True
    grouped = own.group_by("claim_id").agg(
        pl.col("listed").fill_null(False).any().alias("has_eligible_code"),
        pl.col("service_to").max().alias("line_date"),
    )
    return grouped, uncertain


def _decided(claims: pl.DataFrame, settings: ClaimSettings, benefit_year: int) -> pl.DataFrame:
    """Return claims with eligible, reason and rule: the first reason that keeps a claim out, in this order."""
    import polars as pl

    first, last = datetime.date(benefit_year, 1, 1), datetime.date(benefit_year, 12, 31)
    status = (
        pl.col("discharge_status").cast(pl.String)
        if "discharge_status" in claims.columns
        else pl.lit(None, dtype=pl.String)
    )
    inpatient = pl.col("claim_class") == "institutional_inpatient"
    refused_status = status.str.strip_chars().is_in(list(settings.refused_discharge_status)).fill_null(False)
    tests = (
        (pl.col("version_reason").is_not_null(), pl.col("version_reason"), "newest accepted version"),
        (pl.col("claim_class").is_null(), pl.lit("bill type or form does not count"), "FAQ 121, R01"),
        (
            ~pl.col("statement_to").is_between(first, last).fill_null(False),
            pl.lit("discharge or statement-to date outside the benefit year"),
            "R07",
        ),
        (inpatient & refused_status, pl.lit("discharge status not acceptable"), "R04"),
        (
            pl.col("needs_eligible_service_code") & ~pl.col("has_eligible_code"),
            pl.lit("no eligible service code"),
            "R03",
        ),
        (~pl.col("enrolled"), pl.lit("no enrollment in the plan on the statement-from date"), "R05, R06"),
        (
            ~inpatient & (pl.col("statement_from") < first) & ~pl.col("enrolled_in_year"),
            pl.lit("claim crosses the year without enrollment in the benefit year"),
            "R08",
        ),
    )
    reason, rule = pl.lit(None, dtype=pl.String), pl.lit(None, dtype=pl.String)
    for holds, text, source in reversed(tests):
        reason = pl.when(holds).then(text).otherwise(reason)
        rule = pl.when(holds).then(pl.lit(source)).otherwise(rule)
    claims = claims.with_columns(reason.alias("reason"), rule.alias("rule"))
    in_class = (
        pl.col("version_reason").is_null()
        & pl.col("claim_class").is_not_null()
        & pl.col("statement_to").is_between(first, last).fill_null(False)
        & pl.col("enrolled")
    )
    return claims.with_columns(pl.col("reason").is_null().alias("eligible"), in_class.alias("in_class")).with_columns(
        pl.col("reason").fill_null("eligible claim"), pl.col("rule").fill_null("FAQ 121")
    )


def _clean(column: str) -> pl.Expr:
    import polars as pl

    return pl.col(column).str.strip_chars().str.to_uppercase().str.replace_all(".", "", literal=True)


def _diagnoses(
    diagnoses: pl.DataFrame, claims: pl.DataFrame, supplemental: pl.DataFrame | None, settings: ClaimSettings
) -> pl.DataFrame:
    import polars as pl

    date = "statement_to" if settings.diagnosis_date == "statement_to" else "line_date"
    eligible = claims.filter("eligible").select(
        "claim_id", "enrollee_id", pl.col(date).alias("service_date"), "issuer_id", "market"
    )
    own = diagnoses.select("claim_id", _clean("diagnosis_code"))
    if supplemental is not None:
        acting = supplemental.with_columns(_clean("diagnosis_code"))
        deleted = acting.filter(pl.col("_action") == "D").select("claim_id", "diagnosis_code")
        own = own.join(deleted, on=["claim_id", "diagnosis_code"], how="anti")
        own = pl.concat([own, acting.filter(pl.col("_action") == "A").select("claim_id", "diagnosis_code")])
    found = own.join(eligible, on="claim_id", how="inner").unique()
    found = found.select("enrollee_id", "diagnosis_code", "service_date", "claim_id", "issuer_id", "market")
    return _claim_records.known_scope(found).sort("enrollee_id", "diagnosis_code", "service_date", "claim_id")


def _hcpcs(lines: pl.DataFrame, claims: pl.DataFrame, benefit_year: int, settings: ClaimSettings) -> pl.DataFrame:
    """Return the HCPCS codes of claims that can give a drug category in the year."""
    import polars as pl

    known = [_codes_of("hhs_hcc/hcpcs_to_rxc", "hcpcs", benefit_year)]
    known.append(_codes_of("hhs_hcc/acf_code_map", "code", benefit_year))
    accepted = claims.filter("eligible" if settings.hcpcs_rxc_claims == "eligible" else "in_class")
    accepted = accepted.select(
        "claim_id", "enrollee_id", pl.col("statement_to").alias("service_date"), "issuer_id", "market"
    )
    code = pl.col("service_code").cast(pl.String).str.strip_chars().str.to_uppercase()
    own = lines.select("claim_id", code.alias("code")).filter(pl.col("code").is_in(pl.concat(known).implode()))
    found = own.join(accepted, on="claim_id", how="inner").unique().with_columns(pl.lit("hcpcs").alias("code_type"))
    columns = ("enrollee_id", "code_type", "code", "service_date", "claim_id", "issuer_id", "market")
    return _claim_records.known_scope(found.select(columns))


def _codes_of(name: str, column: str, benefit_year: int) -> pl.Series:
    import polars as pl

    try:
        return _registry.rows(name, year=benefit_year)[column]
    except TableMissing:
        return pl.Series(column, [], dtype=pl.String)
