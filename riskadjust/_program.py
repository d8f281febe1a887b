"""Rows of rules -> instructions of the kernel: bits for facts that are yes or no, numbers for ages, months, counts.

The adult and child rules (``model_variables``) and the infant rules (``infant_model``) become the same kind of
instruction, so that one interpreter serves all three.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data_specs.errors import TableRefused
from riskadjust._tables import refuse

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DRUG_WORD", "HCC_WORDS", "WORDS", "Program", "adult_or_child_program", "infant_program"]

WORDS = 8
HCC_WORDS = 3
DRUG_WORD = 3
FIRST_VARIABLE_BIT = 64 * (DRUG_WORD + 1)
_NUMBERS = {"AGE_LAST": 0, "ENROLL_MONTHS": 1, "SEX": 2}
_FIRST_COUNT_FACT, _LAST_COUNT_FACT = 3, 7
_ANY_SET, _ANY_CLEAR = 0, 1
_NUMBER_OPS = {"eq": 2, "ge": 3, "gt": 4, "le": 5}
_DRUGS = "drug categories as mapped: "


@dataclass
class Term:
    """One alternative of a clause: some bit of a mask set or clear, or a number compared."""

    op: int
    index: int
    value: int = 0
    mask: int = 0


@dataclass
class Instruction:
    """Set one variable when every clause holds, or count bits into a number."""

    variable: str
    step: int
    is_count: bool
    target: int
    clauses: list[list[Term]] = field(default_factory=list)
    zeroes: int = 0
    counted: int = 0


@dataclass
class Program:
    """The rules of one model. Masks are Python integers over all state bits; `bits` names every bit."""

    model: str
    bits: dict[str, int]
    instructions: list[Instruction] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=lambda: dict(_NUMBERS))
    in_score: set[str] = field(default_factory=set)
    grouped_hccs: set[str] = field(default_factory=set)
    count_fact: int = -1

    def new_bit(self, variable: str) -> int:
        """Return the bit of a variable, giving it the next free one."""
        if variable not in self.bits:
            used = [b for b in self.bits.values() if b >= FIRST_VARIABLE_BIT]
            bit = max(used, default=FIRST_VARIABLE_BIT - 1) + 1
            if bit >= 64 * WORDS:
                raise TableRefused(
                    f"the {self.model} model has too many variables",
                    rule=f"at most {64 * WORDS - FIRST_VARIABLE_BIT} beside its HCCs",
                    remedy="report this: the kernel's state must grow by a word",
                )
            self.bits[variable] = bit
        return self.bits[variable]


def word_terms(op: int, mask: int) -> list[Term]:
    """Return a mask over all bits as one term per word."""
    words = ((w, (mask >> (64 * w)) & (2**64 - 1)) for w in range(WORDS))
    return [Term(op, w, mask=m) for w, m in words if m]


def drug_bit_name(variable: str) -> str:
    """Return the name under which a mapped drug category keeps its bit."""
    return _DRUGS + variable


def adult_or_child_program(model: str, bits: dict[str, int], rules: pl.DataFrame) -> Program:
    """Return the program of a model from its rows of ``model_variables``, in order of their steps."""
    program = Program(model, bits)
    rules = rules.sort("step", "variable", "clause", maintain_order=True)
    steps = _step_by_variable(rules)
    grouped: dict[str, str] = {}
    by_variable: dict[str, list[int]] = {}
    for index, variable in enumerate(rules["variable"].to_list()):
        by_variable.setdefault(variable, []).append(index)
    rows = rules.to_dicts()
    order = sorted(by_variable, key=lambda v: steps[v])
    counts = [v for v in order if rows[by_variable[v][0]]["op"] == "count"]
    for number, variable in enumerate(counts):
        if _FIRST_COUNT_FACT + number > _LAST_COUNT_FACT:
            raise refuse(rules, by_variable[variable][0], "op", "too many counts", "at most five counts in a model")
        program.numbers[variable] = _FIRST_COUNT_FACT + number
    for variable in order:
        if variable not in counts:
            program.new_bit(variable)
    for variable in order:
        indexes = by_variable[variable]
        compile_one = _count_instruction if variable in counts else _flag_instruction
        instruction = compile_one(program, rules, rows, indexes, steps)
        _note_groups(program, rules, rows, indexes, grouped, instruction)
        program.instructions.append(instruction)
        if rows[indexes[0]]["in_score"]:
            program.in_score.add(variable)
    program.count_fact = program.numbers[counts[0]] if counts else -1
    return program


def _step_by_variable(rules: pl.DataFrame) -> dict[str, int]:
    steps: dict[str, int] = {}
    for index, (variable, step) in enumerate(rules.select("variable", "step").rows()):
        if steps.setdefault(variable, step) != step:
            raise refuse(rules, index, "step", "a variable stands in two steps", "a variable has one step")
    return steps


def _flag_instruction(
    program: Program, rules: pl.DataFrame, rows: list[dict[str, Any]], indexes: list[int], steps: dict[str, int]
) -> Instruction:
    first = rows[indexes[0]]
    clauses: dict[int, list[Term]] = {}
    for index in indexes:
        row = rows[index]
        if row["role"] != "include" or row["op"] == "count":
            raise refuse(rules, index, "role", "a row that only a count can have", "flags have include rows only")
        clauses.setdefault(row["clause"], []).extend(_terms(program, rules, index, row, steps))
    target = program.bits[first["variable"]]
    return Instruction(first["variable"], first["step"], False, target, [_merged(t) for t in clauses.values()])


def _terms(program: Program, rules: pl.DataFrame, index: int, row: dict[str, Any], steps: dict[str, int]) -> list[Term]:
    member, op, value = row["member"], row["op"], row["value"]
    if op == "any":
        bit = program.bits.get(drug_bit_name(row["variable"]))
        if bit is None:
            raise refuse(
                rules, index, "variable", "no drug code maps to this variable", "op any reads the year's drug tables"
            )
        return word_terms(_ANY_SET, 1 << bit)
    if value is None:
        raise refuse(rules, index, "value", "a value is required", f"op {op} compares with a value")
    if member not in program.numbers and member not in program.bits:
        raise refuse(
            rules,
            index,
            "member",
            f"nothing is called {member}",
            "an HCC of hcc_label, a variable, AGE_LAST or ENROLL_MONTHS",
        )
    if member in steps and steps[member] >= row["step"]:
        raise refuse(
            rules, index, "member", f"{member} is not set before step {row['step']}", "a rule reads earlier steps"
        )
    if member in program.numbers:
        return [Term(_NUMBER_OPS[op], program.numbers[member], value)]
    if op != "eq" or value not in (0, 1):
        raise refuse(rules, index, "op", f"{member} is yes or no", "a yes-or-no member takes op eq with 0 or 1")
    return word_terms(_ANY_SET if value else _ANY_CLEAR, 1 << program.bits[member])


def _merged(terms: list[Term]) -> list[Term]:
    """Return terms with the masks of one word and operation joined: the kernel then tests many members at once."""
    joined: dict[tuple[int, int, int], Term] = {}
    for term in terms:
        key = (term.op, term.index, term.value)
        if key in joined:
            joined[key].mask |= term.mask
        else:
            joined[key] = term
    return list(joined.values())


def _count_instruction(
    program: Program, rules: pl.DataFrame, rows: list[dict[str, Any]], indexes: list[int], steps: dict[str, int]
) -> Instruction:
    first = rows[indexes[0]]
    counted, left_out = 0, 0
    for index in indexes:
        row = rows[index]
        if row["op"] != "count":
            raise refuse(rules, index, "op", "a row that counts nothing", "every row of a count has op count")
        mask = _counted_mask(program, rules, index, row, steps)
        if row["role"] == "include":
            counted |= mask
        else:
            left_out |= mask
    fact = program.numbers[first["variable"]]
    return Instruction(first["variable"], first["step"], True, fact, counted=counted & ~left_out)


def _counted_mask(program: Program, rules: pl.DataFrame, index: int, row: dict[str, Any], steps: dict[str, int]) -> int:
    member = row["member"]
    if member == "ANY_PAYMENT_HCC_NOT_IN_GROUP":
        # Members of groups are zero by now, and HCCs outside the model never were set.
        return sum(1 << b for b in program.bits.values() if b < 64 * HCC_WORDS)
    if member == "ANY_GROUP":
        groups = [i for i in program.instructions if i.zeroes]
        return sum(1 << i.target for i in groups)
    bit = program.bits.get(member)
    if bit is None or steps.get(member, 0) >= row["step"]:
        raise refuse(
            rules, index, "member", f"{member} cannot be counted here", "an HCC, or a variable of an earlier step"
        )
    return 1 << bit


def _note_groups(
    program: Program,
    rules: pl.DataFrame,
    rows: list[dict[str, Any]],
    indexes: list[int],
    grouped: dict[str, str],
    instruction: Instruction,
) -> None:
    for index in indexes:
        row = rows[index]
        if not row["zeroes_member"]:
            continue
        member = row["member"]
        if program.bits.get(member, 64 * HCC_WORDS) >= 64 * HCC_WORDS:
            raise refuse(rules, index, "zeroes_member", f"{member} is not an HCC", "a group takes in HCCs")
        if member in grouped:
            raise refuse(rules, index, "member", f"{member} is in {grouped[member]} too", "each member is in one group")
        grouped[member] = row["variable"]
        program.grouped_hccs.add(member)
        instruction.zeroes |= 1 << program.bits[member]


def infant_program(bits: dict[str, int], rules: pl.DataFrame) -> Program:
    """Return the program of the infant model.

    "The lowest rank wins" becomes: a level holds when one of its rows holds and no stronger level does; the default
    level holds when none does. Combinations and the age-sex factor follow.
    """
    program = Program("infant", bits)
    rows = rules.to_dicts()
    for kind, step in (("severity", 10), ("maturity", 30)):
        _infant_levels(program, rules, rows, kind, step)
    for index, row in enumerate(rows):
        if row["kind"] not in ("combination", "demographic"):
            continue
        clauses = _infant_conditions(program, rules, index, row)
        target = program.new_bit(row["variable"])
        if any(i.target == target for i in program.instructions):
            raise refuse(rules, index, "variable", "the variable has two rows", "one row sets an infant variable")
        program.instructions.append(Instruction(row["variable"], 60, False, target, clauses))
        program.in_score.add(row["variable"])
    return program


def _infant_levels(program: Program, rules: pl.DataFrame, rows: list[dict[str, Any]], kind: str, step: int) -> None:
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
    stronger = 0
    for offset, level in enumerate(sorted(ranks, key=lambda v: ranks[v])):
        raw = program.new_bit(f"{level} (any row)")
        target = program.new_bit(level)
        for index, row in members:
            if row["variable"] == level:
                conditions = _infant_conditions(program, rules, index, row)
                program.instructions.append(Instruction(f"{level} (any row)", step, False, raw, conditions))
        clauses = [word_terms(_ANY_SET, 1 << raw), *_none_of(stronger)]
        program.instructions.append(Instruction(level, step + 1 + offset, False, target, clauses))
        stronger |= 1 << target
    index, row = defaults[0]
    target = program.new_bit(row["variable"])
    clauses = [*_none_of(stronger), *_infant_conditions(program, rules, index, {**row, "member": ""})]
    program.instructions.append(Instruction(row["variable"], step + 18, False, target, clauses))
    program.instructions.sort(key=lambda i: i.step)


def _none_of(mask: int) -> list[list[Term]]:
    """Return clauses that hold when no bit of the mask is set: one per bit, because a term's bits are alternatives."""
    clauses = []
    while mask:
        bit = mask & -mask
        clauses.append(word_terms(_ANY_CLEAR, bit))
        mask ^= bit
    return clauses


def _infant_conditions(program: Program, rules: pl.DataFrame, index: int, row: dict[str, Any]) -> list[list[Term]]:
    clauses: list[list[Term]] = []
    if row["age_min"] is not None:
        clauses.append([Term(_NUMBER_OPS["ge"], _NUMBERS["AGE_LAST"], row["age_min"])])
    if row["age_max"] is not None:
        clauses.append([Term(_NUMBER_OPS["le"], _NUMBERS["AGE_LAST"], row["age_max"])])
    if row["sex"] is not None:
        clauses.append([Term(_NUMBER_OPS["eq"], _NUMBERS["SEX"], 1 if row["sex"] == "M" else 2)])
    for column, op in (("maturity", _ANY_SET), ("maturity_not", _ANY_CLEAR), ("severity", _ANY_SET)):
        if row[column] is None:
            continue
        if row[column] not in program.bits:
            raise refuse(rules, index, column, f"no level is called {row[column]}", "a level of the infant model")
        clauses.append(word_terms(op, 1 << program.bits[row[column]]))
    member = row["member"]
    if row["kind"].endswith("_member") and member.startswith("HCC"):
        if member not in program.bits:
            raise refuse(rules, index, "member", f"nothing is called {member}", "an HCC of hcc_label")
        clauses.append(word_terms(_ANY_SET, 1 << program.bits[member]))
    elif row["kind"].endswith("_member") and not clauses:
        raise refuse(rules, index, "member", f"{member} is not an HCC and the row has no condition", "a row has one")
    return clauses
