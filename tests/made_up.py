"""Made-up markets that several tests read: each is made once in a test run, and nobody changes a frame."""

from __future__ import annotations

from functools import cache

import polars as pl

from data_specs import synthetic_market

Tables = dict[str, pl.DataFrame]


def market_of(
    enrollees: int,
    *,
    state: str = "OH",
    seed: int = 3,
    benefit_year: int = 2025,
    markets: tuple[str, ...] = ("individual",),
) -> Tables:
    """Return the market of these arguments."""
    return _made(state, enrollees, seed, benefit_year, markets)


@cache
def _made(state: str, enrollees: int, seed: int, benefit_year: int, markets: tuple[str, ...]) -> Tables:
    return synthetic_market(state, enrollees=enrollees, seed=seed, benefit_year=benefit_year, markets=markets)
