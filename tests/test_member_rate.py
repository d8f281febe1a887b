"""Member rates against the Decimal twin: kernels at their bounds, columns of every kind, refusals."""

import csv
import random
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import rating_oracle as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from data_specs.errors import InputRefused, SettingRefused
from rating._exact_columns import ExactColumn, exact_column
from rating._member_rate import member_rate
from rating._premium import long_product_cents, member_cents, product_cents, read_decimals
from rating._premium_arrays import PremiumTable, rounded_cents, rounded_product

CASES = Path(__file__).parent / "cases" / "rating" / "quotes"
POINTS = ("member", "base", "nontobacco")
WAYS = ("nearest", "down", "up")


def floor_of(value, direction):
    return {"nearest": lambda v: (2 * v + 1) // 2, "down": lambda v: v // 1, "up": lambda v: -(-v // 1)}[direction](
        value
    )


# ---------------------------------------------------------------------------------------------------- kernels


@pytest.mark.parametrize("decimals", [1, 4, 9, 18])
@pytest.mark.parametrize("direction", WAYS)
def test_product_kernel_divides_exactly(decimals, direction):
    divisor = 10**decimals
    draw = random.Random(decimals)
    left, right = [], []
    for _ in range(3000):
        quotient = draw.choice([draw.randrange(1, 10**14 - 2), draw.randrange(1, 10**6)])
        # Near a cent, near half a cent, and anywhere: the rows where a wrong last digit shows.
        target = quotient * divisor + draw.choice([0, 1, -1, divisor // 2, divisor // 2 - 1, draw.randrange(divisor)])
        factor = draw.choice([1, draw.randrange(1, 5000), draw.randrange(1, 2**53)])
        number = max(target // factor, 1)
        if number < 2**62 and number * factor < 10**14 * divisor - divisor:
            left.append(number)
            right.append(factor)
    assert len(left) > 500
    out = np.zeros(len(left), np.int64)
    added = {"nearest": divisor // 2, "down": 0, "up": divisor - 1}[direction]
    product_cents(np.array(left), np.array(right), divisor, added, out)
    expected = [floor_of(Fraction(a * b, divisor), direction) for a, b in zip(left, right, strict=True)]
    assert out.tolist() == expected
    out[:] = 0
    long_product_cents(np.array(left), np.array(right), 0, divisor, 0, added, out)
    assert out.tolist() == expected


@pytest.mark.parametrize("number", [200, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("decimals", [19, 20, 25, 36])
def test_long_product_kernel_divides_exactly(decimals, number):
    divisor = 10**decimals
    draw = random.Random(decimals)
    pairs = []
    while len(pairs) < number:
        target = draw.randrange(1, 10 ** draw.randrange(2, 14)) * divisor + draw.choice([0, -1, 1, divisor // 2])
        if target >> 122:
            continue
        factor = draw.randrange(1, 2 ** draw.randrange(1, 62)) + (target >> 61)
        other = target // factor + draw.choice([0, 1])
        if 0 < other < 2**62 > factor and other * factor < 10**14 * divisor - divisor:
            pairs.append((other, factor))
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    out = np.zeros(len(pairs), np.int64)
    long_product_cents(left, right, *divmod(divisor, 2**64), *divmod(divisor // 2, 2**64), out)
    assert out.tolist() == [(a * b + divisor // 2) // divisor for a, b in pairs]


def premium_rows(draw, bases, areas, ages, ratios, rows):
    at = np.array([[draw.randrange(n) for n in (bases, areas, ages, ratios)] for _ in range(rows)])
    return at[:, 0].astype(np.uint32), at[:, 1].astype(np.uint16), at[:, 2].astype(np.uint16), at[:, 3].astype(np.uint8)


@pytest.mark.parametrize("direction", WAYS)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("digits", [2, 4, 15])
def test_premiums_by_position_equal_the_twin(direction, point, digits):
    draw = random.Random(digits)
    # Round figures make ties and whole cents; long ones make products that the kernel's words cannot hold.
    bases = [Decimal(draw.randrange(10**digits * 100, 10**digits * 900)).scaleb(-digits) for _ in range(20)]
    bases += [Decimal("300"), Decimal("299.50"), Decimal("0.01"), Decimal("312.47")]
    areas = [Decimal(draw.randrange(8000, 13000)).scaleb(-4) for _ in range(5)] + [Decimal(1)]
    ages = sorted(oracle.curve("TX", "individual", 2026).values())
    ratios = [Decimal(1), Decimal("1.5"), Decimal("1.333"), Decimal("1.15")]
    columns = [exact_column([str(v) for v in values], "x") for values in (bases, areas, ages, ratios)]
    table = PremiumTable.of_factors(*columns, rounding_point=point, rounding_direction=direction)
    rows = premium_rows(draw, len(bases), len(areas), len(ages), len(ratios), 4000)
    found = table.cents(*rows)
    expected = [
        oracle.member_rate(bases[b], ages[g], areas[a], ratios[t], point=point, direction=direction)
        for b, a, g, t in zip(*(r.tolist() for r in rows), strict=True)
    ]
    assert found.tolist() == [int(rate * 100) for rate in expected]


@pytest.mark.parametrize(
    ("direction", "tail", "watch", "expected"),
    [
        ("nearest", -1, 1, 10000),  # a hair below 100.005 is 100.00, which the cut alone would call 100.01
        ("nearest", 0, 1, 10001),
        ("down", -1, 1, 9999),
        ("down", 0, 1, 10000),
        ("up", 1, 2, 10001),
        ("up", 0, 2, 10000),
    ],
)
def test_rows_next_to_a_cent_are_reported_and_settled(direction, tail, watch, expected):
    places = 40
    whole = 100005 * 10 ** (places - 3) if direction == "nearest" else 100 * 10**places
    table = PremiumTable.of_numbers([[whole + tail]], places, [[1, 7]], 0, direction=direction)
    assert table.watch == watch
    zero = np.zeros(1, np.uint32)
    codes = zero, zero.astype(np.uint16), zero.astype(np.uint16), zero.astype(np.uint8)
    unsure = np.zeros(1, np.uint32)
    args = (table.units, table.multipliers, table.shift, table.added, table.watch)
    assert member_cents(*codes, *args, np.zeros(1, np.int64), unsure) == 1
    assert table.cents(*codes).tolist() == [expected]


def test_the_largest_premiums_and_what_lies_beyond():
    largest = 10**14 - 1  # cents: just below a trillion dollars
    for direction in WAYS:
        table = PremiumTable.of_numbers([[largest, 1]], 2, [[1]], 0, direction=direction)
        areas = np.array([0, 1], np.uint16)
        zeros = np.zeros(2, np.uint32)
        found = table.cents(zeros, areas, zeros.astype(np.uint16), zeros.astype(np.uint8))
        assert found.tolist() == [largest, 1]
    with pytest.raises(InputRefused, match="too large"):
        PremiumTable.of_numbers([[largest + 1]], 2, [[1]], 0)
    with pytest.raises(InputRefused, match="too large"):
        PremiumTable.of_numbers([[1]], 2, [[2**31]], 0)
    assert member_rate("999999999999", 1, 1) == Decimal("999999999999.00")
    big = pl.Series(["999999999999", "1"])
    assert member_rate(big, 1, 1).to_list() == [Decimal("999999999999.00"), Decimal("1.00")]
    with pytest.raises(InputRefused, match="too large"):
        member_rate(big, "1.1", 1)
    # The largest figures stand in different rows: each product is small.
    assert member_rate(big, pl.Series(["1", "2000000000"]), 1).to_list() == [
        Decimal("999999999999.00"),
        Decimal("2000000000.00"),
    ]


def test_positions_outside_the_table_are_refused():
    table = PremiumTable.of_numbers([[31247]], 2, [[1000]], 3)
    zero = np.zeros(1, np.uint16)
    with pytest.raises(InputRefused, match="positions 'ages'"):
        table.cents(zero.astype(np.uint32), zero, zero + 1, zero.astype(np.uint8))


def test_same_cents_for_any_order_and_thread_count(monkeypatch):
    rng = np.random.default_rng(5)
    rows = 300_000  # more than two chunks
    columns = [
        pl.Series(np.round(rng.random(rows) * 500 + 100, 4)),
        pl.Series(rng.integers(635, 3001, rows) / 1000),
        pl.Series(rng.integers(8000, 13000, rows) / 10_000),
        pl.Series(rng.choice([1, 1.2, 1.5], rows)),
    ]
    rates = {}
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("POOLWISE_THREADS", threads)
        rates[threads] = member_rate(*columns)
    assert rates["1"].equals(rates["2"])
    assert rates["1"].equals(rates["5"])
    order = rng.permutation(rows)
    assert member_rate(*(column.gather(order) for column in columns)).equals(rates["1"].gather(order))


# ---------------------------------------------------------------------------------------------------- against the twin


def drawn_number(draw, low, high, decimals):
    return str(Decimal(draw.randrange(low * 10**decimals, high * 10**decimals)).scaleb(-decimals))


@pytest.mark.parametrize("direction", WAYS)
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("decimals", [(2, 3, 2, 0), (7, 4, 3, 4), (14, 4, 4, 6), (25, 12, 9, 17)])
def test_columns_equal_the_twin(direction, point, decimals):
    draw = random.Random(str(decimals))
    on_base, on_area, on_tobacco, on_trend = decimals
    ages = [str(factor) for factor in oracle.curve("UT", "individual", 2026).values()]
    rows = [
        (
            draw.choice(["300", "312.47", drawn_number(draw, 100, 900, on_base)]),
            draw.choice(ages),
            draw.choice(["1", drawn_number(draw, 1, 2, on_area)]),
            draw.choice(["1", "1.5", drawn_number(draw, 1, 2, on_tobacco)]),
            draw.choice(["1", drawn_number(draw, 1, 2, on_trend)]),
        )
        for _ in range(700)
    ]
    base, age, area, tobacco, trend = (pl.Series(column) for column in zip(*rows, strict=True))
    found = member_rate(
        base, age, area, tobacco, trend_factor=trend, rounding_point=point, rounding_direction=direction
    )
    assert found.dtype == pl.Decimal(18, 2)
    expected = [oracle.member_rate(*row[:4], trend=row[4], point=point, direction=direction) for row in rows]
    assert found.to_list() == expected
    one = rows[0]
    options = {"rounding_point": point, "rounding_direction": direction}
    assert member_rate(*one[:4], trend_factor=one[4], **options) == expected[0]


def test_floats_are_read_as_their_shortest_text():
    draw = random.Random(11)
    bases = [draw.random() * 1000 + 1e-3 for _ in range(1500)]
    bases += [0.1 + 0.2, 1e-5, 123456789.123, 1.005, 2.675, 100.0, 7.0, 5e-4, 1 / 3, 899.9999999999999]
    found = member_rate(pl.Series(bases), 1.278, 0.9995, 1.5)
    assert found.to_list() == [oracle.member_rate(base, 1.278, 0.9995, 1.5) for base in bases]
    assert member_rate(0.1 + 0.2, 10_000, 1) == Decimal("3000.00")
    single = pl.Series([0.1, 312.47], dtype=pl.Float32)  # read as 0.1 and 312.47, not as the doubles nearest to them
    assert member_rate(single, 1, 1).to_list() == [Decimal("0.10"), Decimal("312.47")]


@pytest.mark.parametrize(
    "values",
    [
        pl.Series(["312.47", "0.5", "1e2", " 7. ", "+.25"]),
        pl.Series(["312.470", "0.50", "100", "7", "0.25"]).cast(pl.Decimal(38, 10)),
        pl.Series([312.47, 0.5, 100, 7, 0.25]),
        pl.Series(["312.47", "0.5", "100", "7", "0.25"], dtype=pl.Categorical),
        ["312.47", 0.5, 100, Decimal(7), np.float64(0.25)],
        (Decimal("312.47"), Decimal("0.5"), Decimal(100), Decimal(7), Decimal("0.25")),
        np.array([312.47, 0.5, 100, 7, 0.25]),
    ],
)
def test_every_kind_of_column_is_the_same_decimals(values):
    column = exact_column(values, "base")
    found = [Fraction(number, 10**column.decimals) for number in column.by_place()]
    assert found == [Fraction("312.47"), Fraction(1, 2), Fraction(100), Fraction(7), Fraction(1, 4)]


def test_zeros_behind_the_point_do_not_lengthen_products():
    wide = pl.Series(["312.47", "100"]).cast(pl.Decimal(38, 20))
    assert exact_column(wide, "base").decimals == 2
    assert exact_column(pl.Series([31247, 100]), "base").decimals == 0
    longest = pl.Series(["312.47000000000000000000000000000000001"]).cast(pl.Decimal(38, 35))
    assert member_rate(longest, "0.5", 1).item() == Decimal("156.24")
    assert member_rate(longest, "1", 1, rounding_direction="up").item() == Decimal("312.48")


def test_decimals_of_floats_in_the_kernel():
    values = np.array([1.25, 0.1, 1 / 3, 1.0, 99.99])
    out = np.zeros(5, np.int64)
    assert read_decimals(values, 100.0, 1e15, out) == 1
    assert out.tolist() == [125, 10, -1, 100, 9999]


def test_whole_dollars_and_tenths():
    assert member_rate(pl.Series([300, 1]), 3, 1).to_list() == [Decimal("900.00"), Decimal("3.00")]
    assert member_rate(pl.Series(["0.1", "2"]), 1, 1).to_list() == [Decimal("0.10"), Decimal("2.00")]
    assert rounded_product([ExactColumn.of_rows(np.array([7]), 1)], "up").tolist() == [70]
    assert [rounded_cents(5, 3, way) for way in WAYS] == [1, 0, 1]


def test_expressions_work_inside_a_frame():
    frame = pl.DataFrame({"base": ["312.47", "333.33"], "age": [1.278, 1.135], "area": ["1", "0.9995"]})
    rated = frame.with_columns(member_rate(pl.col("base"), pl.col("age"), pl.col("area")).alias("rate"))
    assert rated["rate"].to_list() == [Decimal("399.34"), Decimal("378.14")]
    assert frame.lazy().select(rate=member_rate(pl.col("base"), "1.5", 1)).collect()["rate"].dtype == pl.Decimal(18, 2)
    with pytest.raises(InputRefused, match="mixed"):
        member_rate(pl.col("base"), frame["age"], 1)


def test_a_column_without_rows():
    assert member_rate(pl.Series([], dtype=pl.String), 1, 1).to_list() == []
    assert member_rate(pl.Series([], dtype=pl.Float64), 1, 1, rounding_point="base").dtype == pl.Decimal(18, 2)


# ---------------------------------------------------------------------------------------------------- worked cases


def read(name):
    with (CASES / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


QUOTES = {row["quote_id"]: row for row in read("quotes.csv")}
MEMBERS = read("members.csv")


@pytest.mark.parametrize(
    "member", [m for m in MEMBERS if m["member_rate"]], ids=lambda m: f"{m['quote_id']}-{m['member']}"
)
def test_members_of_the_worked_quotes(member):
    quote = QUOTES[member["quote_id"]]
    factors = oracle.curve(quote["state"], quote["market"], int(quote["plan_year"]))
    rate = member_rate(
        quote["base_rate"],
        factors[min(int(member["age"]), 64)],
        quote["area_factor"],
        member["tobacco_ratio"],
        trend_factor=quote["trend_factor"],
    )
    # The only person who is not charged is the fourth child of the family.
    is_free = member["quote_id"] == "quote-04" and member["age"] == "8"
    assert (Decimal(0) if is_free else rate) == Decimal(member["member_rate"])


@pytest.mark.parametrize("quote", [q for q in QUOTES.values() if q["tier"]], ids=lambda q: q["quote_id"])
def test_tiers_of_the_worked_quotes(quote):
    multiplier = oracle.tiers(quote["state"], quote["market"])[quote["tier"]]
    assert member_rate(quote["base_rate"], multiplier, quote["area_factor"]) == Decimal(quote["monthly_premium"])


# ---------------------------------------------------------------------------------------------------- properties

money = st.decimals("0.01", "2000", places=4)
factor = st.decimals("0.2", "4", places=4)
FEWER = settings(max_examples=30)


@settings(FEWER)
@given(money, factor, factor, st.sampled_from(POINTS))
def test_rounding_up_and_down_frame_the_nearest(base, age, area, point):
    low, near, high = (
        member_rate(base, age, area, "1.5", rounding_point=point, rounding_direction=w)
        for w in ("down", "nearest", "up")
    )
    assert low <= near <= high


@settings(FEWER)
@given(st.lists(st.tuples(money, factor, factor), min_size=1, max_size=8), factor)
def test_a_column_is_its_rows_one_by_one(rows, tobacco):
    columns = [pl.Series([str(v) for v in column]) for column in zip(*rows, strict=True)]
    assert member_rate(*columns, tobacco).to_list() == [member_rate(*row, tobacco) for row in rows]


@settings(FEWER)
@given(money, factor, factor, st.decimals("0", "1", places=4))
def test_a_larger_factor_is_never_cheaper(base, age, area, more):
    assert member_rate(base, age + more, area) >= member_rate(base, age, area)
    assert member_rate(base, age, area) == member_rate(base, area, age)  # the order of the factors does not matter


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("base", "says"),
    [
        (pl.Series(["312.47", None]), "absent"),
        (["312.47", None], "absent"),
        (pl.Series(["312.47", "0"]), "zero"),
        (pl.Series([312.47, 0.0]), "above zero"),
        (pl.Series([312.47, float("nan")]), "above zero"),
        (pl.Series([312.47, float("inf")]), "above zero"),
        (pl.Series([312.47, 1e12]), "12 digits"),
        (pl.Series([300, -1]), "zero or negative"),
        (pl.Series(["312.47", "-5"]), "negative"),
        (pl.Series(["312.47", "1,000"]), "plain decimal"),
        (pl.Series(["312.47", "1_000"]), "plain decimal"),
        (pl.Series(["312.47", "٣"]), "plain decimal"),
        (pl.Series(["312.47", ""]), "plain decimal"),
        (pl.Series(["312.47", "1e4000"]), "plain decimal"),
        (pl.Series(["312.47", "1e300"]), "out of range"),
        (pl.Series(["312.47", "1e-300"]), "out of range"),
        (pl.Series(["312.47", "0." + "1" * 500]), "too long"),
        (pl.Series([312.47, 1e-200]), "out of range"),
        (pl.Series(["312.47", "1000000000000"]), "out of range"),
        (pl.Series([10**19, 1], dtype=pl.UInt64), "out of range"),
    ],
)
def test_bad_columns_name_row_and_rule(base, says):
    with pytest.raises(InputRefused, match=says) as refused:
        member_rate(base, 1, 1)
    bad = 1 if isinstance(base, pl.Series) and base.dtype == pl.UInt64 else 2
    assert f"row {bad}" in str(refused.value) or isinstance(base, list)
    assert "base" in str(refused.value)
    assert "312.47" not in str(refused.value)


@pytest.mark.parametrize("base", [True, None, [1, 2, True], pl.Series([True]), {"a": 1}, object()])
def test_what_is_no_number_is_refused(base):
    with pytest.raises(InputRefused):
        member_rate(base, 1, 1)


def test_columns_of_different_length():
    with pytest.raises(InputRefused, match="base 2, age_factor 3"):
        member_rate(pl.Series([1, 2]), pl.Series([1, 2, 3]), 1)


def test_unknown_settings():
    with pytest.raises(SettingRefused, match="rounding_point"):
        member_rate(1, 1, 1, rounding_point="area")
    with pytest.raises(SettingRefused, match="rounding_direction"):
        member_rate(1, 1, 1, rounding_direction="even")
