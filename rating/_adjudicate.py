"""The issuer's own claims under other designs: what each plan would have paid, to the cent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused, SettingRefused
from rating._adjudicate_claims import ClaimLines, read_claims
from rating._adjudicate_settings import AdjudicationSettings
from rating._adjudicate_sums import charged, enrollee_frame, liability_frame, line_frame
from rating._adjudicate_terms import Terms, named_designs, terms_of
from rating._av_columns import DesignColumns
from rating._av_designs import Design
from rating._figures import Figures, whole_year
from rating._outcome import Outcome, outcome_of
from riskadjust._findings import Findings

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Adjudication", "adjudicate"]

_DESIGNS = "designs"
_NO_TIERS, _NO_STAYS, _NO_DAYS, _NEVER, _WHOSE = "ADJ-011", "ADJ-012", "ADJ-013", "ADJ-014", "AVC-064"


@dataclass(frozen=True, kw_only=True)
class Adjudication(Outcome):
    """What plans and enrollees pay of a file of claims, and what was noticed.

    Attributes
    ----------
    plan_liability : DataFrame
        A row per design, in their order, and group: design_id, the grouping columns, enrollees, lines, allowed,
        plan_paid, enrollee_paid, its parts copay, deductible and coinsurance, employer_paid (part of the deductible
        that employer money covers; it stays in enrollee_paid), paid_to_allowed, enrollees_reaching_deductible,
        enrollees_reaching_moop. Columns and units: ``av/adjudication_columns``.
    enrollees : DataFrame or None
        With `by_enrollee`: design_id, the grouping columns, enrollee_id and the money of each.
    lines : DataFrame or None
        With `enrollee_ids`: the lines of these enrollees under each design, in the order of adjudication.
    """

    plan_liability: pl.DataFrame
    enrollees: pl.DataFrame | None
    lines: pl.DataFrame | None

    def relativities(self, reference: str) -> pl.DataFrame:
        """Return what each design pays relative to another: ``r = plan_paid / plan_paid of the reference``.

        Parameters
        ----------
        reference : str
            design_id of the other.

        Returns
        -------
        DataFrame
            design_id, the grouping columns, paid_to_allowed, benefit_relativity (ratio; blank where the reference pays
            nothing). The claims are the same, so that the ratio is of paid_to_allowed too; utilization that changes
            with the benefit is not in it, see ``rating.filing.pricing_values``.

        Raises
        ------
        InputRefused
            No design has that id.

        Examples
        --------
        >>> from datetime import date
        >>> import polars as pl
        >>> claims = pl.DataFrame({"enrollee_id": ["E1"], "service": ["specialist"], "service_date": [date(2026, 3, 1)],
        ...     "allowed": [1000]})
        >>> rich = {"name": "rich", "deductible_type": "integrated", "deductible": 200, "plan_coinsurance": 1,
        ...     "moop": 900}
        >>> lean = {**rich, "name": "lean", "deductible": 600}
        >>> adjudicate(claims, [rich, lean]).relativities("rich")["benefit_relativity"].to_list()
        [1.0, 0.5]
        """
        import polars as pl

        frame = self.plan_liability
        groups = frame.columns[1 : frame.columns.index("enrollees")]
        own = frame.filter(pl.col("design_id") == reference)
        if own.height == 0 < frame.height:
            raise InputRefused(
                f"no design is called {reference!r}",
                where="reference",
                rule="a relativity is to one of the designs that were adjudicated",
                remedy="use a design_id of plan_liability",
            )
        times = frame.height // max(own.height, 1)  # no row at all where there is no group
        both = zip(frame["plan_paid"].to_list(), own["plan_paid"].to_list() * times, strict=True)
        ratio = [float(paid / other) if other else None for paid, other in both]
        kept = frame.select("design_id", *groups, "paid_to_allowed")
        return kept.with_columns(pl.Series("benefit_relativity", ratio, dtype=pl.Float64))


def adjudicate(
    claims: pl.DataFrame | pl.LazyFrame,
    designs: Mapping[str, Any] | Design | Sequence[Mapping[str, Any] | Design] | DesignColumns | pl.DataFrame,
    *,
    plan_year: int | None = None,
    by: Sequence[str] = (),
    by_enrollee: bool = False,
    enrollee_ids: Iterable[str] | None = None,
    settings: Mapping[str, Any] | AdjudicationSettings | None = None,
) -> Adjudication:
    """Return what each design would have paid of the claims of a year.

    For every line ``plan_paid + enrollee_paid = allowed``, in whole cents. This is how a claim system reads a design,
    not how the actuarial value calculator approximates it.

    Parameters
    ----------
    claims : DataFrame
        A row per line: enrollee_id, service (of ``av/service_lines``), service_date, allowed (dollars); optional units
        (visits or scripts; 0: a further line of one that another line counts), days (0: none of the stay's),
        network_tier (1, 2), stay_id, claim_id, line_number. The names service_line, service_from and allowed_amount are
        read too. Voids and adjustments are to be netted before: a negative line takes no part. Any row order.
    designs : mapping, Design, sequence of them, DesignColumns or DataFrame
        In every form that :func:`rating.actuarial_value` takes, each with a name of its own. Dollars are self-only.
    plan_year : int, optional
        Lines outside of this calendar year are set aside. Without it, dates must lie within twelve months.
    by : sequence of str, optional
        Columns of the claims that results are split by (issuer_id, plan_id). An enrollee in two groups is two, and so
        is a claim.
    by_enrollee : bool
        Whether `enrollees` is made: a row per design and enrollee, so of a million enrollees a few designs at a time.
    enrollee_ids : iterable of str, optional
        Whose lines are explained in `lines`.
    settings : mapping, optional
        See :class:`rating.AdjudicationSettings`.

    Returns
    -------
    Adjudication

    Raises
    ------
    InputRefused
        A column is missing or of another kind, a design cannot be read or cannot be a plan's, two have one name, dates
        span more than a year.
    SettingRefused
        Unknown setting or value, a year that is none, `by` or `enrollee_ids` of another kind.

    Notes
    -----
    *Order.* Lines of an enrollee are taken by service_date; those of one day by claim_id, line_number, service in the
    order of ``av/service_lines``, tier, stay, further lines (of 0 units or days) last, allowed, units, days; blanks
    first.

    *A line*, allowed a, follows the terms of its service in its network tier; d is what is left of the deductible of
    its domain, m of the out-of-pocket limit (one for both domains where the design has one).

    0. Preventive care: the plan pays a.
    1. Copay, at most the amount it is charged on. Per visit, script (units) or, for inpatient and skilled nursing, once
       a stay, or per day of it up to the days charged; what a line of a stay is too small to pay, or the deductible
       leaves too little of, its next lines do. A copay that is not *after the deductible* is charged first, and counts
       toward the limit, not the deductible.
    2. Deductible: min(rest, d) of a service that is subject to it; one whose copay comes after the deductible always
       is. Its copay is charged on what lies beyond.
    3. Coinsurance on what lies beyond the deductible, where the service is subject to it: the enrollee's share, halves
       of a cent up; a specialty drug at most its cap per script (units). The plan pays the rest.
    4. Limit: the enrollee pays at most m; what was charged first is kept first.

    With coinsurance, a copay stands only while d > 0, and then in the place of coinsurance where the service is exempt;
    once d = 0 coinsurance stands alone (setting copay_with_coinsurance). A service exempt from the deductible and under
    coinsurance without copay is charged coinsurance throughout (setting exempt_coinsurance).

    First visits (primary care): free ones are paid by the plan, those at the copay are charged it alone; of a line with
    both, the first part is ``a x visits / units``, halves of a cent up. A line of 0 units is of the visit before it.
    Later visits follow the entered terms; after first visits at the copay, the copay of a service that is subject to
    the deductible is charged beyond it only, and one that is exempt but under coinsurance has none.

    Each line has the terms of the service it is coded with: the calculator's rules for facility and professional parts
    and for x-ray, made for tables without claims, do not apply. Accumulators are those of one enrollee: family
    deductibles and limits are not modeled. Employer money changes neither the plan's payment nor the accumulators.
    Shares are read to six decimals.

    Source: actuarial value calculator of 2026 as ported, section on spend below the deductible, for the meaning of the
    flags; 45 CFR 156.130 (limits), 147.130 (preventive care); our own reading where a setting says so.

    Examples
    --------
    A deductible of 500, then 80 percent. The visit costs a copay of 30; 500 of the stay's 10,000 are the deductible, a
    fifth of 9,500 coinsurance.

    >>> from datetime import date
    >>> import polars as pl
    >>> claims = pl.DataFrame({"enrollee_id": ["E1", "E1"], "service": ["primary_care", "inpatient"],
    ...     "service_date": [date(2026, 2, 1), date(2026, 3, 1)], "allowed": [120, 10_000]})
    >>> plan = {"deductible_type": "integrated", "deductible": 500, "plan_coinsurance": 0.8, "moop": 4000,
    ...     "services": {"primary_care": {"copay": 30, "subject_to_deductible": False,
    ...     "subject_to_coinsurance": False}}}
    >>> found = adjudicate(claims, plan, plan_year=2026).plan_liability
    >>> [str(x) for x in found.select("copay", "deductible", "coinsurance", "plan_paid").row(0)]
    ['30.00', '500.00', '1900.00', '7690.00']
    """
    year = None if plan_year is None else whole_year(plan_year, "plan_year")
    chosen, figures, findings = AdjudicationSettings.of(settings), Figures(), Findings()
    ids, columns = named_designs(designs, coinsurance_is=chosen.coinsurance_is)
    groups = _groups(by, figures)
    findings.table(_DESIGNS, len(ids))
    terms = terms_of(ids, columns, chosen, figures)
    lines = read_claims(claims, groups, year, chosen.outside_plan_year == "keep", findings)
    _note(terms, lines, findings)
    found = charged(lines, terms, by_enrollee=by_enrollee)
    return Adjudication(
        plan_liability=liability_frame(lines, terms, found),
        enrollees=enrollee_frame(lines, terms, found) if by_enrollee else None,
        lines=None if enrollee_ids is None else _explained(lines, terms, enrollee_ids),
        **outcome_of(findings, figures, chosen.frame()).parts(),
    )


def _groups(by: Sequence[str], figures: Figures) -> list[str]:
    """Return the grouping columns: of text, and none that is read or made under the same name."""
    names = [by] if isinstance(by, str) else _listed(by)
    own = set(figures.rows("av/adjudication_columns")["column"].to_list())
    if not all(isinstance(name, str) and name not in own for name in names) or len(set(names)) < len(names):
        raise SettingRefused(
            f"`by` cannot be {names}",
            rule="columns of the claims, each once, that are not those of av/adjudication_columns",
            remedy="write ['issuer_id'], say",
        )
    return names


def _note(terms: Terms, lines: ClaimLines, findings: Findings) -> None:
    """Note designs that ask for what the claims do not say."""
    asked = (
        (_NO_TIERS, terms.has_tiers, "network_tier"),
        (_NO_STAYS, terms.has_stays, "stay_id"),
        (_NO_DAYS, terms.has_days, "days"),
        (_NEVER, terms.copay_never_charged, None),
        (_WHOSE, terms.share_below_half, None),
    )
    for rule_id, designs, column in asked:
        if column not in lines.has:
            findings.note(rule_id, _DESIGNS, designs)


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, Iterable) else [given]


def _explained(lines: ClaimLines, terms: Terms, enrollee_ids: Iterable[str]) -> pl.DataFrame:
    import polars as pl

    wanted: set[Any] = {enrollee_ids} if isinstance(enrollee_ids, str) else set(_listed(enrollee_ids))
    if not all(isinstance(one, str) for one in wanted):
        raise SettingRefused("`enrollee_ids` are not all text", rule="ids are text", remedy="write ['E1'], say")
    known = lines.enrollees["enrollee_id"].is_in(pl.Series(sorted(wanted), dtype=pl.String).implode())
    absent = len(wanted) - lines.enrollees["enrollee_id"].filter(known).n_unique()
    if absent:
        raise InputRefused(
            f"{absent} of the enrollees to explain have no line that was adjudicated",
            where="enrollee_ids",
            remedy="use ids of the claims; `refused` has the rows that were set aside",
        )
    some = lines.of_enrollees(known.arg_true().to_numpy())
    return line_frame(some, terms, charged(some, terms, by_line=True))
