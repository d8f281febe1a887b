"""The slow twin of a rate filing: every step in fractions, a plain function each, written from the regulation's chain.

It knows nothing of formula tables, models or frames. A case is plain data:

assumptions  name -> text            settings  name -> value
plans        list of dicts of text   areas     list of dicts      mix  list of dicts     variants  list of dicts
state, market, plan_year
"""

from fractions import Fraction

import rating_oracle

CATEGORIES = (
    "inpatient_hospital", "outpatient_hospital", "professional", "other_medical", "capitation", "prescription_drug"
)  # fmt: skip
ONE, ZERO = Fraction(1), Fraction(0)


def number(text):
    return None if text in (None, "") else Fraction(str(text))


def over(above, below):
    return None if above is None or not below else above / below


def half_up(value, decimals):
    scaled = abs(value) * 10**decimals
    whole = scaled.numerator // scaled.denominator
    whole += (scaled - whole) * 2 >= 1
    return Fraction(whole if value >= 0 else -whole, 10**decimals)


class Twin:
    """The worked-out case: `market` (name -> value), `plans` (plan -> name -> value), `rates` (key -> cents)."""

    def __init__(self, case):
        self.case, self.settings = case, case["settings"]
        self.given = {name: number(text) for name, text in case["assumptions"].items() if name != "exchange_type"}
        self.rows = {row["plan_id"]: row for row in case["plans"]}
        self.offered = [p for p, row in self.rows.items() if row["plan_category"] != "terminated"]
        self.rules_of = self.settings.get("rules_of_state") or case["state"]
        self.market, self.plans, self.rates = {}, {plan: {} for plan in self.rows}, {}
        self.experience()
        self.membership()
        self.fee()
        self.index_rate()
        self.csr()
        self.calibration()
        self.plan_rates()
        self.rate_changes()
        self.consumer_rates()

    def setting(self, name, default):
        return self.settings.get(name, default)

    def of(self, plan, name):
        return number(self.rows[plan].get(name))

    # -------------------------------------------------------------------------------- worksheet 1

    def experience(self):
        months = self.given["exp_member_months"]
        for name in ("allowed_claims", "reinsurance", "incurred_claims", "risk_adjustment", "premium"):
            self.market[f"exp_{name}_pmpm"] = over(self.given.get(f"exp_{name}_total"), months)

    def index_rate(self):
        given = self.given
        total = trended = ZERO
        for category in CATEGORIES:
            base = given.get(f"ep_index_rate_{category}", ZERO)
            value = base
            if base:
                for year in "12":
                    for part in ("cost", "util"):
                        value *= given[f"trend_y{year}_{part}_{category}"]
            self.market[f"trended_ehb_{category}"] = value
            total, trended = total + base, trended + value
        self.market |= {"ep_index_rate_total": total, "trended_ehb_total": trended}
        adjusted = trended
        if trended:
            for part in ("morbidity", "demographic", "plan_design", "other"):
                adjusted *= given[f"adj_{part}"]
        z = given.get("credibility", ZERO)
        blend = z * adjusted + ((1 - z) * given["manual_ehb"] if z != 1 else ZERO)
        self.market |= {"adjusted_trended_ehb": adjusted, "projected_index_rate": blend}
        net = blend
        for name in ("proj_reinsurance", "proj_risk_adjustment"):
            allowed = given.get(name)
            if allowed is None:
                allowed = given[f"{name}_paid"] / given["paid_to_allowed_ratio"]
            self.market[name] = allowed
            net -= allowed
        fee = self.market.get("exchange_fee_pct")
        convention = self.setting("user_fee_convention", "gross_up")
        if convention == "gross_up":
            rate = net / (1 - fee)
        elif convention == "add_on":
            rate = net * (1 + fee)
        else:
            rate = net + given["exchange_fee_pmpm"]
        self.market["market_adjusted_index_rate"] = rate

    def fee(self):
        if self.setting("user_fee_convention", "gross_up") == "amount":
            return
        fee = self.given.get("exchange_fee_pct")
        if fee is None:
            fee = self.given["published_exchange_fee_pct"] * self.given["on_exchange_premium_share"]
        self.market["exchange_fee_pct"] = fee

    # -------------------------------------------------------------------------------- plans

    @staticmethod
    def months_of(case, row):
        """Projected member months of a plan: given, or of its enrollees and those who move into it."""
        months = number(row.get("proj_member_months_plan"))
        if months is not None:
            return months
        plan = row["plan_id"]
        into = [r for r in case["plans"] if r["plan_id"] == plan or r.get("crosswalk_plan_id") == plan]
        enrolled = [number(r.get("current_enrollment")) for r in into]
        return sum(e for e in enrolled if e is not None) * 12 * number(row["enrollment_change"])

    def membership(self):
        for plan in self.offered:
            self.plans[plan]["proj_member_months_plan"] = self.months_of(self.case, self.rows[plan])
        total = sum(self.plans[plan]["proj_member_months_plan"] for plan in self.offered)
        self.market["proj_member_months"] = self.given.get("proj_member_months", total)

    def csr(self):
        choice = self.setting("csr_load", "given")
        for plan in self.offered:
            self.plans[plan]["adj_csr_load"] = self.of(plan, "adj_csr_load") if choice == "given" else ONE
        if choice in ("given", "none"):
            return
        silver = [p for p in self.offered if self.rows[p]["metal_level"] == "silver"]
        if choice == "on_exchange_silver":
            silver = [p for p in silver if self.rows[p]["on_exchange"] == "yes"]
        load = self.given.get("csr_load")
        if load is None and silver:
            above = below = ZERO
            for plan in silver:
                rows = [row for row in self.case["variants"] if row["plan_id"] == plan]
                worth = {r["csr_variant"]: number(r["paid_to_allowed"]) * number(r["induced_demand"]) for r in rows}
                standard = worth["00"] if "00" in worth else worth["01"]
                for row in rows:
                    months = self.plans[plan]["proj_member_months_plan"] * number(row["share"])
                    above += months * worth[row["csr_variant"]]
                    below += months * standard
            load = half_up(above / below, self.setting("factor_decimals", 4))
        for plan in silver:
            self.plans[plan]["adj_csr_load"] = load

    def plan_rates(self):
        premium = months = shortfall = ZERO
        fee = self.market.get("exchange_fee_pct")
        for plan in self.offered:
            found = self.plans[plan]
            av = self.of(plan, "adj_av_cost_sharing")
            if av is None:
                av = self.of(plan, "av_pricing") * self.of(plan, "induced_demand")
            catastrophic = self.of(plan, "adj_catastrophic")
            factor = av * found["adj_csr_load"] * self.of(plan, "adj_network") * self.of(plan, "adj_non_ehb")
            factor *= ONE if catastrophic is None else catastrophic
            kept = sum(self.of(plan, name) for name in ("pct_admin", "pct_taxes_fees", "pct_profit_risk"))
            rate = self.market["market_adjusted_index_rate"] * factor / (1 - kept)
            found |= {"adj_av_cost_sharing": av, "plan_factor": factor, "retention": kept}
            found["plan_adjusted_index_rate"] = rate
            found["calibrated_plan_adjusted_index_rate"] = (
                rate * self.market["calib_age"] * self.market["calib_geo"] * self.market["calib_tobacco"]
            )
            found["proj_premium"] = rate * found["proj_member_months_plan"]
            premium, months = premium + found["proj_premium"], months + found["proj_member_months_plan"]
            convention = self.setting("user_fee_convention", "gross_up")
            if convention != "amount":
                # Of a premium of 1: what claims were to get less what fee and retention leave of it.
                claims = (1 - kept) * (1 - fee) if convention == "gross_up" else (1 - kept) / (1 + fee)
                shortfall += (claims - (1 - kept - fee)) * found["proj_premium"]
                found["fee_retention_shortfall"] = claims - (1 - kept - fee)
            self.loss_ratio(plan, found)
        for plan in self.rows.keys() - set(self.offered):
            self.plans[plan] |= {"plan_adjusted_index_rate": ZERO, "calibrated_plan_adjusted_index_rate": ZERO}
        self.market |= {"proj_premium_total": premium, "mean_premium_pmpm": over(premium, months)}
        if self.setting("user_fee_convention", "gross_up") != "amount":
            self.market["fee_retention_shortfall_total"] = shortfall

    def loss_ratio(self, plan, found):
        sign = 1 if self.setting("csr_sign", "plus") == "plus" else -1
        parts = [self.of(plan, f"proj_{n}") for n in ("allowed", "reinsurance_plan", "member_cost_sharing", "csr")]
        if None in parts:
            return
        incurred = parts[0] - parts[1] - parts[2] + sign * parts[3]
        transfer = self.of(plan, "proj_risk_adjustment_plan")
        found["proj_incurred"] = incurred
        found["proj_loss_ratio"] = over(incurred, found["proj_premium"] + transfer)

    # -------------------------------------------------------------------------------- calibration

    def tiers(self):
        if self.rules_of not in ("NY", "VT"):
            return None
        return rating_oracle.tiers(self.rules_of, self.case["market"])

    def mean(self, kind, factor_of, weight="member_months"):
        rows = [row for row in self.case["mix"] if row["kind"] == kind]
        above = sum(number(row[weight]) * factor_of(row) for row in rows)
        return above / sum(number(row["member_months"]) for row in rows)

    def calibration(self):
        curve = {
            age: Fraction(f)
            for age, f in rating_oracle.curve(self.rules_of, self.case["market"], self.case["plan_year"]).items()
        }
        tiers = self.tiers()
        area = {row["rating_area_id"]: number(row["area_factor"]) for row in self.case["areas"]}
        if tiers:
            mean = self.mean("tier", lambda row: Fraction(tiers[row["level"]]), "contract_months")
            found = {"mean_tier_factor": mean, "calib_age": 1 / mean}
        else:

            def of_age(row):
                if row["billable"] == "N":
                    return ZERO
                return curve[min(int(row["level"].rstrip("+").partition("-")[0]), 64)]

            mean = self.mean("age", of_age)
            found = {"mean_age_factor": mean, "calib_age": 1 / mean}
            if self.setting("calibration_method", "mean_factor") == "nearest_age":
                age = min(curve, key=lambda a: (abs(curve[a] - mean), a))
                found |= {"calibration_age": Fraction(age), "calib_age": 1 / curve[age]}
        mean = self.mean("area", lambda row: area[row["level"]])
        found |= {"mean_area_factor": mean, "calib_geo": 1 / mean, "mean_tobacco_factor": ONE, "calib_tobacco": ONE}
        if any(row["kind"] == "tobacco" for row in self.case["mix"]):
            mean = self.mean("tobacco", lambda row: number(row["factor"]) if row["level"] == "Y" else ONE)
            found |= {"mean_tobacco_factor": mean, "calib_tobacco": 1 / mean}
        for name in ("calib_age", "calib_geo", "calib_tobacco"):
            decimals = self.setting("calibration_decimals", None)
            value = found[name] if decimals is None else half_up(found[name], decimals)
            self.market[name] = self.given.get(name, value)
        self.market |= {name: value for name, value in found.items() if not name.startswith("calib_")}
        if "calibration_age" in found:
            self.market["calibration_age"] = found["calibration_age"]

    # -------------------------------------------------------------------------------- changes

    def rate_changes(self):
        definition = self.setting("rate_change_definition", "premium")
        weights = self.setting("rate_change_weight", "premium")
        renewing = [p for p in self.rows if self.rows[p]["plan_category"] == "renewing"]
        if weights == "premium":
            held = {
                "current_premium": ("current_enrollment", "current_premium_pmpm"),
                "experience_premium": ("exp_premium",),
            }
            full = [w for w, names in held.items() if all(self.of(p, n) is not None for p in renewing for n in names)]
            weights = full[0] if full else "projected_premium"
        total, change = {}, {}
        for plan in renewing:
            value = self.of(plan, "cumulative_rate_change")
            if value is None:
                value = self.change(plan, definition)
            weight = {
                "current_premium": lambda p: self.product(p, "current_enrollment", "current_premium_pmpm"),
                "experience_premium": lambda p: self.of(p, "exp_premium"),
                "projected_premium": lambda p: self.plans[p]["proj_premium"],
                "projected_member_months": lambda p: self.plans[p]["proj_member_months_plan"],
            }[weights](plan)
            self.plans[plan]["cumulative_rate_change"] = value
            if value is None or weight is None:
                continue  # a plan without a change takes no part in the mean
            self.plans[plan]["rate_change_weight"] = weight
            for group in ("", self.rows[plan].get("product_id") or plan[:10]):
                total[group] = total.get(group, ZERO) + weight
                change[group] = change.get(group, ZERO) + weight * value
        self.market["submission_rate_increase"] = over(change.get(""), total.get(""))
        self.products = {group: over(change.get(group), total[group]) for group in total if group}

    def product(self, plan, *names):
        values = [self.of(plan, name) for name in names]
        return None if None in values else values[0] * values[1]

    def change(self, plan, definition):
        after, before = {
            "premium": (self.of(plan, "renewal_premium_pmpm"), self.of(plan, "current_premium_pmpm")),
            "calibrated_rate": (
                self.plans[plan]["calibrated_plan_adjusted_index_rate"],
                self.of(plan, "current_calibrated_rate"),
            ),
            "plan_adjusted_index_rate": (
                self.plans[plan]["plan_adjusted_index_rate"],
                self.of(plan, "current_plan_adjusted_index_rate"),
            ),
        }[definition]
        return None if over(after, before) is None else over(after, before) - 1

    # -------------------------------------------------------------------------------- consumer rates

    def quarters(self):
        trend = self.given.get("quarterly_trend")
        if trend is None:
            return {1: ONE}
        powers = {quarter: trend ** (quarter - 1) for quarter in (1, 2, 3, 4)}
        if self.setting("quarterly_rate_basis", "first_quarter") == "first_quarter":
            return powers
        mean = sum(self.given[f"quarter_share_{quarter}"] * power for quarter, power in powers.items())
        return {quarter: power / mean for quarter, power in powers.items()}

    def consumer_rates(self):
        curve = rating_oracle.curve(self.rules_of, self.case["market"], self.case["plan_year"])
        tiers = self.tiers()
        bands = rating_oracle.bands(self.case["plan_year"])
        for plan in self.offered:
            base = self.plans[plan]["calibrated_plan_adjusted_index_rate"]
            ratio = self.of(plan, "tobacco_ratio")
            for row in self.case["areas"]:
                for quarter, trend in self.quarters().items():
                    there = base * trend * number(row["area_factor"])
                    key = (plan, row["rating_area_id"], quarter)
                    if tiers:
                        self.rates[*key, "family", "N"] = half_up(there, 2)
                        continue
                    for label, age in bands.items():
                        self.rates[*key, label, "N"] = half_up(there * Fraction(curve[age]), 2)
                        if ratio is not None and ratio != 1:
                            adult = 21 if self.case["plan_year"] >= 2020 else 18
                            loaded = there * Fraction(curve[age]) * (ratio if age >= adult else 1)
                            self.rates[*key, label, "Y"] = half_up(loaded, 2)
