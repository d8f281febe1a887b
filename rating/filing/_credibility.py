"""Credibility of experience: limited fluctuation against a declared standard, and the blend with a manual rate."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from data_specs.errors import InputRefused
from rating.filing._experience_input import decimal_of
from rating.filing._findings import FilingFindings, refusal
from rating.filing._ledger import COMPUTED, MARKET, Entry, Key
from rating.filing._numbers import CONTEXT, exact, rounded

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Credibility", "blended", "checked_credibility", "credibility", "full_credibility_claims"]

_ONE = Decimal(1)
_SOURCE = "limited fluctuation, declared standard"


@dataclass(frozen=True)
class Credibility:
    """The credibility of an experience; see :func:`credibility`.

    Attributes
    ----------
    z : Decimal
        0 to 1, to 34 digits.
    exposure, full_standard : Decimal
        Member months (or claims), and how many of them have full credibility.
    source : str
        What the standard rests on, as declared.
    findings : DataFrame
        rule_id, severity, where, message.
    """

    z: Decimal
    exposure: Decimal
    full_standard: Decimal
    source: str
    findings: pl.DataFrame

    def assumption(self) -> dict[str, Any]:
        """Return the value as :func:`rating.filing.develop` takes it: value, source, note."""
        note = f"min(1, sqrt({self.exposure:f} / {self.full_standard:f}))"
        return {"value": self.z, "source": self.source or _SOURCE, "note": note}

    def entries(self, factor_decimals: int) -> tuple[Entry, Entry]:
        """Return standard and credibility for a ledger; rounded, with the exact value beside it."""
        full: Key = ("full_credibility_member_months", MARKET)
        value = rounded(self.z, factor_decimals)
        words = "min(1, square root of exp_member_months / full_credibility_member_months)"
        inputs = (("exp_member_months", MARKET), full)
        source, note = self.source or _SOURCE, f"rounded to {factor_decimals} decimals"
        return (
            Entry(*full, self.full_standard, "member_months", source=source),
            Entry("credibility", MARKET, value, "ratio", COMPUTED, words, inputs, source, note, self.z),
        )


def credibility(member_months: Any, *, full_standard: Any, source: str = "") -> Credibility:
    """Return the credibility of an experience by limited fluctuation: ``z = min(1, sqrt(n / n_full))``.

    Parameters
    ----------
    member_months : number
        n: member months of the experience; or its number of claims, against a standard in claims.
    full_standard : number
        n_full, in the same unit. A standard in member months is the issuer's own and has no default; one in claims is
        :func:`full_credibility_claims`.
    source : str
        What the standard rests on; shown beside the number.

    Returns
    -------
    Credibility

    Raises
    ------
    InputRefused
        Member months are no number, zero or more; the standard is not declared or not above zero (CRD-002).

    Notes
    -----
    Sources: ASOP 25 (credibility procedures); classical limited fluctuation credibility, square-root rule.

    Examples
    --------
    >>> credibility(6000, full_standard=24_000).z
    Decimal('0.5')
    """
    if full_standard is None:
        raise refusal(
            "CRD-002", "no standard is declared", "full_standard", "say how many member months are fully credible"
        )
    number, full = exact(member_months, "member_months"), exact(full_standard, "full_standard")
    if full <= 0:
        raise refusal("CRD-002", "the standard is not above zero", "full_standard", "declare a standard above zero")
    if number < 0:
        raise InputRefused(
            "member months are below zero", where="member_months", remedy="hand in member months or claims"
        )
    findings = FilingFindings()
    if number == 0:
        findings.add("CRD-003", "member_months", "no member months or claims")
    z = min(_ONE, CONTEXT.sqrt(CONTEXT.divide(number, full)))
    return Credibility(z, number, full, source, findings.frame())


def full_credibility_claims(*, normal_quantile: Any, k: Any, severity_cv: Any = 0) -> Decimal:
    """Return the number of claims that have full credibility: ``(y / k)^2 (1 + cv^2)``.

    Parameters
    ----------
    normal_quantile : number
        y: 1.645 for a probability of 90 percent to be within k.
    k : number
        Allowed relative distance (0.05), above zero.
    severity_cv : number
        Coefficient of variation of a claim's size; 0 for the number of claims alone.

    Notes
    -----
    Source: classical limited fluctuation credibility for a Poisson number of claims; ASOP 25.

    Examples
    --------
    >>> full_credibility_claims(normal_quantile="1.645", k="0.05")
    Decimal('1082.41')
    """
    y, distance, cv = exact(normal_quantile, "normal_quantile"), exact(k, "k"), exact(severity_cv, "severity_cv")
    if y <= 0 or distance <= 0 or cv < 0:
        raise refusal("CRD-002", "y or k is not above zero, or cv below it", "y, k, cv", "write 1.645 and 0.05, say")
    return decimal_of((Fraction(y) / Fraction(distance)) ** 2 * (1 + Fraction(cv) ** 2))


def checked_credibility(z: Any) -> Decimal:
    """Return a credibility that is given, refused outside 0 to 1.

    Examples
    --------
    >>> checked_credibility("0.85")
    Decimal('0.85')
    >>> checked_credibility(85)
    Traceback (most recent call last):
        ...
    data_specs.errors.InputRefused: the credibility is outside 0 to 1 ...
    """
    number = exact(z, "credibility")
    if not 0 <= number <= 1:
        raise refusal("CRD-001", "the credibility is outside 0 to 1", "credibility", "write a share: 0.85, not 85")
    return number


def blended(experience: Any, manual: Any, z: Any) -> Decimal:
    """Return the blend of two rates: ``z x experience + (1 - z) x manual``; a part of weight 0 may be None.

    Raises
    ------
    InputRefused
        The credibility is outside 0 to 1, or a part that has weight is absent.

    Notes
    -----
    Source: URR template, worksheet 1, projected index rate; ASOP 25.

    Examples
    --------
    >>> blended("611.34", "580.00", "0.5"), blended(None, 580, 0)
    (Decimal('595.67'), Decimal('580'))
    """
    weight = checked_credibility(z)
    if weight == 1:
        return exact(experience, "experience")
    if weight == 0:
        return exact(manual, "manual")
    own = Fraction(weight) * Fraction(exact(experience, "experience"))
    return decimal_of(own + (1 - Fraction(weight)) * Fraction(exact(manual, "manual")))
