"""The enrollment as it is, arranged once so that any number of mixes can weigh it anew."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data_specs import _frames, _registry
from riskadjust import _enrollment, _year_parts
from riskadjust._findings import Findings
from riskadjust._member_lines import MemberLines
from riskadjust._mix_households import Households, dense_ranks, households
from riskadjust._model import METALS, variant_factors
from riskadjust._tables import YearTables

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MixBase", "prepared"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

STANDARD_VARIANT = "01"
_SETTLES_AS = {"expanded_bronze": "bronze"}
_FACTOR_UNIT = 10**_year_parts.FACTOR_DIGITS


@dataclass
class MixBase:
    """Member lines as arrays.

    Attributes
    ----------
    member : MemberLines
        The lines and the plans they point into.
    houses : Households
        The lines cut into pieces by the composition of their policies.
    scores, spans : DataFrame
        The frames the lines come from.
    plan, area, variant, enrollee : array of int
        Positions among the plans (sorted by state, risk_pool, issuer_id, plan_id), areas, variants and enrollees, by
        line.
    areas : Series
        Rating areas, sorted.
    variants : Series
        Variants of the lines, sorted, and the standard one.
    place : array of int
        Number of the state and market, by plan.
    risk : array of float
        Adjusted score x 10,000,000, by line.
    """

    member: MemberLines
    houses: Households
    scores: pl.DataFrame
    spans: pl.DataFrame
    enrollees: pl.DataFrame
    plan: Integers
    area: Integers
    areas: pl.Series
    variant: Integers
    variants: pl.Series
    enrollee: Integers
    place: Integers
    risk: Floats
    keeps_factor: bool
    rounds_to_thousandths: bool

    @cached_property
    def thirtieths(self) -> Floats:
        """Member months x 30, by line."""
        return self.member.lines["month_thirtieths"].to_numpy().astype(np.float64)

    @cached_property
    def lines_of_enrollee(self) -> Integers:
        """How many lines each enrollee has."""
        return np.bincount(self.enrollee)

    # ---------------------------------------------------------------------------- where lines come from

    def score_row(self) -> Integers:
        """Return the row of the scores of each line."""
        return self._score_rows

    @cached_property
    def _score_rows(self) -> Integers:
        number, _, variants = _enrollment.variant_index(self.scores)
        at = np.append(self._known_variant(variants), -1)[number]
        key, wanted = self._keys(self.scores, at)
        rows = np.flatnonzero(at >= 0)
        rows = rows[np.argsort(key[rows], kind="stable")]
        return _found(key[rows], rows, wanted)

    def span_row(self) -> Integers:
        """Return the row of the spans that each line is part of, -1 where it cannot be told."""
        return self._span_rows

    @cached_property
    def _span_rows(self) -> Integers:
        number, rule, variants = _enrollment.variant_index(self.spans)
        at = np.append(self._known_variant(variants), -1)[number]
        key, wanted = self._keys(self.spans, at)
        starts, ends = (
            _frames.date_column(self.spans, "enrollment_spans", c).to_physical().cast(int).fill_null(low).to_numpy()
            for c, low in (("span_start", 2**31), ("span_end", -(2**31)))
        )
        rows = np.flatnonzero((at >= 0) & (rule < 0) & (starts <= ends))
        rows = rows[np.lexsort((starts[rows], key[rows]))]
        # One number for key and day: the last span of the key that begins no later than the line.
        low, width = -(10**6), 4 * 10**6
        days = self.member.lines["span_start"].to_physical().to_numpy().astype(np.int64)
        first = key[rows] * width + (starts[rows] - low)
        latest = np.searchsorted(first, wanted * width + (days - low), "right") - 1
        found = rows[np.maximum(latest, 0)]
        return np.where((latest >= 0) & (key[found] == wanted), found, -1)

    def enrollee_row(self) -> Integers:
        """Return the row of the enrollees of each line."""
        ids = _frames.text_column(self.enrollees, "enrollees", "enrollee_id")
        return _rows_of_texts(ids, self.member.lines["enrollee_id"])

    def plan_row(self, plans: pl.DataFrame) -> Integers:
        """Return the row of a frame of plans for each plan."""
        ids = plans["plan_id"].cast(_text()).str.strip_chars().str.slice(0, 14)
        return _rows_of_texts(ids, self.member.plans["plan_id"])

    def _known_variant(self, variants: pl.DataFrame) -> Integers:
        """Return for each plan variant of a frame its number among those of the lines; -1 unknown."""
        import polars as pl

        known = self._line_variants.with_row_index("known")
        found = variants.with_columns(pl.col("metal_level").replace(_SETTLES_AS)).join(
            known, on=["plan_id", "csr_variant", "metal_level"], how="left", nulls_equal=True, maintain_order="left"
        )
        return found["known"].cast(pl.Int64).fill_null(-1).to_numpy()

    @cached_property
    def _line_variants(self) -> pl.DataFrame:
        import polars as pl

        columns = ["plan_id", "csr_variant", pl.col("metal_level").replace(_SETTLES_AS)]
        return self.member.lines.select(columns).unique().sort("plan_id", "csr_variant", "metal_level")

    def _keys(self, frame: pl.DataFrame, variant: Integers) -> tuple[Integers, Integers]:
        """Return enrollee and variant as one number, of the rows of a frame and of the lines."""
        import polars as pl

        lines = self.member.lines
        numbered = self._line_variants.with_row_index("known")
        own = lines.select("plan_id", "csr_variant", pl.col("metal_level").replace(_SETTLES_AS)).join(
            numbered, on=["plan_id", "csr_variant", "metal_level"], how="left", nulls_equal=True, maintain_order="left"
        )
        width = numbered.height + 1
        ids = self._enrollee_ids
        who = _rows_of_texts(ids, frame["enrollee_id"].cast(pl.String))
        key = np.where(who >= 0, who * width + np.maximum(variant, 0), -1)
        return np.where(variant >= 0, key, -1), self.enrollee * width + own["known"].cast(pl.Int64).to_numpy()

    @cached_property
    def _enrollee_ids(self) -> pl.Series:
        return self.member.lines["enrollee_id"].unique().sort()

    # ---------------------------------------------------------------------------- what a move changes

    def variant_on(self, line: Integers, plan: Integers) -> Integers:
        """Return the variant that each line has on a plan: its own where the metal level has it, else the standard."""
        own = self.variant[line]
        moved = self._variant_after[own, self._metal_of_plan[plan]]
        return np.where(plan == self.plan[line], own, moved)

    def moved_risk(self, line: Integers, plan: Integers) -> Floats:
        """Return the adjusted score x 10,000,000 of lines on plans; NaN where no cost-sharing factor is published."""
        metal = self._metal_of_plan[plan]
        milli = self._metal_scores[line, metal]
        if self.keeps_factor:
            factor = np.rint(self.member.lines["csr_factor"].to_numpy() * _FACTOR_UNIT)[line]
        else:
            factor = self._factors[self.variant_on(line, plan), metal]
        product = milli * factor
        if self.rounds_to_thousandths:
            product = np.floor(product / _FACTOR_UNIT + 0.5) * _FACTOR_UNIT
        return np.where(plan == self.plan[line], self.risk[line], product)

    @cached_property
    def _metal_of_plan(self) -> Integers:
        column = {**{m: i for i, m in enumerate(METALS)}, "expanded_bronze": METALS.index("bronze")}
        return self.member.plans["metal_level"].replace_strict(column).to_numpy().astype(np.int64)

    @cached_property
    def _metal_scores(self) -> Floats:
        """Return the score in thousandths of each line on each metal level."""
        columns = [f"score_{m}" for m in METALS]
        _frames.need_columns(self.scores, "scores", tuple(columns), "scores: a mix moves enrollees to other plans")
        rows = self.score_row()
        return np.stack([np.rint(self.scores[c].cast(float).to_numpy()[rows] * 1000) for c in columns], axis=1)

    @cached_property
    def _factors(self) -> Floats:
        """Return the cost-sharing factor x 10,000 by variant and metal level; NaN where none is published."""
        import polars as pl

        rows = _registry.rows("hhs_hcc/csr_factors", year=self.member.benefit_year)
        published = _year_parts.csr_factors(YearTables(self.member.benefit_year, {"csr_factors": rows}, {}, False))
        by_metal = variant_factors(published)
        # A blank variant is "no CSR or unknown", as in scoring.
        pairs = pl.DataFrame({"csr_variant": self.variants.fill_null("00")}).join(
            pl.DataFrame({"metal_level": METALS}), how="cross", maintain_order="left_right"
        )
        found = pairs.join(
            by_metal, on=["csr_variant", "metal_level"], how="left", maintain_order="left", validate="m:1"
        )
        scaled = found["csr_factor_scaled"].cast(pl.Float64).fill_null(float("nan"))
        return scaled.to_numpy().reshape(len(self.variants), len(METALS))

    @cached_property
    def _variant_after(self) -> Integers:
        standard = self.variants.to_list().index(STANDARD_VARIANT)
        own = np.repeat(np.arange(len(self.variants))[:, None], len(METALS), axis=1)
        return np.where(np.isnan(self._factors), standard, own)


def _text() -> type[pl.DataType]:
    import polars as pl

    return pl.String


def _found(sorted_keys: Integers, rows: Integers, wanted: Integers) -> Integers:
    """Return the row of each wanted key, -1 where it is not held; of equal keys the first."""
    if len(sorted_keys) == 0:
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
    return np.where(sorted_keys[at] == wanted, rows[at], -1)


def _rows_of_texts(held: pl.Series, wanted: pl.Series) -> Integers:
    """Return where each wanted text stands first among the held ones, -1 where it does not."""
    import polars as pl

    first = pl.DataFrame({"text": held}).with_row_index("row").unique("text", keep="first", maintain_order=True)
    found = pl.DataFrame({"text": wanted}).join(first, on="text", how="left", maintain_order="left", validate="m:1")
    return found["row"].cast(pl.Int64).fill_null(-1).to_numpy()


def prepared(
    member: MemberLines,
    scores: pl.DataFrame,
    enrollees: pl.DataFrame,
    spans: pl.DataFrame,
    *,
    most_children: int,
    keeps_factor: bool,
    rounds_to_thousandths: bool,
) -> MixBase:
    """Return the lines of the base as arrays."""
    import polars as pl

    lines = member.lines
    people = _enrollment.accepted_enrollees(enrollees, member.benefit_year, Findings())
    person = _rows_of_texts(people["enrollee_id"], lines["enrollee_id"])
    births = people["birth_date"].to_physical().to_numpy().astype(np.int64)[person]
    areas = lines["rating_area_id"].unique().sort()
    variants = pl.concat([lines["csr_variant"].unique(), pl.Series("csr_variant", [STANDARD_VARIANT])]).unique().sort()
    place = dense_ranks(member.plans["state"]) * 16 + dense_ranks(member.plans["market"])
    return MixBase(
        member=member,
        houses=households(member, births, person, most_children),
        scores=scores,
        spans=spans,
        enrollees=enrollees,
        plan=_rows_of_texts(member.plans["plan_id"], lines["plan_id"]),
        area=_rows_of_texts(areas, lines["rating_area_id"]),
        areas=areas,
        variant=dense_ranks(pl.concat([lines["csr_variant"], variants]))[: lines.height],
        variants=variants,
        enrollee=dense_ranks(lines["enrollee_id"]),
        place=np.asarray(place),
        risk=lines["adjusted_score_ten_millionths"].to_numpy().astype(np.float64),
        keeps_factor=keeps_factor,
        rounds_to_thousandths=rounds_to_thousandths,
    )
