"""Assumptions about issuers, plans, prices and costs in the made-up market: fiction, not published figures.

None is a figure of any state, issuer or year, and none may be quoted. They only have to look right together: issuers
of visibly different size and luck, premiums that cover the costs, and prices that differ by area within reason. What a
rule fixes (age curves, family tiers, how many children are charged, how many areas a state has) stands in tables.

Weights are whole numbers and count in proportion to their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Issuer", "Market"]

METALS = ("platinum", "gold", "silver", "bronze", "expanded_bronze", "catastrophic")
VARIANTS = ("00", "01", "02", "03", "04", "05", "06")


@dataclass(frozen=True, slots=True)
class Market:
    """What tells the two markets apart."""

    name: str
    plan_block: int  # three digits of every plan id, after issuer and state
    metal_weights: tuple[
        tuple[int, ...], ...
    ]  # columns as METALS; an adult of 30 or more in the household, all under 30
    variant_weights: tuple[tuple[int, ...], ...]  # rows as METALS, columns as VARIANTS


# Variants 04-06 exist on silver alone, 02 and 03 on every level but catastrophic.
_INDIVIDUAL_VARIANTS = (
    (250, 735, 8, 7, 0, 0, 0),
    (200, 780, 10, 10, 0, 0, 0),
    (110, 190, 8, 7, 95, 190, 400),
    (220, 760, 10, 10, 0, 0, 0),
    (220, 760, 10, 10, 0, 0, 0),
    (350, 650, 0, 0, 0, 0, 0),
)
# Employers buy off the exchange, where variants do not exist; nor does catastrophic coverage in their market.
_NO_VARIANTS = ((1, 0, 0, 0, 0, 0, 0),) * len(METALS)
MARKETS = {
    "individual": Market(
        "individual", 1, ((32, 120, 540, 135, 165, 0), (20, 90, 500, 140, 165, 85)), _INDIVIDUAL_VARIANTS
    ),
    "small_group": Market("small_group", 2, ((130, 330, 370, 80, 90, 0), (110, 320, 390, 85, 95, 0)), _NO_VARIANTS),
}

# ---- issuers and plans -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer that does not exist, and whom it attracts."""

    issuer_id: str
    share: int  # weight among the policies of an area where it sells
    by_age: tuple[int, ...]  # times this, in percent, for subscribers by CHOICE_AGES
    by_proneness: tuple[int, ...]  # times this, in percent, for subscribers by proneness to illness
    plans: tuple[int, ...]  # plans on sale, as METALS
    leaning: tuple[int, ...]  # times this, in percent, on the weights of METALS
    price: int  # thousandths of the market's price
    areas: tuple[int, ...]  # area factors in thousandths; it sells in as many areas as there are, from the first on


CHOICE_AGES = (35, 55)  # the groups under 35, 35-54, 55 and more
# No issuer is known to have an id with leading zeros, so these ids belong to nobody.
ISSUERS = (
    # The largest, with a bit of everything.
    Issuer(
        "00101", 300, (100, 100, 100), (100, 100, 100, 100), (1, 2, 3, 1, 2, 1),
        (100, 100, 100, 100, 100, 100), 1005, (1000, 940, 1075, 1030, 905, 1120),
    ),
    # Attracts the ill: the wide network, the rich plans.
    Issuer(
        "00202", 220, (75, 100, 125), (75, 95, 120, 180), (2, 2, 3, 1, 1, 0),
        (200, 130, 100, 70, 70, 0), 1090, (1010, 955, 1060, 1045, 925, 1100),
    ),
    # Attracts the young: cheap, narrow, mostly bronze.
    Issuer(
        "00303", 190, (160, 95, 65), (115, 100, 85, 65), (0, 1, 2, 2, 2, 1),
        (0, 70, 90, 140, 140, 130), 935, (985, 930, 1090, 1020, 890, 1135),
    ),
    # Ordinary, strong among older people.
    Issuer(
        "00404", 150, (80, 100, 120), (100, 100, 100, 95), (0, 1, 2, 1, 2, 0),
        (0, 100, 105, 100, 100, 0), 990, (1005, 945, 1070, 1035, 900, 1115),
    ),
    # Absent from the last areas.
    Issuer(
        "00505", 120, (110, 100, 90), (105, 100, 95, 90), (0, 1, 2, 1, 1, 0),
        (0, 100, 100, 105, 95, 0), 965, (995, 935, 1080, 1025),
    ),
    # Tiny, in two areas only.
    Issuer(
        "00606", 28, (130, 100, 80), (105, 105, 95, 75), (0, 0, 1, 0, 1, 0),
        (0, 0, 110, 0, 100, 0), 950, (1000, 950),
    ),
)  # fmt: skip
PLAN_WEIGHTS = (6, 4, 3)  # how an issuer's plans of one level share its policies, the cheapest first
PLAN_PRICES = (1000, 1035, 1075)  # thousandths of the level's price, in the same order
AREA_WEIGHTS = (330, 220, 150, 120, 100, 80)  # policies by rating area; a state's areas after the sixth stay empty

# Dollars a month that an adult pays on the plain average of the ages 21 to 64, as METALS, in PRICE_YEAR. The base rate
# follows from it and the state's curve, so that a market costs about the same under every curve.
PRICE_AGES = (21, 65)
METAL_PRICES = (960, 760, 715, 540, 565, 385)
PRICE_YEAR, YEARLY_RISE = 2025, 45  # prices and costs rise by this, in thousandths of the price year, each year

# ---- costs of care ---------------------------------------------------------------------------------------------------
COST_LEVEL = 760  # thousandths of all costs below
VISIT_COST = 260  # dollars, with the everyday drugs and tests that go with it
# Dollars by birth: the mother's, and the newborn's before its severity.
DELIVERY_COST, NEWBORN_COST = 17_000, 6_000
# What one case costs against the mean of its condition, in percent, and how often.
SEVERITIES = (10, 30, 60, 100, 200, 450, 1400)
SEVERITY_WEIGHTS = (200, 250, 200, 180, 115, 48, 7)

# Cost sharing in dollars of a year's care in PRICE_YEAR: deductible and out-of-pocket limit, rows as METALS, of the
# standard plan; and of the variants of lower cost sharing (02 has none; 04 to 06 are silver).
COST_SHARING = ((300, 3_500), (1_500, 7_000), (5_000, 8_700), (7_500, 9_200), (6_500, 9_200), (9_200, 9_200))
VARIANT_COST_SHARING = {"02": (0, 0), "04": (3_500, 7_000), "05": (800, 3_000), "06": (100, 1_500)}
# The enrollee's share of a cost, in percent, below the deductible and above it.
SHARE_BELOW, SHARE_ABOVE = 75, 20
