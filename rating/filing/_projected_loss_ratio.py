"""The federal medical loss ratio that a filing projects, beside the template's own loss ratio.

Of the amounts that the rates are worked out for: ``(claims - reinsurance - risk adjustment + quality improvement) /
(premium - taxes and fees - exchange user fees) + credibility``. It is there when quality improvement is given, with
credibility when that follows: absent is not zero. Source: 45 CFR 158.220 to 158.232.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from data_specs.errors import InputRefused
from rating.filing._draft import Draft
from rating.filing._experience_input import decimal_of
from rating.filing._filing_input import Plans, need_values
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key
from rating.filing._model import FilingModel
from riskadjust._loss_ratio_terms import LossRatioSettings, Terms, rounded_ratio
from riskadjust._mlr_credibility import NOT_CREDIBLE, life_years, mlr_credibility
from riskadjust._refusals import rule_text
from riskadjust._stabilizer_figures import UsedFigures

__all__ = ["PROJECTED_FEDERAL_MLR", "is_projected", "projected_loss_ratio", "without_projected"]

PROJECTED_FEDERAL_MLR = "projected_federal_mlr"
_QUALITY, _QUALITY_PCT = "proj_quality_improvement", "quality_improvement_pct"
_DEDUCTIBLE = "mlr_average_deductible"
_PRIOR = tuple(f"mlr_prior_{n}_{part}" for n in (1, 2) for part in ("numerator", "denominator", "member_months"))
_MONTHS_PER_YEAR = 12
_LOW_NOTE = (
    "added, though not after three reporting years that were each at least partly credible and below the standard"
)
_CLAIMS_NOTE = "as priced: what the rates are worked out for"


def is_projected(name: str) -> bool:
    """Whether a number of a ledger is the projected ratio, or was worked out for it alone."""
    return name == PROJECTED_FEDERAL_MLR or name.startswith("federal_mlr_")


def without_projected(model: FilingModel) -> FilingModel:
    """Return a model without the projected ratio of a filing whose every number is given: it is worked out again."""
    has_share = (_QUALITY_PCT, MARKET) in model.given
    kept = {
        key: value
        for key, value in model.given.items()
        if not is_projected(key[0]) and not (has_share and key[0] == _QUALITY)
    }
    return FilingModel(model.formulas, kept, model.places)


def projected_loss_ratio(draft: Draft, model: FilingModel, plans: Plans) -> list[Entry]:
    """Return the projected federal medical loss ratio and all it is worked out from, for the ledger.

    Inputs among the assumptions: ``proj_quality_improvement`` (dollars) or ``quality_improvement_pct`` (share of
    premium); ``mlr_average_deductible`` (dollars per person); of the two years before the plan year, both in full or
    none: ``mlr_prior_1_numerator``, ``_denominator``, ``_member_months``, the same with ``_2_`` (zeros for a year
    without business). Without prior years the ratio is of the plan year alone, its credibility too.

    Returns
    -------
    list of Entry
        Empty when quality improvement is not given. ``projected_federal_mlr``, rounded to the decimals of
        ``transfers/mlr_tables``, stands in it unless the ratio is partly credible and no deductible is given:
        ``federal_mlr_before_credibility`` says what is known then. Below 1,000 life-years no credibility is added and
        the standard is presumed met.

    Raises
    ------
    InputRefused
        Something of the two years before is given and not all, or anything and no quality improvement (PRC-004);
        premium is not above taxes and fees in a year with business (MLR-005), or that year has no months (MLR-003).
    """
    given = [name for name in (*_PRIOR, _DEDUCTIBLE) if draft.has(name)]
    if not draft.has(_QUALITY) and not draft.has(_QUALITY_PCT):
        need_values([_QUALITY] if given else [], "assumptions", f"give it or {_QUALITY_PCT}: 0 where that is meant")
        return []
    if draft.has(_QUALITY) and draft.has(_QUALITY_PCT):
        raise InputRefused(
            f"{_QUALITY} and {_QUALITY_PCT} are both given",
            where="assumptions",
            rule="a quantity has one value at a place",
            remedy="leave one of them out",
        )
    has_prior = any(name in _PRIOR for name in given)
    missing = [name for name in _PRIOR if has_prior and name not in given]
    need_values(missing, "assumptions", "give both prior years in full, zeros for one without business, or neither")
    work = _Work(draft, model, plans)
    if not work.has_amounts():
        return []
    if has_prior:
        work.check_prior()
    work.numerator()
    work.denominator()
    work.ratio(_PRIOR if has_prior else ())
    work.credibility()
    return work.entries


class _Work:
    """The entries of one filing, as they are worked out one after the other."""

    def __init__(self, draft: Draft, model: FilingModel, plans: Plans) -> None:
        self.draft, self.model, self.plans = draft, model, plans.offered
        self.entries: list[Entry] = []
        self._values: dict[str, Fraction] = {}

    def has_amounts(self) -> bool:
        """Whether the filing has claims, premium and months to project a ratio from."""
        if not self.model.value("proj_member_months"):
            return False
        needed = [("proj_reinsurance", MARKET)]
        needed += [
            (name, plan)
            for plan in self.plans
            for name in ("priced_incurred", "priced_risk_adjustment", "proj_premium", "plan_factor")
        ]
        return all(self.model.value(*key) is not None for key in needed)

    def _at(self, name: str, place: str = MARKET) -> Fraction:
        if place == MARKET and name in self._values:
            return self._values[name]
        return Fraction(self.model.value(name, place) or 0)

    def _put(
        self,
        name: str,
        value: Fraction,
        unit: str,
        formula: str,
        inputs: Iterable[Key],
        source: str,
        note: str = "",
        replaced: Decimal | None = None,
    ) -> Fraction:
        self._values[name] = value
        keys = tuple(dict.fromkeys(self.model.key(*key) for key in inputs))
        self.entries.append(
            Entry(name, MARKET, decimal_of(value), unit, COMPUTED, formula, keys, source, note, replaced)
        )
        return value

    def _of_plans(self, *names: str) -> list[Key]:
        return [(name, plan) for plan in self.plans for name in names]

    def _sum(self, *names: str) -> Fraction:
        """Return the sum over offered plans of a product of quantities."""
        total = Fraction(0)
        for plan in self.plans:
            product = Fraction(1)
            for name in names:
                product *= self._at(*self.model.key(name, plan))
            total += product
        return total

    # -------------------------------------------------------------------------------------------- parts

    def numerator(self) -> None:
        """Claims less reinsurance and risk adjustment, with quality improvement."""
        parts = ("proj_reinsurance", "plan_factor", "proj_member_months_plan")
        reinsurance = self._put(
            "federal_mlr_reinsurance",
            self._sum(*parts),
            "usd",
            "sum_plans(market(proj_reinsurance) * plan_factor * proj_member_months_plan)",
            [("proj_reinsurance", MARKET), *self._of_plans(*parts[1:])],
            "45 CFR 158.140(b)",
            _CLAIMS_NOTE,
        )
        claims = self._put(
            "federal_mlr_claims",
            self._sum("priced_incurred") + reinsurance,
            "usd",
            "sum_plans(priced_incurred) + federal_mlr_reinsurance",
            [*self._of_plans("priced_incurred"), ("federal_mlr_reinsurance", MARKET)],
            "45 CFR 158.140(a)",
            f"{_CLAIMS_NOTE}, before reinsurance",
        )
        transfers = self._put(
            "federal_mlr_risk_adjustment",
            self._sum("priced_risk_adjustment"),
            "usd",
            "sum_plans(priced_risk_adjustment)",
            self._of_plans("priced_risk_adjustment"),
            "45 CFR 158.140(b)",
            f"{_CLAIMS_NOTE}; positive: received",
        )
        if not self.draft.has(_QUALITY):
            self._put(
                _QUALITY,
                self._at(_QUALITY_PCT) * self._sum("proj_premium"),
                "usd",
                f"{_QUALITY_PCT} * proj_premium_total",
                [(_QUALITY_PCT, MARKET), ("proj_premium_total", MARKET)],
                "45 CFR 158.150",
            )
        names = ("federal_mlr_claims", "federal_mlr_reinsurance", "federal_mlr_risk_adjustment", _QUALITY)
        self._put(
            "federal_mlr_numerator",
            claims - reinsurance - transfers + self._at(_QUALITY),
            "usd",
            f"{' - '.join(names[:3])} + {_QUALITY}",
            [(name, MARKET) for name in names],
            "45 CFR 158.221(b)",
        )

    def denominator(self) -> None:
        """Premium less taxes and fees, those of the exchange too."""
        premium = self._sum("proj_premium")
        taxes = self._put(
            "federal_mlr_taxes_fees",
            self._sum("pct_taxes_fees", "proj_premium"),
            "usd",
            "sum_plans(pct_taxes_fees * proj_premium)",
            self._of_plans("pct_taxes_fees", "proj_premium"),
            "45 CFR 158.161, 158.162",
        )
        is_amount = self.draft.chosen.user_fee_convention == "amount"
        names = ("exchange_fee_pmpm", "proj_member_months") if is_amount else ("exchange_fee_pct", "proj_premium_total")
        fees = self._put(
            "federal_mlr_exchange_fees",
            self._at(names[0]) * (self._at(names[1]) if is_amount else premium),
            "usd",
            " * ".join(names),
            [(name, MARKET) for name in names],
            "45 CFR 158.161(a)",
            "a user fee is a regulatory fee",
        )
        left = self._put(
            "federal_mlr_denominator",
            premium - taxes - fees,
            "usd",
            "proj_premium_total - federal_mlr_taxes_fees - federal_mlr_exchange_fees",
            [(n, MARKET) for n in ("proj_premium_total", "federal_mlr_taxes_fees", "federal_mlr_exchange_fees")],
            "45 CFR 158.221(c)",
        )
        if left <= 0:
            raise InputRefused(
                "the projected premium is not above taxes and fees",
                where="plans, column pct_taxes_fees; assumptions, exchange user fee",
                rule=rule_text("MLR-005"),
                remedy="check the shares: they are fractions of premium",
            )

    def check_prior(self) -> None:
        """Refuse a year before that has business and nothing to hold it against: a zero there is a missing figure."""
        for year in (1, 2):
            top, bottom, months = (self._at(name) for name in _PRIOR if f"_{year}_" in name)
            rule_id = "MLR-005" if not bottom and (top > 0 or months) else "MLR-003" if bottom and not months else ""
            if rule_id:
                raise InputRefused(
                    f"mlr_prior_{year} has {'no denominator' if rule_id == 'MLR-005' else 'no member months'}",
                    where="assumptions",
                    rule=rule_text(rule_id),
                    remedy="give all three of the year, or zeros for one without business",
                )

    def ratio(self, prior: tuple[str, ...]) -> None:
        """The ratio before credibility, and its life-years: of the plan year, or with the two years before."""

        def of(part: str) -> tuple[list[str], Fraction]:
            names = [name for name in prior if name.endswith(part)]
            return names, sum((self._at(name) for name in names), Fraction(0))

        above, top = of("_numerator")
        below, bottom = of("_denominator")
        earlier, months = of("_member_months")
        tops, bottoms = ["federal_mlr_numerator", *above], ["federal_mlr_denominator", *below]
        self._put(
            "federal_mlr_before_credibility",
            (self._at(tops[0]) + top) / (self._at(bottoms[0]) + bottom),
            "ratio",
            f"ratio({' + '.join(tops)}, {' + '.join(bottoms)})",
            [(name, MARKET) for name in (*tops, *bottoms)],
            "45 CFR 158.220(b), 158.221(a)",
            "" if prior else "of the plan year alone: the two years before are not given",
        )
        lives = ["proj_member_months", *earlier]
        self._put(
            "federal_mlr_life_years",
            (self._at(lives[0]) + months) / _MONTHS_PER_YEAR,
            "years",
            f"({' + '.join(lives)}) / {_MONTHS_PER_YEAR}",
            [(name, MARKET) for name in lives],
            "45 CFR 158.230(b), 158.231",
        )

    def credibility(self) -> None:
        """Credibility, standard, and the ratio itself; without a deductible that is needed only what is known."""
        identity, used = self.draft.identity, UsedFigures()
        terms = Terms(identity.plan_year, LossRatioSettings(), set(), used)
        deductible = self.model.value(_DEDUCTIBLE)
        found = mlr_credibility(self._at("federal_mlr_life_years"), average_deductible=deductible)
        lives, source = ("federal_mlr_life_years", MARKET), "45 CFR 158.232; transfers/mlr_tables"
        status = found.status.replace("_", " ")
        self._put(
            "federal_mlr_base_credibility", found.base_factor, "ratio", "table of life-years", [lives], source, status
        )
        if found.deductible_factor is not None:
            words, inputs = "table of average deductibles", [(_DEDUCTIBLE, MARKET)]
            self._put("federal_mlr_deductible_factor", found.deductible_factor, "factor", words, inputs, source)
        merged = "; the state merges its markets: the ratio tested is of both" * bool(
            terms.merged_states({identity.state})
        )
        standard = terms.standard(identity.state, identity.market, identity.plan_year)
        said = f"{identity.market}, {identity.state}{merged}"
        figures = ", ".join(used.tables())
        self._put(
            "federal_mlr_standard", standard, "ratio", "table of standards", [], f"45 CFR 158.210; {figures}", said
        )
        if found.addition is None:
            last = self.entries[[entry.name for entry in self.entries].index("federal_mlr_before_credibility")]
            said = f"{status}: {PROJECTED_FEDERAL_MLR} needs {_DEDUCTIBLE}"
            self._note(last, said)
            return
        is_added = found.deductible_factor is not None and bool(found.addition)
        factors = ["federal_mlr_base_credibility", *(["federal_mlr_deductible_factor"] if is_added else [])]
        words = " * ".join(factors)
        self._put(
            "federal_mlr_credibility",
            found.addition,
            "ratio",
            words,
            [(n, MARKET) for n in factors],
            source,
            f"{status}; {_LOW_NOTE}" if found.addition and self._may_be_low(standard) else status,
        )
        self._ratio_itself(terms, used, found.uncertain, presumed=found.status == NOT_CREDIBLE)

    def _may_be_low(self, standard: Fraction) -> bool:
        """Whether the rule of three low years could forbid the addition: of the prior ratios no filing knows."""
        months = [("proj_member_months", MARKET), *((f"mlr_prior_{n}_member_months", MARKET) for n in (1, 2))]
        credible = [mlr_credibility(life_years(self._at(*key))).status != NOT_CREDIBLE for key in months]
        return all(credible) and self._at("federal_mlr_before_credibility") < standard

    def _note(self, entry: Entry, note: str) -> None:
        whole = "; ".join(part for part in (entry.note, note) if part)
        self.entries[self.entries.index(entry)] = replace(entry, note=whole)

    def _ratio_itself(self, terms: Terms, used: UsedFigures, uncertain: tuple[str, ...], *, presumed: bool) -> None:
        parts = ("federal_mlr_before_credibility", "federal_mlr_credibility")
        exact = self._at(parts[0]) + self._at(parts[1])
        value = rounded_ratio(exact, terms.decimals)
        notes = [f"rounded to {terms.decimals} decimals"] if terms.decimals is not None else []
        standard = self._at("federal_mlr_standard")
        met = "presumed met: not credible" if presumed else "met" if value >= standard else "not met"
        notes.append(f"standard {float(standard):g} {met}")
        inputs = [(name, MARKET) for name in (*parts, "federal_mlr_standard")]
        self._put(
            PROJECTED_FEDERAL_MLR,
            value,
            "ratio",
            " + ".join(parts),
            inputs[:2],
            "45 CFR 158.221(a)",
            "; ".join(notes),
            decimal_of(exact) if value != exact else None,
        )
        terms.credibility_moved(dict.fromkeys(uncertain, 1))
        used.moved("ratio_decimals", PROJECTED_FEDERAL_MLR, int(value != exact))
        for table, what, _, rows in used.uncertain().rows():
            self.draft.figures.put_down(table, what, PROJECTED_FEDERAL_MLR, rows)
