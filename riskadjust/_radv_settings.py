"""Settings of the data validation (HHS-RADV), and the terms of one audit year: read from data, each use recorded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

from data_specs import _registry
from data_specs._declared import Declared, given_settings
from data_specs.errors import InputRefused, SettingRefused, TableRefused
from riskadjust._refusals import rule_text
from riskadjust._stabilizer_figures import UsedFigures
from riskadjust._transfer_settings import exact_number

__all__ = ["RADV_TABLE", "RadvSettings", "RadvTerms"]

RADV_TABLE = "transfers/radv_parameters"
SCALING = "error_rate_scaling_factor"
_STATIC, _INNER, _OUTER = "outlier_z_static", "slide_inner_z", "slide_outer_z"
_GROUPS, _LEAST, _SAMPLE = "failure_rate_groups", "min_hcc_count_for_outlier", "default_sample_size"
_EXEMPT = "exempt_bmm_at_or_below"
_DRAWN_PREMIUM, _DRAWN_MONTHS = "random_sampling_premium_at_or_below", "random_sampling_bmm_at_or_below"
_APPEAL, _SAMPLING = "appeal_rerun_threshold_usd", "iva_sampling_change"
_NUMBERS = (_STATIC, _INNER, _OUTER, _GROUPS, _LEAST, _SAMPLE, _EXEMPT, _DRAWN_PREMIUM, _DRAWN_MONTHS, _APPEAL)
_NEGATIVE, _SORTING, _THROUGHOUT = "negative_rate_constraint", "super_hcc_sorting", "super_hcc_throughout"
_APPLIED = "results_applied_to"
_NEGATIVE_TEXTS = {"negative outliers": "negative_outliers", "any outlier": "any_outlier"}
_AVERAGED = re.compile(r"\(([0-9]{4}) and ([0-9]{4}) results averaged on ([0-9]{4})\)")
_MOST_GROUPS = 9


@dataclass(frozen=True)
class RadvSettings(Declared):
    """The settings of one data validation; :meth:`of` reads them from a mapping.

    Attributes
    ----------
    group_cut
        Where the sorted list of HCCs is cut in three: an HCC belongs to the third in which the ``midpoint`` of its own
        count lies (default), or its ``start``, or its ``end``. A point on a boundary belongs to the upper third, for
        ``end`` to the lower.
    super_hcc
        HCCs of one coefficient group as one unit: as in the ``table`` of the audit year (default), ``none``,
        ``sorting`` (groups of the adult model, counts added), or ``throughout`` (groups of the model of the enrollee).
    super_hcc_counting
        Where the unit is used throughout: an enrollee with several HCCs of one unit counts ``once`` (default), or each
        HCC counts (``sum``).
    super_hcc_models
        Where the unit is used throughout: units of the adult and the child model are ``separate`` (default), or
        ``identical_joined`` when they have the same members.
    negative_rate_constraint
        Outliers whose failure rate is below zero: as in the ``table`` (default), ``none``, ``negative_outliers`` or
        ``any_outlier`` have it set to 0.
    constraint_order
        ``before_slide`` (default): band and adjustment are both of rate 0. ``after_slide``: the share of the distance
        that the slide leaves is of the rate as found, and the distance is that of rate 0.
    results_applied_to
        Which year's transfers are moved: as in the ``table`` (default), ``same_year`` or ``following_year``.
    average_of_years
        Where two years are averaged and an issuer was audited in one: its one rate stands (``audited_only``, default),
        or the other is 0 (``zero_where_none``).
    deviation_form
        The standard deviation of the issuers at hand: ``population`` (default), or ``sample``, its square times
        n / (n - 1) for n issuers with a rate in the group.
    exiting_issuers
        The error rate of an issuer that leaves is applied when it is positive (``positive_only``, default), or
        ``always``.
    error_rate_scaling_factor
        Number that multiplies each error rate; 1 (default).

    Examples
    --------
    >>> RadvSettings.of({"group_cut": "start"}).group_cut
    'start'
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "group_cut": ("midpoint", "start", "end"),
        "super_hcc": ("table", "none", "sorting", "throughout"),
        "super_hcc_counting": ("once", "sum"),
        "super_hcc_models": ("separate", "identical_joined"),
        "negative_rate_constraint": ("table", "none", "negative_outliers", "any_outlier"),
        "constraint_order": ("before_slide", "after_slide"),
        "results_applied_to": ("table", "same_year", "following_year"),
        "average_of_years": ("audited_only", "zero_where_none"),
        "deviation_form": ("population", "sample"),
        "exiting_issuers": ("positive_only", "always"),
    }

    group_cut: str = "midpoint"
    super_hcc: str = "table"
    super_hcc_counting: str = "once"
    super_hcc_models: str = "separate"
    negative_rate_constraint: str = "table"
    constraint_order: str = "before_slide"
    results_applied_to: str = "table"
    average_of_years: str = "audited_only"
    deviation_form: str = "population"
    exiting_issuers: str = "positive_only"
    error_rate_scaling_factor: Any = 1

    @classmethod
    def _checked(cls, name: str, value: Any) -> Any:
        return _not_negative(name, value) if name == SCALING else super()._checked(name, value)


def _not_negative(name: str, value: object) -> Fraction:
    number = exact_number(value, name)
    if number < 0:
        raise SettingRefused(f"setting {name!r} cannot be {value!r}", rule="a number of zero or more")
    return number


class RadvTerms:
    """What holds for the audits of one benefit year: of the settings, else of the table.

    Parameters
    ----------
    settings : mapping, optional
        Names of :class:`RadvSettings`, and numbers by their name in ``transfers/radv_parameters``. The others are kept
        in `of_transfers`.
    audit_year : int
        The benefit year that was audited.

    Attributes
    ----------
    groups : int
        Number of failure-rate groups.
    inner_z, outer_z : Fraction
        A rate is an outlier beyond `inner_z` standard deviations; its adjustment slides up to `outer_z`. Without a
        slide both are the one edge.
    least_hccs : int
        An issuer with fewer HCCs in a group is no outlier there; 0: no minimum.
    constraint, unit : str
        ``none``, ``negative_outliers`` or ``any_outlier``; ``none``, ``sorting`` or ``throughout``.
    sample_size, exempt_months : Fraction
        Enrollees of a sample where the issuer says nothing; months up to which an issuer is exempt.
    appeal_threshold : Fraction or None
        Dollars from which a change after an appeal settles the market again; None: none is held.
    transfer_year, other_year : int, int or None
        The year whose transfers are moved; the audit year that this one is averaged with.

    Examples
    --------
    >>> terms = RadvTerms(None, 2018)
    >>> float(terms.inner_z), float(terms.outer_z), terms.unit, terms.transfer_year, terms.other_year
    (1.96, 1.96, 'none', 2019, None)
    >>> terms = RadvTerms({"slide_outer_z": 2.5}, 2019)
    >>> float(terms.outer_z), terms.constraint, terms.transfer_year, terms.other_year
    (2.5, 'negative_outliers', 2020, 2020)
    """

    def __init__(self, settings: Mapping[str, Any] | None, audit_year: int) -> None:
        self.used, self.audit_year = UsedFigures(), audit_year
        given = given_settings(settings)
        own = RadvSettings.names()
        self.of_transfers = {k: v for k, v in given.items() if k not in own and k not in _NUMBERS}
        self.chosen = RadvSettings.of({k: v for k, v in given.items() if k in own})
        self._numbers = {k: _not_negative(k, v) for k, v in given.items() if k in _NUMBERS}
        self._rows = {row["parameter"]: row for row in _registry.rows_in_force(RADV_TABLE, audit_year).to_dicts()}
        self._check_year()
        for name in own:
            note = self.used.given if name in given else self.used.default
            if name in given or getattr(self.chosen, name) != "table":
                note(name, getattr(self.chosen, name))
        self.groups = int(self._number(_GROUPS))
        is_static = _STATIC in self._rows
        self.inner_z, self.outer_z = (self._number(_STATIC if is_static else name) for name in (_INNER, _OUTER))
        self.least_hccs = self._number(_LEAST) if _LEAST in self._rows else Fraction(0)
        self.sample_size, self.exempt_months = self._number(_SAMPLE), self._number(_EXEMPT)
        self.appeal_threshold = self._number(_APPEAL) if _APPEAL in self._rows else None
        self.constraint, self.unit = self._constraint(), self._unit()
        self.transfer_year, self.other_year = self._moved_year()
        self._check_numbers()

    @staticmethod
    def names() -> list[str]:
        """Return the names of all settings of a data validation."""
        return sorted({*RadvSettings.names(), *_NUMBERS})

    # ---- what holds

    def drawn_at_random(self, months: Fraction | None, premium: Fraction | None) -> bool | None:
        """Return whether an issuer of this size is audited only when drawn; None where its size is not known."""
        for name, size in ((_DRAWN_PREMIUM, premium), (_DRAWN_MONTHS, months)):
            if name in self._rows and size is not None:
                return size <= self._number(name)
        return None

    def drawn_moved(self, rows: int) -> None:
        """Put down of how many issuers it was said whether they are drawn at random."""
        for name in (_DRAWN_PREMIUM, _DRAWN_MONTHS):
            self.used.moved(name, "is_drawn_at_random of issuers", rows)

    def samples_only_hccs(self) -> bool:
        """Return whether enrollees without HCCs have left the samples of the year."""
        return _SAMPLING in self._rows

    def scaling(self) -> Fraction:
        """Return the factor on error rates."""
        return Fraction(self.chosen.error_rate_scaling_factor)

    def unit_moved(self, rows: int) -> None:
        """Put down how many HCC rows were counted within a unit of several HCCs."""
        self.used.moved("super_hcc", "HCC rows counted as Super HCCs", rows)

    def outliers_moved(self, adjusted: int, constrained: int, spared: int) -> None:
        """Put down how many group rates of issuers were adjusted, were set to 0, and were spared for too few HCCs."""
        for name in (_STATIC, _INNER, _OUTER):
            self.used.moved(name, "group_adjustment of issuers", adjusted)
        self.used.moved(_NEGATIVE, "constrained_failure_rate of issuers", constrained)
        self.used.moved(_LEAST, "is_outlier of issuers", spared)

    def transfers_moved(self, rows: int) -> None:
        """Put down how many issuers of risk pools have another transfer."""
        self.used.moved(_APPLIED, "transfer of issuers", rows)

    # ---- reading

    def _check_year(self) -> None:
        has_rule = _STATIC in self._rows or (_INNER in self._rows and _OUTER in self._rows)
        if has_rule and {_GROUPS, _SAMPLE, _EXEMPT} <= set(self._rows):
            for name in self._numbers:
                if name not in self._rows:
                    raise SettingRefused(
                        f"{name!r} is no term of the audits of {self.audit_year}",
                        remedy="terms of that year: " + ", ".join(n for n in _NUMBERS if n in self._rows),
                    )
            return
        raise InputRefused(
            f"no data validation with error rates is held for benefit year {self.audit_year}",
            where="benefit_year",
            rule=rule_text("RDV-016"),
            remedy=f"use a year of {RADV_TABLE}, or supply its rows (data_specs.use, --tables DIR)",
        )

    def _number(self, name: str) -> Fraction:
        if name in self._numbers:
            self.used.given(name, self._numbers[name])
            return self._numbers[name]
        row = self._rows[name]
        try:
            number = Fraction(row["value"])
        except ValueError:
            raise self._refused(row, "not a number") from None
        self.used.of_row(name, number, RADV_TABLE, row, row["verification"])
        return number

    def _refused(self, row: dict[str, Any], what: str) -> TableRefused:
        return TableRefused(
            f"{row['parameter']} of {self.audit_year} is {what}",
            where=f"{row['_file']}, row {row['_row']}, column value",
            rule="the wording of the terms that are held",
            remedy="mend the row, or give the setting",
        )

    def _check_numbers(self) -> None:
        if self.groups != self._number(_GROUPS) or not 1 <= self.groups <= _MOST_GROUPS:
            raise SettingRefused(f"{_GROUPS} is not a whole number from 1 to {_MOST_GROUPS}")
        if _STATIC not in self._rows and not self.inner_z < self.outer_z:
            raise SettingRefused(
                f"{_INNER} is not below {_OUTER}",
                rule="the slide rises from the inner to the outer edge",
                remedy="give both edges",
            )

    def _constraint(self) -> str:
        if self.chosen.negative_rate_constraint != "table":
            return self.chosen.negative_rate_constraint
        row = self._rows.get(_NEGATIVE)
        if row is None:
            self.used.default(_NEGATIVE, "none")
            return "none"
        found = next((kind for text, kind in _NEGATIVE_TEXTS.items() if row["value"].startswith(text)), None)
        if found is None:
            raise self._refused(row, f"not worded as {' or '.join(map(repr, _NEGATIVE_TEXTS))} ...")
        self.used.of_row(_NEGATIVE, found, RADV_TABLE, row, row["verification"])
        return found

    def _unit(self) -> str:
        if self.chosen.super_hcc != "table":
            return self.chosen.super_hcc
        for name, kind in ((_THROUGHOUT, "throughout"), (_SORTING, "sorting")):
            row = self._rows.get(name)
            if row is not None:
                self.used.of_row("super_hcc", kind, RADV_TABLE, row, row["verification"])
                return kind
        self.used.default("super_hcc", "none")
        return "none"

    def _moved_year(self) -> tuple[int, int | None]:
        """Return the year whose transfers are moved, and the audit year that is averaged with this one."""
        if self.chosen.results_applied_to != "table":
            return self.audit_year + (self.chosen.results_applied_to == "following_year"), None
        for row in _registry.rows(RADV_TABLE).to_dicts():
            averaged = _AVERAGED.search(row["value"]) if row["parameter"] == _APPLIED else None
            years = [int(text) for text in averaged.groups()] if averaged else []
            if self.audit_year in years[:2]:
                self.used.of_row(_APPLIED, row["value"], RADV_TABLE, row, row["verification"])
                other = years[1] if self.audit_year == years[0] else years[0]
                return years[2], other
        if _APPLIED not in self._rows:
            raise InputRefused(
                f"it is not held which transfers the audits of {self.audit_year} move",
                where=RADV_TABLE,
                rule=rule_text("RDV-016"),
                remedy='give it knowingly as settings={"results_applied_to": ...}',
            )
        row = self._rows[_APPLIED]
        words = {"transfers of the following": 1, "transfers of the same": 0}
        later = next((n for text, n in words.items() if row["value"].startswith(text)), None)
        if later is None:
            raise self._refused(row, f"not worded as {' or '.join(map(repr, words))} benefit year")
        self.used.of_row(_APPLIED, row["value"], RADV_TABLE, row, row["verification"])
        return self.audit_year + later, None
