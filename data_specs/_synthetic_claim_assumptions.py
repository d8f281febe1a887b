"""Assumptions about how the claims of the made-up market arise and are paid: fiction, not published figures.

None may be quoted. They only have to look right together: prices that rise faster than use, a deductible that makes the
first months of a year cheap for plans, hospital bills that are paid late. Growth is a factor a month, in millionths:
no power is taken of it, so that every platform gets the same.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATEGORIES", "Category"]


@dataclass(frozen=True, slots=True)
class Category:
    """One benefit category of the rate review template."""

    name: str
    share: int  # of ordinary claims in the benefit year, as a weight
    use: int  # services per 1,000 enrollees and year
    cost_growth: int  # of the price of a service, millionths a month
    use_growth: int  # of services per enrollee, millionths a month
    season: tuple[int, ...]  # services by calendar month, thousandths of an average day's
    noise: int  # standard deviation of use and of price, from month to month, in thousandths
    paid_by_lag: tuple[int, ...]  # weights of the months after the one of service in which it is paid


_EVEN = (1000,) * 12
_VISITS = (985, 970, 1005, 1000, 995, 985, 960, 985, 1000, 1030, 1035, 1050)
_HOSPITAL = (1030, 1020, 1010, 1000, 990, 985, 975, 980, 990, 1000, 1005, 1015)
_DRUGS = (950, 960, 985, 990, 1000, 1000, 1005, 1010, 1010, 1020, 1025, 1045)
CATEGORIES = (
    Category(
        "inpatient_hospital", 215, 52, 4_000, 700, _HOSPITAL, 15,
        (60, 330, 250, 140, 80, 50, 30, 20, 12, 9, 6, 5, 4, 2, 1, 1),
    ),
    Category(
        "outpatient_hospital", 245, 2_350, 4_300, 1_800, _VISITS, 10,
        (150, 420, 210, 90, 45, 28, 18, 12, 8, 6, 5, 4, 2, 1, 1),
    ),
    Category(
        "professional", 240, 9_400, 2_100, 1_900, _VISITS, 8,
        (230, 440, 170, 65, 33, 20, 13, 9, 7, 5, 4, 2, 1, 1),
    ),
    Category(
        "other_medical", 60, 880, 2_600, 1_300, _EVEN, 15,
        (160, 400, 210, 95, 50, 30, 18, 12, 9, 7, 5, 3, 1),
    ),
    # Paid by the head in the month itself, and not in the triangle.
    Category("capitation", 20, 12_000, 1_650, 0, _EVEN, 0, (1,)),
    Category("prescription_drug", 220, 11_300, 5_900, 2_700, _DRUGS, 10, (900, 80, 12, 5, 2, 1)),
)  # fmt: skip
LAG_NOISE = 120  # standard deviation of a month's share of what is paid, thousandths
CAPITATION, DRUGS, HOSPITAL, OTHER = 4, 5, 0, 3  # positions among the categories
YEARS_BEFORE = (925, 965)  # enrollment of the years before the benefit year, thousandths of it
RUN_OUT = 3  # months after the benefit year in which payments were still seen
NOT_ESSENTIAL = 52  # thousandths of other medical: adult dental and vision
REBATES = 210  # of drugs, thousandths of what is left after them
# The enrollees' share of a month's care in January and December, thousandths of the average: deductibles come first.
SHARE_IN_JANUARY, SHARE_IN_DECEMBER = 1450, 550

# Enrollees whose care of a year comes to more are listed by name of the enrollee, each in the month of a hospital stay.
LARGE_CLAIM = 250_000  # dollars
LARGE_EARLIER = (6, 12)  # how many there were in a year before, in 100,000 member months: at least, and at most
LARGEST_EARLIER = 900_000

TOBACCO_USERS = 85  # of 1,000 people of 21 and more
