"""Declared settings of scoring: every open point of the published rules, by name, with its default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from data_specs._declared import Declared

__all__ = ["ScoringSettings"]


@dataclass(frozen=True)
class ScoringSettings(Declared):
    """The settings of one scoring run; :meth:`of` reads them from a mapping.

    Attributes
    ----------
    adjusted_score_rounding
        ``none``: full precision (default); ``three_decimals``: the product with the cost-sharing factor is rounded
        half up to three decimals. The server's own rounding is not published.
    allow_proposed
        Score a benefit year whose coefficients are a proposed rule. Tables not yet published for it are carried from
        the last year held, and the result lists them.
    drug_list_release
        ``latest`` release of the year's drug list (default), or ``first``, to recalculate as of that time.
    duration_scope
        Over which spans days and the last enrolled day are taken: all of the issuer and market (default), or each
        ``plan``.
    leap_birthday
        Birthday of someone born on 29 February in common years: ``march_1`` (default) or ``february_28``.
    mce_sex_fourth_quarter
        Whether the sex condition of a code holds from October of a year whose next table prints none: as in the
        ``table`` (default), or ``none``.
    person_scope
        Whose diagnoses count for a score: the enrollee's within issuer and market (default), or all of the
        ``enrollee`` whatever the issuer.
    unknown_fiscal_year
        Codes of October to December where the second fiscal year is not known: ``carry`` the first year's answer,
        marked uncertain (default), or ``reject`` them.

    Examples
    --------
    >>> ScoringSettings.of({"duration_scope": "plan"}).duration_scope
    'plan'
    """

    CHOICES: ClassVar[dict[str, tuple[Any, ...]]] = {
        "adjusted_score_rounding": ("none", "three_decimals"),
        "allow_proposed": (False, True),
        "drug_list_release": ("latest", "first"),
        "duration_scope": ("issuer_market", "plan"),
        "leap_birthday": ("march_1", "february_28"),
        "mce_sex_fourth_quarter": ("table", "none"),
        "person_scope": ("issuer_market", "enrollee"),
        "unknown_fiscal_year": ("carry", "reject"),
    }

    adjusted_score_rounding: str = "none"
    allow_proposed: bool = False
    drug_list_release: str = "latest"
    duration_scope: str = "issuer_market"
    leap_birthday: str = "march_1"
    mce_sex_fourth_quarter: str = "table"
    person_scope: str = "issuer_market"
    unknown_fiscal_year: str = "carry"
