"""Who is audited, exempt or leaving: the issuers of an audit and of the plan rows, and the rate that is applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from data_specs.errors import InputRefused, SettingRefused
from riskadjust._cents import exact, exact_on_grid
from riskadjust._corridor_plans import keyed_frame
from riskadjust._refusals import Refusals, number_columns, rule_text
from riskadjust._transfer_settings import exact_number

if TYPE_CHECKING:
    from riskadjust._findings import Findings
    from riskadjust._radv_audit import Audit
    from riskadjust._radv_settings import RadvTerms
    from riskadjust._transfers import Transfers

__all__ = ["Applied", "Facts", "Issuers", "applied_rates", "issuers_of", "other_rates"]

OTHER = "averaged_with"
_THIRTIETHS = 30
_Issuer = tuple[str, ...]


@dataclass
class Facts:
    """What is known of one issuer; None: not known."""

    is_exiting: bool = False
    is_sole_issuer: bool | None = None
    months: Fraction | None = None
    premium: Fraction | None = None
    has_plan_rows: bool = False
    status: str = "not_audited"
    is_drawn_at_random: bool | None = None


@dataclass(frozen=True)
class Issuers:
    """All issuers by key, and the audit without those that are exempt."""

    facts: dict[_Issuer, Facts]
    audit: Audit

    def audited(self) -> list[_Issuer]:
        """Return the issuers with failure rates, sorted."""
        return sorted(i for i, f in self.facts.items() if f.status in ("audited", "counts_only"))


def issuers_of(audit: Audit, before: Transfers | None, terms: RadvTerms, findings: Findings) -> Issuers:
    """Return every issuer with what is known of it; the rows of exempt ones take no part.

    An issuer is exempt when it is alone in all of its risk pools, or has no more months than the exemption allows.

    Raises
    ------
    InputRefused
        The audit names states and the plan rows do not.
    """
    import polars as pl

    facts: dict[_Issuer, Facts] = {}
    width = len(audit.keys)
    for row in audit.issuers.rows():
        exiting, sole, months, premium, _ = row[width:]
        known = facts.setdefault(row[:width], Facts())
        known.is_exiting, known.is_sole_issuer = bool(exiting), sole
        known.months = None if months is None else exact_on_grid(months, _THIRTIETHS)
        known.premium = None if premium is None else exact(premium)
    if before is not None:
        _add_plan_rows(facts, before, audit.keys, terms, findings)
    for status, frame in (("audited", audit.sample), ("counts_only", audit.counts)):
        for row in frame.select(audit.keys).unique().rows():
            facts.setdefault(row, Facts()).status = status
    out: dict[str, list[_Issuer]] = {"RDV-033": [], "RDV-034": []}
    for issuer, known in sorted(facts.items()):
        known.is_drawn_at_random = terms.drawn_at_random(known.months, known.premium)
        rule_id = _exemption(known, terms)
        if rule_id:
            known.status = "exempt_sole_issuer" if rule_id == "RDV-033" else "exempt_small"
            out[rule_id].append(issuer)
    terms.drawn_moved(sum(f.is_drawn_at_random is not None for f in facts.values()))
    schema = dict.fromkeys(audit.keys, pl.String)
    kept = audit
    for rule_id, exempt in out.items():
        findings.note(rule_id, "issuers", len(exempt))
        kept = kept.without(pl.DataFrame(exempt, schema=schema, orient="row"), rule_id, findings)
    _note(facts, findings)
    return Issuers(dict(sorted(facts.items())), kept)


def _add_plan_rows(
    facts: dict[_Issuer, Facts], before: Transfers, keys: tuple[str, ...], terms: RadvTerms, findings: Findings
) -> None:
    """Add what is not given of an issuer from the plan rows: months, premium, and whether it is alone."""
    rows = before.issuers
    lacking = [c for c in keys if c not in rows.columns]
    if lacking:
        raise InputRefused(
            "the audit names states, and the plan rows do not",
            where="plan_rows, column state",
            remedy="add the column state to the plan rows, or leave it out of the audit",
        )
    pools = [c for c in ("state", "risk_pool") if c in rows.columns]
    in_pool: dict[tuple[str, ...], set[_Issuer]] = {}
    months: dict[_Issuer, Fraction] = {}
    premium: dict[_Issuer, Fraction] = {}
    alone: dict[_Issuer, list[tuple[str, ...]]] = {}
    sizes = rows.select("billable_member_months", "premium").rows()
    for issuer, pool, (amount, dollars) in zip(rows.select(keys).rows(), rows.select(pools).rows(), sizes, strict=True):
        months[issuer] = months.get(issuer, Fraction(0)) + exact_on_grid(amount, _THIRTIETHS)
        premium[issuer] = premium.get(issuer, Fraction(0)) + exact(dollars)
        if amount > 0:
            in_pool.setdefault(pool, set()).add(issuer)
            alone.setdefault(issuer, []).append(pool)
    is_judged = False
    for issuer, amount in months.items():
        known = facts.setdefault(issuer, Facts())
        known.has_plan_rows = True
        if known.months is None:
            known.months, is_judged = amount, True
        if known.premium is None:
            known.premium = premium[issuer]
        if known.is_sole_issuer is None and issuer in alone:
            known.is_sole_issuer = all(len(in_pool[pool]) == 1 for pool in alone[issuer])
    if is_judged and terms.transfer_year != terms.audit_year:
        findings.note("RDV-048", "plan_rows", 1)


def _exemption(known: Facts, terms: RadvTerms) -> str:
    if known.is_sole_issuer:
        return "RDV-033"
    return "RDV-034" if known.months is not None and known.months <= terms.exempt_months else ""


def _note(facts: dict[_Issuer, Facts], findings: Findings) -> None:
    audited = [f for f in facts.values() if f.status == "audited"]
    findings.note("RDV-036", "counts", sum(f.status == "counts_only" for f in facts.values()))
    findings.note("RDV-045", "issuers", sum(f.months is None for f in audited))
    unaudited = [f for f in facts.values() if f.status == "not_audited" and f.has_plan_rows]
    findings.note("RDV-035", "plan_rows", sum(not f.is_drawn_at_random for f in unaudited))


# ------------------------------------------------------------------------------------------------ rates of another year


def other_rates(given: Any, keys: tuple[str, ...], terms: RadvTerms) -> dict[_Issuer, Fraction] | None:
    """Return the error rates of the audit year that is averaged with this one; None: not given.

    Raises
    ------
    InputRefused
        Rule RDV-019.
    SettingRefused
        Rates are given and no other year is averaged, or they are of another year.
    """
    if given is None:
        return None
    if terms.other_year is None:
        raise SettingRefused(
            f"the results of {terms.audit_year} are not averaged with those of another year",
            remedy="leave averaged_with out",
        )
    if hasattr(given, "benefit_year") and hasattr(given, "issuers"):
        if given.benefit_year != terms.other_year:
            raise SettingRefused(f"averaged_with is of {given.benefit_year}", rule=f"of {terms.other_year}")
        if lacking := [c for c in keys if c not in given.issuers.columns]:
            raise InputRefused(
                f"this audit names issuers by {' and '.join(keys)}, and the other year's has no {lacking[0]}",
                where=OTHER,
                rule=rule_text("RDV-019"),
                remedy=f"make both with the column {lacking[0]}, or both without",
            )
        given = given.issuers.filter(given.issuers["error_rate"].is_not_null()).select(*keys, "error_rate")
    if isinstance(given, Mapping):
        return _of_mapping(given, keys)
    frame = keyed_frame(given, OTHER, ("error_rate",), keys, "RDV-019")
    values, refusals = number_columns(frame, OTHER, ["error_rate"])["error_rate"], Refusals(OTHER)
    refusals.add("RDV-019", "error_rate", ~(np.isfinite(values) & (values <= 1)))
    refusals.check()
    return dict(zip(frame.select(keys).rows(), map(exact, values.tolist()), strict=True))


def _of_mapping(given: Mapping[Any, Any], keys: tuple[str, ...]) -> dict[_Issuer, Fraction]:
    rates: dict[_Issuer, Fraction] = {}
    for issuer, value in given.items():
        key = (issuer.strip(),) if isinstance(issuer, str) else ()
        is_sound = len(keys) == 1 and key and key[0] and key not in rates
        rate = exact_number(value, "error_rate") if is_sound else Fraction(0)
        if not is_sound or rate > 1:
            raise InputRefused(
                f"the error rate of issuer {issuer!r} cannot be used",
                where=OTHER,
                rule=rule_text("RDV-019"),
                remedy="issuer_id as text -> rate, 5 percent is 0.05; or a frame with the keys of the audit",
            )
        rates[key] = rate
    return rates


@dataclass(frozen=True)
class Applied:
    """Error rates by issuer: of this audit, of the other year, and what moves the transfers; None: has none."""

    own: dict[_Issuer, Fraction]
    other: dict[_Issuer, Fraction]
    applied: dict[_Issuer, Fraction] = field(default_factory=dict)


def applied_rates(
    own: dict[_Issuer, Fraction],
    other: dict[_Issuer, Fraction] | None,
    facts: dict[_Issuer, Facts],
    terms: RadvTerms,
    findings: Findings,
) -> Applied:
    """Return the rate of each issuer that moves transfers.

    The mean of both years where two are averaged; 0 for an exiting issuer whose rate is not positive, unless the
    setting ``exiting_issuers`` has it applied.
    """
    if terms.other_year is not None and other is None:
        findings.note("RDV-043", OTHER, 1)
    found = Applied(own, other or {})
    one_year = spared = 0
    spares_exiting = terms.chosen.exiting_issuers == "positive_only"
    for issuer in sorted({*own, *found.other}):
        rates = [r[issuer] for r in (own, found.other) if issuer in r]
        is_short = other is not None and len(rates) == 1
        one_year += is_short
        whole = 2 if is_short and terms.chosen.average_of_years == "zero_where_none" else len(rates)
        rate = sum(rates, Fraction(0)) / whole
        if spares_exiting and rate < 0 and issuer in facts and facts[issuer].is_exiting:
            spared += 1
            rate = Fraction(0)
        found.applied[issuer] = rate
    findings.note("RDV-044", OTHER, one_year)
    findings.note("RDV-039", "issuers", spared)
    return found
