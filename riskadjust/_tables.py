"""The published tables that scoring one benefit year needs, or one message that names all missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from data_specs import _registry
from data_specs.errors import NotYetPublished, TableMissing, TableRefused

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._settings import ScoringSettings

__all__ = ["YearTables", "load_year_tables", "refuse"]

_ALWAYS = (
    "coefficients",
    "csr_factors",
    "demographic_bands",
    "enrollment_duration_months",
    "hcc_hierarchy",
    "hcc_label",
    "hcpcs_to_rxc",
    "icd10_to_cc",
    "infant_model",
    "model_variables",
    "ndc_to_rxc",
    "rxc_hierarchy",
)
_WHERE_USED = ("acf_code_map", "bundled_mother_infant_codes")


@dataclass(frozen=True)
class YearTables:
    """All tables of a benefit year, each with ``_file`` and ``_row`` columns, and those carried from another year."""

    benefit_year: int
    frames: dict[str, pl.DataFrame]
    carried: dict[str, int]
    proposed: bool

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.frames[name]


def load_year_tables(benefit_year: int, settings: ScoringSettings) -> YearTables:
    """Return the tables of a benefit year.

    Raises
    ------
    TableMissing
        Naming every table that has no rows for the year.
    NotYetPublished
        When the coefficients are a proposed rule and `settings` do not allow it.
    """
    frames: dict[str, pl.DataFrame] = {}
    carried: dict[str, int] = {}
    missing: list[str] = []
    proposed = _is_proposed(benefit_year)
    if proposed and not settings.allow_proposed:
        raise NotYetPublished(
            f"the coefficients of benefit year {benefit_year} are a proposed rule",
            where="hhs_hcc/coefficients, status proposed",
            remedy='score them knowingly with settings={"allow_proposed": True} (command: --allow-proposed)',
        )
    for name in (*_ALWAYS, *_WHERE_USED):
        full = f"hhs_hcc/{name}"
        try:
            frames[name] = _registry.rows(full, year=benefit_year)
        except TableMissing:
            earlier = _last_year_before(full, benefit_year) if proposed else None
            if earlier is not None:
                frames[name] = _registry.rows(full, year=earlier)
                carried[name] = earlier
            elif name in _ALWAYS:
                missing.append(full)
            else:
                frames[name] = _registry.rows(full).clear()
    if missing:
        raise TableMissing(
            f"benefit year {benefit_year} cannot be scored: no rows in {', '.join(missing)}",
            rule="a year is scored only with its own published tables",
            remedy=f"score one of {_years_complete()}, or supply the missing tables (data_specs.use, --tables DIR)",
        )
    return YearTables(benefit_year, frames, carried, proposed)


def _is_proposed(benefit_year: int) -> bool:
    try:
        return "proposed" in _registry.rows("hhs_hcc/coefficients", year=benefit_year)["status"].to_list()
    except TableMissing:
        return False


def _last_year_before(name: str, benefit_year: int) -> int | None:
    years = _registry.rows(name)["benefit_year"].unique().to_list()
    return max((y for y in years if y < benefit_year), default=None)


def _years_complete() -> str:
    held = [set(_registry.rows(f"hhs_hcc/{name}")["benefit_year"].unique().to_list()) for name in _ALWAYS]
    return _registry.year_ranges(sorted(set.intersection(*held)))


def refuse(frame: pl.DataFrame, index: int, column: str, what: str, rule: str, remedy: str = "") -> TableRefused:
    """Return the refusal of one cell of a table, with file and row."""
    where = f"{frame['_file'][index]}, row {frame['_row'][index]}, column {column}"
    return TableRefused(what, where=where, rule=rule, remedy=remedy or "mend the row; figures are never guessed")
