"""Rebates shared over policies by premium, those too small to be paid among the others, to the cent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs._units import half_up_div
from riskadjust._cents import as_money, cents_of, exact
from riskadjust._corridor_plans import keyed_frame
from riskadjust._findings import Findings
from riskadjust._loss_ratio_terms import GROUP_MARKETS, MARKETS, MERGED, MERGING, Terms
from riskadjust._loss_ratio_years import KEYS, Key
from riskadjust._refusals import LARGEST, Refusals, number_columns

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Due", "Paid", "policy_frame"]

POLICIES = "policies"
POLICYHOLDER, SUBSCRIBERS = PAID_TO = ("policyholder", "subscribers")
_GROUP_LIMIT, _SUBSCRIBER_LIMIT = "group_policyholder_and_subscribers", "subscriber"
_MONEY = ("premium", "rebate_owed", "rebate")


@dataclass(frozen=True)
class Due:
    """What each issuer owes in a state and market: cents, and its premium of the reporting year."""

    cents: dict[Key, int]
    premium: dict[Key, Fraction]


@dataclass(frozen=True)
class Paid:
    """Policies of an issuer in a state and market that get a rebate, and the cents they get together."""

    policies: int
    cents: int


def policy_frame(given: Any, due: Due, terms: Terms, findings: Findings) -> tuple[pl.DataFrame, dict[Key, Paid]]:
    """Return the rebate of each policy, and what each issuer pays; no rows and nothing without policies."""
    import polars as pl

    schema: dict[str, Any] = dict.fromkeys((*KEYS, "policy_id", "policy_market", "paid_to"), pl.String)
    schema |= {"subscribers": pl.Int64, "premium": pl.Int64, "rebate_owed": pl.Int64, "is_small": pl.Boolean}
    schema |= {"rebate": pl.Int64}
    if given is None:
        return as_money(pl.DataFrame(schema=schema), *_MONEY), {}
    frame = keyed_frame(given, POLICIES, ("premium",), (*KEYS, "policy_id"), "MLR-013")
    frame = frame.with_row_index("_row").sort(*KEYS, "policy_id")
    findings.table(POLICIES, frame.height)
    keys = [_key(state, market, issuer, due) for state, market, issuer in frame.select(KEYS).rows()]
    premium, recipients = _read(frame, keys)
    rows_of: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        if key is not None:
            rows_of.setdefault(key, []).append(row)
    _check_sums(rows_of, premium, frame, due)
    sums = {key: sum((premium[r] for r in rows), Fraction(0)) for key, rows in rows_of.items()}
    findings.note("MLR-028", POLICIES, sum(s != due.premium[key] for key, s in sums.items() if due.cents[key]))
    findings.note("MLR-029", "issuers", sum(1 for key, cents in due.cents.items() if cents and key not in rows_of))
    owed, small, rebate = [0] * frame.height, [False] * frame.height, [0] * frame.height
    paid = {}
    for key in sorted(rows_of):
        rows = rows_of[key]
        book = _Book([premium[r] for r in rows], [recipients[r] for r in rows], due.cents[key])
        shares = book.shared(terms, findings)
        for row, own, is_small, cents in zip(rows, *shares, strict=True):
            owed[row], small[row], rebate[row] = own, is_small, cents
        paid[key] = Paid(sum(cents > 0 for cents in shares[2]), sum(shares[2]))
    found = frame.select("state", "issuer_id", "policy_id", pl.col("market").alias("policy_market")).with_columns(
        pl.Series("market", [key[1] if key else None for key in keys], dtype=pl.String),
        pl.Series("paid_to", [PAID_TO[r.is_subscriber] for r in recipients], dtype=pl.String),
        pl.Series("subscribers", [r.subscribers for r in recipients], dtype=pl.Int64),
        pl.Series("premium", [cents_of(p) for p in premium], dtype=pl.Int64),
        pl.Series("rebate_owed", owed, dtype=pl.Int64),
        pl.Series("is_small", small, dtype=pl.Boolean),
        pl.Series("rebate", rebate, dtype=pl.Int64),
    )
    return as_money(found.select(list(schema)).sort(*KEYS, "policy_id", "policy_market"), *_MONEY), paid


def _key(state: str, market: str, issuer: str, due: Due) -> Key | None:
    """Return the ratio that a policy belongs to: its own market's, or that of the merged market."""
    for at in (market, *((MERGED,) if market in MERGING else ())):
        if (state, at, issuer) in due.cents:
            return state, at, issuer
    return None


@dataclass(frozen=True)
class _Recipient:
    """Who gets the rebate of a policy: its policyholder, or its subscribers (of an individual policy one)."""

    is_subscriber: bool
    subscribers: int | None

    @property
    def people(self) -> int:
        """How many rebates the policy stands for."""
        return (self.subscribers or 1) if self.is_subscriber else 1


def _read(frame: pl.DataFrame, keys: list[Key | None]) -> tuple[list[Fraction], list[_Recipient]]:
    """Return premium and recipient of each policy, or refuse them (MLR-013 to MLR-015)."""
    refusals = Refusals(POLICIES, frame["_row"].to_numpy().astype(np.int64))
    refusals.add("MLR-013", "market", ~frame["market"].is_in(list(MARKETS)).to_numpy())
    refusals.add("MLR-013", "issuer_id", np.array([key is None for key in keys], dtype=bool))
    values = number_columns(frame, POLICIES, ["premium"])["premium"]
    refusals.add("MLR-014", "premium", ~((values >= 0) & (values < LARGEST)))
    is_group = frame["market"].is_in(list(GROUP_MARKETS)).to_list()
    usual = [POLICYHOLDER if group else SUBSCRIBERS for group in is_group]
    said: list[str | None] = [None] * frame.height
    if "paid_to" in frame.columns:
        said = _frames.text_column(frame, POLICIES, "paid_to").str.strip_chars().to_list()
    is_open = [market == MERGED and not word for market, word in zip(frame["market"].to_list(), said, strict=True)]
    words = [word or default for word, default in zip(said, usual, strict=True)]
    # The policyholder of an individual policy is its subscriber.
    single = [m == "individual" and w == POLICYHOLDER for m, w in zip(frame["market"].to_list(), words, strict=True)]
    words = [SUBSCRIBERS if is_single else word for is_single, word in zip(single, words, strict=True)]
    refusals.add("MLR-015", "paid_to", np.array(is_open) | np.array([word not in PAID_TO for word in words]))
    counts = np.full(frame.height, np.nan)
    if "subscribers" in frame.columns:
        counts = number_columns(frame, POLICIES, ["subscribers"])["subscribers"]
    needs_count = np.array([group and word == SUBSCRIBERS for group, word in zip(is_group, words, strict=True)])
    is_count = (counts >= 1) & (counts < LARGEST) & (counts == np.floor(counts))
    refusals.add("MLR-015", "subscribers", (needs_count & ~is_count) | (~np.isnan(counts) & ~is_count))
    refusals.check()
    recipients = [
        _Recipient(word == SUBSCRIBERS, None if np.isnan(count) else int(count))
        for word, count in zip(words, counts.tolist(), strict=True)
    ]
    return [exact(v) for v in values.tolist()], recipients


def _check_sums(rows_of: dict[Key, list[int]], premium: list[Fraction], frame: pl.DataFrame, due: Due) -> None:
    refusals = Refusals(POLICIES, frame["_row"].to_numpy().astype(np.int64))
    broken = np.zeros(frame.height, bool)
    for key, rows in rows_of.items():
        if due.cents[key] and not any(premium[row] for row in rows):
            broken[rows] = True
    refusals.add("MLR-014", "premium", broken)
    refusals.check()


@dataclass(frozen=True)
class _Book:
    """The policies of one issuer, state and market, and the rebate that is theirs together, in cents."""

    premium: Sequence[Fraction]
    recipients: Sequence[_Recipient]
    cents: int

    def shared(self, terms: Terms, findings: Findings) -> tuple[list[int], list[bool], list[int]]:
        """Return for each policy the cents owed by premium, whether they are too few to be paid, and the cents paid."""
        count = len(self.premium)
        if not self.cents:
            return [0] * count, [False] * count, [0] * count
        weights = _whole(self.premium)
        owed = _split(self.cents, weights)
        limits = [terms.least_rebate_cents(name) for name in (_GROUP_LIMIT, _SUBSCRIBER_LIMIT)]
        small = [
            cents < limits[who.is_subscriber] * who.people for cents, who in zip(owed, self.recipients, strict=True)
        ]
        findings.note("MLR-031", POLICIES, sum(is_small and w > 0 for is_small, w in zip(small, weights, strict=True)))
        if all(small):
            findings.note("MLR-030", POLICIES, 1)
            return owed, small, [0] * count
        pot = sum(cents for cents, is_small in zip(owed, small, strict=True) if is_small)
        by_rebate = terms.chosen.small_rebates == "by_rebate"
        takes = [
            0 if is_small else (weight if by_rebate else who.people)
            for weight, who, is_small in zip(weights, self.recipients, small, strict=True)
        ]
        more = _split(pot, takes)
        return (
            owed,
            small,
            [0 if is_small else own + further for own, further, is_small in zip(owed, more, small, strict=True)],
        )


def _whole(numbers: Sequence[Fraction]) -> list[int]:
    """Return exact numbers as whole ones of the same ratios."""
    scale = math.lcm(*{number.denominator for number in numbers})
    return [number.numerator * (scale // number.denominator) for number in numbers]


def _split(cents: int, weights: Sequence[int]) -> list[int]:
    """Return cents split by weight; each rounded half up, then the missing ones to those that lost most by it."""
    whole = sum(weights)
    if not cents or not whole:
        return [0] * len(weights)
    parts = [half_up_div(cents * weight, whole) for weight in weights]
    missing = cents - sum(parts)
    if missing:
        sign = 1 if missing > 0 else -1
        # What rounding moved, in parts of a cent / `whole`, counted in the direction that is missing.
        order = sorted(range(len(weights)), key=lambda i: sign * (parts[i] * whole - cents * weights[i]))
        for i in order[: abs(missing)]:
            parts[i] += sign
    return parts
