"""Texts of a column as numbers: the slow work is then done once a text, not once a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs._threads import map_chunks
from data_specs.errors import InputRefused
from riskadjust._encoding import find_keys, find_texts, index_keys, index_texts, number_texts, number_words

if TYPE_CHECKING:
    import polars as pl

__all__ = ["distinct_texts", "numbers_among"]

_FIRST_TABLE = 1 << 16
_CHUNK = 1 << 20
_FREE = 2**32 - 1
_FREE_SLOT = 2**64 - 1
_TOO_LONG = -2
_MOST_WORDS = 4


@dataclass(frozen=True)
class Views:
    """A text column as Arrow string views: 16 bytes a row, and the addresses of the data buffers they point into.

    `owner` keeps the memory alive.
    """

    bytes: np.ndarray
    buffers: np.ndarray
    owner: Any

    @classmethod
    def of(cls, texts: pl.Series) -> Views:
        """Return the views of a column without copying its texts."""
        import polars as pl

        rows = len(texts)
        if rows >= _FREE:
            raise InputRefused(f"{rows} rows at once", remedy="score files in batches (riskadjust.score_files)")
        array = texts.rechunk().to_arrow(compat_level=pl.CompatLevel.newest())
        buffers = array.buffers()
        addresses = np.array([b.address for b in buffers[2:]] or [0], np.uint64)
        views = np.frombuffer(buffers[1], np.uint8, 16 * rows, 16 * array.offset) if rows else np.zeros(0, np.uint8)
        return cls(views, addresses, array)

    def rows(self, start: int, stop: int) -> np.ndarray:
        """Return the views of some rows."""
        return self.bytes[16 * start : 16 * stop]


def distinct_texts(texts: pl.Series) -> tuple[pl.Series, np.ndarray]:
    """Return the distinct texts of a column (null is one of them), and the number of each row's text.

    The order of the distinct texts is not fixed.
    """
    import polars as pl

    rows = len(texts)
    views = Views.of(texts)
    numbers = np.empty(rows, np.uint32)
    firsts: dict[int, np.ndarray] = {}

    def number_chunk(start: int) -> None:
        stop = min(start + _CHUNK, rows)
        firsts[start] = _numbered(views.rows(start, stop), views.buffers, numbers[start:stop]) + start

    map_chunks(number_chunk, range(0, rows, _CHUNK))
    distinct = texts.gather(np.concatenate([firsts[s] for s in sorted(firsts)] or [np.zeros(0, np.int64)]))
    if len(firsts) > 1:
        distinct = _merge_chunks(distinct, firsts, numbers)
    if not texts.null_count():
        return distinct, numbers
    # The view of a null row may hold anything: null is a text of its own, and no row points to what it held.
    numbers[texts.is_null().to_numpy()] = len(distinct)
    return pl.concat([distinct.fill_null(""), pl.Series(distinct.name, [None], dtype=pl.String)]), numbers


def _numbered(views: np.ndarray, buffers: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Number the texts of a chunk; return the row where each appears first."""
    # Twice as many places as rows, and a power of two; many rows are seldom as many texts.
    size = min(_FIRST_TABLE, 1 << max(2 * len(numbers), 256).bit_length())
    short = True
    while True:
        first_rows = np.empty(size // 2, np.uint32)
        if short:
            slots = np.empty((size, 2), np.uint64)
            slots[:, 1] = _FREE_SLOT
            met = number_words(views, slots, numbers, first_rows)
        else:
            table = np.full(size, _FREE, np.uint32)
            met = number_texts(views, buffers, table, np.empty(size, np.uint32), numbers, first_rows)
        if met >= 0:
            return first_rows[:met].astype(np.int64)
        if met == _TOO_LONG:
            short = False
        else:
            size *= 8


def _merge_chunks(texts: pl.Series, firsts: dict[int, np.ndarray], numbers: np.ndarray) -> pl.Series:
    """Return the distinct texts of all chunks; `numbers` is changed to point among them."""
    texts = texts.fill_null("")
    views = Views.of(texts)
    merged = np.empty(len(texts), np.uint32)
    rows = _numbered(views.bytes, views.buffers, merged)
    begin = 0
    for start in sorted(firsts):
        chunk = numbers[start : start + _CHUNK]
        chunk[:] = merged[begin : begin + len(firsts[start])][chunk]
        begin += len(firsts[start])
    return texts.gather(rows)


def numbers_among(texts: pl.Series, known: pl.Series, absent: int) -> np.ndarray:
    """Return the number of each row's text in `known` (distinct texts, no null), `absent` where it is not there."""
    rows = len(texts)
    out = np.empty(rows, np.uint32)
    own = Views.of(texts)
    find = _finder(known, absent)

    def find_chunk(start: int) -> None:
        stop = min(start + _CHUNK, rows)
        find(own.rows(start, stop), own.buffers, out[start:stop])

    map_chunks(find_chunk, range(0, rows, _CHUNK))
    if texts.null_count():
        out[texts.is_null().to_numpy()] = absent
    return out


def _finder(known: pl.Series, absent: int) -> Callable[[np.ndarray, np.ndarray, np.ndarray], None]:
    """Return what looks texts up among the known ones: as keys of a few words, or byte by byte where one is long."""
    table = Views.of(known)
    size = 1 << max(2 * len(known), 2).bit_length()
    longest = known.str.len_bytes().max()
    words = max(2, (int(longest) + 8) // 8) if isinstance(longest, int) else 2
    if words <= _MOST_WORDS:
        keys, slots = np.empty((len(known), words), np.uint64), np.full(size, _FREE_SLOT, np.uint64)
        if index_keys(table.bytes, table.buffers, keys, slots):
            return lambda views, buffers, out: find_keys(views, buffers, keys, slots, absent, out)
    slot_row, slot_tag = np.full(size, _FREE, np.uint32), np.empty(size, np.uint32)
    index_texts(table.bytes, table.buffers, slot_row, slot_tag)
    return lambda views, buffers, out: find_texts(
        views, buffers, table.bytes, table.buffers, slot_row, slot_tag, absent, out
    )
