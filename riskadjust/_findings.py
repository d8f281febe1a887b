"""What a run noticed row by row: counted by rule, and the refused rows kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_specs import _registry

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Findings", "rule_texts"]

_QUARANTINE = ("quarantine", "quarantine_orphan")
RULE_TABLES = (
    "filing/dq_rules",
    "hhs_hcc/scoring_rules",
    "transfers/settlement_rules",
    "transfers/stabilizer_rules",
    "rating/quote_rules",
    "av/design_rules",
    "av/adjudication_rules",
)
_REFUSING = (*_QUARANTINE, "reject_record", "keep_one", "exclude_from_year")


class Findings:
    """Counts of rows by rule, and the rows that took no part.

    A rule id comes from a table of `RULE_TABLES`; the text is looked up when the frame is made.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._actions: dict[tuple[str, str], str] = {}
        self._refused: dict[str, list[pl.DataFrame]] = {}
        self._inputs: dict[str, int] = {}

    def table(self, table: str, rows: int) -> None:
        """Note that a table came in with so many rows."""
        self._inputs[table] = self._inputs.get(table, 0) + rows
        self._refused.setdefault(table, [])

    def note(self, rule_id: str, table: str, rows: int, action: str = "") -> None:
        """Count rows that a rule noticed and that were used; `action` says what was done where the rule says more."""
        if rows:
            self._counts[rule_id, table] = self._counts.get((rule_id, table), 0) + int(rows)
            if action:
                self._actions[rule_id, table] = action

    def refuse(self, rule_id: str, table: str, rows: pl.DataFrame, action: str = "") -> None:
        """Count rows that a rule kept out, and keep them; `action` where it is not the rule's own."""
        import polars as pl

        if rows.height == 0:
            return
        self.note(rule_id, table, rows.height, action)
        if "rule_id" in rows.columns:
            rows = rows.rename({"rule_id": "rule_id_given"})
        self._refused[table].append(rows.with_columns(pl.lit(rule_id).alias("rule_id")))

    def frame(self) -> pl.DataFrame:
        """Return one row per rule that fired: rule_id, table, severity, action, rows, condition, basis."""
        import polars as pl

        texts = _texts_by_rule() if self._counts else {}
        lines = []
        for (rule_id, table), rows in sorted(self._counts.items()):
            severity, action, condition, basis = texts.get(rule_id, (None,) * 4)
            taken = self._actions.get((rule_id, table), action)
            lines.append((rule_id, table, severity, taken, rows, condition, basis))
        columns = ("rule_id", "table", "severity", "action", "rows", "condition", "basis")
        schema = {c: pl.Int64 if c == "rows" else pl.String for c in columns}
        return pl.DataFrame(lines, schema=schema, orient="row")

    def refused(self) -> dict[str, pl.DataFrame]:
        """Return the refused rows of each table with their rule_id, sorted by every column so that order is fixed."""
        import polars as pl

        kept = {}
        for table, parts in self._refused.items():
            if parts:
                joined = pl.concat(parts, how="diagonal_relaxed")
                # A column of Python objects has no order; it takes no part.
                kept[table] = joined.sort([c for c, t in joined.schema.items() if t != pl.Object], nulls_last=True)
        return kept

    def counts(self) -> pl.DataFrame:
        """Return table, input, accepted, rejected (rows); accepted + rejected = input."""
        import polars as pl

        lines = []
        for table, rows in sorted(self._inputs.items()):
            out = sum(p.height for p in self._refused[table])
            lines.append({"table": table, "input": rows, "accepted": rows - out, "rejected": out})
        schema = {"table": pl.String, "input": pl.Int64, "accepted": pl.Int64, "rejected": pl.Int64}
        return pl.DataFrame(lines, schema=schema)


def rule_texts() -> pl.DataFrame:
    """Return rule_id, severity, action, condition, basis of every rule that a run can name."""
    import polars as pl

    columns = ["rule_id", "severity", "action", pl.col("failing_condition").alias("condition"), "basis"]
    return pl.concat(_registry.table(name).select(columns) for name in RULE_TABLES)


_Texts = dict[str, tuple[str | None, ...]]
# The tables that the texts were read from, and the texts: a table that is replaced is another frame.
_read: tuple[list[pl.DataFrame], _Texts] = ([], {})


def _texts_by_rule() -> _Texts:
    """Return severity, action, condition and basis of every rule by its id; read anew when a table was replaced."""
    global _read
    tables = [_registry.rows(name) for name in RULE_TABLES]
    known, texts = _read
    if [id(t) for t in known] != [id(t) for t in tables]:
        texts = {rule_id: tuple(rest) for rule_id, *rest in rule_texts().rows()}
        _read = (tables, texts)
    return texts
