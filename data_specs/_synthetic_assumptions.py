"""Assumptions behind the made-up market: fiction, not published figures.

Every number here was chosen so that the whole looks like an individual market in the United States. None is a figure of
any state, issuer or year, none may be quoted, and none describes how a market behaves: nobody here reacts to a price.
Published figures never stand here, they are tables. Nor do codes of payment conditions: a condition is drawn from the
benefit year's own crosswalk, and the prefixes below only narrow that down.

Weights are whole numbers and count in proportion to their sum.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Condition", "Drug"]

# ---- households ------------------------------------------------------------------------------------------------------
SUBSCRIBER_AGE_BANDS = ((18, 25), (26, 34), (35, 44), (45, 54), (55, 64), (65, 74))
SUBSCRIBER_AGE_WEIGHTS = (105, 190, 185, 230, 282, 8)
OLDEST = 79
HOUSEHOLD_KINDS = ((0, 0), (1, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5))  # spouse, children
HOUSEHOLD_WEIGHTS = (  # rows as SUBSCRIBER_AGE_BANDS
    (940, 30, 20, 0, 0, 10, 0, 0, 0, 0),
    (720, 110, 50, 25, 5, 50, 30, 10, 0, 0),
    (560, 110, 75, 50, 15, 70, 90, 22, 6, 2),
    (590, 170, 65, 30, 5, 75, 50, 11, 3, 1),
    (650, 290, 20, 0, 0, 35, 5, 0, 0, 0),
    (800, 200, 0, 0, 0, 0, 0, 0, 0, 0),
)
WOMEN_SHARE, GIRLS_SHARE, SAME_SEX_COUPLE_SHARE = 0.57, 0.488, 0.03
SPOUSE_AGE_GAP = 6
PARENT_AGE_MINIMUM, PARENT_AGE_MAXIMUM, OLDEST_CHILD = 19, 45, 25
MOTHER_AGES = (18, 45)
CATASTROPHIC_AGE_LIMIT = 30

# ---- coverage over the year ------------------------------------------------------------------------------------------
START_MONTH_WEIGHTS = (760, 70, 25, 18, 16, 16, 16, 16, 17, 16, 15, 15)
END_MONTH_WEIGHTS = (8, 12, 18, 16, 14, 14, 14, 14, 13, 13, 24, 840)
MID_MONTH_END_SHARE = 0.05
NO_CHANGE, VARIANT_CHANGE, PLAN_CHANGE, GAP = range(4)
CHANGES = (("none", 885), ("variant", 45), ("plan", 50), ("gap", 20))

# ---- health ----------------------------------------------------------------------------------------------------------
# A person's proneness multiplies every rate below, so that illnesses come together; its mean is 1.
PRONENESS = (0.25, 0.7, 1.3, 4.3)
PRONENESS_WEIGHTS = (40, 30, 20, 10)
# The mix of health differs between levels: a constant of this fiction, as METALS of the plans.
METAL_RATE = (1.9, 1.5, 1.25, 0.85, 0.9, 0.9)
# Share of a year's chance to be found that remains with very short coverage; lasting conditions come up sooner.
FOUND_AT_ONCE_LASTING = 0.3

RATE_AGES = (2, 10, 21, 35, 45, 55, 65)  # the groups 0-1, 2-9, 10-20, 21-34, 35-44, 45-54, 55-64 and 65+

# Visits in a full year: twenty equally likely numbers for each age group, for people of proneness below 1 and above.
VISIT_AGES = (2, 10, 21, 45)
_VISITS = """
2 3 4 4 5 5 6 6 6 7 7 8 8 9 9 10 10 11 12 14 | 4 5 6 6 7 7 8 8 9 9 10 10 11 12 13 14 15 17 20 26
0 0 0 1 1 1 1 1 1 2 2 2 2 2 3 3 3 4 5 6 | 0 1 1 2 2 2 3 3 3 4 4 4 5 5 6 6 7 8 10 14
0 0 0 0 1 1 1 1 1 1 1 2 2 2 2 3 3 4 5 7 | 0 0 1 1 2 2 2 3 3 3 4 4 5 5 6 7 8 9 12 18
0 0 0 0 1 1 1 1 1 2 2 2 2 3 3 3 4 5 6 8 | 0 0 1 2 2 3 3 4 4 4 5 5 6 7 8 9 10 12 15 22
0 0 0 1 1 1 2 2 2 3 3 3 4 4 4 5 6 7 8 11 | 0 1 2 3 3 4 4 5 5 6 6 7 8 9 10 11 13 15 18 26
"""
VISITS = tuple(tuple(tuple(map(int, half.split())) for half in line.split("|")) for line in _VISITS.split("\n")[1:-1])
SECOND_CODE_SHARE, THIRD_CODE_SHARE = 0.5, 0.12  # visits with a second everyday code, and with a third
VISITS_PER_RECORD = 1 / 3  # further visits that the most records of a condition bring
USUAL_CODE_SHARE = 0.4  # everyday codes that repeat the person's usual complaint


@dataclass(frozen=True, slots=True)
class Drug:
    """A drug class that goes with a condition, by its name in the drug tables."""

    name: str
    share: float  # of the people with the condition
    administered: float = 0.0  # share of the takers who get it from a professional (HCPCS), where it has such a code


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition, or a group of conditions, and how often this fiction lets it happen."""

    name: str
    ccs: tuple[str, ...]  # condition categories, in the naming of any year; those a year does not have are passed over
    prefixes: tuple[str, ...]  # narrow the codes of those categories down; none means all
    per_100k: tuple[int, ...]  # people with the condition in 100,000, by RATE_AGES
    men: float  # multiplies the rate
    women: float
    lasting: bool
    records: tuple[int, int]  # fewest and most diagnosis records in a full year
    cost: int  # thousand dollars that a full year of it costs on average, or one case where it is brief
    drugs: tuple[Drug, ...]


# name | categories | code prefixes | people in 100,000 by RATE_AGES | men women | kind records cost | drugs: see Drug
_CONDITIONS = """
hiv | 1 |  | 0 2 15 580 660 730 580 210 | 1.7 0.3 | lasting 6-18 28 | RXC_01 0.85 0.03
sepsis | 2 | A40 A41 | 60 15 25 125 195 330 590 840 | 1 1 | brief 1-4 45
central nervous system infection | 3 4 |  | 15 8 9 25 25 30 30 40 | 1 1 | brief 1-4 50
opportunistic infection | 6 |  | 8 4 8 55 90 130 195 230 | 1 1 | lasting 6-18 40
metastatic cancer | 8 | C77 C78 C79 | 0 2 4 40 125 300 660 910 | 1 1 | lasting 10-29 140
severe cancer | 9 | C15 C22 C25 C34 C71 C92 | 4 12 14 30 90 280 700 1050 | 1 1 | lasting 10-29 110
lymphoma | 10 | C82 C83 C85 C90 | 2 10 25 90 130 250 500 660 | 1 1 | lasting 8-25 90
colorectal or kidney cancer | 11 | C18 C19 C20 C64 | 2 4 5 45 150 390 650 890 | 1 1 | lasting 8-25 55
breast cancer | 11 12 | C50 | 0 0 0 55 560 1500 2250 2950 | 0.01 1 | lasting 6-22 38
prostate cancer | 12 | C61 | 0 0 0 0 25 520 2500 4200 | 1 0 | lasting 5-14 22
thyroid cancer or melanoma | 13 | C43 C73 | 0 3 12 195 370 540 710 910 | 1 1 | lasting 3-11 15
type 1 diabetes | 19 20 21 22 | E10 | 5 120 300 730 800 890 890 660 | 1 1 | lasting 6-18 16 | RXC_06 0.95
complicated diabetes | 20 | E11 | 0 0 15 590 2300 5800 10000 12600 | 1.1 0.9 | lasting 8-22 14 | RXC_06 0.4, RXC_07 0.6
type 2 diabetes | 21 | E11 | 0 5 60 1350 3650 7500 11700 14300 | 1.1 0.9 | lasting 6-18 7 | RXC_06 0.1, RXC_07 0.5
malnutrition | 23 |  | 12 5 6 20 40 85 165 280 | 1 1 | lasting 6-18 45
lysosomal storage disorder | 26 27 |  | 3 3 3 4 4 4 4 4 | 1 1 | lasting 6-18 450
congenital metabolic disorder | 28 |  | 40 30 20 0 0 0 0 0 | 1 1 | lasting 6-18 40
amyloidosis or porphyria | 29 |  | 3 3 4 20 30 55 85 95 | 1 1 | lasting 6-18 90
endocrine disorder | 30 |  | 20 40 60 195 250 300 330 350 | 1 1 | lasting 6-18 14
liver transplant | 34 |  | 2 3 3 5 9 20 55 60 | 1 1 | lasting 6-18 95
liver failure | 35 35_1 35_2 38 |  | 5 2 3 25 75 185 350 400 | 1 1 | lasting 6-18 55
cirrhosis | 36 |  | 0 1 2 55 175 440 760 790 | 1 1 | lasting 6-18 22
hepatitis C | 37_1 |  | 0 1 4 210 310 370 640 510 | 1.3 0.7 | lasting 6-18 18 | RXC_02 0.1
other chronic hepatitis | 37_2 |  | 0 2 6 155 300 370 390 350 | 1 1 | lasting 6-18 6
inflammatory bowel disease | 48 |  | 0 15 120 590 700 690 650 590 | 1 1 | lasting 6-18 38 | RXC_05 0.4, RXC_09 0.28 0.4
acute pancreatitis | 47 |  | 2 4 15 120 155 195 210 230 | 1 1 | brief 1-4 24
chronic pancreatitis | 46 |  | 0 1 4 55 95 140 175 175 | 1 1 | lasting 6-18 22
intestinal obstruction | 45 | K56 | 20 8 10 60 95 155 250 370 | 1 1 | brief 1-4 28
peritonitis | 42 |  | 8 10 16 45 60 75 110 140 | 1 1 | brief 1-4 40
bone or soft tissue infection | 54 55 | M00 M86 M726 | 8 15 15 60 125 230 330 400 | 1 1 | brief 1-4 40
rheumatism | 56 | M05 M06 M45 L405 | 1 25 60 540 1100 1950 2800 2950 | 0.6 1.35 | lasting 6-18 26 | RXC_09 0.3 0.25
lupus | 57 | M32 M35 | 1 8 40 280 440 540 560 520 | 0.3 1.6 | lasting 6-18 14 | RXC_09 0.03 0.3
skeletal or connective tissue disorder | 61 62 |  | 30 40 60 30 25 25 25 25 | 1 1 | lasting 6-18 16
cleft lip or palate | 63 |  | 120 50 20 5 4 4 1 1 | 1 1 | lasting 6-18 14
hemophilia | 66 |  | 12 12 10 9 6 5 4 4 | 1 0 | lasting 6-18 420
aplastic or hemolytic anemia | 67 68 69 |  | 15 8 10 30 40 65 125 185 | 1 1 | lasting 6-18 70
sickle cell disorder | 70 71 |  | 60 60 55 75 55 30 18 9 | 1 1 | lasting 6-18 40
immune disorder | 73 74 |  | 40 50 50 150 210 310 410 460 | 1 1 | lasting 6-18 45
coagulation defect | 75 | D68 D69 | 60 40 60 280 370 450 540 600 | 1 1 | lasting 6-18 15
drug use disorder | 81 82 | F11 F14 F15 F19 | 0 0 120 1500 1400 980 690 250 | 1.25 0.75 | lasting 5-22 14
alcohol use disorder | 83 84 | F10 | 0 0 60 980 1300 1350 1250 650 | 1.35 0.7 | lasting 3-16 13
schizophrenia | 87 87_1 | F20 F25 | 0 2 30 310 370 400 390 250 | 1 1 | lasting 6-18 18
other psychosis | 87_2 89 |  | 0 3 40 130 120 95 95 95 | 1 1 | lasting 6-18 15
severe depression or bipolar | 88 | F31 F322 F332 | 0 60 850 3200 3200 2950 2500 1300 | 0.8 1.2 | lasting 5-22 9
personality disorder | 90 |  | 0 2 60 310 250 185 120 55 | 0.6 1.4 | lasting 6-18 10
eating disorder | 94 |  | 0 5 160 230 120 65 30 15 | 0.2 1.75 | lasting 6-18 16
chromosomal anomaly | 96 97 |  | 120 90 60 30 18 14 11 6 | 1 1 | lasting 6-18 16
autism | 102 103 | F84 | 30 1500 1100 350 90 30 14 5 | 1.6 0.4 | lasting 6-29 18
spinal cord disorder | 106 107 108 109 110 |  | 10 10 14 65 90 155 230 280 | 1 1 | lasting 6-18 26
anterior horn cell disease | 111 |  | 1 1 1 4 6 14 25 30 | 1 1 | lasting 6-18 45
cerebral palsy | 112 113 | G80 | 60 140 120 105 60 45 25 18 | 1 1 | lasting 6-18 22
brain or spine anomaly | 114 |  | 70 40 35 45 30 25 20 18 | 1 1 | lasting 6-18 18
neuromuscular inflammation | 115 |  | 2 3 6 45 90 165 280 370 | 1 1 | lasting 6-18 38
muscular dystrophy | 117 |  | 10 15 20 25 25 25 25 18 | 1 1 | lasting 6-18 45
multiple sclerosis | 118 |  | 0 1 6 210 440 520 500 350 | 0.5 1.4 | lasting 6-18 75 | RXC_08 0.6 0.35
neurodegenerative disease | 119 |  | 10 10 8 18 30 70 200 400 | 1 1 | lasting 6-18 24
seizure disorder | 120 | G40 R56 | 250 430 520 980 980 1050 1150 1150 | 1 1 | lasting 6-18 12
hydrocephalus | 121 |  | 50 22 12 18 20 25 30 55 | 1 1 | lasting 6-18 38
brain compression or coma | 122 |  | 10 6 7 18 25 40 70 105 | 1 1 | brief 1-4 75
narcolepsy | 123 |  | 0 1 25 125 125 105 90 55 | 1 1 | lasting 6-18 18
respirator dependence | 125 |  | 12 7 5 6 12 20 30 55 | 1 1 | lasting 6-18 160
respiratory failure | 126 127 | J96 R57 P22 P28 | 300 35 25 95 175 350 640 910 | 1 1 | brief 1-4 60
heart transplant or assist device | 128 129 |  | 4 4 4 5 9 18 30 25 | 1 1 | lasting 6-18 180
heart failure | 130 | I50 I42 I11 | 35 10 12 175 540 1400 2900 4550 | 1.2 0.8 | lasting 6-22 22
heart attack | 131 |  | 0 1 2 30 155 400 690 910 | 1.4 0.65 | brief 1-4 45
unstable angina | 132 |  | 0 0 1 18 70 175 280 370 | 1.3 0.75 | brief 1-4 25
heart infection | 135 |  | 5 4 7 30 40 60 75 95 | 1 1 | brief 1-4 70
congenital heart disorder | 137 138 139 | Q2 | 1400 300 180 155 105 90 75 70 | 1 1 | lasting 6-18 14
heart arrhythmia | 142 | I47 I48 I49 | 60 25 40 250 500 1150 2650 4900 | 1.25 0.8 | lasting 6-18 14 | RXC_03 0.3 0.03
intracranial hemorrhage | 145 |  | 22 4 5 19 40 85 140 210 | 1 1 | brief 1-4 85
stroke | 146 | I63 | 15 4 5 60 165 400 700 1050 | 1 1 | brief 1-4 40
cerebral aneurysm | 149 |  | 8 8 10 40 75 160 250 280 | 1 1 | lasting 6-18 22
paralysis of limbs | 150 151 | G81 G83 I69 | 15 25 20 55 90 185 310 410 | 1 1 | lasting 6-18 40
limb ischemia with ulcer | 153 |  | 0 0 1 14 40 110 210 310 | 1 1 | lasting 6-18 40
vascular complication | 154 |  | 8 4 5 30 65 140 270 410 | 1 1 | lasting 6-18 38
embolism or deep vein thrombosis | 156 | I26 I82 | 12 4 16 185 310 430 590 770 | 1 1 | lasting 3-14 20
lung transplant | 158 |  | 1 1 1 4 4 6 12 12 | 1 1 | lasting 6-18 220
cystic fibrosis | 159 |  | 25 30 28 25 14 9 5 4 | 1 1 | lasting 6-18 210 | RXC_10 0.5
chronic obstructive lung disease | 160 | J43 J44 J47 | 0 5 8 175 600 2300 5550 8200 | 1 1 | lasting 6-18 9
severe asthma | 161 161_1 | J455 | 5 60 60 125 155 195 210 210 | 1 1 | lasting 6-18 18
asthma | 161 161_2 | J452 J453 J454 J459 | 150 3400 3100 3650 3650 3850 4000 3500 | 0.8 1.15 | lasting 2-9 4
lung fibrosis | 162 |  | 20 8 8 40 95 195 330 540 | 1 1 | lasting 6-18 28
severe lung infection | 163 |  | 28 9 7 19 30 70 125 210 | 1 1 | brief 1-4 45
wet macular degeneration | 174 |  | 0 0 0 0 4 18 70 410 | 1 1 | lasting 6-18 14
kidney transplant | 183 |  | 2 4 8 40 75 125 155 125 | 1 1 | lasting 6-18 45
end-stage renal disease | 184 |  | 2 3 5 45 105 195 280 370 | 1.2 0.8 | lasting 13-43 130 | RXC_04 0.4 0.25
severe kidney disease | 187 188 | N184 N185 I120 | 0 3 5 45 125 280 510 760 | 1 1 | lasting 6-18 22 | RXC_04 0.03
ectopic pregnancy | 203 |  | 0 0 15 210 125 4 0 0 | 0 1 | brief 1-4 14
miscarriage | 204 205 |  | 0 0 60 1250 790 18 0 0 | 0 1 | brief 1-4 5
pregnancy with major complications | 210 |  | 0 0 40 840 460 9 0 0 | 0 1 | brief 1-4 12
pregnancy with complications | 211 |  | 0 0 60 1200 650 9 0 0 | 0 1 | brief 1-4 8
pregnancy | 212 |  | 0 0 130 3850 1650 18 0 0 | 0 1 | brief 1-4 6
delivery | 207 208 209 | O70 O80 O82 Z37 | 0 0 50 1500 510 4 0 0 | 0 1 | brief 1-4 17
skin ulcer | 217 |  | 4 6 12 140 300 650 1100 1400 | 1 1 | lasting 6-18 28
severe burn | 218 219 |  | 10 7 7 15 15 15 15 15 | 1 1 | brief 1-4 70
severe head injury | 223 |  | 7 6 7 14 12 14 18 20 | 1 1 | brief 1-4 60
hip or pelvic fracture | 226 |  | 14 10 13 25 40 85 185 410 | 1 1 | brief 1-4 38
vertebral fracture | 227 228 |  | 2 4 22 70 90 130 220 380 | 1 1 | brief 1-4 26
amputation | 234 254 |  | 3 4 5 25 65 165 330 450 | 1 1 | lasting 6-18 50
stem cell transplant | 251 |  | 3 7 7 12 14 25 40 30 | 1 1 | lasting 6-18 250
artificial opening | 253 |  | 45 14 11 40 70 140 250 330 | 1 1 | lasting 6-18 45
congenital anomaly of the digestive tract | 64 |  | 80 0 0 0 0 0 0 0 | 1 1 | lasting 6-18 50
weight or glucose treatment without a diagnosis |  |  | 0 0 10 600 1250 1550 1400 890 | 1 1 | lasting 6-18 8 | RXC_07 1
prevention of HIV |  |  | 0 0 40 960 600 350 140 18 | 1.9 0.1 | lasting 6-18 12 | ACF_PREP 1 0.05
"""


def _condition(line: str) -> Condition:
    name, ccs, prefixes, rates, sexes, course, drugs = ([part.strip() for part in line.split("|")] + [""])[:7]
    men, women = map(float, sexes.split())
    kind, records, cost = course.split()
    low, high = map(int, records.split("-"))
    taken = tuple(Drug(name, *map(float, shares)) for name, *shares in map(str.split, filter(None, drugs.split(","))))
    by_age = tuple(map(int, rates.split()))
    return Condition(
        name=name,
        ccs=tuple(ccs.split()),
        prefixes=tuple(prefixes.split()),
        per_100k=by_age,
        men=men,
        women=women,
        lasting=kind == "lasting",
        records=(low, high),
        cost=int(cost),
        drugs=taken,
    )


CONDITIONS = tuple(_condition(line) for line in _CONDITIONS.split("\n")[1:-1])

# ---- births ----------------------------------------------------------------------------------------------------------
DELIVERY_CCS, DELIVERY_WEIGHTS = ("207", "208", "209"), (150, 270, 580)
PREGNANCY_CCS, PREGNANCY_WEIGHTS = ("210", "211", "212"), (150, 250, 600)
PREGNANCY_DAYS_BEFORE = (28, 70, 130, 190)
NEWBORN_CCS = ("242", "243", "244", "245", "246", "247", "248", "249")
NEWBORN_WEIGHTS = (1, 2, 4, 8, 12, 25, 33, 915)
TWIN_CCS, TWIN_PREFIXES = ("248",), ("Z383",)
NEWBORN_RECORD_SHARE = 0.96  # the rest are billed on the mother's claim alone

# ---- everyday diagnoses ----------------------------------------------------------------------------------------------
EVERYDAY_AGES = (1, 2, 6, 13, 18, 30, 45, 60)
# Codes of ICD-10-CM that lead to no payment condition (one that does in some year is left out then), the only sex
# they are for, and their weights at ages 0, 1, 2-5, 6-12, 13-17, 18-29, 30-44, 45-59 and 60+.
_EVERYDAY = """
Z00129 - 60 50 40 30 22 0 0 0 0
Z00121 - 12 12 10 8 6 0 0 0 0
Z0000 - 0 0 0 0 0 30 32 34 34
Z0001 - 0 0 0 0 0 6 9 12 14
Z23 - 40 35 28 18 14 10 10 14 20
Z00111 - 10 0 0 0 0 0 0 0 0
P599 - 6 0 0 0 0 0 0 0 0
P929 - 6 0 0 0 0 0 0 0 0
L22 - 8 5 1 0 0 0 0 0 0
R6812 - 6 2 0 0 0 0 0 0 0
B084 - 1 5 4 1 0 0 0 0 0
J219 - 8 5 1 0 0 0 0 0 0
J050 - 3 5 3 1 0 0 0 0 0
H6690 - 10 18 14 6 2 1 1 1 1
H6693 - 5 9 7 2 1 0 0 0 0
F809 - 0 3 8 3 0 0 0 0 0
R620 - 3 4 3 1 0 0 0 0 0
Z025 - 0 0 0 8 10 1 0 0 0
J069 - 18 18 18 14 12 14 12 10 8
J029 - 2 5 10 12 10 10 8 5 3
J0190 - 0 1 3 5 6 9 10 9 7
J209 - 4 3 3 3 3 6 7 8 9
J309 - 1 2 6 9 9 8 9 9 8
J302 - 0 1 4 6 5 4 4 4 3
J0390 - 0 2 4 4 3 3 2 1 0
B349 - 8 9 9 7 5 4 3 2 2
A084 - 4 5 5 4 3 3 2 2 1
K529 - 3 3 3 3 3 5 5 5 5
R509 - 9 9 8 5 3 3 2 2 2
R0602 - 1 1 1 2 2 4 6 8 10
L209 - 5 6 6 4 3 2 2 1 1
L309 - 3 3 4 4 4 4 4 4 5
L700 - 0 0 0 2 14 10 3 1 0
R21 - 5 5 5 4 3 4 4 4 4
B079 - 0 0 2 6 5 3 2 2 1
F902 - 0 0 2 12 12 8 4 1 0
F909 - 0 0 1 6 7 5 3 1 0
F4323 - 0 0 1 3 6 9 9 7 5
F411 - 0 0 0 3 9 16 16 13 9
F419 - 0 0 1 4 10 16 16 14 11
F329 - 0 0 0 1 6 10 11 11 9
F4310 - 0 0 0 1 2 4 5 4 3
F17210 - 0 0 0 0 1 6 9 12 11
S93401A - 0 0 1 5 7 5 4 3 3
S0990XA - 2 4 4 3 3 2 1 1 2
S0181XA - 1 4 4 2 1 1 1 1 1
S52501A - 0 0 1 2 1 1 1 1 2
S60221A - 0 0 1 2 2 1 1 1 1
H5213 - 0 0 1 8 9 7 6 4 3
H524 - 0 0 0 0 0 0 3 14 15
Z0100 - 0 0 2 6 6 5 5 6 6
H2513 - 0 0 0 0 0 0 0 3 14
H40013 - 0 0 0 0 0 0 1 3 6
H109 - 4 5 5 3 2 2 2 2 2
H9190 - 0 0 1 1 1 1 1 3 6
I10 - 0 0 0 0 1 10 35 80 115
E785 - 0 0 0 0 1 6 25 60 85
E782 - 0 0 0 0 0 2 9 22 30
E7800 - 0 0 0 0 0 2 6 14 18
E669 - 0 0 1 4 7 12 18 20 18
R7303 - 0 0 0 1 2 5 14 26 30
R739 - 0 0 0 0 1 2 4 6 8
E559 - 0 0 1 2 5 10 14 18 18
E039 - 0 0 0 1 2 6 14 22 26
E538 - 0 0 0 0 1 3 5 7 8
E042 - 0 0 0 0 0 1 3 5 6
D509 - 1 2 1 1 3 5 7 6 4
D649 - 1 1 1 1 2 3 4 5 6
G4733 - 0 0 1 1 1 4 12 20 22
G4700 - 0 0 0 1 3 7 10 12 12
G43909 - 0 0 0 2 5 9 11 8 4
G5601 - 0 0 0 0 0 1 4 6 5
I2510 - 0 0 0 0 0 0 3 12 26
I8390 - 0 0 0 0 0 1 3 4 5
R002 - 0 0 0 1 2 4 5 6 6
R079 - 0 0 1 2 3 7 9 10 9
R0789 - 0 0 0 1 2 4 5 6 6
R9431 - 0 0 0 1 1 2 3 5 7
K219 - 5 2 1 2 3 9 18 26 30
K5900 - 4 5 7 5 4 4 5 6 7
K589 - 0 0 0 0 1 4 5 4 3
K760 - 0 0 0 0 1 2 6 9 9
K635 - 0 0 0 0 0 1 4 12 14
K649 - 0 0 0 0 0 3 6 6 5
R109 - 1 1 4 6 6 11 11 10 9
R1013 - 0 0 1 2 3 5 5 5 4
R112 - 2 3 4 4 4 5 4 3 3
R197 - 3 3 2 2 2 3 3 4 4
R42 - 0 0 0 1 2 4 5 6 8
R5383 - 0 0 0 1 3 8 12 14 13
R531 - 0 0 0 0 0 1 2 3 5
R635 - 0 0 0 1 1 2 4 4 2
R7989 - 0 0 0 1 1 2 4 6 7
M542 - 0 0 0 0 2 7 14 17 15
M549 - 0 0 0 0 2 7 11 12 11
M546 - 0 0 0 0 1 4 6 6 5
M47816 - 0 0 0 0 0 1 4 10 14
M5126 - 0 0 0 0 0 1 4 5 4
M25561 - 0 0 0 2 4 4 6 10 12
M25562 - 0 0 0 2 4 4 6 10 12
M25511 - 0 0 0 1 1 3 6 11 11
M1711 - 0 0 0 0 0 0 1 9 18
M1990 - 0 0 0 0 0 1 3 9 15
M722 - 0 0 0 0 1 2 5 7 5
M7711 - 0 0 0 0 0 1 3 4 2
M7541 - 0 0 0 0 0 1 2 4 4
L570 - 0 0 0 0 0 0 2 8 18
L821 - 0 0 0 0 0 1 4 10 14
D225 - 0 0 0 1 2 5 7 7 6
L918 - 0 0 0 0 0 1 3 4 4
B351 - 0 0 0 0 1 2 3 5 7
L0390 - 1 1 2 2 2 3 4 5 6
N390 F 1 2 3 2 3 10 10 10 12
R300 - 0 1 1 1 2 5 5 5 5
N200 - 0 0 0 0 1 3 5 7 7
R310 - 0 0 0 0 0 1 2 3 4
Z01419 F 0 0 0 0 3 34 34 28 16
Z3009 F 0 0 0 0 5 14 7 1 0
Z30430 F 0 0 0 0 1 5 4 1 0
Z113 - 0 0 0 0 4 12 6 2 1
N760 F 0 0 0 1 3 10 8 4 2
N920 F 0 0 0 0 3 6 9 7 0
N926 F 0 0 0 0 5 8 6 3 0
N946 F 0 0 0 0 4 5 3 1 0
N951 F 0 0 0 0 0 0 2 18 10
Z1231 F 0 0 0 0 0 0 10 48 50
M810 F 0 0 0 0 0 0 0 4 14
R928 F 0 0 0 0 0 1 3 7 6
N401 M 0 0 0 0 0 0 1 10 26
N529 M 0 0 0 0 0 2 6 14 14
M109 M 0 0 0 0 0 1 4 8 10
Z1211 - 0 0 0 0 0 0 2 30 28
Z87891 - 0 0 0 0 0 1 4 9 14
Z6830 - 0 0 0 0 0 3 5 6 6
Z713 - 1 1 2 3 3 3 4 4 4
Z01818 - 0 0 1 1 1 2 3 6 8
"""


def _everyday(line: str) -> tuple[str, str, tuple[int, ...]]:
    code, sex, *weights = line.split()
    return code, sex, tuple(map(int, weights))


EVERYDAY_CODES = tuple(_everyday(line) for line in _EVERYDAY.split("\n")[1:-1])

# ---- everyday drugs --------------------------------------------------------------------------------------------------
# Labeler 00000 does not exist: these stand for the many drugs that lead to no drug category.
EVERYDAY_NDCS = tuple(f"00000{product:04d}01" for product in range(1, 61))
EVERYDAY_NDC_WEIGHTS = tuple(1 + 240 // (place + 3) for place in range(60))
EVERYDAY_DRUG_AGES = (18, 35, 50)
EVERYDAY_COURSES = (  # courses a year, ten equally likely numbers per row of EVERYDAY_DRUG_AGES
    (0, 0, 0, 0, 0, 1, 1, 1, 1, 2),
    (0, 0, 0, 0, 1, 1, 1, 1, 2, 3),
    (0, 0, 0, 1, 1, 1, 1, 2, 2, 4),
    (0, 0, 1, 1, 1, 2, 2, 3, 4, 5),
)
EVERYDAY_FILLS = 4  # most fills of one course
KEPT_UP_SHARE = 0.6  # takers of a lasting treatment who never miss a fill
FILL_STEPS, FILL_STEP_WEIGHTS = (30, 90), (600, 400)  # days from one fill to the next
ADMINISTERED_STEPS, ADMINISTERED_STEP_WEIGHTS = (28, 56), (500, 500)
