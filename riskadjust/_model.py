"""The rules of one benefit year, compiled: published tables -> bit masks and integer thousandths of the kernel.

Nothing here knows a year: which variables exist, what sets them and what they add is read from ``hhs_hcc`` tables.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from data_specs import _registry
from data_specs._units import to_scaled_integer
from data_specs.errors import SettingRefused, TableMissing, TableRefused
from riskadjust import _crosswalk, _year_parts
from riskadjust._infant import infant_program
from riskadjust._program import DRUG_WORD, HCC_WORDS, WORDS, Program, adult_or_child_program, state_words
from riskadjust._settings import ScoringSettings
from riskadjust._tables import YearTables, load_year_tables, refuse

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from riskadjust._scoring import Rules

__all__ = ["DIAGNOSIS_STATUS", "METALS", "MODELS", "YearModel", "compile_year", "variant_factors"]

METALS = ("platinum", "gold", "silver", "bronze", "catastrophic")
MODELS = ("adult", "child", "infant")
DIAGNOSIS_STATUS = (
    "accepted",
    "no_crosswalk_row",
    "date_missing",
    "date_outside_year",
    "before_birth",
    "after_age_last",
    "more_than_a_year_before_age_last",
    "not_valid_in_fiscal_year",
    "mce_age",
    "mce_sex",
    "no_branch",
)
OLDEST_AGE = 255
_MEMO_AGES, _MEMO_MONTHS = 128, 13
_NO_BIT = 65535


@dataclass(frozen=True)
class YearModel:
    """Compiled rules of one benefit year, with the names that turn bits back into published words."""

    benefit_year: int
    settings: ScoringSettings
    rules: Rules
    hccs: tuple[str, ...]
    programs: tuple[Program, ...]
    published_names: tuple[dict[str, str], ...]
    coefficients: np.ndarray
    payment: np.ndarray
    diagnoses: _crosswalk.DiagnosisCodes
    drugs: _crosswalk.DrugCodes
    drug_names: tuple[str, ...]
    drug_drops: np.ndarray
    drugs_read: np.ndarray
    days_to_months: np.ndarray
    csr_factors: pl.DataFrame
    variant_factors: pl.DataFrame
    uncertain_coefficients: tuple[frozenset[str], ...]
    tables_used: tuple[str, ...]
    carried: dict[str, int]
    proposed: bool


def compile_year(benefit_year: int, settings: ScoringSettings) -> YearModel:
    """Return the compiled rules of a benefit year, from the tables in use now.

    Raises
    ------
    TableMissing, NotYetPublished
        The year has no complete set of tables, or only proposed coefficients.
    TableRefused
        A table contradicts itself or another one; the message names file, row and column.
    """
    if not isinstance(benefit_year, int) or isinstance(benefit_year, bool):
        raise SettingRefused("benefit_year is not a whole number", remedy="write it as a number, for example 2025")
    digests = tuple(p["digest"] for p in _registry.provenance(_table_names()))
    return _compiled(benefit_year, settings, digests)


def _table_names() -> list[str]:
    return sorted(n for n in _registry.contracts() if n.startswith("hhs_hcc/"))


@lru_cache(maxsize=16)
def _compiled(benefit_year: int, settings: ScoringSettings, _digests: tuple[str, ...]) -> YearModel:
    import numpy as np

    from riskadjust._scoring import Rules

    tables = load_year_tables(benefit_year, settings)
    hccs = _hccs(tables)
    hcc_bits = {name: i for i, name in enumerate(hccs)}
    drugs = _crosswalk.drug_bits(tables)
    programs = tuple(_program(model, tables, hcc_bits, drugs) for model in MODELS)
    age_bits, model_by_age = _age_bands(tables, programs)
    coefficients, published, uncertain = _coefficients(tables, programs)
    diagnoses = _crosswalk.diagnosis_codes(tables, hcc_bits, settings, _next_year_has_no_sex_condition(benefit_year))
    drug_drops = _year_parts.drug_drops(tables, drugs)
    year_start = datetime.date(benefit_year, 1, 1).toordinal() - datetime.date(1970, 1, 1).toordinal()
    arrays = _instruction_arrays(programs)
    payment = _payment(tables, hcc_bits)
    drugs_read = np.array([_drugs_read(p) for p in programs], np.uint64)
    rules = Rules(
        codes=diagnoses.first_rows,
        code_first=diagnoses.code_first,
        crosswalk=diagnoses.rows,
        hcc_drops=_year_parts.hcc_drops(tables, hcc_bits),
        drug_drops=drug_drops,
        model_by_age=model_by_age,
        model_payment=payment,
        model_uses_drugs=(drugs_read > 0).astype(np.uint8),
        model_age_bit=age_bits,
        model_count_fact=np.array([p.count_fact for p in programs], np.int32),
        coefficients=coefficients,
        first_day=year_start,
        second_window_day=year_start + datetime.date(benefit_year, 10, 1).timetuple().tm_yday - 1,
        last_day=year_start + datetime.date(benefit_year, 12, 31).timetuple().tm_yday - 1,
        **arrays,
    )
    csr_factors = _year_parts.csr_factors(tables)
    model = YearModel(
        benefit_year=benefit_year,
        settings=settings,
        rules=rules,
        hccs=tuple(hccs),
        programs=programs,
        published_names=published,
        coefficients=coefficients,
        payment=payment,
        diagnoses=diagnoses,
        drugs=_crosswalk.drug_codes(tables, drugs, settings),
        drug_names=tuple(drugs),
        drug_drops=drug_drops,
        drugs_read=drugs_read,
        days_to_months=_year_parts.days_to_months(tables),
        csr_factors=csr_factors,
        variant_factors=variant_factors(csr_factors),
        uncertain_coefficients=uncertain,
        tables_used=tuple(sorted(f"hhs_hcc/{name}" for name, frame in tables.frames.items() if frame.height)),
        carried=tables.carried,
        proposed=tables.proposed,
    )
    _fill_memo(model)
    return model


def _hccs(tables: YearTables) -> list[str]:
    hccs = tables["hcc_label"]["hcc"].sort().to_list()
    if len(hccs) > 64 * HCC_WORDS:
        raise refuse(tables["hcc_label"], 0, "hcc", "too many HCCs", f"at most {64 * HCC_WORDS} in a year")
    return hccs


def _program(model: str, tables: YearTables, hcc_bits: dict[str, int], drugs: dict[str, int]) -> Program:
    import polars as pl

    bits = {**hcc_bits, **_crosswalk.bits_of_model(model, drugs)}
    if model == "infant":
        return infant_program(bits, tables["infant_model"])
    return adult_or_child_program(model, bits, tables["model_variables"].filter(pl.col("model") == model))


def _drugs_read(program: Program) -> int:
    """Return the mask of the drug categories that a model's rules read."""
    mask = 0
    for item in program.instructions:
        for term in (t for clause in item.clauses for t in clause):
            if term.op <= 1 and term.index == DRUG_WORD:
                mask |= term.mask
    return mask


def _age_bands(tables: YearTables, programs: tuple[Program, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return the age-sex variable (model x sex x age) and the model of each age."""
    import numpy as np

    bands = tables["demographic_bands"]
    bits = np.full((len(MODELS), 2, OLDEST_AGE + 1), _NO_BIT, np.uint16)
    model_by_age = np.full(OLDEST_AGE + 1, 255, np.uint8)
    columns = ("model", "variable", "sex", "age_min", "age_max")
    for index, (model, variable, sex, low, top) in enumerate(bands.select(columns).rows()):
        m, s, high = MODELS.index(model), 0 if sex == "M" else 1, OLDEST_AGE if top is None else top
        if low > high:
            raise refuse(bands, index, "age_min", "the band is empty", "age_min is at most age_max")
        taken = model_by_age[low : high + 1]
        if ((taken != 255) & (taken != m)).any():
            raise refuse(bands, index, "age_min", "two models share an age", "each age has one model")
        model_by_age[low : high + 1] = m
        if model == "infant":
            if variable not in programs[m].in_score:
                what = f"no row of infant_model sets {variable}"
                raise refuse(bands, index, "variable", what, "infant_model decides the infant age-sex factor")
            continue
        program = programs[m]
        if variable in program.bits and (bits[m] != program.bits[variable]).all():
            raise refuse(bands, index, "variable", f"{variable} is another name of the year", "a band has its own name")
        if (bits[m, s, low : high + 1] != _NO_BIT).any():
            raise refuse(bands, index, "age_min", "two bands overlap", "an age and sex has one band")
        bits[m, s, low : high + 1] = program.new_bit(variable)
        program.in_score.add(variable)
    holes = np.flatnonzero(model_by_age == 255)
    if len(holes):
        raise refuse(bands, 0, "age_min", f"no model covers age {holes[0]}", "the bands cover every age")
    for m, model in enumerate(MODELS[:2]):
        ages = np.flatnonzero(model_by_age == m)
        hole = [int(a) for a in ages for s in (0, 1) if bits[m, s, a] == _NO_BIT]
        if hole:
            raise refuse(bands, 0, "age_min", f"no {model} band covers age {hole[0]}", "bands cover both sexes")
    return bits, model_by_age


def _coefficients(
    tables: YearTables, programs: tuple[Program, ...]
) -> tuple[np.ndarray, tuple[dict[str, str], ...], tuple[frozenset[str], ...]]:
    """Return thousandths (model x bit x metal), the published name of each variable, and the uncertain variables."""
    import numpy as np

    frame = tables["coefficients"]
    milli = np.zeros((len(MODELS), 64 * WORDS, len(METALS)), np.int32)
    names: list[dict[str, str]] = [{} for _ in MODELS]
    uncertain: list[set[str]] = [set() for _ in MODELS]
    unscored = [_unscored_hccs(tables, model, program) for model, program in zip(MODELS, programs, strict=True)]
    for index, row in enumerate(frame.to_dicts()):
        m = MODELS.index(row["model"])
        variable = row["variable"]
        bit = programs[m].bits.get(variable)
        if bit is None or _never_scored(programs[m], variable):
            raise refuse(frame, index, "variable", f"no rule scores {variable}", "a rule, a band or hcc_label names it")
        milli[m, bit] = [to_scaled_integer(repr(row[metal]), 3) for metal in METALS]
        if variable in unscored[m] and milli[m, bit].any():
            what = f"no rule scores {variable}, which has a coefficient"
            raise refuse(frame, index, "variable", what, "an HCC in a group or outside the model carries 0")
        name = row["cms_variable"].upper()
        if name in names[m].values():
            raise refuse(frame, index, "cms_variable", f"two variables are published as {name}", "one name for each")
        names[m][variable] = name
        if row["verification"] == "uncertain":
            uncertain[m].add(variable)
    _check_priced(tables, programs, names)
    return milli, tuple(names), tuple(frozenset(u) for u in uncertain)


def _unscored_hccs(tables: YearTables, model: str, program: Program) -> set[str]:
    """Return the HCCs that add nothing in a model: outside it, inside a group, or all of them in the infant model."""
    labels = tables["hcc_label"]
    outside = set(labels.filter(~labels[f"{model}_payment"])["hcc"].to_list())
    return set(labels["hcc"].to_list()) if model == "infant" else outside | program.grouped_hccs


def _never_scored(program: Program, variable: str) -> bool:
    return variable not in program.in_score and program.bits[variable] >= 64 * HCC_WORDS


def _check_priced(tables: YearTables, programs: tuple[Program, ...], names: list[dict[str, str]]) -> None:
    """Refuse a year in which something that scores has no coefficient row: absent is not zero."""
    labels = tables["hcc_label"]
    for model, program, priced in zip(MODELS, programs, names, strict=True):
        loose = sorted(program.in_score - priced.keys())
        if model != "infant":
            payment = labels.filter(labels[f"{model}_payment"])["hcc"].to_list()
            loose += [h for h in payment if h not in priced and h not in program.grouped_hccs]
        if loose:
            raise TableRefused(
                f"{len(loose)} variables of the {model} model have no coefficient, first {loose[0]}",
                where=str(tables["coefficients"]["_file"][0]),
                rule="every scored variable has a row; only an HCC inside a group may have none",
                remedy="add the rows (0 where the published coefficient is 0)",
            )


def _payment(tables: YearTables, hcc_bits: dict[str, int]) -> np.ndarray:
    import numpy as np

    labels = tables["hcc_label"]
    masks = np.zeros((len(MODELS), HCC_WORDS), np.uint64)
    for m, model in enumerate(MODELS):
        mask = sum(1 << hcc_bits[h] for h in labels.filter(labels[f"{model}_payment"])["hcc"].to_list())
        masks[m] = state_words(mask)[:HCC_WORDS]
    return masks


def variant_factors(csr_factors: pl.DataFrame) -> pl.DataFrame:
    """Return the factor of each plan variant and metal level of a plan; expanded bronze has that of bronze."""
    import polars as pl

    factors = csr_factors.lazy().drop_nulls("csr_variant").drop("csr_indicator")
    levels = pl.LazyFrame(
        {"metal_level": [*METALS, "expanded_bronze"], "metal": [*METALS, "bronze"]},
        schema_overrides={"metal": pl.String},
    )
    exact = factors.join(levels, on="metal")
    for_any = factors.filter(pl.col("metal") == "any").join(levels.drop("metal"), how="cross")
    columns = ["csr_variant", "metal_level", "csr_factor_scaled", "uncertain"]
    return pl.concat([exact.select(columns), for_any.select(columns)]).sort("csr_variant", "metal_level").collect()


def _next_year_has_no_sex_condition(benefit_year: int) -> bool:
    try:
        following = _registry.rows("hhs_hcc/icd10_to_cc", year=benefit_year + 1)
    except TableMissing:
        return False
    return following["mce_sex_w1"].null_count() == following.height


def _instruction_arrays(programs: tuple[Program, ...]) -> dict[str, np.ndarray]:
    """Return the instructions of all models as flat arrays."""
    import numpy as np

    instructions: list[list[int]] = []
    masks: list[list[int]] = []
    zeroes: list[list[int]] = []
    clauses: list[list[int]] = []
    terms: list[list[int]] = []
    term_masks: list[int] = []
    starts = [0]
    for program in programs:
        for item in program.instructions:
            first_clause = len(clauses)
            for clause in item.clauses:
                first_term = len(terms)
                for term in clause:
                    terms.append([term.op, term.index, term.value])
                    term_masks.append(term.mask)
                clauses.append([first_term, len(terms)])
            target = item.target if item.is_count else item.target // 64
            instructions.append(
                [int(item.is_count), target, first_clause, len(clauses), item.step, int(item.zeroes > 0)]
            )
            masks.append(state_words(item.counted if item.is_count else 1 << item.target))
            zeroes.append(state_words(item.zeroes))
        starts.append(len(instructions))
    return {
        "model_first_instruction": np.array(starts, np.int32),
        "instructions": _table(instructions, 6, np.int32),
        "instruction_masks": _table(masks, WORDS, np.uint64),
        "zero_masks": _table(zeroes, WORDS, np.uint64),
        "clauses": _table(clauses, 2, np.int32),
        "terms": _table(terms, 3, np.int32),
        "term_masks": np.array(term_masks, np.uint64),
    }


def _table(rows: list[list[int]], width: int, dtype: Any) -> np.ndarray:
    import numpy as np

    return np.array(rows, dtype).reshape(-1, width)


def _fill_memo(model: YearModel) -> None:
    """Score everyone without codes once, by sex, age and months, with the rules themselves."""
    import numpy as np

    from riskadjust._kernel import Enrollees, run_kernel

    sex, age, months = (a.ravel() for a in np.meshgrid([1, 2], range(_MEMO_AGES), range(_MEMO_MONTHS), indexing="ij"))
    people = Enrollees.without_codes(sex=sex, age_last=age, months=months)
    result = run_kernel(model, people)
    counts = result.hcc_counts.astype(np.int32)[:, None]
    model.rules.set_memo(np.ascontiguousarray(np.hstack([result.scores, counts])))
