"""The one error tree of poolwise: a class for each thing the reader can do about it.

    PoolwiseError
    ├── InputRefused        the data handed in cannot be used as a whole: mend the file or frame
    ├── TableRefused        a table of published figures breaks its contract: mend the table
    ├── TableMissing        no table holds the figures asked for: choose another year or add the table
    ├── NotYetPublished     the figures exist only as a proposal, or not at all yet
    ├── SettingRefused      an option has no such name or value
    ├── OutputRefused       the results cannot be written where they were asked for
    └── ExtraMissing        an optional dependency is not installed

Problems of single rows are not exceptions: they are counted findings of the result.
"""

from __future__ import annotations

__all__ = [
    "ExtraMissing",
    "InputRefused",
    "NotYetPublished",
    "OutputRefused",
    "PoolwiseError",
    "SettingRefused",
    "TableMissing",
    "TableRefused",
]


class PoolwiseError(Exception):
    """Root of all errors that poolwise raises on purpose.

    Parameters
    ----------
    what : str
        What is wrong, without any value of a person.
    where : str, optional
        File, table, row (counted as a text editor counts lines) and column.
    rule : str, optional
        The rule that is broken, with its source.
    remedy : str, optional
        What the reader can do.

    Examples
    --------
    >>> print(InputRefused("column 'sex' is missing", where="enrollees", remedy="add the column"))
    column 'sex' is missing [enrollees]. To do: add the column
    """

    def __init__(self, what: str, *, where: str = "", rule: str = "", remedy: str = "") -> None:
        self.what, self.where, self.rule, self.remedy = what, where, rule, remedy
        text = what + (f" [{where}]" if where else "")
        text += f". Rule: {rule}" if rule else ""
        text += f". To do: {remedy}" if remedy else ""
        super().__init__(text)


class InputRefused(PoolwiseError, ValueError):
    """The data handed in cannot be used as a whole."""


class TableRefused(PoolwiseError, ValueError):
    """A table of published figures breaks its contract."""


class TableMissing(PoolwiseError, LookupError):
    """No table holds the figures asked for."""


class NotYetPublished(PoolwiseError, LookupError):
    """The figures exist only as a proposal, or are not published."""


class SettingRefused(PoolwiseError, ValueError):
    """An option has no such name or value."""


class OutputRefused(PoolwiseError, OSError):
    """The results cannot be written where they were asked for."""


class ExtraMissing(PoolwiseError, ImportError):
    """An optional dependency is not installed."""
