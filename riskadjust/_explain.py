"""Every score taken apart: each variable, what it adds, and the codes that caused it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from riskadjust import _events, _lists
from riskadjust._diy import diy_keys, diy_run, diy_tables
from riskadjust._model import METALS, YearModel, compile_year
from riskadjust._program import DRUG_WORD, Program
from riskadjust._score import ScoringFrames, own_metal, plan_keys, run_score
from riskadjust._settings import ScoringSettings

if TYPE_CHECKING:
    import os

    import polars as pl

    from data_specs.formats.diy import DiyTables
    from riskadjust._score import Run

__all__ = ["explain", "explain_diy"]

_FIRST_DRUG_BIT = 64 * DRUG_WORD


def explain(
    enrollees: pl.DataFrame | pl.LazyFrame,
    spans: pl.DataFrame | pl.LazyFrame,
    diagnoses: pl.DataFrame | pl.LazyFrame,
    drugs: pl.DataFrame | pl.LazyFrame | None = None,
    *,
    benefit_year: int,
    enrollee_ids: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Return every variable of every score with its coefficient and the codes that caused it.

    The coefficients of a line add up to its risk_score. A group, interaction or count shows the codes of the HCCs and
    drugs that took part in it; an HCC that the hierarchy dropped shows nothing. Age and sex need no evidence.

    Parameters
    ----------
    enrollees, spans, diagnoses, drugs, benefit_year, settings
        As in :func:`riskadjust.score`. A column claim_id in diagnoses or drugs is passed on.
    enrollee_ids : sequence of str, optional
        Explain these only.

    Returns
    -------
    DataFrame
        enrollee_id, plan_id, csr_variant, metal_level, variable (published name, upper case), coefficient (of the own
        metal level, risk-score units), evidence (list of code, service_date, claim_id as handed in; sorted). Sorted by
        the first five columns.

    Raises
    ------
    PoolwiseError
        As in :func:`riskadjust.score`.

    Examples
    --------
    >>> import datetime, polars as pl, riskadjust
    >>> day = datetime.date
    >>> enrollees = pl.DataFrame({"enrollee_id": ["A"], "birth_date": [day(1980, 3, 10)], "sex": ["M"]})
    >>> spans = pl.DataFrame({"enrollee_id": ["A"], "plan_id": ["12345XX0010001"], "csr_variant": ["01"],
    ...     "metal_level": ["silver"], "span_start": [day(2025, 1, 1)], "span_end": [day(2025, 12, 31)]})
    >>> diagnoses = pl.DataFrame(
    ...     {"enrollee_id": ["A"], "diagnosis_code": ["E1169"], "service_date": [day(2025, 6, 15)]})
    >>> taken_apart = riskadjust.explain(enrollees, spans, diagnoses, benefit_year=2025)
    >>> taken_apart.select("variable", "coefficient").rows()
    [('G01', 0.172), ('MAGE_LAST_45_49', 0.164)]
    >>> taken_apart["evidence"][0].to_list()
    [{'code': 'E1169', 'service_date': datetime.date(2025, 6, 15), 'claim_id': None}]
    """
    import polars as pl

    model = compile_year(benefit_year, ScoringSettings.of(settings))
    frames = ScoringFrames.read(enrollees, spans, diagnoses, drugs)
    if enrollee_ids is not None:
        frames = frames.only(pl.Series("enrollee_id", list(enrollee_ids), dtype=pl.String))
    run = run_score(model, frames, with_states=True, with_rows=True)
    keys = plan_keys(run).select("enrollee_id", "plan_id", "csr_variant", "metal_level")
    return _taken_apart(run, keys, frames.diagnoses, frames.drugs)


def explain_diy(
    folder_or_tables: str | os.PathLike[str] | DiyTables | Mapping[str, Any],
    *,
    benefit_year: int,
    enrollee_ids: Sequence[str] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> pl.DataFrame:
    """Return :func:`explain` for the published DIY layout.

    Parameters
    ----------
    folder_or_tables, benefit_year, settings
        As in :func:`riskadjust.score_diy`.
    enrollee_ids : sequence of str, optional
        Explain these only.

    Returns
    -------
    DataFrame
        enrollee_id, metal_level, csr_indicator, variable, coefficient, evidence, sorted by the first four. Drugs of
        this layout have no date.

    Raises
    ------
    PoolwiseError
        As in :func:`riskadjust.score_diy`.
    """
    model = compile_year(benefit_year, ScoringSettings.of(settings))
    tables = diy_tables(folder_or_tables)
    if enrollee_ids is not None:
        tables = tables.only(list(enrollee_ids))
    run, persons, diagnoses, drugs = diy_run(tables, model, with_states=True, with_rows=True)
    keys = diy_keys(persons).select("enrollee_id", "metal_level", "csr_indicator")
    return _taken_apart(run, keys, diagnoses, drugs)


def _taken_apart(run: Run, keys: pl.DataFrame, diagnoses: pl.DataFrame, drugs: pl.DataFrame | None) -> pl.DataFrame:
    """Return the lines' keys with every variable, its coefficient and its evidence."""
    import polars as pl

    evidence = _evidence(run, diagnoses, drugs)
    lines = _variables(run, keys).join(evidence, on=["unit", "variable"], how="left", maintain_order="left")
    return lines.select(*keys.columns, "variable", "coefficient", pl.col("evidence").fill_null([]))


def _variables(run: Run, keys: pl.DataFrame) -> pl.DataFrame:
    """Return a row per line and scored variable, with the coefficient of the line's metal level."""
    import polars as pl

    model, enrollment, unit = run.model, run.enrollment, run.enrollment.line_unit
    lists = _lists.explanation_columns(model, run.kernel, run.drugs.masks[enrollment.unit_scope])
    lines = keys.with_columns(
        pl.Series("unit", unit.astype(np.int64)),
        pl.Series("model", run.kernel.models[unit]),
        pl.Series("metal", own_metal(keys)),
        lists[2].gather(unit).alias("variable"),
    ).explode("variable", empty_as_null=False)
    added = lines.join(_coefficients(model), on=["model", "variable", "metal"], how="left", validate="m:1")
    return added.sort(*keys.columns, "variable", "unit")


def _coefficients(model: YearModel) -> pl.DataFrame:
    """Return model, variable (published), metal, coefficient."""
    import polars as pl

    rows = [
        (m, name, metal, int(model.coefficients[m, bit, metal]) / 1000)
        for m, names in enumerate(_lists.variable_names(model))
        for bit, name in enumerate(names)
        if name is not None
        for metal in range(len(METALS))
    ]
    schema = {"model": pl.UInt8, "variable": pl.String, "metal": pl.Int64, "coefficient": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _evidence(run: Run, diagnoses: pl.DataFrame, drugs: pl.DataFrame | None) -> pl.DataFrame:
    """Return unit, variable, evidence: the codes behind each variable of each unit."""
    import polars as pl

    events = pl.concat([_diagnosis_events(run, diagnoses), _drug_events(run, drugs)])
    causes = _causes(run.model)
    models = pl.DataFrame({"unit": np.arange(len(run.kernel.models)), "model": run.kernel.models})
    return (
        events.join(models, on="unit", how="left")
        .join(causes, on=["model", "bit"], how="inner")
        .select("unit", "variable", pl.struct("code", "service_date", "claim_id").alias("evidence"))
        .unique()
        .sort("unit", "variable", "evidence")
        .group_by("unit", "variable", maintain_order=True)
        .agg("evidence")
    )


def _causes(model: YearModel) -> pl.DataFrame:
    """Return model, bit, variable: which HCCs and drug categories can stand behind each scored variable."""
    import polars as pl

    rows = []
    for number, (program, published) in enumerate(zip(model.programs, model.published_names, strict=True)):
        leaves = _leaves(program)
        for variable, name in published.items():
            mask = leaves.get(program.bits[variable], 0) or (1 << program.bits[variable])
            rows += [(number, bit, name) for bit in range(_FIRST_DRUG_BIT + 64) if mask >> bit & 1]
    schema = {"model": pl.UInt8, "bit": pl.Int64, "variable": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _leaves(program: Program) -> dict[int, int]:
    """Return, for each variable's bit, the mask of HCC and drug bits it can rest on, through every step."""
    leaves: dict[int, int] = {}
    numbers: dict[int, int] = {}
    for item in program.instructions:
        if item.is_count:
            numbers[item.target] = _expanded(item.counted, leaves)
            continue
        mask = 0
        for clause in item.clauses:
            for term in clause:
                if term.op == 0:
                    mask |= _expanded(term.mask << (64 * term.index), leaves)
                elif term.op >= 2:
                    mask |= numbers.get(term.index, 0)
        leaves[item.target] = leaves.get(item.target, 0) | mask
    return leaves


def _expanded(mask: int, leaves: dict[int, int]) -> int:
    plain = mask & ((1 << (_FIRST_DRUG_BIT + 64)) - 1)
    for bit, below in leaves.items():
        if mask >> bit & 1:
            plain |= below
    return plain


def _diagnosis_events(run: Run, source: pl.DataFrame) -> pl.DataFrame:
    """Return unit, bit, code, service_date, claim_id of the diagnoses whose HCC is still set after the hierarchy."""
    diagnoses, kernel = run.diagnoses, run.kernel
    payment = np.asarray(run.model.payment)[kernel.models]
    alive = kernel.hccs & payment
    unit, position = _stretches(run)
    rows = np.asarray(run.model.diagnoses.rows)
    parts = []
    matched = kernel.matched_rows[position]
    for column in (1, 2, 3):
        has = (matched >= 0) & (rows[matched, 0] >= column)
        bit = rows[matched, column].astype(np.int64)
        has &= (alive[unit, bit // 64] >> (bit % 64).astype(np.uint64)) & np.uint64(1) == 1
        parts.append((unit[has], bit[has], diagnoses.row[position[has]]))
    return _event_frame(parts, source, "diagnosis_code")


def _stretches(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return unit and diagnosis position of every pair: units of one scope share their diagnoses."""
    first = run.diagnoses.first[:-1][run.enrollment.unit_scope]
    number = run.diagnoses.first[1:][run.enrollment.unit_scope] - first
    unit = np.repeat(np.arange(len(first)), number)
    start = np.repeat(np.cumsum(number) - number, number)
    return unit, np.arange(len(unit)) - start + first[unit]


def _drug_events(run: Run, source: pl.DataFrame | None) -> pl.DataFrame:
    """Return unit, bit, code, service_date, claim_id of the drugs whose category is still set after the hierarchy."""
    import polars as pl

    if source is None:
        return _event_frame([], pl.DataFrame(schema={"code": pl.String}), "code")
    units = pl.DataFrame({"unit": np.arange(len(run.enrollment.unit_scope)), "scope": run.enrollment.unit_scope})
    rows = pl.DataFrame({"scope": run.drugs.owner.astype(np.int64), "row": run.drugs.row, "mask": run.drugs.row_masks})
    pairs = rows.join(units, on="scope", how="inner", maintain_order="left_right")
    unit, row, mask = (pairs[c].to_numpy() for c in ("unit", "row", "mask"))
    alive = mask & run.kernel.states[unit, DRUG_WORD]
    parts = []
    for number in range(len(run.model.drug_names)):
        has = (alive >> np.uint64(number)) & np.uint64(1) == 1
        parts.append((unit[has], np.full(int(has.sum()), _FIRST_DRUG_BIT + number), row[has]))
    return _event_frame(parts, source, "code")


def _event_frame(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], source: pl.DataFrame, code_column: str
) -> pl.DataFrame:
    import polars as pl

    unit, bit, row = (np.concatenate([p[i] for p in parts] or [np.zeros(0, np.int64)]) for i in range(3))
    claim = source["claim_id"].cast(pl.String) if "claim_id" in source.columns else None
    date = _events.dates_of(source)
    return pl.DataFrame(
        {
            "unit": unit.astype(np.int64),
            "bit": bit.astype(np.int64),
            "code": source[code_column].cast(pl.String).gather(row),
            "service_date": date.gather(row),
            "claim_id": pl.repeat(None, len(row), dtype=pl.String, eager=True) if claim is None else claim.gather(row),
        }
    )
