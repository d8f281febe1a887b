"""Shopping, and quotes of files: order, explanations, batches."""

import random
from decimal import Decimal

import polars as pl
import pytest
import quote_frames as made

from data_specs.errors import InputRefused, OutputRefused, SettingRefused
from rating._quote import quote
from rating._quote_files import quote_files
from rating._shopping import shop

PLANS = [
    made.plan("a", "300", tobacco_ratio="1.2"),
    made.plan("b", "320", tobacco_ratio="1.1", ehb_pct_premium="0.99"),
    made.plan("c", "250", metal_level="bronze"),
    made.plan("g", "400", metal_level="gold"),
]
FAMILY = made.family(40, 38, 9, 3, annual_income="52000", tax_household_size=4, tobacco_use=True)


def shopped(rows, plans=PLANS, **options):
    return shop(made.frame(rows), base_rates=pl.DataFrame(plans), **({"plan_year": 2026} | options))


def lines(result, item, plan_id=None):
    frame = result.explanation.filter(pl.col("item") == item, pl.col("plan_id").eq_missing(plan_id))
    return frame.select("amount", "how").rows()


def test_cheapest_first_after_the_credit():
    result = shopped(FAMILY)
    assert result.offers.select("place", "plan_id").rows() == [(1, "c"), (2, "a"), (3, "b"), (4, "g")]
    assert result.offers["net_premium_monthly"].is_sorted()
    same = quote(made.frame(FAMILY), base_rates=pl.DataFrame(PLANS), plan_year=2026).households
    assert result.offers.drop("place").sort("plan_id").select(same.columns).equals(same)


def test_without_an_income_the_gross_premium_orders():
    result = shopped(made.family(40))
    assert result.offers["premium_monthly"].is_sorted()
    assert result.offers["plan_id"].to_list() == ["c", "a", "b", "g"]
    assert lines(result, "monthly_credit", "a") == [(None, "not known: no income was given")]


@pytest.mark.slow
def test_place_counts_within_each_household():
    draw = random.Random(5)
    rows, plans = made.random_households(draw, 60, 2026), made.random_offers(draw)
    offers = shopped(rows, plans, explain=False).offers
    for (_,), group in offers.group_by("household_id"):
        assert group["place"].to_list() == list(range(1, group.height + 1))
        assert group.select(pl.coalesce("net_premium_monthly", "premium_monthly")).to_series().is_sorted()


def test_each_number_is_explained():
    result = shopped(FAMILY)
    line = "floor(100 x 52000.00 / 32150), 401 above 400; guideline of 2025, contiguous, 4 in the tax household"
    assert lines(result, "income_pct_of_poverty") == [("161", line)]
    line = "52000.00 x 4.72 percent = 2454 a year in whole dollars; / 12 in whole dollars"
    assert lines(result, "monthly_contribution") == [("205.00", line)]
    assert lines(result, "member_rate", "a")[1] == (
        "448.56",
        "base 300 x area 1 x age factor 1.246 (age 38) x tobacco 1.2, rounded to cents once",
    )
    line = "460.08 + 448.56 + 229.50 + 229.50 of the charged members"
    assert lines(result, "premium_monthly", "a") == [("1367.64", line)]
    line = "smaller of the premium for essential health benefits 1364.27 and benchmark 1284.31 - contribution 205.00"
    assert lines(result, "monthly_credit", "b") == [("1079.31", line)]
    assert lines(result, "net_premium_monthly", "b") == [("298.74", "1378.05 - 1079.31")]
    assert lines(result, "csr_variant", "a")[0][0] == "05"


def test_amounts_explained_are_the_amounts_offered():
    draw = random.Random(6)
    rows, plans = made.random_households(draw, 80, 2026), made.random_offers(draw)
    result = shopped(rows, plans)
    explained = result.explanation
    for item in ("premium_monthly", "monthly_credit", "net_premium_monthly"):
        of_item = explained.filter(item=item).select("household_id", "plan_id", "amount", "how")
        joined = result.offers.join(of_item, on=["household_id", "plan_id"], how="left", validate="1:1")
        assert joined.filter(pl.col(item).cast(pl.String).ne_missing(pl.col("amount"))).height == 0
        assert joined.filter(pl.col(item).is_not_null() & pl.col("how").is_null()).height == 0
    rates = explained.filter(item="member_rate").group_by("household_id", "plan_id")
    sums = rates.agg(pl.col("amount").cast(pl.Decimal(18, 2)).sum())
    joined = result.offers.join(sums, on=["household_id", "plan_id"], how="inner", validate="1:1")
    assert joined.height > 200
    assert joined.filter(pl.col("amount") != pl.col("premium_monthly")).height == 0


def test_an_uncharged_child_and_a_family_tier_are_explained():
    result = shopped(made.family(40, 12, 9, 7, 2))
    assert lines(result, "member_rate", "a")[-1] == ("0.00", "not charged: of the children below 21 the oldest 3 are")
    tier = shopped(made.family(40, 38, 9, rating_area_id="R-NY001"), [made.plan("a", area="R-NY001")])
    assert lines(tier, "premium_monthly", "a")[0][1].startswith("family tier two_adults_children")
    assert "2.850" in lines(tier, "premium_monthly", "a")[0][1]
    assert lines(tier, "member_rate", "a") == []


# ------------------------------------------------------------------------------------------------ files


def written(rows, folder):
    path = folder / "households.parquet"
    made.frame(rows).sort("household_id").write_parquet(path)
    return path


def parts(folder, name):
    return pl.concat(pl.read_parquet(p) for p in sorted((folder / name).glob("part-*.parquet")))


@pytest.fixture(scope="module")
def market():
    draw = random.Random(21)
    plans = made.random_offers(draw)
    rows = made.random_households(draw, 150, 2026)
    rows[10]["birth_date"] = None
    rows.append(made.member(None, "x"))
    return rows, plans


@pytest.mark.parametrize("batch_rows", [1, 60, 200, None])
def test_files_give_the_quotes_of_frames_for_any_batch(market, batch_rows, tmp_path):
    rows, plans = market
    if batch_rows == 1:
        rows = rows[:30]
    frame = pl.DataFrame(plans)
    expected = quote(made.frame(rows), base_rates=frame, plan_year=2026)
    seen = []
    result = quote_files(
        written(rows, tmp_path),
        tmp_path / "out",
        base_rates=frame,
        plan_year=2026,
        with_members=True,
        batch_rows=batch_rows,
        on_batch=lambda done, total: seen.append((done, total)),
    )
    assert parts(result.folder, "quotes").equals(expected.households)
    assert parts(result.folder, "members").equals(expected.members)
    assert result.rows == expected.households.height
    assert result.findings.equals(expected.findings.sort("rule_id", "table"))
    assert result.counts.equals(expected.counts)
    assert result.uncertain.equals(expected.uncertain.sort("table", "what", "moved"))
    assert seen[-1] == (len(rows), len(rows))
    refused = pl.concat(pl.read_parquet(p) for p in (result.folder / "rejected").glob("households-*.parquet"))
    assert refused.height == expected.refused["households"].height == expected.counts["rejected"][0]


def test_files_are_refused_as_a_whole(market, tmp_path):
    rows, plans = market
    frame = pl.DataFrame(plans)
    options = {"base_rates": frame, "plan_year": 2026}
    with pytest.raises(InputRefused, match="not a Parquet file"):
        quote_files(tmp_path / "none.parquet", tmp_path / "a", **options)
    unsorted = tmp_path / "unsorted.parquet"
    made.frame(rows[:40]).sort("household_id", descending=True).write_parquet(unsorted)
    with pytest.raises(InputRefused, match="not sorted"):
        quote_files(unsorted, tmp_path / "b", batch_rows=5, **options)
    path = written(rows, tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("kept", encoding="utf-8")
    with pytest.raises(OutputRefused, match="not empty"):
        quote_files(path, tmp_path / "full", **options)
    with pytest.raises(SettingRefused):
        quote_files(path, tmp_path / "c", batch_rows=0, **options)
    (tmp_path / "broken.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputRefused, match="cannot be read"):
        quote_files(tmp_path / "broken.parquet", tmp_path / "d", **options)
    empty = tmp_path / "empty.parquet"
    made.frame(rows).head(0).write_parquet(empty)
    with pytest.raises(InputRefused, match="no rows"):
        quote_files(empty, tmp_path / "e", **options)


def test_small_group_has_no_credit_and_a_trend():
    plan = made.plan("a") | {f"trend_q{q}": f"{1 + q / 100}" for q in range(1, 5)}
    rows = made.family(21, annual_income="20000", tax_household_size=1, on=made.date(2026, 11, 1))
    result = shopped(rows, [plan], settings={"market": "small_group"})
    row = result.offers.row(0, named=True)
    assert row["premium_monthly"] == row["net_premium_monthly"] == Decimal("312.00")
    assert (row["benchmark_monthly"], row["notes"], row["csr_variant"]) == (None, "small_group", "00")
    assert "trend 1.04" in lines(result, "member_rate", "a")[0][1]
