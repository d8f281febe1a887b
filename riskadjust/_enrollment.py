"""Enrollees and spans -> who is scored: ages, enrolled days, plans; every row kept or counted out by rule."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from data_specs import _frames
from data_specs.errors import InputRefused
from riskadjust import _span_groups
from riskadjust._distinct import distinct_texts, numbers_among
from riskadjust._kernel import MISSING_DAY

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._findings import Findings
    from riskadjust._model import YearModel

__all__ = ["Enrollment", "accepted_enrollees", "arrange_enrollment", "birthdays", "checked_spans", "variant_index"]

OLDEST = 120
_LEAP_DAY = 59  # 29 February, counted from 0
_PLAN_14 = r"^[0-9]{5}[A-Z]{2}[0-9]{7}$"
_LONG_PLAN = r"^([0-9]{5}[A-Z]{2}[0-9]{7})-?([0-9]{2})$"
_VARIANT_RULES = ("SPAN-009", "HCC-007", "HCC-006", "PLAN-002")
_METAL_LEVELS = ["platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic"]
_AGE_RULES = (("HCC-040", "reject_record"), ("MEM-005", "quarantine"))
_EPOCH = datetime.date(1970, 1, 1).toordinal()


@dataclass(frozen=True)
class Enrollment:
    """Who is scored, in flat arrays.

    A *scope* is an enrollee within issuer and market: diagnoses belong to it. A *unit* is what gets one score: a scope,
    or a scope and plan under ``duration_scope = plan``. A *line* is an output row: a unit in one plan variant.
    `variants` has a row per plan_id x csr_variant x metal_level, sorted; `ids` are the accepted enrollees, sorted.
    """

    ids: pl.Series
    scope_owner: np.ndarray
    scope_keys: pl.DataFrame | None
    scope_of_owner: np.ndarray
    unit_scope: np.ndarray
    sex: np.ndarray
    age_before: np.ndarray
    birthday: np.ndarray
    age_last: np.ndarray
    days: np.ndarray | None
    months: np.ndarray
    line_unit: np.ndarray
    line_variant: np.ndarray
    variants: pl.DataFrame


def birthdays(births: pl.Series, benefit_year: int, leap_birthday: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the age before the birthday in the benefit year, and that birthday as days since 1970-01-01.

    Someone born on 29 February has the birthday of the setting in common years.
    """
    born = days_of(births).astype("datetime64[D]")
    year = born.astype("datetime64[Y]")
    day_of_year = (born - year.astype("datetime64[D]")).astype(np.int32)
    born_in = year.astype(np.int64) + 1970
    leap_then, leap_now = _is_leap(born_in), bool(_is_leap(np.array(benefit_year)))
    leap_day = leap_then & (day_of_year == _LEAP_DAY)
    if leap_now:
        day_of_year = day_of_year + (~leap_then & (day_of_year >= _LEAP_DAY))
    else:
        after = day_of_year > _LEAP_DAY
        moves_back = after | leap_day if leap_birthday == "february_28" else after
        day_of_year = day_of_year - (leap_then & moves_back)
    first = datetime.date(benefit_year, 1, 1).toordinal() - _EPOCH
    return (benefit_year - 1 - born_in).astype(np.int16), (first + day_of_year).astype(np.int32)


def _is_leap(years: np.ndarray) -> np.ndarray:
    leap: np.ndarray = (years % 4 == 0) & ((years % 100 != 0) | (years % 400 == 0))
    return leap


def accepted_enrollees(frame: pl.DataFrame, benefit_year: int, findings: Findings) -> pl.DataFrame:
    """Return enrollee_id, birth_date, sex ("M" or "F") of the usable enrollees, sorted by id, and their input `_row`.

    Raises
    ------
    InputRefused
        No row at all, or an id that occurs twice (an error of the whole run in the published software).
    """
    import polars as pl

    name = "enrollees"
    if frame.height == 0:
        raise InputRefused("the table has no rows", where=name, rule="FILE-002", remedy="check the file or query")
    findings.table(name, frame.height)
    given = pl.DataFrame(
        {
            "enrollee_id": _frames.text_column(frame, name, "enrollee_id"),
            "birth_date": _frames.date_column(frame, name, "birth_date"),
            "sex": _frames.text_column(frame, name, "sex"),
        }
    )
    sex = pl.col("sex").str.strip_chars().str.to_uppercase()
    rule = (
        pl.when(pl.col("enrollee_id").is_null() | (pl.col("enrollee_id").str.strip_chars() == ""))
        .then(pl.lit("MEM-001"))
        .when(pl.col("birth_date").is_null() | (pl.col("birth_date") > datetime.date(benefit_year, 12, 31)))
        .then(pl.lit("MEM-004"))
        .when(sex == "U")
        .then(pl.lit("MEM-007"))
        .when(~sex.is_in(["M", "F", "1", "2"]).fill_null(False))
        .then(pl.lit("MEM-006"))
    )
    own = given.select(
        "enrollee_id",
        "birth_date",
        sex.replace({"1": "M", "2": "F"}),
        pl.int_range(pl.len()).alias("_row"),
        rule.alias("rule"),
    )
    broken = own.drop_in_place("rule")
    if broken.null_count() < len(broken):
        for rule_id in sorted(broken.drop_nulls().unique().to_list()):
            action = "reject_record" if rule_id == "MEM-007" else ""
            findings.refuse(rule_id, name, frame.filter((broken == rule_id).fill_null(False)), action)
        own = own.filter(broken.is_null())
    ids = own["enrollee_id"]
    if own.height > 1 and not (ids.slice(1) > ids.slice(0, own.height - 1)).all():
        _refuse_duplicates(ids)
        own = own.sort("enrollee_id")
    return own


def _refuse_duplicates(ids: pl.Series) -> None:
    twice = ids.is_duplicated()
    if twice.any():
        rows = twice.arg_true()
        raise InputRefused(
            f"{len(rows)} rows share an enrollee_id with another row",
            where=f"enrollees, first at accepted row {rows[0] + 1}",
            rule="MEM-002, MEM-003: an enrollee_id occurs once (V05 text: a duplicate is an error of the whole run)",
            remedy="keep one row per enrollee; plans and periods belong into the spans",
        )


def arrange_enrollment(
    enrollees: pl.DataFrame,
    spans: pl.DataFrame,
    model: YearModel,
    findings: Findings,
    scope_columns: tuple[str, ...],
    source: pl.DataFrame,
) -> Enrollment:
    """Return who is scored in the benefit year.

    Parameters
    ----------
    enrollees : DataFrame
        As :func:`accepted_enrollees` returns them.
    spans : DataFrame
        The spans as handed in.
    scope_columns : tuple of str
        Of ``issuer_id`` and ``market``, those that diagnoses and drugs carry.
    source : DataFrame
        The enrollees as handed in, for findings.
    """
    table = "enrollment_spans"
    settings = model.settings
    findings.table(table, spans.height)
    own = checked_spans(enrollees, spans, model.benefit_year, findings)
    births = days_of(enrollees["birth_date"])
    own = _span_groups.in_order(own)
    own = _span_groups.without_overlaps(own, spans, findings, settings.person_scope)
    age_before, birthday = birthdays(enrollees["birth_date"], model.benefit_year, settings.leap_birthday)
    by_plan = settings.duration_scope == "plan"
    lost = np.zeros(enrollees.height, np.uint8)
    while True:
        own, scope_owner, scope_keys = _span_groups.scopes(own, spans, findings, settings.person_scope, scope_columns)
        unit_scope, span_unit, days, last_day = _span_groups.units(own, by_plan)
        owner = scope_owner[unit_scope]
        age_last = (age_before[owner] + (last_day >= birthday[owner])).astype(np.int16)
        possible = (age_last >= 0) & (age_last <= OLDEST)
        if possible.all():
            break
        own = _with_possible_ages(own, age_last[span_unit], spans, findings, lost)
    late = births[own.owner] > own.start
    if late.any():
        findings.note("MEM-011", "enrollees", len(np.unique(own.owner[late])), "warn")
    line_unit, line_variant = _span_groups.lines(own, span_unit)
    scope_of_owner = np.full(enrollees.height, -1, np.int64)
    scope_of_owner[scope_owner] = np.arange(len(scope_owner))
    if scope_keys is not None or by_plan:
        order = np.lexsort((line_variant, owner[line_unit]))
        line_unit, line_variant = line_unit[order], line_variant[order]
    _refuse_unscored(enrollees, owner, lost, findings, source)
    variants = with_csr_factor(own.variants, model)
    _note_variants(variants, line_variant, findings)
    return Enrollment(
        ids=enrollees["enrollee_id"],
        scope_owner=scope_owner,
        scope_keys=scope_keys,
        scope_of_owner=scope_of_owner,
        unit_scope=unit_scope,
        sex=np.where((enrollees["sex"] == "M").to_numpy(), 1, 2).astype(np.uint8)[owner],
        age_before=age_before[owner],
        birthday=birthday[owner],
        age_last=age_last,
        days=days,
        months=model.days_to_months[np.minimum(days, 366)],
        line_unit=line_unit,
        line_variant=line_variant,
        variants=variants,
    )


def _with_possible_ages(
    own: _span_groups.Spans, ages: np.ndarray, spans: pl.DataFrame, findings: Findings, lost: np.ndarray
) -> _span_groups.Spans:
    """Return the spans whose scope ends at a possible age; note in `lost` by which rule an enrollee lost spans."""
    for number, (rule_id, action) in enumerate(_AGE_RULES, start=1):
        bad = ages < 0 if rule_id == "HCC-040" else ages > OLDEST
        findings.refuse(rule_id, "enrollment_spans", spans[np.sort(own.row[bad])], action)
        lost[own.owner[bad]] = number
    return own.take((ages >= 0) & (ages <= OLDEST))


def _refuse_unscored(
    enrollees: pl.DataFrame, owner: np.ndarray, lost: np.ndarray, findings: Findings, source: pl.DataFrame
) -> None:
    """Refuse enrollees who have no score: by the rule that took their spans, or because they had none."""
    unscored = np.ones(enrollees.height, bool)
    unscored[owner] = False
    if not unscored.any():
        return
    rows = enrollees["_row"].to_numpy()
    for number, (rule_id, action) in enumerate((("HCC-001", ""), *_AGE_RULES)):
        findings.refuse(rule_id, "enrollees", source[rows[unscored & (lost == number)]], action)


def _note_variants(priced: pl.DataFrame, line_variant: np.ndarray, findings: Findings) -> None:
    uses = np.bincount(line_variant, minlength=priced.height)
    for rule_id, column in (("HCC-003", "csr_variant"), ("HCC-004", "csr_factor_scaled")):
        if priced[column].null_count():
            findings.note(rule_id, "enrollment_spans", int(uses[priced[column].is_null().to_numpy()].sum()))


def with_csr_factor(variants: pl.DataFrame, model: YearModel) -> pl.DataFrame:
    """Return variants with csr_factor_scaled (ten-thousandths; null where none is published) and uncertain.

    The factor is keyed by variant and metal level; a blank variant is "no CSR or unknown" (variant 00). Variants that
    have their factor already are returned as they are.
    """
    import polars as pl

    if "csr_factor_scaled" in variants.columns:
        return variants
    return (
        variants.lazy()
        .with_columns(pl.col("csr_variant").fill_null("00").alias("_variant"))
        .join(
            model.variant_factors.lazy(),
            left_on=["_variant", "metal_level"],
            right_on=["csr_variant", "metal_level"],
            how="left",
            maintain_order="left",
            validate="m:1",
        )
        .with_columns(pl.col("uncertain").fill_null(False))
        .drop("_variant")
        .collect()
    )


def checked_spans(
    enrollees: pl.DataFrame, spans: pl.DataFrame, benefit_year: int, findings: Findings
) -> _span_groups.Spans:
    """Return usable spans as arrays: owner, days clipped to the year, plan variant; refuse the rest by rule."""
    table = "enrollment_spans"
    first = datetime.date(benefit_year, 1, 1).toordinal() - _EPOCH
    last = datetime.date(benefit_year, 12, 31).toordinal() - _EPOCH
    start, end = (_span_days(spans, column) for column in ("span_start", "span_end"))
    variant, variant_rule, variants = variant_index(spans)
    nobody = enrollees.height
    owner = numbers_among(_frames.text_column(spans, table, "enrollee_id"), enrollees["enrollee_id"], nobody)
    free = np.ones(spans.height, bool)
    tests: list[tuple[str, np.ndarray]] = [
        ("SPAN-002", (start == MISSING_DAY) | (end == MISSING_DAY)),
        ("SPAN-001", start > end),
        ("SPAN-003", (end < first) | (start > last)),
        *((rule_id, variant_rule == i) for i, rule_id in enumerate(_VARIANT_RULES)),
        ("HCC-002", owner == nobody),
    ]
    for rule_id, bad in tests:
        rows = np.flatnonzero(bad & free) if bad.any() else ()
        if len(rows):
            findings.refuse(rule_id, table, spans[rows])
            free[rows] = False
    row = np.flatnonzero(free)
    start, end = start[row], end[row]
    findings.note("SPAN-004", table, int(((start < first) | (end > last)).sum()), "split")
    return _span_groups.Spans(
        row=row,
        owner=owner[row].astype(np.int64),
        variant=variant[row],
        start=np.maximum(start, first),
        end=np.minimum(end, last),
        variants=variants,
    )


def _span_days(spans: pl.DataFrame, column: str) -> np.ndarray:
    return days_of(_frames.date_column(spans, "enrollment_spans", column))


def days_of(dates: pl.Series) -> np.ndarray:
    """Return dates as days since 1970-01-01, ``MISSING_DAY`` where there is none."""
    import polars as pl

    whole = dates.cast(pl.Int32)
    days: np.ndarray = (whole.fill_null(MISSING_DAY) if whole.null_count() else whole).to_numpy()
    return days


def variant_index(spans: pl.DataFrame) -> tuple[np.ndarray, np.ndarray, pl.DataFrame]:
    """Return each span's plan variant, the number of the rule it breaks (-1: none), and the sorted variants.

    Plan ids of 14, 16 and 17 characters are accepted and split; ids are text and keep their zeros.
    """
    import polars as pl

    combined = np.zeros(spans.height, np.int64)
    texts = []
    for column in ("plan_id", "csr_variant", "metal_level"):
        distinct, number = distinct_texts(_frames.text_column(spans, "enrollment_spans", column))
        combined = combined * max(len(distinct), 1) + number
        texts.append(distinct)
    keys, row_key = _distinct_numbers(combined)
    numbers = np.unravel_index(keys, [max(len(t), 1) for t in texts])
    raw = pl.DataFrame(
        {name: text.gather(n) for name, text, n in zip(("plan", "variant", "metal"), texts, numbers, strict=True)}
    )
    raw = _cleaned_variants(raw)
    key = ["plan_id", "csr_variant", "metal_level"]
    variants = raw.lazy().filter(pl.col("rule") < 0).select(key).unique().sort(key, nulls_last=False).collect()
    numbered = variants.lazy().with_row_index("number")
    found = raw.lazy().join(numbered, on=key, how="left", nulls_equal=True, maintain_order="left")
    places = found.select(pl.col("number").cast(pl.Int64).fill_null(-1)).collect().to_series()
    return places.to_numpy()[row_key], raw["rule"].to_numpy()[row_key], variants


def _distinct_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the distinct numbers in order, and where each row's stands; quick when they are small."""
    highest = int(numbers.max(initial=0))
    if highest > 8 * len(numbers) + 1024:
        distinct, row = np.unique(numbers, return_inverse=True)
        return distinct, row
    met = np.zeros(highest + 1, bool)
    met[numbers] = True
    return np.flatnonzero(met), (np.cumsum(met) - 1)[numbers]


def _cleaned_variants(raw: pl.DataFrame) -> pl.DataFrame:
    """Return plan_id, csr_variant, metal_level cleaned, and the number of the rule that a row breaks (-1: none)."""
    import polars as pl

    plan, variant = pl.col("plan").str.strip_chars(), pl.col("variant").str.strip_chars()
    variant = pl.when(variant.str.len_chars() == 1).then(pl.lit("0") + variant).otherwise(variant)
    cleaned = raw.select(
        plan.str.extract(_LONG_PLAN, 1).fill_null(plan).alias("plan_id"),
        plan.str.extract(_LONG_PLAN, 2).alias("_in_plan"),
        pl.when(variant != "").then(variant).alias("_given"),
        pl.col("metal").str.strip_chars().str.to_lowercase().str.replace_all(r"[ -]", "_").alias("metal_level"),
    ).with_columns(pl.coalesce("_given", "_in_plan").alias("csr_variant"))
    broken = (
        ~pl.col("plan_id").str.contains(_PLAN_14).fill_null(False),
        (pl.col("_in_plan") != pl.col("_given")).fill_null(False),
        (~pl.col("csr_variant").str.contains(r"^[0-9]{2}$")).fill_null(False),
        ~pl.col("metal_level").is_in(_METAL_LEVELS).fill_null(False),
    )
    rule = pl.lit(-1)
    for number, breaks in reversed(list(enumerate(broken))):
        rule = pl.when(breaks).then(number).otherwise(rule)
    return cleaned.select("plan_id", "csr_variant", "metal_level", rule.alias("rule"))
