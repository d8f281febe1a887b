"""The calculators of 2015 and 2016 (draft), written down one design at a time, to be read beside the rules."""

from bisect import bisect_right
from functools import cache

import data_specs

DRUGS = ("rx_generic_cost", "rx_pref_cost", "rx_nonpref_cost", "rx_specialty_cost")


@cache
def table(year, metal, domain):
    frame = data_specs.table("av/continuance", year=year)
    frame = frame.filter(frame["metal"] == metal, frame["table"] == domain).sort("row")
    columns = {name: frame[name].to_list() for name in frame.columns}
    columns["drugs"] = [
        sum(cells) if None not in cells else None for cells in zip(*(columns[c] for c in DRUGS), strict=True)
    ]
    return columns


def read(cells, column, spend):
    finite = cells["spend_limit"][:-1]
    values = cells[column]
    if spend > finite[-1]:
        return values[-1]
    row = bisect_right(finite, spend) - 1
    if finite[row] == spend:
        return values[row]
    return values[row] + (spend - finite[row]) / (finite[row + 1] - finite[row]) * (values[row + 1] - values[row])


def inverse(cells, amount):
    means, spends = cells["maxd_cost"], cells["spend_limit"]
    row = max(i for i, m in enumerate(means) if m <= amount)
    if means[row] == amount:
        return spends[row]
    return spends[row] + (amount - means[row]) / (means[row + 1] - means[row]) * (spends[row + 1] - spends[row])


class Design:
    def __init__(self, plan, year, metal):
        self.plan, self.year, self.floor = plan, year, 0.0
        self.all, self.med, self.rx = (table(year, metal, d) for d in ("combined", "medical", "drug"))

    def total(self, spend):
        return read(self.all, "maxd_cost", spend)

    def prevented(self, spend):
        return read(self.all, "prev_cost", spend)

    def drugs(self, spend):
        return read(self.all, "drugs", spend)

    def integrated(self):
        d, m, q = (self.plan[key] for key in ("deductible", "moop", "plan_coinsurance"))
        t_inf, p_inf = self.all["maxd_cost"][-1], self.all["prev_cost"][-1]
        e = q if self.year == 2015 else ((t_inf - p_inf) * q + p_inf) / t_inf
        y = d if e >= 1 else (m - d) / (1 - e) + d
        rise = self.prevented(y) - self.prevented(d)
        in_range = round(q * (self.total(y) - self.total(d) - rise) + rise, 2)
        return (self.prevented(d) + in_range + t_inf - self.total(y)) / t_inf

    def separate(self, d_m, d_r):
        """Value and y at these deductibles."""
        q_m, q_r = self.plan["plan_coinsurance_medical"], self.plan["plan_coinsurance_drug"]
        t_inf, p_inf, d_inf = (self.all[c][-1] for c in ("maxd_cost", "prev_cost", "drugs"))
        v = d_inf + 25.66
        e = q_m if self.year == 2015 else ((t_inf - p_inf - v) * q_m + v * q_r + p_inf) / t_inf
        s = d_m + d_r
        y = max(s if e >= 1 else (self.plan["moop"] - s) / (1 - e) + s, self.floor)
        t_m, t_r = read(self.med, "maxd_cost", d_m), read(self.rx, "maxd_cost", d_r)
        if self.year == 2015:
            rise = self.prevented(y) - self.prevented(d_m)
            in_range = q_m * (self.total(y) - rise - (self.drugs(y) - self.drugs(d_r)) - t_m)
            in_range += q_r * max(0.0, self.drugs(y) - t_r) + rise
        else:
            met = inverse(self.all, t_m + t_r)
            rise = self.prevented(y) - self.prevented(met)
            in_range = e * (self.total(y) - rise - self.drugs(y) - t_m)
            in_range += q_r * (self.drugs(y) - self.drugs(met)) + rise
        paid = read(self.med, "prev_cost", d_m) + round(in_range, 2) + t_inf - self.total(y)
        return paid / t_inf, y

    def lower(self, best, d_m, d_r):
        """Try a deductible; where the value falls the floor rises to its y."""
        value, y = self.separate(d_m, d_r)
        if value < best:
            self.floor = y
            return value, True
        return best, False

    def search_2015(self, d_m, d_r):
        for is_medical in (True, False):
            best, _ = self.separate(d_m, d_r)
            a = (d_m if is_medical else d_r) - 10
            while a > 0:
                best, fell = self.lower(best, a, d_r) if is_medical else self.lower(best, d_m, a)
                a -= 10 if fell else 990

    def search_2016(self, d_m, d_r):
        a = 0.0
        if d_m > 0:
            best, _ = self.separate(d_m, d_r)
            a = max(0.0, d_m - 10)
            while a > 0:
                best, fell = self.lower(best, a, d_r)
                if not fell:
                    a = a - 990 if a >= 1000 else 0.0
                    break
                a = max(0.0, a - 10)
            best, _ = self.lower(best, a, d_r)
        if d_r > 0:
            best, _ = self.separate(a, d_r)
            b = max(0.0, d_r - 10)
            while b > 0:
                best, fell = self.lower(best, a, b)
                if not fell:
                    return
                b = max(0.0, b - 10)
                if b == 0:
                    self.lower(best, a, 0.0)

    def value(self):
        if self.plan["deductible_type"] == "integrated":
            return self.integrated()
        deductibles = self.plan["deductible_medical"], self.plan["deductible_drug"]
        (self.search_2015 if self.year == 2015 else self.search_2016)(*deductibles)
        return self.separate(*deductibles)[0]


def actuarial_value(plan, year):
    """The value and the metal of its tables."""
    value = Design(plan, year, "platinum").value()
    metal = "platinum" if value > 0.85 else "gold" if value > 0.75 else "silver" if value > 0.65 else "bronze"
    return (value if metal == "platinum" else Design(plan, year, metal).value()), metal
