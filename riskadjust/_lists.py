"""Bits of the kernel -> published words: HCC lists, drug categories, scored variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from riskadjust._grouping import list_bits
from riskadjust._model import MODELS, YearModel
from riskadjust._program import DRUG_WORD, HCC_WORDS, WORDS

if TYPE_CHECKING:
    import polars as pl

    from riskadjust._kernel import KernelResult

__all__ = ["explanation_columns", "hcc_words", "named", "uncertain_coefficient_uses"]

_NO_BIT = 65535


def named(names: tuple[str, ...], numbers: np.ndarray) -> pl.Series:
    """Return names by number as text."""
    import polars as pl

    return pl.Series(list(names), dtype=pl.String).gather(numbers)


def hcc_words(mask: int) -> np.ndarray:
    """Return a mask over HCC bits as the kernel's words."""
    return np.array([(mask >> (64 * w)) & (2**64 - 1) for w in range(HCC_WORDS)], np.uint64)


def explanation_columns(model: YearModel, kernel: KernelResult, drugs: np.ndarray) -> list[pl.Series]:
    """Return hccs, rxcs and variables of each unit, sorted lists of text."""
    adults = kernel.models == MODELS.index("adult")
    final = kernel.states[:, DRUG_WORD]
    mapped = np.where(adults, final, drugs)[:, None]
    hcc_names: list[str | None] = [h.removeprefix("HCC") for h in model.hccs]
    rxc_names = [d.removeprefix("RXC_") if d.startswith("RXC_") else None for d in model.drug_names]
    return [
        _text_lists("hccs", kernel.hccs, [hcc_names], np.zeros_like(kernel.models)),
        _text_lists("rxcs", np.ascontiguousarray(mapped), [rxc_names], np.zeros_like(kernel.models)),
        _text_lists("variables", kernel.states, variable_names(model), kernel.models),
    ]


def variable_names(model: YearModel) -> list[list[str | None]]:
    """Return, for each model, the published name of every bit that is listed: scored, with a coefficient row."""
    tables = []
    for program, published in zip(model.programs, model.published_names, strict=True):
        names: list[str | None] = [None] * (64 * WORDS)
        for variable, bit in program.bits.items():
            if variable in published:
                names[bit] = published[variable]
        tables.append(names)
    return tables


def _text_lists(name: str, words: np.ndarray, names: list[list[str | None]], kinds: np.ndarray) -> pl.Series:
    """Return the names of the set bits of each row as a sorted list of text; `kinds` chooses the naming of a row."""
    import polars as pl
    import pyarrow as pa

    known = sorted({n for table in names for n in table if n is not None})
    number = {n: i for i, n in enumerate(known)}
    ids = np.full((len(names), 64 * words.shape[1]), _NO_BIT, np.uint16)
    for kind, table in enumerate(names):
        for bit, text in enumerate(table[: ids.shape[1]]):
            if text is not None:
                ids[kind, bit] = number[text]
    first = np.zeros(len(words) + 1, np.int64)
    words = np.ascontiguousarray(words)
    total = list_bits(words, ids, kinds, first, np.zeros(0, np.uint16))
    out = np.zeros(total, np.uint16)
    if total:
        list_bits(words, ids, kinds, first, out)
    row = np.repeat(np.arange(len(words)), np.diff(first))
    order = np.lexsort((out, row))
    text = pl.Series(known, dtype=pl.String).gather(out[order]).to_arrow()
    return pl.Series(name, pa.LargeListArray.from_arrays(first, text.cast(pa.large_string())), dtype=pl.List(pl.String))


def uncertain_coefficient_uses(model: YearModel, kernel: KernelResult) -> int:
    """Return in how many scores a coefficient took part that is marked uncertain."""
    if not any(model.uncertain_coefficients):
        return 0
    uses = 0
    for number, (program, variables) in enumerate(zip(model.programs, model.uncertain_coefficients, strict=True)):
        mask = sum(1 << program.bits[v] for v in variables)
        words = np.array([(mask >> (64 * w)) & (2**64 - 1) for w in range(WORDS)], np.uint64)
        uses += int(((kernel.states & words).any(axis=1) & (kernel.models == number)).sum())
    return uses
