"""Slow twins of the experience side of a filing: chain ladder from a list of payments, regression by plain algebra.

Written from the rules, row by row, on other paths than the package: fractions in dictionaries for the triangle, twelve
month columns without an intercept and numpy's least squares for the trend.
"""

from collections import defaultdict
from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np


def month(day):
    return day.year * 12 + day.month


def day(number):
    """The first day of a month counted as `month` counts."""
    return date((number - 1) // 12, (number - 1) % 12 + 1, 1)


def cumulative_claims(payments, category, through):
    """(incurred month, lag) -> dollars paid up to that lag, for every lag that is over by the last paid month."""
    rows = [(month(i), month(p), Fraction(a)) for i, p, c, a in payments if c == category and month(p) <= through]
    all_months = [month(i) for i, p, _, _ in payments if month(p) <= through]
    found = {}
    for incurred in range(min(all_months), max(all_months) + 1):
        for lag in range(through - incurred + 1):
            found[incurred, lag] = sum((a for i, p, a in rows if i == incurred and p - i <= lag), Fraction(0))
    return found


def completion_by_lag(payments, category, through, last=None, tail=Fraction(1)):
    """Lag -> share paid, from the product of age-to-age factors."""
    cumulative = cumulative_claims(payments, category, through)
    lags = max(lag for _, lag in cumulative)
    factors = {}
    for lag in range(lags):
        reached = sorted(i for i, k in cumulative if k == lag + 1)
        used = reached if last is None else reached[-last:]
        top = sum((cumulative[i, lag + 1] for i in used), Fraction(0))
        bottom = sum((cumulative[i, lag] for i in used), Fraction(0))
        factors[lag] = top / bottom
    found = {}
    for lag in range(lags + 1):
        product = Fraction(tail)
        for later in range(lag, lags):
            product *= factors[later]
        found[lag] = 1 / product
    return found


def selected_claims(payments, category, through, members, trend, low, last=None, tail=Fraction(1)):
    """Incurred month -> ultimate claims, months of low completion by the trended PMPM of the others."""
    cumulative = cumulative_claims(payments, category, through)
    share = completion_by_lag(payments, category, through, last, tail)
    months = sorted({i for i, _ in cumulative})
    ladder = {i: cumulative[i, through - i] / share[through - i] for i in months}
    complete = [i for i in months if share[through - i] >= low]
    with localcontext() as context:
        context.prec = 60
        found = {}
        for i in months:
            if i in complete:
                found[i] = Decimal(ladder[i].numerator) / Decimal(ladder[i].denominator)
                continue
            trended = Decimal(0)
            for j in complete:
                grown = (1 + Decimal(trend)) ** (Decimal(i - j) / Decimal(12))
                trended += Decimal(ladder[j].numerator) / Decimal(ladder[j].denominator) * grown
            found[i] = trended / sum(Decimal(members[j]) for j in complete) * Decimal(members[i])
    return found


# ------------------------------------------------------------------------------------------------ trend


def design_of(months, has_effects):
    """A column of years, and one for each calendar month (or one for all)."""
    years = np.array([m / 12 for m in months])
    calendar = sorted({m % 12 for m in months}) if has_effects else [None]
    columns = [[1.0 if c is None or m % 12 == c else 0.0 for m in months] for c in calendar]
    return np.column_stack([years, *columns])


def least_squares(months, values, has_effects=True):
    """Slope of the logarithm per year, its standard error, residuals and degrees of freedom."""
    design, logs = design_of([m - months[0] for m in months], has_effects), np.log(np.array(values))
    beta, *_ = np.linalg.lstsq(design, logs, rcond=None)
    residuals = logs - design @ beta
    freedom = len(logs) - design.shape[1]
    inverse = np.linalg.pinv(design.T @ design)
    return beta[0], np.sqrt(residuals @ residuals / freedom * inverse[0, 0]), residuals, freedom


def newey_west(months, values, lags, has_effects=True):
    """Standard error of the slope for residuals that follow each other: Bartlett weights, small-sample correction."""
    design = design_of([m - months[0] for m in months], has_effects)
    _, _, residuals, freedom = least_squares(months, values, has_effects)
    scores = design * residuals[:, None]
    middle = scores.T @ scores
    for lag in range(1, lags + 1):
        weight = 1 - lag / (lags + 1)
        shifted = scores[lag:].T @ scores[:-lag]
        middle = middle + weight * (shifted + shifted.T)
    inverse = np.linalg.pinv(design.T @ design)
    covariance = inverse @ middle @ inverse * len(values) / freedom
    return np.sqrt(covariance[0, 0])


def huber_slope(months, values, has_effects=True, tuning=1.345, rounds=500):
    """Slope by iteratively reweighted least squares; scale is the median absolute residual over 0.6745."""
    design, logs = design_of([m - months[0] for m in months], has_effects), np.log(np.array(values))
    beta, *_ = np.linalg.lstsq(design, logs, rcond=None)
    for _ in range(rounds):
        residuals = logs - design @ beta
        scale = np.median(np.abs(residuals)) / 0.6744897501960817
        size = np.abs(residuals / scale)
        root = np.sqrt(np.where(size <= tuning, 1.0, tuning / np.maximum(size, tuning)))
        beta, *_ = np.linalg.lstsq(design * root[:, None], logs * root, rcond=None)
    return beta[0]


# ------------------------------------------------------------------------------------------------ large claims


def pooled(claims, threshold):
    """(enrollee, amount, cell) rows -> claims and excess by cell, in fractions."""
    total = defaultdict(Fraction)
    for enrollee, amount, _ in claims:
        total[enrollee] += Fraction(amount)
    claimed, excess = defaultdict(Fraction), defaultdict(Fraction)
    for enrollee, amount, cell in claims:
        claimed[cell] += Fraction(amount)
        if total[enrollee] > threshold:
            excess[cell] += Fraction(amount) * (total[enrollee] - threshold) / total[enrollee]
    return claimed, excess
