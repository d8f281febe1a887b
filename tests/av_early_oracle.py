"""The slow twin of the actuarial value calculators of 2015 and of the draft of 2016 (section 8 of the description)."""

import math

from av_oracle import DRUG, Plan, Table, table


class Early:
    """The calculator of 2015 or of the draft of 2016, on the tables of one metal."""

    def __init__(self, plan: Plan, year: int, metal: str) -> None:
        self.plan, self.year, self.floor = plan, year, 0.0
        self.both, self.medical, self.drug = (table(year, metal, d) for d in ("combined", "medical", "drug"))

    def preventive(self, amount: float, rows: Table | None = None) -> float:
        return (rows or self.both).read("prev_cost", amount)

    def drugs(self, amount: float) -> float:
        return sum(self.both.read(f"{stem}_cost", amount) for stem in DRUG.values())

    def integrated(self) -> float:
        plan, whole, mean = self.plan, self.both.whole, self.both.mean
        deductible, share, free = plan["deductible"], plan["plan_coinsurance"], self.preventive(math.inf)
        e = share if self.year == 2015 else ((whole - free) * share + free) / whole
        y = deductible if e == 1 else (plan["moop"] - deductible) / (1 - e) + deductible
        above = self.preventive(y) - self.preventive(deductible)
        paid = round(share * (mean(y) - mean(deductible) - above) + above, 2)
        return (self.preventive(deductible) + paid + whole - mean(y)) / whole

    def separate(self, medical: float, drug: float) -> tuple[float, float]:
        """AV and y at two deductibles, with the floor found so far."""
        own, whole, mean = self.plan, self.both.whole, self.both.mean
        share, drug_share = own["plan_coinsurance_medical"], own["plan_coinsurance_drug"]
        e = share
        if self.year == 2016:
            free, drugs = self.preventive(math.inf), self.drugs(math.inf) + 25.66
            e = ((whole - free - drugs) * share + drugs * drug_share + free) / whole
        y = medical + drug
        y = max(y if e == 1 else (own["moop"] - y) / (1 - e) + y, self.floor)
        paid, drug_paid = self.medical.mean(medical), self.drug.mean(drug)
        start = medical if self.year == 2015 else self.both.spend(paid + drug_paid)
        free = self.preventive(y) - self.preventive(start)
        if self.year == 2015:
            drugs = self.drugs(y) - self.drugs(drug)
            total = share * (mean(y) - free - drugs - paid) + drug_share * max(0.0, self.drugs(y) - drug_paid) + free
        else:
            rest = mean(y) - free - self.drugs(y) - paid
            total = e * rest + drug_share * (self.drugs(y) - self.drugs(start)) + free
        av = (self.preventive(medical, self.medical) + round(total, 2) + whole - mean(y)) / whole
        return av, y

    def trial(self, best: float, medical: float, drug: float) -> tuple[bool, float]:
        """Whether lower deductibles lower AV: then its y is the floor from now on."""
        av, y = self.separate(medical, drug)
        if av < best:
            self.floor = y
            return True, av
        return False, best

    def search_2016(self) -> None:
        medical, drug = self.plan["deductible_medical"], self.plan["deductible_drug"]
        a = medical
        if medical > 0:
            best, a, lowered = self.separate(medical, drug)[0], max(0.0, medical - 10), True
            while a > 0 and lowered:
                lowered, best = self.trial(best, a, drug)
                stopped_at = a - 990 if a >= 1000 else 0.0
                a = max(0.0, a - 10) if lowered else stopped_at
            self.trial(best, a, drug)
        if drug > 0:
            best, b, lowered = self.separate(a, drug)[0], max(0.0, drug - 10), True
            while b > 0 and lowered:
                lowered, best = self.trial(best, a, b)
                if lowered:
                    b = max(0.0, b - 10)
                    if b == 0:
                        self.trial(best, a, b)

    def search_2015(self) -> None:
        medical, drug = self.plan["deductible_medical"], self.plan["deductible_drug"]
        best, a = self.separate(medical, drug)[0], medical - 10
        while a > 0:
            lowered, best = self.trial(best, a, drug)
            a -= 10 if lowered else 990
        best, b = self.separate(medical, drug)[0], drug - 10
        while b > 0:
            lowered, best = self.trial(best, medical, b)
            b -= 10 if lowered else 990

    def value(self) -> float:
        if self.plan["deductible_type"] == "integrated":
            return self.integrated()
        self.floor = 0.0
        self.search_2015() if self.year == 2015 else self.search_2016()
        return self.separate(self.plan["deductible_medical"], self.plan["deductible_drug"])[0]


def early_value(plan: Plan, year: int) -> tuple[float, str]:
    """AV before it is rounded, and the metal of the tables used."""
    if "table_metal" in plan:
        return Early(plan, year, plan["table_metal"]).value(), plan["table_metal"]
    av = Early(plan, year, "platinum").value()
    metal = "platinum" if av > 0.85 else "gold" if av > 0.75 else "silver" if av > 0.65 else "bronze"
    return (av if metal == "platinum" else Early(plan, year, metal).value()), metal
