"""All mixes of one call: weighed, summed up and settled in blocks, with what was noticed on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_specs.errors import InputRefused
from riskadjust._findings import Findings
from riskadjust._member_lines import MemberLines
from riskadjust._mix_areas import AreaFactors
from riskadjust._mix_base import MixBase
from riskadjust._mix_frames import RequiredPremium, issuer_frame, plan_frame, pool_frame
from riskadjust._mix_money import Block, Market, market
from riskadjust._mix_rules import BASE, Rule
from riskadjust._mix_segments import Segments
from riskadjust._mix_settings import MixSettings
from riskadjust._mix_split import Position
from riskadjust._mix_sums import Rows, RowSums, Summing, summing
from riskadjust._mix_weights import Weights, weights_of
from riskadjust._refusals import rule_text
from riskadjust._settled import Settled
from riskadjust._transfer_settings import PARAMETER_TABLE, Parameters

if TYPE_CHECKING:
    import polars as pl

__all__ = ["MixRun", "Mixes"]

Floats = NDArray[np.float64]

_BLOCK_ROWS = 200_000  # plan rows that are settled at a time
_TABLE = "mixes"


@dataclass(frozen=True, kw_only=True)
class Mixes(Settled):
    """What every mix does to plans, issuers and risk pools. Positive amounts are received, negative ones paid.

    Attributes
    ----------
    issuers, plans, pools, enrollment : DataFrame
        See :func:`mix`; the base comes first, then the mixes in alphabetical order.
    noticed : DataFrame
        mix, rule (0: the mix as a whole), rule_id, count: which mix a finding belongs to.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    benefit_year : int
        The year that was settled.
    """

    issuers: pl.DataFrame
    plans: pl.DataFrame
    pools: pl.DataFrame
    enrollment: pl.DataFrame
    noticed: pl.DataFrame
    benefit_year: int

    def __repr__(self) -> str:
        mixes = self.enrollment["mix"].n_unique() - 1
        return (
            f"Mixes(benefit_year={self.benefit_year}, mixes={mixes}, issuer rows={self.issuers.height}, "
            f"findings={self.findings.height}, uncertain={self.uncertain.height})"
        )


@dataclass
class MixRun:
    """All mixes of one call, between the arrays."""

    base: MixBase
    segments: Segments
    plan_numbers: dict[str, int]
    sums: Summing
    market: Market
    factors: AreaFactors
    settings: MixSettings
    parameters: Parameters
    findings: Findings
    base_sums: RowSums
    noticed: list[tuple[str, int, str, int]] = field(default_factory=list)
    enrollment: list[tuple[Any, ...]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        rules_by_mix: dict[str, list[Rule]],
        base: MixBase,
        segments: Segments,
        paid: Floats,
        settings: MixSettings,
        parameters: Parameters,
        given: dict[tuple[str, str, str], float],
        findings: Findings,
    ) -> MixRun:
        """Return a run whose base is summed up and checked."""
        plans = base.member.plans
        plan_numbers = {plan: i for i, plan in enumerate(plans["plan_id"].to_list())}
        rules = [rule for rules in rules_by_mix.values() for rule in rules]
        targets = _checked_targets(rules, plan_numbers, segments)
        rows = Rows.of(base, targets)
        own = summing(base, rows, paid, plans, scales_claims=settings.moved_claims == "metal_value")
        findings.note("MIX-007", "enrollment_spans", int(own.by_months.sum()))
        frame = _row_frame(base, rows)
        base_sums = own.of(_everybody(base))
        decimals = base.member.settings.gcf_decimals
        factors = AreaFactors(rows, frame, base_sums, given, decimals, settings.gcf_rule == "held")
        settled_market = market(frame, rows.in_base, parameters)
        return cls(
            base,
            segments,
            plan_numbers,
            own,
            settled_market,
            factors,
            settings,
            parameters,
            findings,
            base_sums,
        )

    def result(self, rules_by_mix: dict[str, list[Rule]], table: pl.DataFrame, has_costs: bool) -> Mixes:
        """Return all mixes settled, in blocks that bound the memory."""
        import polars as pl

        required = None
        if has_costs:
            fees = self.parameters.by_pool("ra_user_fee_pmpm", self.market.pools, required=False)
            rates = np.array([np.nan if fee is None else float(fee) for fee in fees])
            required = RequiredPremium(rates, self.settings.retention_share)
        frames: dict[str, list[pl.DataFrame]] = {"plans": [], "issuers": [], "pools": []}
        start: tuple[Position, tuple[Floats, NDArray[np.int64]]] | None = None
        for names, sums, factors in self._blocks(rules_by_mix):
            block = self.market.settled(sums, factors)
            if start is None:
                self._check_base(block)
                first = slice(0, self.market.issuers.height)
                start = _first_of(block), (block.amounts.issuers[first], block.amounts.issuer_cents[first])
            self._note_unsettled(block, names)
            frames["plans"].append(plan_frame(block, names, sums))
            frames["issuers"].append(issuer_frame(block, names, sums, *start, required))
            frames["pools"].append(pool_frame(block, names))
        for mix_name, rule_id in self.refused.items():
            self.findings.refuse(rule_id, _TABLE, table.filter(pl.col("mix").str.strip_chars() == mix_name))
        joined = {name: pl.concat(parts) for name, parts in frames.items()}
        return Mixes(
            **joined,
            enrollment=self._enrollment_frame(),
            noticed=self._noticed_frame(),
            findings=self.findings.frame(),
            rejected=self.findings.refused(),
            counts=self.findings.counts(),
            settings=_settings_frame(self.settings, self.base.member, self.parameters),
            uncertain=self._uncertain(joined["plans"], joined["issuers"], has_costs),
            tables=self._tables(rules_by_mix),
            benefit_year=self.base.member.benefit_year,
        )

    # -------------------------------------------------------------------------------- mix by mix

    def _blocks(self, rules_by_mix: dict[str, list[Rule]]) -> Iterator[tuple[list[str], list[RowSums], list[Floats]]]:
        """Yield names, sums and area factors of some mixes at a time; the base comes first."""
        names, sums, factors = [BASE], [self.base_sums], [self.factors.of(self.base_sums).of_rows]
        self._put_enrollment(BASE, _everybody(self.base), [])
        most = max(_BLOCK_ROWS // max(self.market.frame.height, 1), 1)
        for name, rules in rules_by_mix.items():
            weights = weights_of(rules, self.segments, self.base, self.plan_numbers)
            found = self.sums.of(weights)
            areas = self.factors.of(found)
            self._note(name, rules, weights, found, areas.kept)
            problem = _problem(found)
            if problem:
                self.refused[name] = problem[0]
                self.noticed.append((name, 0, *problem))
                continue
            self._put_enrollment(name, weights, rules)
            names.append(name)
            sums.append(found)
            factors.append(areas.of_rows)
            if len(names) == most:
                yield names, sums, factors
                names, sums, factors = [], [], []
        if names:
            yield names, sums, factors

    def _note(self, name: str, rules: list[Rule], weights: Weights, sums: RowSums, kept: int) -> None:
        """Put down what was noticed in a mix."""
        for rule, effect in zip(rules, weights.effects, strict=True):
            if effect.enrollees == 0:
                self.noticed.append((name, rule.number, "MIX-001", len(rule.rows)))
        for rule_id, count in (("MIX-003", kept), ("MIX-004", len(sums.estimated)), ("MIX-012", sums.tierless)):
            if count:
                self.noticed.append((name, 0, rule_id, count))

    def _note_unsettled(self, block: Block, names: Sequence[str]) -> None:
        pools = len(self.market.pools)
        known = np.add.reduceat(self.market.in_base.astype(np.int64), self.market.first[:-1]) > 0
        for i, name in enumerate(names):
            own = slice(i * pools, (i + 1) * pools)
            count = int((~block.is_settled[own] & (known | (block.settlement.pool_months[own] > 0))).sum())
            if count:
                self.noticed.append((name, 0, "MIX-002", count))

    def _check_base(self, block: Block) -> None:
        """Refuse a base that has pools without a transfer."""
        known = np.add.reduceat(self.market.in_base.astype(np.int64), self.market.first[:-1]) > 0
        broken = np.flatnonzero(known & ~block.is_settled[: len(known)])
        if len(broken):
            raise InputRefused(
                f"{len(broken)} risk pools of the enrollment as it is cannot be settled",
                where=", ".join(str(self.market.pools[i]) for i in broken[:5].tolist()),
                rule=rule_text("MIX-002"),
                remedy="leave out these pools, or check their months, premiums and scores",
            )

    # -------------------------------------------------------------------------------- what is told

    def _put_enrollment(self, name: str, weights: Weights, rules: list[Rule]) -> None:
        """Put down how many enrollees and months the mix and each of its rules met and left."""
        base = self.base
        left, months = weights.of_lines(), base.thirtieths
        moved = float(np.sum(weights.weight * months[weights.line]))
        people = len(base.lines_of_enrollee)
        # Whoever has lost every line is gone.
        lost = np.bincount(base.enrollee[np.flatnonzero(left == 0)], minlength=people)
        remain = people - int((lost == base.lines_of_enrollee).sum())
        whole = (float(np.sum(months)) / 30, float(np.sum(left * months)) / 30, moved / 30)
        self.enrollment.append((name, 0, "all enrollees", people, remain, *whole))
        for rule, effect in zip(rules, weights.effects, strict=True):
            after = 0 if rule.action == "scale" and rule.factor == 0 else effect.enrollees
            figures = (effect.months_before, effect.months_after, effect.months_moved)
            self.enrollment.append((name, rule.number, str(rule), effect.enrollees, after, *figures))

    def _enrollment_frame(self) -> pl.DataFrame:
        import polars as pl

        schema = {
            "mix": pl.String,
            "rule": pl.Int64,
            "segment": pl.String,
            "enrollees_before": pl.Int64,
            "enrollees_after": pl.Int64,
            "member_months_before": pl.Float64,
            "member_months_after": pl.Float64,
            "member_months_moved": pl.Float64,
        }
        return pl.DataFrame(self.enrollment, schema=schema, orient="row")

    def _noticed_frame(self) -> pl.DataFrame:
        import polars as pl

        for _, _, rule_id, count in self.noticed:
            if rule_id not in self.refused.values():
                self.findings.note(rule_id, _TABLE, count)
        schema = {"mix": pl.String, "rule": pl.Int64, "rule_id": pl.String, "count": pl.Int64}
        return pl.DataFrame(sorted(self.noticed), schema=schema, orient="row")

    def _uncertain(self, plans: pl.DataFrame, issuers: pl.DataFrame, has_costs: bool) -> pl.DataFrame:
        import polars as pl

        own = plans.filter(pl.col("mix") == BASE, pl.col("transfer") != 0)
        cuts = dict(zip(self.market.pools, self.market.cuts, strict=True))
        state_cuts = dict(zip(self.market.pools, self.market.state_cuts, strict=True))
        rows = [own.filter(state=p.state, risk_pool=p.risk_pool).height for p in self.market.pools]
        moved = [n if cuts[p] else 0 for p, n in zip(self.market.pools, rows, strict=True)]
        self.parameters.moved_pools("admin_cost_reduction", "transfer of plan rows", moved)
        for pool, n in zip(self.market.pools, rows, strict=True):
            self.parameters.moved("state_reduction", "transfer of plan rows", n if state_cuts[pool] else 0, str(pool))
        if has_costs:
            charged = issuers.filter(pl.col("mix") == BASE, pl.col("user_fee_pmpm") > 0)
            counts = [charged.filter(state=p.state, risk_pool=p.risk_pool).height for p in self.market.pools]
            self.parameters.moved_pools("ra_user_fee_pmpm", "required premium of issuers", counts)
        lines = self.base.member.uncertain
        of_lines = lines.select("table", "what", pl.lit("member lines").alias("moved"), pl.col("lines").alias("rows"))
        return pl.concat([of_lines, self.parameters.uncertain()])

    def _tables(self, rules_by_mix: dict[str, list[Rule]]) -> list[str]:
        used = {*self.base.member.tables, PARAMETER_TABLE, "transfers/metal_av_idf"}
        if any(rule.action == "move" for rules in rules_by_mix.values() for rule in rules):
            used.add("hhs_hcc/csr_factors")
        return sorted(used)


def _checked_targets(rules: list[Rule], plan_numbers: dict[str, int], segments: Segments) -> set[int]:
    """Return the plans that are moved to; refuse unknown ones, and columns and values that do not exist."""
    targets = set()
    for rule in rules:
        segments.check(rule)
        if rule.action != "move":
            continue
        if rule.to_plan_id not in plan_numbers:
            raise InputRefused(
                f"plan {rule.to_plan_id!r} is not among the usable plans",
                where=f"{_TABLE}, row {rule.rows[0]}, column to_plan_id",
                rule="enrollees move to a plan of the table plans (14 characters)",
                remedy="correct the plan, or add it to plans",
            )
        targets.add(plan_numbers[rule.to_plan_id])
    return targets


def _everybody(base: MixBase) -> Weights:
    nobody = np.zeros(0, np.int64)
    return Weights(np.ones(len(base.plan)), nobody, nobody, np.zeros(0), [])


def _first_of(block: Block) -> Position:
    """Return the positions of the first mix of a block, as a row that others are compared with."""
    position = block.position()
    return Position(**{name: getattr(position, name)[:1] for name in Position.__dataclass_fields__})


def _problem(sums: RowSums) -> tuple[str, int] | None:
    """Return the rule that keeps a mix from being settled, and how many plan rows break it."""
    for rule_id, rows in (("MIX-005", sums.unpriced), ("MIX-008", sums.unscored)):
        if len(rows):
            return rule_id, len(rows)
    return None


def _row_frame(base: MixBase, rows: Rows) -> pl.DataFrame:
    """Return the plan rows with their names and metal figures."""
    keys = ("state", "market", "risk_pool", "issuer_id", "plan_id")
    plans = base.member.plans[rows.plan]
    area = base.areas.gather(rows.area).alias("rating_area_id")
    return plans.select(*keys, "metal_level", "av", "idf").insert_column(len(keys), area)


def _settings_frame(settings: MixSettings, member: MemberLines, parameters: Parameters) -> pl.DataFrame:
    """Return every setting with the value used."""
    import polars as pl

    parameters.record_month_rule_and_decimals()
    frame = parameters.frame()
    known = set(frame["setting"].to_list())
    own = {**settings.as_dict(), **{n: v for n, v in member.settings.as_dict().items() if n not in known}}
    rows = [(name, "all", "none" if value is None else str(value), "mix", None, None) for name, value in own.items()]
    return pl.concat([frame, pl.DataFrame(rows, schema=frame.schema, orient="row")]).sort("setting", "applies_to")
