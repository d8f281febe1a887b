"""Rows of rules -> instructions of the kernel: bits for facts that are yes or no, numbers for ages, months, counts.

The adult and child rules (``model_variables``) stand here, the infant rules in ``riskadjust._infant``: all become the
same kind of instruction, so that one interpreter serves the three models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data_specs.errors import TableRefused
from riskadjust._tables import refuse

if TYPE_CHECKING:
    import polars as pl

__all__ = ["DRUG_WORD", "HCC_WORDS", "WORDS", "Program", "adult_or_child_program", "state_words", "word_terms"]

WORDS = 8
HCC_WORDS = 3
DRUG_WORD = 3
FIRST_VARIABLE_BIT = 64 * (DRUG_WORD + 1)
NUMBERS = {"AGE_LAST": 0, "ENROLL_MONTHS": 1, "SEX": 2}
_FIRST_COUNT_FACT, _LAST_COUNT_FACT = 3, 7
ANY_SET, ANY_CLEAR = 0, 1
NUMBER_OPS = {"eq": 2, "ge": 3, "gt": 4, "le": 5}
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
    numbers: dict[str, int] = field(default_factory=lambda: dict(NUMBERS))
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


def state_words(mask: int) -> list[int]:
    """Return a mask over all state bits as words."""
    return [(mask >> (64 * w)) & (2**64 - 1) for w in range(WORDS)]


def word_terms(op: int, mask: int) -> list[Term]:
    """Return a mask over all bits as one term per word."""
    return [Term(op, w, mask=m) for w, m in enumerate(state_words(mask)) if m]


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
        if variable in program.bits or variable in NUMBERS:
            index = by_variable[variable][0]
            raise refuse(
                rules, index, "variable", f"{variable} is another name of the year", "a variable has its own name"
            )
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
    first: dict[str, tuple[int, bool, str]] = {}
    columns = ("step", "in_score", "kind")
    for index, (variable, *facts) in enumerate(rules.select("variable", *columns).rows()):
        for column, fact, other in zip(columns, facts, first.setdefault(variable, tuple(facts)), strict=True):
            if fact != other:
                raise refuse(rules, index, column, f"the rows of {variable} differ in {column}", "a variable has one")
    return {variable: facts[0] for variable, facts in first.items()}


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
        return word_terms(ANY_SET, 1 << bit)
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
        return [Term(NUMBER_OPS[op], program.numbers[member], value)]
    if op != "eq" or value not in (0, 1):
        raise refuse(rules, index, "op", f"{member} is yes or no", "a yes-or-no member takes op eq with 0 or 1")
    return word_terms(ANY_SET if value else ANY_CLEAR, 1 << program.bits[member])


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
