"""What was worked out of tables is kept for as long as the same tables are in use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import polars as pl

__all__ = ["remembered"]

Result = TypeVar("Result")
Tables = tuple["pl.DataFrame", ...]

_MOST_TABLES = 16  # sets of tables whose results are kept


def remembered(work: Callable[..., Result]) -> Callable[..., Result]:
    """Return a function of tables and more arguments that works each answer out once.

    The tables are told apart by identity: the registry hands out one and the same frame until another one is in use.
    They are kept with the answers, so that no later frame can take their place; refusals are not kept.

    Parameters
    ----------
    work : function
        Takes a tuple of tables, then hashable arguments; nobody changes what it returns.

    Examples
    --------
    >>> import polars as pl
    >>> frame = pl.DataFrame({"age": [20, 21]})
    >>> oldest = remembered(lambda tables, column: tables[0][column].max())
    >>> oldest((frame,), "age"), oldest((frame,), "age"), oldest((frame.head(1),), "age")
    (21, 21, 20)
    """
    kept: OrderedDict[tuple[int, ...], tuple[Tables, dict[Any, Result]]] = OrderedDict()

    @wraps(work)
    def answer(tables: Tables, *key: Any) -> Result:
        identity = tuple(id(table) for table in tables)
        _, answers = kept.setdefault(identity, (tables, {}))
        while len(kept) > _MOST_TABLES:
            kept.popitem(last=False)
        if key not in answers:
            answers[key] = work(tables, *key)
        return answers[key]

    return answer
