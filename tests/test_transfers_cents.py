"""Dollars to cents where a float cannot say, and the balancing of issuers."""

import random
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
import polars as pl
import pytest

from riskadjust._cents import as_money, balanced, cents_of, exact, exact_on_grid, month_sums, rounded_cents
from riskadjust._transfer_amounts import fees


def test_halves_go_away_from_zero_as_the_decimal_says():
    """Every amount of half a cent up to 50 dollars, and large ones, as floats that lie on either side of it."""
    texts = [f"{cents // 100}.{cents % 100:02d}5" for cents in [*range(5000), 10**8 + 1, 10**11 + 7]]
    texts += [f"-{t}" for t in texts]
    dollars = np.array([float(t) for t in texts])
    slack = np.abs(dollars) * 1e-15
    found = rounded_cents(dollars, slack, lambda i: Fraction(texts[i]))
    expected = [int((Decimal(t) * 100).quantize(Decimal(1), ROUND_HALF_UP)) for t in texts]
    assert found.tolist() == expected
    naive = (np.sign(dollars) * np.floor(np.abs(dollars) * 100 + 0.5)).astype(int)
    assert (naive != found).any()


def test_the_exact_amount_is_asked_only_near_a_half():
    asked = []

    def exactly(position: int) -> Fraction:
        asked.append(position)
        return Fraction("0.015")

    found = rounded_cents(np.array([0.0149, 0.015, 0.0151, 1e15 / 3]), np.full(4, 1e-9), exactly)
    assert asked == [1, 3]  # the last has no cents left in its double
    assert found.tolist() == [1, 2, 2, 2]


@pytest.mark.parametrize(
    ("number", "parts", "expected"),
    [
        (0.1, 30, "1/10"),
        (2 / 3, 30, "2/3"),
        (123456 + 1 / 30, 30, "3703681/30"),
        (1e-05, 30, "1/100000"),
        (1e13 + 0.05, 3000, "200000000000001/20"),
        (0.1234567890123456, 30, "0.1234567890123456"),
        (4_800_000.0, 3000, "4800000"),
        (1e22, 30, "10000000000000000000000"),
    ],
)
def test_numbers_behind_floats(number, parts, expected):
    assert exact_on_grid(number, parts) == Fraction(expected)
    assert float(exact(number)) == number


def test_every_month_and_premium_on_the_grid_is_found_again():
    draw = random.Random(5)
    for _ in range(3000):
        b = Fraction(draw.randint(0, 10 ** draw.randint(1, 9)), 30)
        assert exact_on_grid(float(b), 30) == b
        premium = Fraction(draw.randint(0, 10 ** draw.randint(1, 14)), 3000)
        assert exact_on_grid(float(premium), 3000) == premium


def test_balancing_is_the_largest_remainder():
    draw = random.Random(6)
    for _ in range(300):
        n = draw.randint(2, 9)
        # Tenths of cents, so that ties are common.
        tenths = [draw.randint(-40, 40) for _ in range(n - 1)]
        tenths.append(-sum(tenths))
        amounts = [Fraction(t, 1000) for t in tenths]
        cents = [cents_of(a) for a in amounts]
        found = balanced(cents, [float(a) for a in amounts], 1e-15, amounts.copy)
        assert sum(found) == 0
        step = 1 if sum(cents) < 0 else -1
        moved = [i for i in range(n) if found[i] != cents[i]]
        assert [found[i] - cents[i] for i in moved] == [step] * abs(sum(cents))
        lost = [step * (amounts[i] * 100 - cents[i]) for i in range(n)]
        order = sorted(range(n), key=lambda i, lost=lost: -lost[i])
        assert sorted(order[: len(moved)]) == moved


def test_more_cents_missing_than_issuers():
    """Rounded plans can miss by more: all get one, and the rest goes by what rounding moved."""
    amounts = [Fraction("0.034"), Fraction("-0.034")]
    assert balanced([0, -3], [0.034, -0.034], 1e-15, amounts.copy) == [2, -2]
    assert balanced([0, 0], [0.0, 0.0], 1e-15, lambda: [Fraction(0)] * 2, total=5) == [3, 2]


def test_month_sums_are_exact_on_the_grid():
    draw = random.Random(7)
    thirtieths = [draw.randint(0, 10**7) for _ in range(4000)]
    months = np.array([t / 30 for t in thirtieths])
    first = np.array([0, 1, 1500, 4000])
    assert month_sums(months, first).tolist() == [
        sum(thirtieths[a:b]) / 30 for a, b in ((0, 1), (1, 1500), (1500, 4000))
    ]
    off = month_sums(np.array([0.1234, 0.2, 1 / 3]), np.array([0, 2, 3]))
    assert off.tolist() == [0.3234, 1 / 3]


def test_fees_are_rounded_from_the_exact_product():
    draw = random.Random(8)
    months = [Fraction(draw.randint(0, 10**6), draw.choice([30, 30, 30, 128])) for _ in range(500)]
    rates = [Fraction("0.21"), Fraction("0.125"), None, Fraction(1, 3)]
    pool = np.array([draw.randrange(4) for _ in months])
    found = fees(np.array([float(b) for b in months]), pool, rates)
    expected = [
        None if rates[p] is None else -cents_of(rates[p] * b) for b, p in zip(months, pool.tolist(), strict=True)
    ]
    assert found == expected


def test_money_has_two_decimals_and_no_minus_zero():
    frame = as_money(pl.DataFrame({"a": [0, -1, None, 10**15 + 1], "b": [1, 2, 3, 4]}), "a")
    assert [None if v is None else str(v) for v in frame["a"]] == ["0.00", "-0.01", None, "10000000000000.01"]
    assert frame.schema == {"a": pl.Decimal(18, 2), "b": pl.Int64}


def test_fees_of_any_months_equal_the_exact_product():
    """Thirtieths, decimals of two and six places, floats a last bit beside them, and months beyond every grid."""
    draw = random.Random(8)
    months = [
        value
        for _ in range(200)
        for value in (
            draw.randrange(10**6) / 30,
            round(draw.uniform(0, 1e5), 2),
            round(draw.uniform(0, 1e4), 6),
            round(draw.uniform(0, 1e4), 1) + 0.1,
            draw.uniform(0, 1e5),
            round(draw.uniform(0, 1e12), 3),
            draw.randrange(10**5) / 3 + 1e-12,
        )
    ]
    rates = [Fraction("0.18"), Fraction("0.115"), Fraction(draw.randrange(10**18), 10**18 + 7)]
    pool = np.array([draw.randrange(len(rates)) for _ in months])
    expected = [-cents_of(rates[p] * exact_on_grid(b, 30)) for p, b in zip(pool, months, strict=True)]
    assert list(fees(np.array(months), pool, rates)) == expected
