"""The review of a filing: every check run, its results counted, and what it found in the order of causes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import localcontext
from typing import TYPE_CHECKING

from data_specs.errors import TableMissing
from rating.filing._numbers import CONTEXT
from rating.review._arithmetic import ARITHMETIC
from rating.review._checks import (
    FINDING,
    NOT_APPLICABLE,
    NOT_EVALUATED,
    PASS,
    RESULTS,
    Check,
    CheckFunction,
    Result,
    all_checks,
)
from rating.review._review_input import review_input

if TYPE_CHECKING:
    import polars as pl

    from rating.filing import Filing

__all__ = ["CHECKS", "Review", "run"]

# Every check that is computed, by id; a group of checks adds its mapping here.
CHECKS: Mapping[str, CheckFunction] = {**ARITHMETIC}


@dataclass(frozen=True)
class Review:
    """What the review of a filing found, and what it did not look at.

    Attributes
    ----------
    findings : DataFrame
        A row per finding, causes before consequences: ``check_id``; ``outcome`` (fail, question, flag); ``name`` and
        ``place`` of the number, as in the filing's ledger; ``plan_id`` (null where it is of no plan); ``filed``,
        ``recomputed`` (Float64); ``threshold`` (how far they may be apart, roundings included, or the bound that was
        crossed); ``message``; ``basis``.
    counts : DataFrame
        A row per check: ``check_id``, ``group``, ``what_is_checked``, ``result`` (finding where there is one, else
        pass, else not_evaluated, else not_applicable), and how often each was the result: ``pass``, ``finding``,
        ``not_applicable``, ``not_evaluated``.
    results : DataFrame
        Every single result, by check: ``check_id``, ``result``, then the columns of `findings` from ``name`` on
        without ``basis``. ``message`` says why a number was not evaluated, or what it was reproduced from.
    """

    findings: pl.DataFrame
    counts: pl.DataFrame
    results: pl.DataFrame

    def __repr__(self) -> str:
        totals = ", ".join(f"{self.counts[result].sum()} {result}" for result in RESULTS)
        return f"<Review: {self.counts.height} checks; {totals}>"


def run(
    filing: Filing,
    *,
    plans: pl.DataFrame | pl.LazyFrame | None = None,
    rates: pl.DataFrame | pl.LazyFrame | None = None,
    prior: Filing | None = None,
    market: pl.DataFrame | pl.LazyFrame | None = None,
) -> Review:
    """Return what the reviewer's checks say about a filing.

    A check is a row of ``filing/reviewer_checks`` with its thresholds in ``filing/review_check_rules``, and one
    function. The arithmetic ones (RV-001 to RV-013) recompute each computed number of the template with
    ``filing/urrt_formulas`` from the other numbers as filed; nothing is worked out from anything recomputed, so one
    altered number is found where it was altered and where it is used, and nowhere else.

    Parameters
    ----------
    filing : Filing
        Developed, or read from a workbook.
    plans, rates : frame, optional
        Plan attributes and consumer rates (``plan_id`` ...), where checks shall use others than the filing's own. The
        arithmetic checks look at the filing alone.
    prior : Filing, optional
        The filing of the year before; for checks against it.
    market : frame, optional
        The other issuers of the market; for checks across filings.

    Returns
    -------
    Review
        ``.findings``, ``.counts``, ``.results``. Each look has one of four results: ``pass``; ``finding``;
        ``not_applicable``, looked and declined; ``not_evaluated``, an input is absent or a cell holds an error. All
        are counted: silence is not a pass.

    Raises
    ------
    InputRefused
        `filing` or `prior` is no filing; another argument is no frame, or has no plans.
    TableMissing
        A table in use has no row for a check, or no threshold.

    Notes
    -----
    A filed number that the template computes and that has no more decimals than workbooks print
    (``filing/printed_decimals``) may have been rounded: half a unit is allowed for it, and for its effect on what is
    recomputed from it, beside the threshold. Source: 45 CFR 154.301, 156.80; the basis of each check stands beside it.

    Examples
    --------
    A new issuer, priced by a manual rate; then its plan rate is altered.

    >>> import polars as pl
    >>> from rating.filing import develop
    >>> market = {"exp_member_months": 0, "credibility": 0, "manual_ehb": 500, "exchange_fee_pct": "0.025"}
    >>> market |= dict.fromkeys(("proj_reinsurance", "proj_risk_adjustment"), 0)
    >>> market |= dict.fromkeys(("calib_age", "calib_geo", "calib_tobacco"), "0.9")
    >>> plans = {"plan_id": "12345TX0010001", "metal_level": "silver", "plan_category": "new", "av_metal": "0.71"}
    >>> plans |= {"adj_av_cost_sharing": "0.72", "pct_admin": "0.12", "proj_member_months_plan": 12000}
    >>> plans |= dict.fromkeys(("adj_csr_load", "adj_network", "adj_non_ehb"), 1)
    >>> plans |= dict.fromkeys(("pct_taxes_fees", "pct_profit_risk"), "0.03")
    >>> areas = pl.DataFrame({"rating_area_id": ["1"], "area_factor": ["1.000"]})
    >>> filing = develop(None, market, pl.DataFrame([plans]), plan_year=2026, state="TX", market="individual",
    ...     issuer_id="12345", areas=areas)
    >>> run(filing)
    <Review: 13 checks; 22 pass, 0 finding, 21 not_applicable, 0 not_evaluated>
    >>> altered = filing.as_filed({("plan_adjusted_index_rate", "12345TX0010001"): 450})
    >>> run(altered).findings.select("check_id", "outcome", "filed", "recomputed").rows()[0]
    ('RV-007', 'fail', 450.0, 450.281...)
    """
    case = review_input(filing, plans=plans, rates=rates, prior=prior, market=market)
    known = all_checks()
    missing = sorted(CHECKS.keys() - known.keys())
    if missing:
        raise TableMissing(
            f"the table has no row for {missing[0]}",
            where="filing/reviewer_checks",
            rule="every check has its outcome, order and basis there",
            remedy="add the row to the table supplied",
        )
    looked: list[tuple[Check, Result]] = []
    with localcontext(CONTEXT):
        for check in sorted((known[check_id] for check_id in CHECKS), key=lambda check: check.cause_order):
            results = list(CHECKS[check.check_id](case, check))
            looked += [(check, result) for result in results or [Result(NOT_EVALUATED, message="nothing to look at")]]
    plan_ids = frozenset(case.places("plan"))
    return Review(_findings(looked, plan_ids), _counts(looked), _results(looked, plan_ids))


def _findings(looked: list[tuple[Check, Result]], plan_ids: frozenset[str]) -> pl.DataFrame:
    import polars as pl

    found = [(check, result) for check, result in looked if result.result == FINDING]
    frame = _results(found, plan_ids).drop("result")
    outcome = pl.Series("outcome", [check.outcome for check, _ in found], dtype=pl.String)
    basis = pl.Series("basis", [check.basis for check, _ in found], dtype=pl.String)
    return frame.insert_column(1, outcome).with_columns(basis)


def _results(looked: list[tuple[Check, Result]], plan_ids: frozenset[str]) -> pl.DataFrame:
    import polars as pl

    lines = [
        (
            *(check.check_id, r.result, r.name, r.place),
            r.place if r.place in plan_ids else None,
            *(None if value is None else float(value) for value in (r.filed, r.recomputed, r.threshold)),
            r.message,
        )
        for check, r in looked
    ]
    texts = dict.fromkeys(("check_id", "result", "name", "place", "plan_id"), pl.String)
    numbers = dict.fromkeys(("filed", "recomputed", "threshold"), pl.Float64)
    return pl.DataFrame(lines, schema={**texts, **numbers, "message": pl.String}, orient="row")


def _counts(looked: list[tuple[Check, Result]]) -> pl.DataFrame:
    import polars as pl

    checks = {check.check_id: check for check, _ in looked}
    seen = Counter((check.check_id, result.result) for check, result in looked)
    lines = []
    for check_id, check in sorted(checks.items()):
        numbers = {result: seen[check_id, result] for result in RESULTS}
        first = next(r for r in (FINDING, PASS, NOT_EVALUATED, NOT_APPLICABLE) if numbers[r])
        lines.append((check_id, check.group, check.what_is_checked, first, *numbers.values()))
    texts = dict.fromkeys(("check_id", "group", "what_is_checked", "result"), pl.String)
    return pl.DataFrame(lines, schema={**texts, **dict.fromkeys(RESULTS, pl.Int64)}, orient="row")
