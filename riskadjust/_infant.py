"""Rows of the infant model -> instructions: levels of severity and maturity, combinations, the age-sex factor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from data_specs.errors import TableRefused
from riskadjust._program import ANY_CLEAR, ANY_SET, NUMBER_OPS, NUMBERS, Instruction, Program, Term, word_terms
from riskadjust._tables import refuse

if TYPE_CHECKING:
    import polars as pl

__all__ = ["infant_program"]


def infant_program(bits: dict[str, int], rules: pl.DataFrame) -> Program:
    """Return the program of the infant model.

    "The lowest rank wins" becomes: a level holds when one of its rows holds and no stronger level does; the default
    level holds when none does. Combinations and the age-sex factor follow.

    Raises
    ------
    TableRefused
        A level without a rank, an age without a level, a pair of levels without its one combination.
    """
    program = Program("infant", bits)
    rows = rules.to_dicts()
    for index, row in enumerate(rows):
        if row["age_min"] is not None and row["age_max"] is not None and row["age_min"] > row["age_max"]:
            raise refuse(rules, index, "age_min", "the age range is empty", "age_min is at most age_max")
    levels: dict[str, set[str]] = {"severity": set(), "maturity": set()}
    for kind, step in (("severity", 10), ("maturity", 30)):
        _levels(program, rules, rows, kind, step, levels)
    _check_combinations(rules, rows, levels)
    for index, row in enumerate(rows):
        if row["kind"] not in ("combination", "demographic"):
            continue
        if row["variable"] in program.bits:
            rule = "one row sets an infant variable, and its name is its own"
            raise refuse(rules, index, "variable", f"{row['variable']} is set elsewhere", rule)
        clauses = _conditions(program, rules, index, row, levels)
        target = program.new_bit(row["variable"])
        program.instructions.append(Instruction(row["variable"], 60, False, target, clauses))
        program.in_score.add(row["variable"])
    return program


def _levels(
    program: Program,
    rules: pl.DataFrame,
    rows: list[dict[str, Any]],
    kind: str,
    step: int,
    levels: dict[str, set[str]],
) -> None:
    members = [(i, r) for i, r in enumerate(rows) if r["kind"] == f"{kind}_member"]
    defaults = [(i, r) for i, r in enumerate(rows) if r["kind"] == f"{kind}_default"]
    if not members or len(defaults) != 1:
        raise TableRefused(
            f"the infant model has no single {kind} default, or no {kind} rows",
            where=str(rules["_file"][0]),
            rule="members with ranks, and one default row",
            remedy="complete the infant model",
        )
    ranks = {r["variable"]: r["rank"] for _, r in members}
    for index, row in members:
        if row["rank"] is None or ranks[row["variable"]] != row["rank"]:
            raise refuse(rules, index, "rank", f"{row['variable']} has no single rank", "a level has one rank")
    if len(set(ranks.values())) != len(ranks):
        raise refuse(rules, members[0][0], "rank", f"two levels of {kind} share a rank", "ranks order the levels")
    levels[kind] = {*ranks, defaults[0][1]["variable"]}
    clash = sorted(levels[kind] & program.bits.keys())
    if clash:
        raise refuse(rules, members[0][0], "variable", f"{clash[0]} is another name of the year", "a level has its own")
    _check_ages(rules, kind, members, defaults[0])
    stronger = 0
    for offset, level in enumerate(sorted(ranks, key=lambda v: ranks[v])):
        raw = program.new_bit(f"{level} (any row)")
        target = program.new_bit(level)
        for index, row in members:
            if row["variable"] == level:
                conditions = _conditions(program, rules, index, row, levels)
                program.instructions.append(Instruction(f"{level} (any row)", step, False, raw, conditions))
        clauses = [word_terms(ANY_SET, 1 << raw), *_none_of(stronger)]
        program.instructions.append(Instruction(level, step + 1 + offset, False, target, clauses))
        stronger |= 1 << target
    index, row = defaults[0]
    target = program.new_bit(row["variable"])
    clauses = [*_none_of(stronger), *_conditions(program, rules, index, {**row, "member": ""}, levels)]
    program.instructions.append(Instruction(row["variable"], step + 18, False, target, clauses))
    program.instructions.sort(key=lambda i: i.step)


def _check_ages(
    rules: pl.DataFrame, kind: str, members: list[tuple[int, dict[str, Any]]], default: tuple[int, dict[str, Any]]
) -> None:
    """Refuse a table that leaves an infant age without a level: absent is not zero."""
    for age in (0, 1):
        rows = [r for _, r in members if not r["member"].startswith("HCC")] + [default[1]]
        if not any(_fits_age(r, age) and r["sex"] is None for r in rows):
            what = f"an infant of age {age} can be left without a {kind}"
            raise refuse(
                rules, default[0], "age_min", what, f"the default or a row without an HCC gives every age a {kind}"
            )


def _fits_age(row: dict[str, Any], age: int) -> bool:
    low, high = row["age_min"], row["age_max"]
    return (low is None or age >= low) and (high is None or age <= high)


def _check_combinations(rules: pl.DataFrame, rows: list[dict[str, Any]], levels: dict[str, set[str]]) -> None:
    """Refuse a table in which a maturity and severity have no combination, or two."""
    seen: dict[tuple[str, str], int] = {}
    last = 0
    for index, row in enumerate(rows):
        if row["kind"] != "combination":
            continue
        last = index
        for column in ("maturity", "severity"):
            if row[column] is None:
                rule = "a combination names a maturity and a severity"
                raise refuse(rules, index, column, f"the combination has no {column}", rule)
            if row[column] not in levels[column]:
                raise refuse(rules, index, column, f"no level is called {row[column]}", f"a {column} of this table")
        pair = (row["maturity"], row["severity"])
        if pair in seen:
            raise refuse(
                rules, index, "maturity", f"{pair[0]} and {pair[1]} have two combinations", "one for each pair"
            )
        seen[pair] = index
    missing = sorted((m, s) for m in levels["maturity"] for s in levels["severity"] if (m, s) not in seen)
    if missing:
        what = f"{missing[0][0]} and {missing[0][1]} have no combination"
        raise refuse(rules, last, "maturity", what, "every maturity and severity has one combination")


def _none_of(mask: int) -> list[list[Term]]:
    """Return clauses that hold when no bit of the mask is set: one per bit, because a term's bits are alternatives."""
    clauses = []
    while mask:
        bit = mask & -mask
        clauses.append(word_terms(ANY_CLEAR, bit))
        mask ^= bit
    return clauses


def _conditions(
    program: Program, rules: pl.DataFrame, index: int, row: dict[str, Any], levels: dict[str, set[str]]
) -> list[list[Term]]:
    clauses: list[list[Term]] = []
    if row["age_min"] is not None:
        clauses.append([Term(NUMBER_OPS["ge"], NUMBERS["AGE_LAST"], row["age_min"])])
    if row["age_max"] is not None:
        clauses.append([Term(NUMBER_OPS["le"], NUMBERS["AGE_LAST"], row["age_max"])])
    if row["sex"] is not None:
        clauses.append([Term(NUMBER_OPS["eq"], NUMBERS["SEX"], 1 if row["sex"] == "M" else 2)])
    for column, op in (("maturity", ANY_SET), ("maturity_not", ANY_CLEAR), ("severity", ANY_SET)):
        if row[column] is None:
            continue
        if row[column] not in levels[column.removesuffix("_not")] or row[column] not in program.bits:
            raise refuse(rules, index, column, f"no level is called {row[column]}", "a level of the infant model")
        clauses.append(word_terms(op, 1 << program.bits[row[column]]))
    member = row["member"]
    if row["kind"].endswith("_member") and member.startswith("HCC"):
        if member not in program.bits:
            raise refuse(rules, index, "member", f"nothing is called {member}", "an HCC of hcc_label")
        clauses.append(word_terms(ANY_SET, 1 << program.bits[member]))
    elif row["kind"].endswith("_member") and not clauses:
        raise refuse(rules, index, "member", f"{member} is not an HCC and the row has no condition", "a row has one")
    return clauses
