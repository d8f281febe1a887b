"""One household from the options of ``poolwise quote``: people by age or birth date, no name and no id."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused, SettingRefused
from poolwise.cli._quote_places import COUNTIES

if TYPE_CHECKING:
    import polars as pl

__all__ = ["HOUSEHOLD_ID", "Asked", "household_frame", "medicaid_note", "read_person", "refuse_unquoted"]

HOUSEHOLD_ID = "1"
_RELATIONSHIPS = ("self", "spouse", "child", "other")
_ANSWERS = {
    "tobacco": ("tobacco_use", True),
    "not-covered": ("seeks_coverage", False),
    "no-credit": ("credit_eligible", False),
}
_HOW = "an age or a birth date (YYYY-MM-DD), and any of " + ", ".join((*_RELATIONSHIPS, *_ANSWERS))
_EXAMPLE = "--person 45 --person 43,spouse,tobacco --person child:2014-05-01"
_OLDEST = 999  # as far as three digits go; the quote itself says which ages it takes
_WITH_THE_OTHERS = "QTE-002"  # the row broke no rule itself
_NO_PLAN, _NO_SERVICE_AREA = "QTE-020", "QTE-028"
_MOST_AREAS = 8  # are named
_REMEDIES = {
    "QTE-003": "leave not-covered out for at least one person",
    "QTE-004": "give an age from 0 to 120, or a birth date that is not after the day coverage begins",
    "QTE-005": "give a --from within the plan year",
    "QTE-006": "name one self and at most one spouse",
    "QTE-008": "give --state and --county (a FIPS code or the county's name), or --rating-area",
    "QTE-011": "write the income in dollars a year, such as --income 85000",
    "QTE-012": "give --tax-household: how many persons the tax return has, from 1 on",
    "QTE-020": "choose another place, or hand in the rates of its plans",
    "QTE-021": "name an adult, or quote in another state",
    "QTE-022": "check the rates: every age needs one",
    "QTE-023": "give --exempt where a hardship or affordability exemption is held",
    "QTE-028": "give --county, and --zip where plans are sold by ZIP",
}


@dataclass(frozen=True)
class Asked:
    """A household as the options tell it; None and empty: not said."""

    people: tuple[str, ...] = ()
    state: str | None = None
    county: str | None = None
    zip_code: str | None = None
    rating_area: str | None = None
    income: str | None = None
    tax_household: int | None = None
    effective: str | None = None
    tribal: bool = False
    exempt: bool = False
    status_exception: bool = False

    @property
    def details(self) -> list[str]:
        """Names of what is said besides people."""
        return [f.name for f in fields(self) if f.name != "people" and getattr(self, f.name) not in (None, False)]


def read_person(text: str, plan_year: int, number: int = 1) -> dict[str, Any]:
    """Return the cells of one person: birth_date, and relationship, tobacco_use and the like where they are said.

    Somebody of 45 is taken as born on 1 January 45 years before the plan year: of 45 on every day of it.

    Raises
    ------
    SettingRefused
        No age and no birth date, two of them, or a part that is nothing of both. The message quotes no part.

    Examples
    --------
    >>> read_person("43,spouse,tobacco", 2026)
    {'birth_date': datetime.date(1983, 1, 1), 'relationship': 'spouse', 'tobacco_use': True}
    >>> read_person("child:2014-05-01", 2026)
    {'relationship': 'child', 'birth_date': datetime.date(2014, 5, 1)}
    """
    cells: dict[str, Any] = {}

    def refused(what: str) -> SettingRefused:
        where = f"--person, number {number}"
        return SettingRefused(what, where=where, rule=_HOW, remedy=f"write, say, {_EXAMPLE}")

    for place, part in enumerate(filter(None, re.split(r"[,:\s]+", text.lower())), 1):
        found = _part(part, plan_year)
        if found is None:
            raise refused(f"part {place} is no age, no birth date and no word that is known")
        name, value = found
        if name in cells:
            raise refused(f"part {place} says again what another part says")
        cells[name] = value
    if "birth_date" not in cells:
        raise refused("a person has neither an age nor a birth date")
    return cells


def _part(part: str, plan_year: int) -> tuple[str, Any] | None:
    if re.fullmatch(r"[0-9]{1,3}", part):
        return "birth_date", date(max(plan_year - int(part), 1), 1, 1)
    if part in _RELATIONSHIPS:
        return "relationship", part
    if part in _ANSWERS:
        return _ANSWERS[part]
    try:
        return "birth_date", date.fromisoformat(part)
    except ValueError:
        return None


def household_frame(asked: Asked, plan_year: int) -> pl.DataFrame:
    """Return the household as :func:`rating.quote` takes it: a row per person.

    The first person is the subscriber unless he is said to be something else. Without a size of the tax household it is
    the people named.

    Raises
    ------
    SettingRefused
        An option cannot be read.
    """
    import polars as pl

    people = [read_person(text, plan_year, number) for number, text in enumerate(asked.people, 1)]
    people[0].setdefault("relationship", "self")
    income = _income(asked.income)
    size = len(people) if asked.tax_household is None else asked.tax_household
    common: dict[str, Any] = {
        "household_id": HOUSEHOLD_ID,
        "state": None if asked.state is None else asked.state.strip().upper(),
        "county_fips": asked.county,
        "zip_code": asked.zip_code,
        "rating_area_id": asked.rating_area,
        "annual_income": income,
        "tax_household_size": None if income is None else size,
        "effective_date": _day(asked.effective, plan_year),
        "is_tribal": asked.tribal,
        "catastrophic_exempt": asked.exempt,
        "has_status_exception": asked.status_exception,
    }
    defaults = {"relationship": None, "tobacco_use": False, "seeks_coverage": True, "credit_eligible": True}
    rows = [common | defaults | {"member_id": str(n)} | cells for n, cells in enumerate(people, 1)]
    texts = ("household_id", "member_id", "relationship", "state", "county_fips", "zip_code", "rating_area_id")
    frame = pl.DataFrame(rows, schema_overrides=dict.fromkeys((*texts, "annual_income"), pl.String))
    return frame.drop("rating_area_id") if asked.rating_area is None else frame


def _income(text: str | None) -> str | None:
    """Return the income as plain decimal text."""
    if text is None:
        return None
    plain = text.strip().replace("$", "").replace(",", "")
    if not re.fullmatch(r"-?[0-9]{1,12}(\.[0-9]*)?", plain):
        raise SettingRefused("the income is no amount of dollars", where="--income", remedy="write, say, 85000")
    return plain


def _day(text: str | None, plan_year: int) -> date:
    if text is None:
        return date(plan_year, 1, 1)
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise SettingRefused(
            "the day on which coverage begins is no date", where="--from", remedy=f"write, say, {plan_year}-03-01"
        ) from None


def refuse_unquoted(
    findings: pl.DataFrame, refused: pl.DataFrame | None, possible: tuple[Sequence[str], str], sold: Sequence[str]
) -> None:
    """Refuse a single household that was set aside: one cannot be counted, it is answered.

    Parameters
    ----------
    findings, refused : DataFrame
        Of the quote.
    possible : tuple of sequence of str, str
        The rating areas that are possible, as they are shown; what to name so that one of them is left.
    sold : sequence of str
        The rating areas of the rates.

    Raises
    ------
    InputRefused
        The household broke a rule.
    """
    import polars as pl

    if refused is None or refused.height == 0:
        return
    own = refused.filter(pl.col("rule_id") != _WITH_THE_OTHERS)
    rule_id = min(own["rule_id"].to_list())
    people = own.filter(pl.col("rule_id") == rule_id)["member_id"].to_list()
    condition, basis = findings.filter(pl.col("rule_id") == rule_id).select("condition", "basis").row(0)
    source = f" ({basis})" if basis and basis != "-" else ""
    where = "the household" if len(people) == refused.height else "person " + ", ".join(people)
    places, to_name = possible
    if places:
        raise InputRefused(
            "the address lies in one of several rating areas: " + "; ".join(places),
            where="--state, --county, --zip",
            rule=f"{rule_id}{source}: the area is that of the residence; it is never guessed",
            remedy=to_name,
        )
    remedy = _REMEDIES.get(rule_id, "")
    counties = refused[COUNTIES][0] if COUNTIES in refused.columns else None
    if rule_id == _NO_SERVICE_AREA and counties is not None:
        remedy = f"give --county, which is one of {counties}"
    if rule_id == _NO_PLAN:
        remedy += "; these are of " + ", ".join(sold[:_MOST_AREAS]) + (" ..." if len(sold) > _MOST_AREAS else "")
    raise InputRefused(condition, where=where, rule=f"{rule_id}{source}", remedy=remedy)


def medicaid_note(asked: Asked, state: str, plan_year: int) -> list[str]:
    """Return a line where adults of the household have Medicaid by their income, and so no credit; else nothing."""
    import polars as pl

    from data_specs.errors import NotYetPublished, TableMissing
    from rating import medicaid_outcome

    if asked.income is None or asked.status_exception:
        return []
    household = {
        "household_id": ["asked"],
        "annual_income": [_income(asked.income)],
        "tax_household_size": [asked.tax_household or len(asked.people)],
        "state": [state],
    }
    try:
        found = medicaid_outcome(pl.DataFrame(household), plan_year=plan_year).households
    except (NotYetPublished, TableMissing):
        return []
    if found.is_empty() or found["outcome"][0] != "medicaid":
        return []
    limit = found["medicaid_limit_pct"][0]
    return [
        f"at this income adults in {state} have Medicaid (up to {limit:g} percent of the poverty line), and so no "
        "credit: say no-credit for those who do (rating.medicaid_outcome)"
    ]
