"""Calibration: from the rate of the average enrollee to the rate at factor 1, by age, area and tobacco.

``calibration = 1 / mean factor``, the mean taken over projected member months; children beyond the third, who are not
charged, count with factor 0. One calibration for all plans. Source: worksheet 2, 3.12 to 3.15; 45 CFR 147.102, 156.80.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs import _frames
from data_specs._policy import TIERS, canonical_rating_areas
from rating._factors import MILLIONTHS, RatingFactors
from rating._frame_rows import collected
from rating.filing._draft import Draft
from rating.filing._filing_input import Plans, read_numbers
from rating.filing._filing_settings import FAMILY_TIER
from rating.filing._findings import listed, refusal, refuse_rows
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key
from rating.filing._model import FilingModel
from rating.filing._numbers import CONTEXT, number_text

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Areas", "Mix", "check_mix", "give_nearest_age", "give_without_mix", "read_areas", "read_mix"]

KINDS = ("age", "area", "tobacco", "tier")
_BAND = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3})|(\+))?")
_OLDEST = 130
_TOBACCO = {"y": "Y", "yes": "Y", "true": "Y", "n": "N", "no": "N", "false": "N"}


# ------------------------------------------------------------------------------------------------ areas


@dataclass(frozen=True, slots=True)
class Areas:
    """Rating areas and their factors.

    Attributes
    ----------
    ids : tuple of str
        The areas, sorted.
    factor_of : dict of (str, str) to Decimal
        (plan, area) -> factor; the plan is "" where factors hold for all plans.
    """

    ids: tuple[str, ...]
    factor_of: dict[tuple[str, str], Decimal]

    @property
    def by_plan(self) -> bool:
        """Whether factors differ by plan."""
        return any(plan for plan, _ in self.factor_of)

    def factor(self, plan: str, area: str) -> Decimal | None:
        """Return the factor of a plan in an area; None where it is not sold."""
        return self.factor_of.get((plan if self.by_plan else MARKET, area))


def read_areas(frame: Any, draft: Draft, plans: Plans) -> Areas:
    """Return rating areas and factors, and give those of the market to the draft.

    Raises
    ------
    InputRefused
        An area is none of the state, stands twice or has no factor above zero; a plan has none; an unknown plan.
    """
    import polars as pl

    areas = collected(frame, "areas", ("rating_area_id", "area_factor"))
    if areas.height == 0:
        raise refusal("PRC-005", "there is no rating area", "areas", "hand in a row for each area, with its factor")
    given = areas["rating_area_id"]
    texts = given.cast(pl.String) if given.dtype.is_integer() else _frames.text_column(areas, "areas", given.name)
    ids = canonical_rating_areas(texts, pl.Series([draft.identity.state] * areas.height, dtype=pl.String))
    remedy = f"areas are R-{draft.identity.state}001 and so on; there is no area 0"
    refuse_rows("PRC-005", "areas", given.name, ids.is_null().to_numpy(), "an area is none of the state", remedy)
    factors = read_numbers(areas["area_factor"], "areas", "positive")
    blank = np.array([factor is None for factor in factors])
    refuse_rows("PRC-005", "areas", "area_factor", blank, "an area has no factor", "an absent factor is not 1")
    owners = pl.Series([MARKET] * areas.height)
    if "plan_id" in areas.columns:
        owners = _frames.text_column(areas, "areas", "plan_id").str.strip_chars()
        broken = ~owners.is_in(list(plans.category_of)).fill_null(False).to_numpy()
        refuse_rows("PRC-005", "areas", "plan_id", broken, "a plan is not known", "name one of `plans`")
        without = sorted(set(plans.offered) - set(owners.to_list()))
        if without:
            raise refusal("PRC-005", f"{listed(without)}: no area factor", "areas", "a plan is sold in some area")
    double = pl.DataFrame([owners.alias("plan"), ids.alias("area")]).is_duplicated().to_numpy()
    refuse_rows("PRC-005", "areas", given.name, double, "an area stands twice", "one factor for an area")
    found = dict(zip(zip(owners.to_list(), ids.to_list(), strict=True), factors, strict=True))
    factor_of = {key: factor for key, factor in sorted(found.items()) if factor is not None}
    for (owner, area), factor in factor_of.items():
        place, name = (area, "area_factor") if owner == MARKET else (f"{owner} {area}", "plan_area_factor")
        draft.give(name, factor, "areas, area_factor", place=place, grain="area")
    return Areas(tuple(sorted(set(ids.to_list()))), factor_of)


# ------------------------------------------------------------------------------------------------ the mix


@dataclass(frozen=True, slots=True)
class Mix:
    """The projected membership by what rates differ by.

    Attributes
    ----------
    rows : DataFrame
        ``kind``, ``level``, ``billable``, ``place`` (in the ledger).
    of_kind : dict of str to list of str
        Kind -> places.
    """

    rows: pl.DataFrame
    of_kind: dict[str, tuple[str, ...]]


def read_mix(frame: Any, draft: Draft, areas: Areas, tobacco_ratio: Decimal | None) -> Mix:
    """Return the levels of the calibration mix, and give member months and factors to the draft.

    Factors that are not given are those of the state's curve or tiers, of the areas, and of the plans' tobacco ratio.

    Raises
    ------
    InputRefused
        A row is unreadable or stands twice; a level is not known; a factor is neither given nor published; a child's
        row does not say whether it is charged.
    """
    import polars as pl

    mix = collected(frame, "mix", ("kind", "level", "member_months"))
    kinds = _frames.text_column(mix, "mix", "kind").str.strip_chars().str.to_lowercase()
    broken = ~kinds.is_in(list(KINDS)).fill_null(False).to_numpy()
    refuse_rows("PRC-006", "mix", "kind", broken, "a kind is not known", "one of " + ", ".join(KINDS))
    given = mix["level"]
    levels = given.cast(pl.String) if given.dtype.is_integer() else _frames.text_column(mix, "mix", "level")
    months = read_numbers(mix["member_months"], "mix", "not_negative")
    blank = np.array([value is None for value in months])
    refuse_rows("PRC-006", "mix", "member_months", blank, "a row has no member months", "write 0 where there are none")
    factors = _optional(mix, "factor", "not_negative")
    contracts = _optional(mix, "contract_months", "not_negative")
    billable = _billable(mix, kinds, levels)
    reader = _Levels(draft, areas, tobacco_ratio)
    read = [
        (kind, charged, *reader.read(kind, str(text or ""), charged, factors[row], row + 1))
        for row, (kind, text, charged) in enumerate(zip(kinds, levels, billable, strict=True))
    ]
    lines = [(kind, level, charged, place) for kind, charged, level, place, _, _ in read]
    frame = pl.DataFrame(lines, schema=dict.fromkeys(("kind", "level", "billable", "place"), pl.String), orient="row")
    double = frame.select("kind", "place").is_duplicated().to_numpy()
    refuse_rows("PRC-006", "mix", "level", double, "a level stands twice", "one row for kind, level and billable")
    order = sorted(range(len(read)), key=lambda row: _place_order(*read[row][:3]))
    for row in order:
        kind, _, level, place, factor, source = read[row]
        source_of_months = f"mix, {kind} {level}"
        draft.give(f"{kind}_member_months", months[row] or Decimal(0), source_of_months, place=place, grain=kind)
        draft.give(f"{kind}_factor", factor, source, place=place, grain=kind)
        if kind == "tier":
            if contracts[row] is None:
                raise refusal("PRC-006", "a tier has no contract_months", f"mix, row {row + 1}", "add the column")
            draft.give("tier_contract_months", contracts[row] or Decimal(0), source_of_months, place=place, grain=kind)
    of_kind = {kind: tuple(lines[row][3] for row in order if lines[row][0] == kind) for kind in KINDS}
    return Mix(frame[order], of_kind)


def _place_order(kind: str, charged: str, level: str) -> tuple[int, int, str, bool]:
    """Return where a level stands among the others, whatever the order of rows."""
    band = _BAND.fullmatch(level) if kind == "age" else None
    return KINDS.index(kind), int(band[1]) if band else 0, level, charged != "Y"


def _optional(mix: pl.DataFrame, column: str, limits: str) -> list[Decimal | None]:
    return read_numbers(mix[column], "mix", limits) if column in mix.columns else [None] * mix.height


def _billable(mix: pl.DataFrame, kinds: pl.Series, levels: pl.Series) -> list[str]:
    """Return Y or N for each row; where nothing says it, adults and all other kinds are charged."""
    if "billable" not in mix.columns:
        words: list[str | None] = [None] * mix.height
    elif str(mix["billable"].dtype) == "Boolean":
        words = [None if flag is None else "Y" if flag else "N" for flag in mix["billable"].to_list()]
    else:
        texts = _frames.text_column(mix, "mix", "billable").str.strip_chars().str.to_lowercase()
        words = [_TOBACCO.get(text) if text else None for text in texts.to_list()]
    found = []
    for row, (kind, level, word) in enumerate(zip(kinds, levels, words, strict=True), 1):
        band = _BAND.fullmatch(str(level or ""))
        if word is None and kind == "age" and (band is None or int(band[1]) < 21):
            raise refusal(
                "PRC-006",
                "a row of children does not say whether they are charged",
                f"mix, column billable, row {row} (first row is 1)",
                "children beyond the third are N; write Y or N",
            )
        found.append(word or "Y")
    return found


def _ages(text: str) -> range:
    """Return the ages of a level: one, a band ``0-14``, or ``64+``; none where it is neither."""
    band = _BAND.fullmatch(text)
    if band is None or int(band[1]) > _OLDEST:
        return range(0)
    last = _OLDEST if band[3] else int(band[2] or band[1])
    return range(int(band[1]), min(last, _OLDEST) + 1)


class _Levels:
    """Levels of the mix as places of the ledger, with their factors."""

    def __init__(self, draft: Draft, areas: Areas, tobacco_ratio: Decimal | None) -> None:
        self.draft, self.areas, self.tobacco_ratio = draft, areas, tobacco_ratio
        self.factors: RatingFactors = draft.identity.factors

    def read(
        self, kind: str, text: str, charged: str, given: Decimal | None, row: int
    ) -> tuple[str, str, Decimal, str]:
        """Return level, place, factor and its source."""
        text = text.strip()
        where = f"mix, row {row} (first row is 1)"
        if kind == "age":
            level, place, published, source = self._age(text, charged, where)
        else:
            read = {"area": self._area, "tobacco": self._tobacco, "tier": self._tier}[kind]
            level, place, published, source = read(text, where)
        if given is None and published is None:
            raise refusal("PRC-006", f"{kind} {level}: no factor", where, "add a column factor; none is assumed")
        if given is None or given == published:
            return level, place, published if published is not None else Decimal(0), source
        if published is not None:
            said = f"the mix has the factor {number_text(given)}, {source} has {number_text(published)}"
            if kind == "area" or charged == "N":
                raise refusal("PRC-006", f"{kind} {level}: {said}", where, "leave the factor out, or mend one of both")
            self.draft.findings.add("PRC-007", f"{kind} {level}", said)
        return level, place, given, f"mix, {kind} {level}"

    def _age(self, text: str, charged: str, where: str) -> tuple[str, str, Decimal | None, str]:
        ages = _ages(text)
        if len(ages) == 0:
            raise refusal("PRC-006", "an age is no whole number or band", where, "write 42, 0-14 or 64+")
        place = f"age {text} {charged}"
        if charged == "N":
            return text, place, Decimal(0), "not charged: 45 CFR 147.102(c)(1)"
        # A band whose ages have different factors has no published one: whose months they are is not known.
        millionths = set(self.factors.curve.at(np.array(ages)).tolist())
        factor = CONTEXT.divide(Decimal(millionths.pop()), Decimal(MILLIONTHS)) if len(millionths) == 1 else None
        return text, place, factor, f"rating/age_curves, {self.factors.curve.curve_id}"

    def _area(self, text: str, where: str) -> tuple[str, str, Decimal | None, str]:
        import polars as pl

        area = canonical_rating_areas(pl.Series([text]), pl.Series([self.draft.identity.state]))[0]
        if area not in self.areas.ids:
            raise refusal("PRC-005", f"area {text}: no factor", where, "add the area to `areas`")
        factor = None if self.areas.by_plan else self.areas.factor(MARKET, area)
        return area, area, factor, "areas, area_factor"

    def _tobacco(self, text: str, where: str) -> tuple[str, str, Decimal | None, str]:
        word = _TOBACCO.get(text.lower())
        if word is None:
            raise refusal("PRC-006", "a level of tobacco is neither Y nor N", where, "write Y or N")
        factor = Decimal(1) if word == "N" else self.tobacco_ratio
        return word, f"tobacco {word}", factor, "rate without tobacco" if word == "N" else "plans, tobacco_ratio"

    def _tier(self, text: str, where: str) -> tuple[str, str, Decimal | None, str]:
        tiers = self.factors.tiers
        found = 0 if tiers is None or text not in TIERS else int(tiers.millionths[TIERS.index(text)])
        if not found:
            raise refusal("PRC-006", "a family tier is not published for the state", where, "see rating/family_tiers")
        factor = CONTEXT.divide(Decimal(found), Decimal(MILLIONTHS))
        return text, f"tier {text}", factor, "rating/family_tiers"


# ------------------------------------------------------------------------------------------------ what follows


def check_mix(draft: Draft, model: FilingModel, mix: Mix) -> None:
    """Put down where the member months of the mix differ from those projected by more than one."""
    projected = model.value("proj_member_months")
    for kind in KINDS:
        places = mix.of_kind[kind]
        if places and projected is not None:
            total = sum((model.value(f"{kind}_member_months", place) or Decimal(0) for place in places), Decimal(0))
            if abs(total - projected) > 1:
                said = f"{number_text(total)} member months; projected are {number_text(projected)}"
                draft.findings.add("PRC-008", f"mix, kind {kind}", said)
    billed = set(mix.of_kind["area"])
    for area in model.places.areas:
        if billed and area not in billed:
            draft.findings.add("PRC-009", area, "no member months in the mix")


def give_without_mix(draft: Draft, mix: Mix | None, rates_tobacco: bool) -> None:
    """Give what needs no mix: a tobacco calibration of 1 where no plan rates tobacco; refuse what is missing.

    Raises
    ------
    InputRefused
        Neither a calibration factor nor the mix it follows from is there.
    """
    of_kind = {} if mix is None else mix.of_kind
    by_age = "tier" if draft.identity.factors.tiers is not None else "age"
    if not rates_tobacco and not of_kind.get("tobacco") and not draft.has("calib_tobacco"):
        draft.give("mean_tobacco_factor", 1, "no plan rates tobacco")
    needed = (("calib_age", by_age), ("calib_geo", "area"), ("calib_tobacco", "tobacco"))
    for name, kind in needed:
        mean = {"area": "mean_area_factor", "tobacco": "mean_tobacco_factor"}.get(kind, f"mean_{kind}_factor")
        if not of_kind.get(kind) and not draft.has(name) and not draft.has(mean):
            raise refusal(
                "PRC-006", f"{name} cannot be worked out", "mix", f"hand in rows of kind {kind}, or {name} itself"
            )
    if by_age == "tier" and of_kind.get("age"):
        draft.findings.add("PRC-010", "mix, kind age", "not used: the state rates families by tier")


def give_nearest_age(draft: Draft, model: FilingModel) -> None:
    """Give the whole age whose factor is nearest to the mean, the younger one of two, and its factor."""
    if draft.formulas.get("calib_age", "market") is None or draft.chosen.calibration_method != "nearest_age":
        return
    mean = model.value("mean_age_factor")
    if mean is None or draft.identity.factors.tiers is not None:
        return
    curve = draft.identity.factors.curve
    factors = [CONTEXT.divide(Decimal(m), Decimal(MILLIONTHS)) for m in curve.millionths.tolist()]
    age = min(range(len(factors)), key=lambda a: (abs(CONTEXT.subtract(factors[a], mean)), a))
    inputs: tuple[Key, ...] = (("mean_age_factor", MARKET),)
    words = "the whole age whose factor is nearest to the mean"
    draft.offer(Entry("calibration_age", MARKET, Decimal(age), "years", COMPUTED, words, inputs))
    draft.give("calibration_age_factor", factors[age], f"rating/age_curves, {curve.curve_id}")


def calibration_setting(draft: Draft) -> str:
    """Return the method in force: family tiers have their own."""
    return FAMILY_TIER if draft.identity.factors.tiers is not None else draft.chosen.calibration_method
