"""Adjustments of the data validation (HHS-RADV): audit samples -> failure rates -> error rates -> transfers again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs.errors import SettingRefused
from riskadjust._cents import as_money
from riskadjust._findings import Findings
from riskadjust._radv_audit import LABEL_TABLE, known_hccs, read_audit
from riskadjust._radv_confidence import RadvBasis, RadvConfidence, confidence_of
from riskadjust._radv_groups import GROUP_TABLE, National, Units, counted, group_names, grouped, units_of_year
from riskadjust._radv_issuers import Applied, Facts, Issuers, applied_rates, issuers_of, other_rates
from riskadjust._radv_rates import IssuerRates, OutlierRule, group_frame, issuer_rates, national_frame
from riskadjust._radv_scores import enrollee_frame, error_rates_of, sample_arrays
from riskadjust._radv_settings import RADV_TABLE, RadvTerms
from riskadjust._settled import Settled
from riskadjust._stabilizer_figures import whole_year
from riskadjust._transfers import Transfers, transfers

if TYPE_CHECKING:
    import polars as pl

__all__ = ["RadvAdjustment", "radv_adjustment"]

_Issuer = tuple[str, ...]
_POOL_KEYS = ("state", "risk_pool", "issuer_id")


@dataclass(frozen=True, kw_only=True)
class RadvAdjustment(Settled):
    """What the audits of one benefit year say, and how they move transfers. Positive: received; negative: paid.

    Attributes
    ----------
    issuers, groups, national, hccs, enrollees, transfers, pools : DataFrame
        See :func:`radv_adjustment`. `enrollees` is of people: not for pages that are shared.
    before, after : Transfers or None
        The settlement of the plan rows without and with the error rates.
    findings, rejected, counts, settings, uncertain, tables
        What was noticed, left out, counted and used: see :class:`riskadjust.Settled`.
    benefit_year, transfer_year : int
        The year that was audited; the year whose transfers are moved.
    """

    issuers: pl.DataFrame
    groups: pl.DataFrame
    national: pl.DataFrame
    hccs: pl.DataFrame
    enrollees: pl.DataFrame
    transfers: pl.DataFrame
    pools: pl.DataFrame
    before: Transfers | None
    after: Transfers | None
    benefit_year: int
    transfer_year: int
    _basis: RadvBasis = field(repr=False)
    _appeal_threshold: Fraction | None = field(repr=False)

    def __repr__(self) -> str:
        return (
            f"RadvAdjustment(benefit_year={self.benefit_year}, transfer_year={self.transfer_year}, "
            f"issuers={self.issuers.height}, outliers={(self.issuers['outlier_groups'] > 0).sum()}, "
            f"findings={self.findings.height}, uncertain={self.uncertain.height})"
        )

    def confidence(self, *, seed: int, draws: int = 1000, level: float = 0.9) -> RadvConfidence:
        """Return how far the error rate of each sampled issuer may lie from that of another sample of its enrollees.

        A draw takes as many people of each stratum as were sampled, with replacement, each with their HCCs; failure
        rates of the issuer, outliers, adjustments and the error rate are made again. Means and deviations of the nation
        stay as they are. `linearized_standard_error` holds the group adjustments as they are, too:
        ``u = w S (adj - R)``, ``var = sum over strata of n / (n - 1) sum (u - mean u)^2 / (sum w S)^2``.

        Parameters
        ----------
        seed : int
            0 or more; the same seed gives the same numbers for any order of rows and any number of threads.
        draws : int
            How many, from 2.
        level : float
            Share of draws that the interval holds.

        Returns
        -------
        RadvConfidence
            ``.issuers``: key, sampled_enrollees, error_rate, mean_of_draws, standard_error, lower, upper, outlier_share
            (draws with an outlier group), linearized_standard_error. An issuer whose interval is 0 to 0 is in hardly
            any draw an outlier.

        Examples
        --------
        >>> import polars as pl, riskadjust
        >>> people = [str(i) for i in range(60)]
        >>> sample = pl.DataFrame({"issuer_id": "11111", "enrollee_id": people, "stratum": "1",
        ...     "stratum_weight": 10.0, "risk_score": 2.0})
        >>> hccs = pl.DataFrame({"issuer_id": "11111", "enrollee_id": people, "hcc": "HCC008", "is_submitted": True,
        ...     "is_found": [i % 4 > 0 for i in range(60)], "hcc_score": 1.5})
        >>> national = {"statistics": pl.DataFrame({"group": ["medium"], "mean_failure_rate": [0.05],
        ...     "standard_deviation": [0.02]})}
        >>> audit = {"sample": sample, "hccs": hccs}
        >>> found = riskadjust.radv_adjustment(audit, benefit_year=2018, national=national)
        >>> row = found.confidence(seed=1, draws=200).issuers.row(0, named=True)
        >>> round(row["error_rate"], 12), row["lower"] < 0.2 < row["upper"]
        (0.2, True)
        """
        return confidence_of(self._basis, seed=seed, draws=draws, level=level)

    def appeal(self, corrected: RadvAdjustment) -> pl.DataFrame:
        """Return what a corrected audit changes, and whether that is enough to settle the market again.

        Parameters
        ----------
        corrected : RadvAdjustment
            The same audit year and plan rows with the audit as the appeal leaves it.

        Returns
        -------
        DataFrame
            Key, adjustment, corrected_adjustment, change (Decimal), reaches_threshold (the size of the change is at
            least ``appeal_rerun_threshold_usd``; null in years without one).

        Raises
        ------
        SettingRefused
            The two are of different years or keyed by other columns, or one has no plan rows.

        Notes
        -----
        Source: 2026 payment notice (a rerun after an appeal only from 10,000 dollars).
        """
        import polars as pl

        is_alike = (self.benefit_year, self._basis.keys) == (corrected.benefit_year, corrected._basis.keys)
        if not is_alike or self.after is None or corrected.after is None:
            raise SettingRefused(
                "these two results cannot be held against each other",
                rule="one audit year, both with plan rows, both with a state or both without",
                remedy="make both with the same benefit_year and plan_rows",
            )
        keys = list(self._basis.keys)
        new = corrected.issuers.select(*keys, pl.col("adjustment").alias("corrected_adjustment"))
        change = pl.col("corrected_adjustment") - pl.col("adjustment")
        frame = self.issuers.select(*keys, "adjustment").join(new, on=keys, how="full", coalesce=True, validate="1:1")
        frame = frame.sort(keys).with_columns(change.cast(pl.Decimal(18, 2)).alias("change"))
        most = self._appeal_threshold
        reaches = [None if most is None or c is None else abs(Fraction(c)) >= most for c in frame["change"].to_list()]
        return frame.with_columns(pl.Series("reaches_threshold", reaches, dtype=pl.Boolean))


def radv_adjustment(
    audit: Mapping[str, pl.DataFrame | pl.LazyFrame],
    *,
    benefit_year: int,
    plan_rows: pl.DataFrame | pl.LazyFrame | None = None,
    national: Mapping[str, pl.DataFrame | pl.LazyFrame] | None = None,
    averaged_with: Any = None,
    settings: Mapping[str, Any] | None = None,
) -> RadvAdjustment:
    """Return the error rates of the audits of a benefit year, and the transfers they move, to the cent.

    ``FR = 1 - found / submitted`` of each HCC (from 2019 of each Super HCC) sorts HCCs into three groups of about equal
    counts. In each group an issuer's rate ``x = 1 - sum found / sum submitted`` is held against the nation's mean m and
    standard deviation s: beyond the edge it is an outlier with adjustment factor A (2017 and 2018: ``x - m`` beyond
    1.96 s; from 2019 a slide from 1.645 s to 3 s, with 30 HCCs at least, and rates below zero set to 0). For a sampled
    enrollee with score S and HCC score parts h: ``adj = sum(h A) / sum h``, ``S' = S (1 - adj)``. ``error rate =
    1 - sum w S' / sum w S``, w stratum weight. Plan risk is taken times ``1 - error rate``, and the whole market is
    settled again: the adjustment is T' - T of every issuer and risk pool.

    Parameters
    ----------
    audit : mapping of DataFrame
        ``sample``: issuer_id, enrollee_id, stratum (text), stratum_weight, risk_score (of the data server) and, where
        HCCs are counted by model (from 2021), model (adult, child, infant). ``hccs``: issuer_id, enrollee_id, hcc
        ("HCC020" or "020"), is_submitted (on the data server), is_found (by the audit), hcc_score (the part of the
        score, of submitted HCCs). ``counts``: issuer_id, hcc [, model], submitted_hccs, found_hccs, of issuers of which
        only counts are known. ``issuers``: issuer_id and as known is_exiting, is_sole_issuer,
        billable_member_months, premium (both of the audited year, statewide), sample_size. ``sample`` and ``hccs``, or
        ``counts``, are needed. All frames may have a state: then all do.
    benefit_year : int
        The year that was audited.
    plan_rows : DataFrame, optional
        As :func:`transfers` takes them, of the year whose transfers are moved (`transfer_year` of the result).
    national : mapping of DataFrame, optional
        What is published of the nation, in place of what the issuers at hand say. ``counts``: hcc [, model],
        submitted_hccs, found_hccs. ``groups``: hcc [, model], group (low, medium, high). ``statistics``: group,
        mean_failure_rate, standard_deviation.
    averaged_with : mapping, DataFrame or RadvAdjustment, optional
        Error rates of the other year where two are averaged (2019 and 2020, which move 2020).
    settings : mapping, optional
        Names of ``riskadjust._radv_settings.RadvSettings``; numbers by their name in ``transfers/radv_parameters``;
        and those of :func:`transfers`.

    Returns
    -------
    RadvAdjustment
        ``.issuers``: key, status (audited, counts_only, exempt_sole_issuer, exempt_small, not_audited), is_exiting,
        is_drawn_at_random, sampled_enrollees, submitted_hccs, found_hccs, outlier_groups, error_rate,
        other_year_error_rate, applied_error_rate and, with plan rows, transfer_before, transfer_after, adjustment over
        all risk pools. ``.groups``: key, group, submitted_hccs, found_hccs, failure_rate, deviation (z), is_outlier,
        constrained_failure_rate, group_adjustment A. ``.national``: group, hccs, issuers, submitted_hccs, found_hccs,
        mean_failure_rate, standard_deviation, outliers, source. ``.hccs``: rank, hcc, model, members, submitted_hccs,
        found_hccs, failure_rate, group. ``.enrollees``: key, enrollee_id, stratum, stratum_weight, risk_score,
        hcc_score, adjustment, adjusted_risk_score. ``.transfers``: [state,] risk_pool, issuer_id, applied_error_rate,
        transfer_before, transfer_after, adjustment (Decimal; the difference of the rounded amounts). ``.pools``:
        [state,] risk_pool, market, moved (sum of what issuers gain), residual (sum of the adjustments).

    Raises
    ------
    InputRefused
        Rules RDV-001 to RDV-019: rows are named by number, never by a value; plan rows as in :func:`transfers`.
    SettingRefused
        Unknown setting or value.
    TableMissing
        Tables of the year are neither held nor given.

    Notes
    -----
    Sources: 45 CFR 153.350 and 153.630; CMS memos on the 2017 and 2018 results; 2020 final rule (85 FR 76979); 2023
    payment notice. Most figures are marked uncertain: the result says which moved it. All sums are exact; the root in
    s has 60 digits; an error rate is rounded once, to a double, and that double is what moves transfers.

    Examples
    --------
    One HCC of every fourth person is not found: x = 0.25, m = 0.05, A = 0.20 of the HCC part, which is all of h.

    >>> import polars as pl, riskadjust
    >>> people = ["a", "b", "c", "d"]
    >>> sample = pl.DataFrame({"issuer_id": "11111", "enrollee_id": people, "stratum": "1",
    ...     "stratum_weight": 10.0, "risk_score": [2.0, 2.0, 2.0, 4.0]})
    >>> hccs = pl.DataFrame({"issuer_id": "11111", "enrollee_id": people, "hcc": "HCC008", "is_submitted": True,
    ...     "is_found": [True, True, True, False], "hcc_score": 1.5})
    >>> national = {"statistics": pl.DataFrame({"group": ["medium"], "mean_failure_rate": [0.05],
    ...     "standard_deviation": [0.02]})}
    >>> found = riskadjust.radv_adjustment({"sample": sample, "hccs": hccs}, benefit_year=2018, national=national)
    >>> found.issuers["error_rate"].to_list(), found.transfer_year
    ([0.2], 2019)
    """
    year, findings = whole_year(benefit_year), Findings()
    terms = RadvTerms(settings, year)
    before = _settled(plan_rows, terms, None)
    by_model = terms.unit == "throughout"
    known = known_hccs(year, by_model, findings)
    handed = read_audit(audit, known, by_model=by_model, sample_size=float(terms.sample_size), findings=findings)
    people = issuers_of(handed, before, terms, findings)
    units = units_of_year(known, terms)
    hcc_counts = counted(people.audit, units, terms, findings)
    audited = people.audited()
    nation = grouped(hcc_counts, units, national, known, terms, findings, needs_counts=bool(audited))
    rates = issuer_rates(hcc_counts, audited, nation, terms, findings)
    is_once = by_model and terms.chosen.super_hcc_counting == "once"
    arrays = sample_arrays(people.audit, units, nation, terms.groups, once=is_once, findings=findings)
    if terms.samples_only_hccs():
        findings.note("RDV-049", "sample", int((arrays.submitted.sum(axis=1) == 0).sum()))
    errors = error_rates_of(arrays, rates, terms.scaling())
    other = other_rates(averaged_with, people.audit.keys, terms)
    applied = applied_rates(errors.rates, other, people.facts, terms, findings)
    after = _settled(plan_rows, terms, _rate_frame(applied, people.audit.keys))
    moved = _transfer_frame(before, after, applied, people.audit.keys)
    terms.transfers_moved(int((moved["adjustment"] != 0).sum()))
    return RadvAdjustment(
        issuers=_issuer_frame(people, rates, applied, arrays.sizes(), None if before is None else moved),
        groups=group_frame(rates, people.audit.keys),
        national=national_frame(rates, nation),
        hccs=_hcc_frame(units, nation, terms),
        enrollees=enrollee_frame(people.audit, arrays, errors),
        transfers=moved,
        pools=_pool_frame(moved, before),
        before=before,
        after=after,
        **_account(findings, terms, after),
        benefit_year=year,
        transfer_year=terms.transfer_year,
        _basis=RadvBasis(
            people.audit.keys,
            people.audit.sample,
            arrays,
            rates,
            errors,
            OutlierRule.of(terms),
            float(terms.scaling()),
        ),
        _appeal_threshold=terms.appeal_threshold,
    )


# ------------------------------------------------------------------------------------------------ transfers


def _settled(plan_rows: Any, terms: RadvTerms, rates: pl.DataFrame | None) -> Transfers | None:
    if plan_rows is not None:
        return transfers(
            plan_rows, benefit_year=terms.transfer_year, settings=terms.of_transfers, radv_error_rates=rates
        )
    if terms.of_transfers:
        raise SettingRefused(
            "no setting of the data validation is called " + ", ".join(map(repr, terms.of_transfers)),
            remedy="settings of the transfers need plan_rows; those of the validation: " + ", ".join(terms.names()),
        )
    return None


def _rate_frame(applied: Applied, keys: tuple[str, ...]) -> pl.DataFrame | None:
    """Return the rates that move anything as :func:`transfers` takes them; None: none does."""
    import polars as pl

    lines = [(*issuer, float(rate)) for issuer, rate in applied.applied.items() if rate]
    if not lines:
        return None
    return pl.DataFrame(lines, schema=dict.fromkeys(keys, pl.String) | {"error_rate": pl.Float64}, orient="row")


def _transfer_frame(
    before: Transfers | None, after: Transfers | None, applied: Applied, keys: tuple[str, ...]
) -> pl.DataFrame:
    """Return the transfer of every issuer and risk pool before and after, and the adjustment."""
    import polars as pl

    money: dict[str, Any] = {c: pl.Decimal(18, 2) for c in ("transfer_before", "transfer_after", "adjustment")}
    if before is None or after is None:
        schema: dict[str, Any] = {"risk_pool": pl.String, "issuer_id": pl.String, "applied_error_rate": pl.Float64}
        return pl.DataFrame(schema=schema | money)
    names = [c for c in _POOL_KEYS if c in before.issuers.columns]
    rates = [applied.applied.get(key) for key in before.issuers.select(keys).rows()]
    cents = [(f.issuers["transfer"] * 100).cast(pl.Int64) for f in (before, after)]
    frame = before.issuers.select(
        *names,
        pl.Series("applied_error_rate", [None if r is None else float(r) for r in rates], dtype=pl.Float64),
        cents[0].alias("transfer_before"),
        cents[1].alias("transfer_after"),
        (cents[1] - cents[0]).alias("adjustment"),
    )
    return as_money(frame, *money)


def _pool_frame(moved: pl.DataFrame, before: Transfers | None) -> pl.DataFrame:
    """Return what the issuers of each risk pool gain, and what their adjustments miss zero by."""
    import polars as pl

    names = [c for c in ("state", "risk_pool") if c in moved.columns]
    amount = pl.col("adjustment")
    sums = moved.group_by(names).agg(
        amount.filter(amount > 0).sum().cast(pl.Decimal(18, 2)).alias("moved"),
        amount.sum().cast(pl.Decimal(18, 2)).alias("residual"),
    )
    if before is None:
        return sums.select(*names, pl.lit(None, pl.String).alias("market"), "moved", "residual")
    market = before.pools.select(*names, "market")
    return market.join(sums, on=names, how="left", maintain_order="left", validate="1:1")


# ------------------------------------------------------------------------------------------------ frames


def _issuer_frame(
    people: Issuers, rates: IssuerRates, applied: Applied, sizes: dict[_Issuer, int], moved: pl.DataFrame | None
) -> pl.DataFrame:
    import polars as pl

    keys, lines = people.audit.keys, []
    for issuer in sorted({*people.facts, *applied.applied}):
        known = people.facts.get(issuer, Facts())
        in_groups = rates.rates.get(issuer)
        line: tuple[Any, ...] = (*issuer, known.status, known.is_exiting, known.is_drawn_at_random, sizes.get(issuer))
        if in_groups is None:
            line += (None, None, None)
        else:
            line += (sum(rates.submitted[issuer]), sum(rates.found[issuer]))
            line += (sum(r is not None and r.is_outlier for r in in_groups),)
        found = (of.get(issuer) for of in (applied.own, applied.other, applied.applied))
        lines.append((*line, *(None if rate is None else float(rate) for rate in found)))
    schema: dict[str, Any] = dict.fromkeys((*keys, "status"), pl.String)
    schema |= dict.fromkeys(("is_exiting", "is_drawn_at_random"), pl.Boolean)
    schema |= dict.fromkeys(("sampled_enrollees", "submitted_hccs", "found_hccs", "outlier_groups"), pl.Int64)
    schema |= dict.fromkeys(("error_rate", "other_year_error_rate", "applied_error_rate"), pl.Float64)
    frame = pl.DataFrame(lines, schema=schema, orient="row")
    if moved is None:
        return frame
    money = ("transfer_before", "transfer_after", "adjustment")
    sums = moved.group_by(keys).agg(pl.col(c).sum().cast(pl.Decimal(18, 2)) for c in money)
    return frame.join(sums, on=keys, how="left", maintain_order="left", validate="1:1")


def _hcc_frame(units: Units, nation: National, terms: RadvTerms) -> pl.DataFrame:
    """Return the units with counts: first those with a failure rate, lowest first."""
    import polars as pl

    names, lines = group_names(terms.groups), []
    rest = [u for u, v in enumerate(nation.found) if v and u not in set(nation.order)]
    for rank, place in enumerate([*nation.order, *rest], start=1):
        unit, e, v = units.units[place], nation.submitted[place], nation.found[place]
        group = nation.group_of.get(place)
        rate = float(1 - Fraction(v, e)) if e else None
        model, members = unit.model or None, " ".join(unit.members)
        named = None if group is None else names[group]
        lines.append((rank if e else None, unit.name, model, members, e, v, rate, named))
    schema: dict[str, Any] = {"rank": pl.Int64} | dict.fromkeys(("hcc", "model", "members"), pl.String)
    schema |= {"submitted_hccs": pl.Int64, "found_hccs": pl.Int64, "failure_rate": pl.Float64, "group": pl.String}
    return pl.DataFrame(lines, schema=schema, orient="row")


def _account(findings: Findings, terms: RadvTerms, after: Transfers | None) -> dict[str, Any]:
    """Return findings, rejected rows, counts, settings, uncertain figures and tables, with those of the transfers."""
    import polars as pl

    own: dict[str, Any] = {
        "findings": findings.frame(),
        "counts": findings.counts(),
        "settings": terms.used.frame(),
        "uncertain": terms.used.uncertain(),
    }
    tables = {RADV_TABLE, LABEL_TABLE, *([GROUP_TABLE] if terms.unit != "none" else [])}
    rejected = findings.refused()
    if after is not None:
        own = {name: pl.concat([frame, getattr(after, name)], how="vertical") for name, frame in own.items()}
        tables |= set(after.tables)
        rejected |= after.rejected
    return own | {"rejected": rejected, "tables": sorted(tables)}
