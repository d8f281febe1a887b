"""The rival in SQL: one benefit year (2025) scored by DuckDB, from text tables or from integers.

Written to be fast, not to look like our kernel: rules sit in small tables, every big step is one hash join or one
grouping, text is replaced by row numbers at the first join, thousandths are integers. What our scorer does beside the
scores (cleaning spellings, findings, rejected rows) is left out, to the rival's advantage. Drugs are left out too.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

import data_specs
from benchmarks._data import BENEFIT_YEAR, Year

if TYPE_CHECKING:
    from riskadjust._kernel import Enrollees

__all__ = ["connection", "integer_scores", "store_integers", "store_year", "text_scores"]

METALS = ("platinum", "gold", "silver", "bronze", "catastrophic")
MODELS = ("adult", "child", "infant")
_FIRST, _LAST, _SECOND_WINDOW = (f"DATE '{BENEFIT_YEAR}-{day}'" for day in ("01-01", "12-31", "10-01"))

_UNITS = f"""
period AS (
    SELECT enrollee_id, max(least(span_end, {_LAST})) AS last_day,
           sum(least(span_end, {_LAST}) - greatest(span_start, {_FIRST}) + 1)::INTEGER AS days
    FROM spans WHERE span_start <= {_LAST} AND span_end >= {_FIRST}
    GROUP BY enrollee_id
),
aged AS (
    SELECT e.rowid::INTEGER AS pid, e.enrollee_id, e.birth_date, CASE e.sex WHEN 'M' THEN 1 ELSE 2 END::TINYINT AS sex,
           ({BENEFIT_YEAR - 1} - year(e.birth_date))::SMALLINT AS age_before, p.last_day, p.days,
           CASE WHEN month(e.birth_date) = 2 AND day(e.birth_date) = 29 THEN DATE '{BENEFIT_YEAR}-03-01'
                ELSE make_date({BENEFIT_YEAR}, month(e.birth_date), day(e.birth_date)) END AS birthday
    FROM enrollees e JOIN period p USING (enrollee_id)
    WHERE p.last_day >= e.birth_date
),
timed AS (SELECT *, (age_before + (last_day >= birthday)::SMALLINT)::SMALLINT AS age_last FROM aged),
unit AS MATERIALIZED (
    SELECT a.*, m.months,
           CASE WHEN age_last >= 21 THEN 0 WHEN age_last >= 2 THEN 1 ELSE 2 END::TINYINT AS model
    FROM timed a JOIN months_by_days m USING (days)
)"""

# Materialized, or the planner takes the large join by enrollee before the crosswalk has sorted out most rows.
_HITS_FROM_TEXT = f"""
mapped AS MATERIALIZED (
    SELECT d.enrollee_id, d.service_date, x.hcc, x.mce_age_min, x.mce_age_max, x.split_age_min, x.split_age_max,
           x.split_sex
    FROM diagnoses d
    JOIN crosswalk x ON x.icd10 = d.diagnosis_code
    WHERE d.service_date BETWEEN {_FIRST} AND {_LAST}
      AND CASE WHEN d.service_date < {_SECOND_WINDOW} THEN x.valid_first ELSE x.valid_second END
),
hit AS MATERIALIZED (
    SELECT DISTINCT pid, model, hcc
    FROM (
        SELECT u.pid, u.model, d.hcc, u.age_last, d.mce_age_min, d.mce_age_max,
               u.age_before + (d.service_date >= u.birthday)::SMALLINT AS age
        FROM mapped d
        JOIN unit u ON u.enrollee_id = d.enrollee_id
        WHERE u.age_last BETWEEN d.split_age_min AND d.split_age_max AND d.split_sex IN (0, u.sex)
    )
    WHERE age >= 0 AND age BETWEEN age_last - 1 AND age_last AND age BETWEEN mce_age_min AND mce_age_max
)"""

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DAYS = [datetime.date(BENEFIT_YEAR, m, d).toordinal() - _EPOCH for m, d in ((1, 1), (10, 1), (12, 31))]
_HITS_FROM_INTEGERS = f"""
hit AS MATERIALIZED (
    SELECT DISTINCT pid, model, hcc
    FROM (
        SELECT u.pid, u.model, x.hcc, u.age_last, x.mce_age_min, x.mce_age_max,
               u.age_before + (d.day >= u.birthday)::SMALLINT AS age
        FROM coded d
        JOIN crosswalk_by_id x ON x.code_id = d.code_id
        JOIN unit u ON u.pid = d.pid
        WHERE d.day BETWEEN {_DAYS[0]} AND {_DAYS[2]}
          AND CASE WHEN d.day < {_DAYS[1]} THEN x.valid_first ELSE x.valid_second END
          AND u.age_last BETWEEN x.split_age_min AND x.split_age_max AND x.split_sex IN (0, u.sex)
    )
    WHERE age >= 0 AND age BETWEEN age_last - 1 AND age_last AND age BETWEEN mce_age_min AND mce_age_max
)"""

# An HCC that a stronger one drops leaves; what is left takes the name of its group and counts once.
_CORE = """,
dropped AS (SELECT h.pid, r.drops AS hcc FROM hit h JOIN hierarchy r USING (hcc)),
kept AS (SELECT pid, model, hcc FROM hit ANTI JOIN dropped USING (pid, hcc)),
scored AS (SELECT DISTINCT k.pid, v.scored FROM kept k JOIN scored_as v USING (model, hcc)),
summed AS (
    SELECT s.pid, {sums}, sum(v.counts)::INTEGER AS hcc_count, max(v.severe) AS severe, max(v.transplant) AS transplant,
           max(v.severity) AS severity, min(v.maturity) AS maturity
    FROM scored s JOIN variable v USING (scored)
    GROUP BY s.pid
),
person AS (
    SELECT u.*, {person_sums}, CASE WHEN u.model < 2 THEN coalesce(s.hcc_count, 0) END AS hcc_count,
           coalesce(s.severe, 0) AS severe, coalesce(s.transplant, 0) AS transplant,
           coalesce(s.severity, 1) AS severity,
           CASE WHEN u.age_last = 0 THEN coalesce(s.maturity, 5) ELSE 5 END AS maturity
    FROM unit u LEFT JOIN summed s USING (pid)
),
result AS (
    SELECT p.pid, p.model, p.age_last, p.days, p.months, p.hcc_count, {totals}
    FROM person p
    LEFT JOIN by_age_sex a ON a.model = p.model AND a.sex = p.sex AND a.age = p.age_last
    LEFT JOIN by_count c ON p.severe = 1 AND c.model = p.model AND c.severe = 1 AND c.counted = least(p.hcc_count, 40)
    LEFT JOIN by_count t
        ON p.transplant = 1 AND t.model = p.model AND t.severe = 0 AND t.counted = least(p.hcc_count, 40)
    LEFT JOIN by_months d ON p.hcc_count > 0 AND d.model = p.model AND d.months = p.months
    LEFT JOIN infant i
        ON p.model = 2 AND i.sex = p.sex AND i.age = p.age_last AND i.severity = p.severity AND i.maturity = p.maturity
)"""

_OWN_METAL = "CASE l.metal_level " + " ".join(f"WHEN '{m}' THEN r.{m}" for m in METALS) + " ELSE r.bronze END"
_LINES = f"""
SELECT l.enrollee_id, l.plan_id, l.csr_variant, l.metal_level,
       CASE r.model WHEN 0 THEN 'adult' WHEN 1 THEN 'child' ELSE 'infant' END AS model,
       r.age_last, r.days AS enrollment_days, r.months AS enrollment_months, r.hcc_count,
       {", ".join(f"r.{m} / 1000 AS score_{m}" for m in METALS)},
       {_OWN_METAL} / 1000 AS risk_score, f.factor / 10000 AS csr_factor,
       {_OWN_METAL}::BIGINT * f.factor / 10000000 AS csr_adjusted_score
FROM (SELECT DISTINCT enrollee_id, plan_id, csr_variant, metal_level FROM spans) l
JOIN unit u ON u.enrollee_id = l.enrollee_id
JOIN result r ON r.pid = u.pid
LEFT JOIN csr f ON f.csr_variant = l.csr_variant AND f.metal_level = l.metal_level
ORDER BY l.enrollee_id, l.plan_id, l.csr_variant, l.metal_level
"""


def _core() -> str:
    parts = ("s", "a", "c", "t", "d", "i")
    return _CORE.format(
        sums=", ".join(f"sum(v.{m})::INTEGER AS {m}" for m in METALS),
        person_sums=", ".join(f"s.{m}" for m in METALS),
        totals=", ".join(
            " + ".join(f"coalesce({'p' if part == 's' else part}.{m}, 0)" for part in parts) + f" AS {m}"
            for m in METALS
        ),
    )


def text_scores(session: Any) -> pl.DataFrame:
    """Return named scores from the text tables, one line per enrollee and plan variant, as our scorer does."""
    return _frame(session, f"WITH {_UNITS}, {_HITS_FROM_TEXT} {_core()} {_LINES}")


def integer_scores(session: Any) -> pl.DataFrame:
    """Return the five scores of each enrollee, in thousandths, from integers; in no order."""
    columns = ", ".join(METALS)
    return _frame(session, f"WITH {_HITS_FROM_INTEGERS} {_core()} SELECT pid, model, hcc_count, {columns} FROM result")


def _frame(session: Any, query: str) -> pl.DataFrame:
    return pl.DataFrame(session.sql(query).to_arrow_table())


def connection(threads: int) -> Any:
    """Return a DuckDB session with the year's rules as small tables."""
    import duckdb

    session = duckdb.connect()
    session.execute(f"SET threads = {threads}")
    for name, frame in _rule_tables().items():
        store(session, name, frame)
    return session


def store(session: Any, name: str, frame: pl.DataFrame) -> None:
    """Copy a frame into the session's own storage, where its scans are fastest."""
    session.register("incoming", frame.to_arrow())
    session.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM incoming")
    session.unregister("incoming")


def store_year(session: Any, year: Year) -> None:
    for name in ("enrollees", "spans", "diagnoses"):
        store(session, name, getattr(year, name))


def store_integers(session: Any, enrollees: Enrollees, codes: pl.DataFrame) -> None:
    """Copy the kernel's arrays, in their order, and the crosswalk by the kernel's code ids (columns code, code_id)."""
    age = enrollees.age_last
    units = pl.DataFrame(
        {
            "pid": np.arange(len(age), dtype=np.int32),
            "age_before": enrollees.age_before,
            "birthday": enrollees.birthday,
            "age_last": age,
            "days": enrollees.months.astype(np.int32),  # the result carries days through; integers have months only
            "months": enrollees.months.astype(np.int8),
            "sex": enrollees.sex.astype(np.int8),
            "model": np.select([age >= 21, age >= 2], [0, 1], 2).astype(np.int8),
        }
    )
    number = enrollees.diagnosis_last - enrollees.diagnosis_first
    owner = np.repeat(np.arange(len(age), dtype=np.int32), number)
    store(session, "unit", units)
    store(session, "coded", pl.DataFrame({"pid": owner, "code_id": enrollees.code_ids, "day": enrollees.days}))
    crosswalk = _rule_tables()["crosswalk"].join(codes, left_on="icd10", right_on="code", how="inner")
    store(session, "crosswalk_by_id", crosswalk.drop("icd10"))


def _rules(name: str) -> pl.DataFrame:
    return data_specs.table(f"hhs_hcc/{name}", year=BENEFIT_YEAR)


def _milli(*keys: str | pl.Expr) -> list[str | pl.Expr]:
    return [*keys, *((pl.col(m) * 1000).round().cast(pl.Int32).alias(m) for m in METALS)]


def _coefficients(model: str) -> pl.DataFrame:
    return _rules("coefficients").filter(pl.col("model") == model).select(_milli("variable"))


def _rule_tables() -> dict[str, pl.DataFrame]:
    labels = _rules("hcc_label").select("hcc").sort("hcc").with_row_index("number")
    number = dict(labels.select("hcc", "number").rows())
    crosswalk = _crosswalk(number)
    scored_as, variable = _variables(number)
    months = _rules("enrollment_duration_months").select(
        pl.int_ranges("days_min", pl.col("days_max") + 1).alias("days"),
        pl.col("enroll_months").cast(pl.Int8).alias("months"),
    )
    return {
        "crosswalk": crosswalk,
        "hierarchy": _rules("hcc_hierarchy").select(
            pl.col("hcc").replace_strict(number, return_dtype=pl.UInt8),
            pl.col("drops_hcc").replace_strict(number, return_dtype=pl.UInt8).alias("drops"),
        ),
        "scored_as": scored_as,
        "variable": variable,
        "months_by_days": months.explode("days").with_columns(pl.col("days").cast(pl.Int32)),
        "by_age_sex": _by_age_sex(),
        "by_count": _by_count(),
        "by_months": _by_months(),
        "infant": _infant(),
        "csr": _csr(),
    }


def _crosswalk(number: dict[str, int]) -> pl.DataFrame:
    """Return a row per code, branch and HCC."""
    sexes = {"male": 1, "female": 2}
    rows = _rules("icd10_to_cc")
    assert rows["mce_sex_w1"].null_count() == rows.height, "the year of this SQL has no sex condition"
    category = pl.col("cc").str.split("_")
    hcc = pl.lit("HCC") + category.list.get(0).str.zfill(3)
    part = category.list.get(1, null_on_oob=True)
    return (
        rows.with_columns(pl.concat_list("cc", "cc_2", "cc_3").alias("cc"))
        .explode("cc")
        .drop_nulls("cc")
        .select(
            "icd10",
            (hcc + pl.when(part.is_null()).then(pl.lit("")).otherwise("_" + part))
            .replace_strict(number, return_dtype=pl.UInt8)
            .alias("hcc"),
            pl.col("valid_fy_start").alias("valid_first"),
            pl.col("valid_fy_end").alias("valid_second"),
            *(pl.col(c).fill_null(0).cast(pl.Int16) for c in ("mce_age_min", "split_age_min")),
            *(pl.col(c).fill_null(255).cast(pl.Int16) for c in ("mce_age_max", "split_age_max")),
            pl.col("split_sex").replace_strict(sexes, default=0, return_dtype=pl.Int8),
        )
    )


def _variables(number: dict[str, int]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what each HCC is scored as in each model, and what each of those adds, counts and sets."""
    names: list[tuple[int, int, int]] = []
    lines: list[dict[str, Any]] = []
    infants = _rules("infant_model").drop_nulls("rank")
    for m, model in enumerate(MODELS):
        paid = _rules("hcc_label").filter(pl.col(f"{model}_payment"))["hcc"].to_list()
        own = _rules("model_variables").filter(pl.col("model") == model)
        groups = own.filter(pl.col("kind") == "hcc_group")
        group_of = dict(groups.select("member", "variable").rows())
        members = {v: set(own.filter(pl.col("variable") == v)["member"]) for v in ("SEVERE", "TRANSPLANT")}
        uncounted = set(own.filter((pl.col("variable") == "HCC_COUNT") & (pl.col("role") == "exclude"))["member"])
        price = {r["variable"]: r for r in _coefficients(model).to_dicts()} if model != "infant" else {}
        severity = dict(infants.filter(pl.col("kind") == "severity_member").select("member", "variable").rows())
        maturity = dict(infants.filter(pl.col("kind") == "maturity_member").select("member", "rank").rows())
        ids: dict[str, int] = {}
        for hcc in paid:
            scored = group_of.get(hcc, hcc)
            if scored not in ids:
                ids[scored] = len(lines)
                line = {"scored": len(lines), **{x: price[scored][x] if price else 0 for x in METALS}}
                line |= {"counts": int(scored not in uncounted), "severe": int(scored in members["SEVERE"])}
                line |= {"transplant": int(scored in members["TRANSPLANT"])}
                level = severity.get(hcc) if model == "infant" else None
                line |= {"severity": int(level.removeprefix("SEVERITY")) if level else 1}
                line |= {"maturity": maturity.get(hcc, 5) if model == "infant" else 5}
                lines.append(line)
            names.append((m, number[hcc], ids[scored]))
    kinds = {"scored": pl.UInt16, **dict.fromkeys(METALS, pl.Int32)}
    kinds |= dict.fromkeys(("counts", "severe", "transplant", "severity", "maturity"), pl.Int8)
    scored_as = pl.DataFrame(names, schema={"model": pl.Int8, "hcc": pl.UInt8, "scored": pl.UInt16}, orient="row")
    return scored_as, pl.DataFrame(lines, schema=kinds)


def _by_age_sex() -> pl.DataFrame:
    bands = _rules("demographic_bands").filter(pl.col("model") != "infant")
    parts = []
    for m, model in enumerate(MODELS[:2]):
        own = bands.filter(pl.col("model") == model).join(_coefficients(model), on="variable", how="inner")
        parts.append(
            own.select(
                pl.lit(m, pl.Int8).alias("model"),
                pl.when(pl.col("sex") == "M").then(1).otherwise(2).cast(pl.Int8).alias("sex"),
                pl.int_ranges("age_min", pl.col("age_max").fill_null(120) + 1).alias("age"),
                *METALS,
            ).explode("age")
        )
    return pl.concat(parts).with_columns(pl.col("age").cast(pl.Int16))


def _by_count() -> pl.DataFrame:
    """Return what SEVERE or TRANSPLANT adds at each HCC count up to 40 (nobody has more than that in a year)."""
    lines = []
    for m, model in enumerate(MODELS[:2]):
        price = {r["variable"]: r for r in _coefficients(model).to_dicts()}
        rules = _rules("model_variables").filter(
            (pl.col("model") == model) & (pl.col("member") == "HCC_COUNT") & pl.col("kind").str.ends_with("_count")
        )
        for variable, op, value in rules.select("variable", "op", "value").rows():
            counts = [value] if op == "eq" else range(value, 41)
            severe = int(variable.startswith("SEVERE"))
            lines += [(m, severe, c, *(price[variable][x] for x in METALS)) for c in counts]
    kinds = {"model": pl.Int8, "severe": pl.Int8, "counted": pl.Int32, **dict.fromkeys(METALS, pl.Int32)}
    return pl.DataFrame(lines, schema=kinds, orient="row")


def _by_months() -> pl.DataFrame:
    return (
        _coefficients("adult")
        .filter(pl.col("variable").str.starts_with("HCC_ED_"))
        .select(
            pl.lit(0, pl.Int8).alias("model"),
            pl.col("variable").str.extract(r"(\d+)$").cast(pl.Int8).alias("months"),
            *METALS,
        )
    )


def _infant() -> pl.DataFrame:
    price = {r["variable"]: r for r in _coefficients("infant").to_dicts()}
    names = ("EXTREMELY_IMMATURE", "IMMATURE", "PREMATURE_MULTIPLES", "TERM", "AGE1")
    lines = []
    for sex in (1, 2):
        for age in (0, 1):
            for rank, maturity in enumerate(names, start=1):
                own = [] if sex == 2 else ["AGE_M_1" if age == 1 or maturity == "AGE1" else "AGE_M_0"]
                for severity in range(1, 6):
                    added = [price[v] for v in (*own, f"{maturity}_X_SEVERITY{severity}")]
                    lines.append((sex, age, severity, rank, *(sum(a[x] for a in added) for x in METALS)))
    keys = {"sex": pl.Int8, "age": pl.Int16, "severity": pl.Int8, "maturity": pl.Int8}
    return pl.DataFrame(lines, schema={**keys, **dict.fromkeys(METALS, pl.Int32)}, orient="row")


def _csr() -> pl.DataFrame:
    factors = _rules("csr_factors").drop_nulls("hios_variant")
    metals = [*METALS, "expanded_bronze"]
    every = pl.when(pl.col("metal") == "any").then(pl.lit(metals)).otherwise(pl.concat_list("metal"))
    frame = factors.select(
        pl.col("hios_variant").alias("csr_variant"),
        every.alias("metal_level"),
        (pl.col("factor") * 10_000).round().cast(pl.Int64).alias("factor"),
    ).explode("metal_level")
    bronze = frame.filter(pl.col("metal_level") == "bronze").with_columns(
        pl.lit("expanded_bronze").alias("metal_level")
    )
    return pl.concat([frame, bronze]).unique(["csr_variant", "metal_level"])
