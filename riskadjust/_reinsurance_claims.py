"""Claims of reinsurance by enrollee of an issuer: added, of the individual market, with area and eligibility."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames
from data_specs.errors import InputRefused, SettingRefused
from riskadjust._cents import exact
from riskadjust._findings import Findings
from riskadjust._refusals import LARGEST, Refusals, collected, number_columns, rule_text
from riskadjust._reinsurance_layers import MICRO
from riskadjust._reinsurance_program import ALL_AREAS, STATE, Program

if TYPE_CHECKING:
    import polars as pl

__all__ = ["CLAIMS", "Reinsured", "read_claims", "read_life_years"]

CLAIMS, CONDITIONS, LIFE_YEARS = "claims", "enrollee_conditions", "covered_life_years"
_AREA, _CEDED = "rating_area_id", "is_ceded"
_LARGEST_CLAIM = 1e9


@dataclass(frozen=True)
class Reinsured:
    """The enrollees of the program, sorted by key.

    Attributes
    ----------
    frame : DataFrame
        [state,] issuer_id, enrollee_id [, rating_area_id, is_eligible].
    keys : list of str
        The columns that tell issuers apart.
    micro : array of int
        Claims of the year, in millionths of a dollar.
    of_terms : array of int
        Which of the program's areas, in their order; -1: not reinsured, because of no listed condition.
    """

    frame: pl.DataFrame
    keys: list[str]
    micro: NDArray[np.int64]
    of_terms: NDArray[np.int64]


def read_claims(
    given: Any, program: Program, findings: Findings, condition_list: Any, enrollee_conditions: Any
) -> Reinsured:
    """Return the enrollees whose claims the program looks at, after checking every row."""
    import polars as pl

    frame = _checked(given)
    findings.table(CLAIMS, frame.height)
    frame = _of_program(frame, program, findings)
    keys: list[str] = [c for c in ("state", "issuer_id") if c in frame.columns]
    has_areas = set(program.layers) != {ALL_AREAS}
    frame = _with_terms(frame, program, has_areas)
    by_condition = _eligible_keys(frame, keys, program, findings, condition_list, enrollee_conditions)
    made = (
        frame.group_by(*keys, "enrollee_id")
        .agg(
            pl.col("_micro").sum(),
            pl.col("_terms").first(),
            pl.col("_terms").n_unique().alias("_areas"),
            *([pl.col(_AREA).min()] if has_areas else []),
            pl.col("_ceded").any(),
        )
        .sort(*keys, "enrollee_id")
    )
    _check_sums(frame, made, keys)
    columns: list[Any] = [*keys, "enrollee_id", *([_AREA] if has_areas else [])]
    terms = pl.col("_terms")
    if by_condition is not None:
        made = made.join(
            by_condition, on=by_condition.drop("_listed").columns, how="left", validate="m:1", maintain_order="left"
        )
        is_eligible = pl.col("_listed").fill_null(False) | pl.col("_ceded")
        columns.append(is_eligible.alias("is_eligible"))
        terms = pl.when(is_eligible).then(terms).otherwise(-1)
    return Reinsured(
        frame=made.select(columns),
        keys=keys,
        micro=made["_micro"].to_numpy(),
        of_terms=made.select(terms.cast(pl.Int64)).to_series().to_numpy(),
    )


def _checked(given: Any) -> pl.DataFrame:
    """Return claims with plan_paid in millionths of a dollar, ids without blanks around, and the row number."""
    import polars as pl

    frame = collected(given, CLAIMS, ("issuer_id", "enrollee_id", "plan_paid")).select(pl.exclude("^_.*$"))
    ids = [c for c in ("issuer_id", "enrollee_id", "state", "market", _AREA) if c in frame.columns]
    frame = _cleaned(frame, CLAIMS, ids)
    if "market" in ids:
        frame = frame.with_columns(pl.col("market").str.to_lowercase().str.replace_all(r"[ -]", "_"))
    refusals = Refusals(CLAIMS)
    for column in (c for c in ids if c != _AREA):
        refusals.add("REI-001", column, frame.select(pl.col(column).fill_null("") == "").to_series().to_numpy())
    if "market" in ids:
        is_known = pl.col("market").fill_null("").is_in(["individual", "small_group", ""])
        refusals.add("REI-001", "market", ~frame.select(is_known).to_series().to_numpy())
    paid = number_columns(frame, CLAIMS, ["plan_paid"])["plan_paid"]
    is_amount = np.abs(paid) < _LARGEST_CLAIM
    refusals.add("REI-002", "plan_paid", ~is_amount)
    if _CEDED in frame.columns:
        if frame.schema[_CEDED] != pl.Boolean:
            raise InputRefused(
                f"column {_CEDED!r} is {frame.schema[_CEDED]}",
                where=f"{CLAIMS}, column {_CEDED}",
                rule=rule_text("REI-013"),
                remedy="cast it to Boolean",
            )
        refusals.add("REI-013", _CEDED, frame[_CEDED].is_null().to_numpy())
    refusals.check()
    frame = frame.with_columns((pl.col(_CEDED) if _CEDED in frame.columns else pl.lit(False)).alias("_ceded"))
    return frame.with_columns(pl.Series("_micro", np.rint(paid * MICRO).astype(np.int64))).with_row_index("_row")


def _cleaned(frame: pl.DataFrame, table: str, columns: list[str]) -> pl.DataFrame:
    """Return text without blanks around, states in capital letters, so that every table names an issuer alike."""
    import polars as pl

    frame = frame.with_columns(_frames.text_column(frame, table, c).str.strip_chars() for c in columns)
    return frame.with_columns(pl.col(c).str.to_uppercase() for c in columns if c == "state")


def _of_program(frame: pl.DataFrame, program: Program, findings: Findings) -> pl.DataFrame:
    """Return the claims of the individual market, and of the program's state; the others are set aside."""
    import polars as pl

    outside = []
    if "market" in frame.columns:
        outside.append(("REI-020", pl.col("market") != "individual"))
    else:
        findings.note("REI-022", CLAIMS, frame.height)
    if program.name == STATE and "state" in frame.columns:
        outside.append(("REI-021", pl.col("state") != program.state))
    for rule_id, is_out in outside:
        findings.refuse(rule_id, CLAIMS, frame.filter(is_out).drop("_row", "_micro", "_ceded"))
        frame = frame.filter(~is_out)
    if frame.height:
        return frame
    raise InputRefused(
        "no claim is left: all are of another market or state",
        where=CLAIMS,
        rule="; ".join(rule_text(rule_id) for rule_id, _ in outside),
        remedy="hand in the claims of the individual market of the program's state",
    )


def _with_terms(frame: pl.DataFrame, program: Program, has_areas: bool) -> pl.DataFrame:
    """Return claims with the number of the terms that hold for the enrollee's rating area."""
    import polars as pl

    if not has_areas:
        return frame.with_columns(pl.lit(0, pl.Int64).alias("_terms"))
    _frames.need_columns(frame, CLAIMS, (_AREA,))
    terms = list(program.layers.values())
    number = {area: terms.index(layers) for area, layers in program.layers.items()}  # areas of equal terms are one
    of_area = pl.col(_AREA).replace_strict(number, default=None, return_dtype=pl.Int64)
    frame = frame.with_columns(of_area.alias("_terms"))
    refusals = Refusals(CLAIMS, frame["_row"].cast(pl.Int64).to_numpy())
    refusals.add("REI-009", _AREA, frame["_terms"].is_null().to_numpy())
    refusals.check()
    return frame


def _check_sums(frame: pl.DataFrame, made: pl.DataFrame, keys: list[str]) -> None:
    """Refuse enrollees whose claims are below zero, or lie in areas of different terms."""
    import polars as pl

    refusals = Refusals(CLAIMS, frame["_row"].cast(pl.Int64).to_numpy())
    broken = (("REI-003", "plan_paid", pl.col("_micro") < 0), ("REI-010", _AREA, pl.col("_areas") > 1))
    on = [*keys, "enrollee_id"]
    for rule_id, column, is_broken in broken:
        found = made.filter(is_broken).select(*on, pl.lit(True).alias("_is_broken"))
        if found.height:
            rows = frame.join(found, on=on, how="left", validate="m:1", maintain_order="left")
            refusals.add(rule_id, column, rows["_is_broken"].fill_null(False).to_numpy())
    refusals.check()


# ------------------------------------------------------------------------------------------------ conditions


def _eligible_keys(
    frame: pl.DataFrame, keys: list[str], program: Program, findings: Findings, condition_list: Any, given: Any
) -> pl.DataFrame | None:
    """Return the enrollees with a listed condition; None where the program reinsures without regard to conditions."""
    import polars as pl

    is_by_condition = program.has_condition_list or condition_list is not None or given is not None
    if not is_by_condition:
        return None if _CEDED not in frame.columns else frame.select("enrollee_id").clear().with_columns(_listed=True)
    if (condition_list is None) != (given is None):
        raise SettingRefused(
            "a list of conditions and the conditions of enrollees belong together",
            remedy="give condition_list=[...] and enrollee_conditions (enrollee_id, condition)",
        )
    if given is None:
        if _CEDED in frame.columns:
            return frame.select("enrollee_id").clear().with_columns(_listed=True)
        raise SettingRefused(
            f"the program of {program.state} reinsures enrollees by condition, and no list is given",
            remedy="give condition_list and enrollee_conditions, or column is_ceded of the claims",
        )
    listed = _condition_list(condition_list)
    people = collected(given, CONDITIONS, ("enrollee_id", "condition"))
    on = [*[c for c in keys if c in people.columns], "enrollee_id"]
    people = _cleaned(people, CONDITIONS, [*on, "condition"])
    refusals = Refusals(CONDITIONS)
    for column in (*on, "condition"):
        refusals.add("REI-011", column, people.select(pl.col(column).fill_null("") == "").to_series().to_numpy())
    refusals.check()
    findings.table(CONDITIONS, people.height)
    findings.note("REI-023", CONDITIONS, people.join(frame.select(on).unique(), on=on, how="anti").height)
    return people.filter(pl.col("condition").is_in(listed)).select(on).unique().with_columns(_listed=True)


def _condition_list(given: Any) -> list[str]:
    is_list = isinstance(given, Iterable) and not isinstance(given, str | Mapping)
    listed = [each.strip() if isinstance(each, str) else "" for each in given] if is_list else []
    if listed and all(listed):
        return sorted(set(listed))
    raise InputRefused(
        "the list of conditions is empty, or holds something else than text",
        where="condition_list",
        rule=rule_text("REI-011"),
        remedy='write it as ["035_1", ...]',
    )


# ------------------------------------------------------------------------------------------------ life-years


def read_life_years(given: Any, keys: list[str], issuers: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], Fraction]:
    """Return covered life-years by issuer: every issuer with claims has them."""
    import polars as pl

    if isinstance(given, Mapping):
        if keys != ["issuer_id"]:
            raise InputRefused(
                "the claims have a state, the covered life-years none",
                where=LIFE_YEARS,
                rule=rule_text("REI-012"),
                remedy="give a frame with state, issuer_id, covered_life_years",
            )
        given = pl.DataFrame({"issuer_id": list(given), LIFE_YEARS: list(given.values())}, strict=False)
    frame = collected(given, LIFE_YEARS, (*keys, LIFE_YEARS))
    frame = _cleaned(frame, LIFE_YEARS, keys)
    years = number_columns(frame, LIFE_YEARS, [LIFE_YEARS])[LIFE_YEARS]
    refusals = Refusals(LIFE_YEARS)
    refusals.add("REI-012", LIFE_YEARS, ~((years >= 0) & (years < LARGEST)))
    blank = pl.any_horizontal(pl.col(c).fill_null("") == "" for c in keys)
    refusals.add(
        "REI-012",
        " + ".join(keys),
        frame.select(blank).to_series().to_numpy() | frame.select(keys).is_duplicated().to_numpy(),
    )
    refusals.check()
    found = dict(zip(frame.select(keys).rows(), map(exact, years.tolist()), strict=True))
    if missing := sorted(" ".join(key) for key in issuers if key not in found):
        raise InputRefused(
            f"no covered life-years of {len(missing)} issuer{'s' if len(missing) > 1 else ''} with claims: "
            + ", ".join(missing[:3])
            + (" ..." if len(missing) > 3 else ""),
            where=LIFE_YEARS,
            rule=rule_text("REI-012"),
            remedy="give them for every issuer: the contribution is due on all covered lives",
        )
    return found
