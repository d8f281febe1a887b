"""Distinct texts of a column with each row's number: the slow work is then done once a text, not once a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from riskadjust._encoding import number_texts
from riskadjust._kernel import map_chunks

if TYPE_CHECKING:
    import polars as pl

__all__ = ["distinct_texts", "lookup_by_runs"]

_FIRST_TABLE, _LARGEST_TABLE = 1 << 16, 1 << 22
_CHUNK = 1 << 20
_FREE = 2**32 - 1


def distinct_texts(texts: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return the distinct texts of a column (null is one of them), and the number of each row's text.

    The order of the distinct texts is not fixed.
    """
    import polars as pl

    numbered = _by_views(texts) if len(texts) < _FREE else None
    if numbered is not None:
        return numbered
    distinct = texts.unique()
    known = pl.DataFrame({"text": distinct, "number": pl.int_range(len(distinct), dtype=pl.UInt32, eager=True)})
    rows = texts.alias("text").to_frame().join(known, on="text", how="left", nulls_equal=True, maintain_order="left")
    return distinct, rows["number"].to_numpy()


def _by_views(texts: pl.Series) -> tuple[pl.Series, np.ndarray] | None:
    """Return the same by the kernel, or None where a text is too long for it or there are too many of them."""
    import polars as pl

    array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
    buffers = array.buffers() if hasattr(array, "buffers") else []
    if str(array.type) != "string_view" or len(buffers) < 2 or buffers[1] is None:
        return None
    rows = len(texts)
    views = np.frombuffer(buffers[1], np.uint64, 2 * rows, 16 * array.offset).reshape(rows, 2)
    numbers = np.empty(rows, np.uint32)
    met: dict[int, np.ndarray | None] = {}

    def number_chunk(start: int) -> None:
        stop = min(start + _CHUNK, rows)
        met[start] = _numbered_chunk(views[start:stop], numbers[start:stop])

    starts = range(0, rows, _CHUNK)
    map_chunks(number_chunk, starts)
    if any(first_rows is None for first_rows in met.values()):
        return None
    return _with_null(texts, *_joined(texts, starts, met, numbers))


def _numbered_chunk(views: np.ndarray, numbers: np.ndarray) -> np.ndarray | None:
    """Number the texts of a chunk; return the row where each appears first, or None if the kernel cannot."""
    size = _FIRST_TABLE
    while size <= _LARGEST_TABLE:
        first_rows = np.empty(size // 2, np.uint32)
        met = number_texts(views, np.empty((size, 2), np.uint64), np.full(size, _FREE, np.uint32), numbers, first_rows)
        if met == -1:
            return None
        if met >= 0:
            return first_rows[:met]
        size *= 8
    return None


def _joined(
    texts: pl.Series, starts: range, met: dict[int, np.ndarray | None], numbers: np.ndarray
) -> tuple[pl.Series, np.ndarray]:
    """Return the distinct texts of all chunks, and the rows' numbers among them."""
    import polars as pl

    firsts = [(start, rows) for start in starts if (rows := met[start]) is not None]
    if not firsts:
        return texts, numbers
    per_chunk = texts.gather(np.concatenate([rows.astype(np.int64) + start for start, rows in firsts]))
    if len(firsts) == 1:
        return per_chunk, numbers
    frame = per_chunk.alias("text").to_frame().with_columns(pl.col("text").rank("dense").alias("number"))
    dense = frame["number"].cast(pl.UInt32).fill_null(0).to_numpy() - np.uint32(1)
    distinct = frame.drop_nulls().unique("number").sort("number")["text"]
    begin = 0
    for start, rows in firsts:
        chunk = numbers[start : start + _CHUNK]
        chunk[:] = dense[begin : begin + len(rows)][chunk]
        begin += len(rows)
    return distinct, numbers


def _with_null(texts: pl.Series, distinct: pl.Series, numbers: np.ndarray) -> tuple[pl.Series, np.ndarray]:
    """Return the same with null as a text of its own: the view of a null row may hold anything."""
    import polars as pl

    if not texts.null_count():
        return distinct, numbers
    numbers[texts.is_null().to_numpy()] = len(distinct)
    # A text that was met only through a null's leftover view stays in the list: no row points to it.
    return pl.concat([distinct.fill_null(""), pl.Series(distinct.name, [None], dtype=pl.String)]), numbers


def lookup_by_runs(texts: pl.Series, known: pl.Series, absent: int) -> np.ndarray:
    """Return the number of each row's text in `known` (distinct texts), `absent` where it is not there.

    Rows of one enrollee usually stand together; then only the first of each run is looked up.
    """
    import polars as pl

    table = pl.DataFrame({"text": known, "number": pl.int_range(len(known), dtype=pl.UInt32, eager=True)})

    def looked_up(rows: pl.Series) -> np.ndarray:
        found = rows.alias("text").to_frame().join(table, on="text", how="left", maintain_order="left")
        return found["number"].fill_null(absent).to_numpy()

    if len(texts) < 2:
        return looked_up(texts)
    begins = np.flatnonzero(texts.ne_missing(texts.shift(1)).to_numpy())
    begins = begins if len(begins) and begins[0] == 0 else np.insert(begins, 0, 0)
    if 2 * len(begins) > len(texts):
        return looked_up(texts)
    numbers: np.ndarray = np.repeat(looked_up(texts.gather(begins)), np.diff(begins, append=len(texts)))
    return numbers
