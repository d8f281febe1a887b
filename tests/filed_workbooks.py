"""Workbooks as they are filed: made by hand in the shape of template v8.2, with what such files have in them.

Computed cells saved as errors or as currency text, dates as day numbers,
calibration factors in the first plan's column only, an empty column between plans, instructions in the margin.
"""

import xlsxwriter

PLANS = ("12345OR0600007", "12345OR0600008", "12345OR0610001")
COLUMNS = (4, 5, 7)  # E, F and H: a plan was taken out of G
ERROR = "#VALUE!"
# By hand: the categories trended add to 549.88; less 25, over 1 - 0.02, that is 535.59. Plan 1: 535.59 x 1.878 x 1.01 /
# 0.81 = 1254.19, and 1254.19 x 0.5730 x 1.0128 x 0.9932 = 722.90 was filed so.
CATEGORIES = {
    "Inpatient Hospital": (100, 1.05, 1, 1.05, 1, 110.25),
    "Outpatient Hospital": (100, 1, 1, 1, 1, 100),
    "Professional": ("$150.00", 1.1, 1, 1, 1, "$165.00"),
    "Other Medical": (50, 1, 1, 1, 1, 50),
    "Capitation": (0, None, None, None, None, 0),
    "Prescription Drug": (100, 1.1, 1.0, 1.1, 1.03, 124.63),
}
LINES = {  # number -> label, values of the three plans
    "1.1": ("Product Name", "Copper", None, "Zinc"),
    "1.2": ("Product ID", "12345OR060", "12345OR060", "12345OR061"),
    "1.3": ("Plan Name", "Copper 6000", "Copper 3000", "Zinc 1"),
    "1.4": ("Plan ID (Standard Component ID)", *PLANS),
    "1.5": ("Metal", "Bronze", "Silver", "Expanded Bronze"),
    "1.6": ("AV Metal Value", "64.1%", 0.7012, 0),
    "1.7": ("Plan Category", "Renewing", "New", "Terminated"),
    "1.8": ("Plan Type", "EPO", "EPO", "PPO"),
    "1.9": ("Exchange Plan?", "Yes", "No", "Yes"),
    "1.10": ("Effective Date of Proposed Rates", 46388, 46388, 46388),
    "1.11": ("Cumulative Rate Change % (over 12 mos prior)", 0.1425, 0, 0),
    "1.12": ("Product Rate Increase %", ERROR, ERROR, ERROR),
    "1.13": ("Submission Level Rate Increase %", ERROR, None, None),
    "II": ("Section II: Experience Period and Current Plan Level Information", None, None, None),
    "2.1": ("Plan Adjusted Index Rate", "$0.00", "$0.00", "$0.00"),
    "2.2": ("Allowed Claims", "$1,000,000", 0, 500000),
    "2.3": ("Reinsurance", 0, 0, 0),
    "2.4": ("Member Cost Sharing", 200000, 0, 100000),
    "2.5": ("Cost Sharing Reduction", 0, 0, 0),
    "2.8": ("Incurred Claims", ERROR, ERROR, ERROR),
    "2.9": ("Risk Adjustment Transfer Amount", "($50,000)", 0, 10000),
    "2.10": ("Premium", 1200000, 0, 400000),
    "2.11": ("Experience Period Member Months", 2000, 0, 1000),
    "2.12": ("Current Enrollment", 170, 0, 80),
    "2.13": ("Current Premium PMPM", "$610.50", None, 480),
    "2.14": ("Loss Ratio", "69.57%", ERROR, 0.9756),
    "2.15": ("Per Member Per Month", None, None, None),
    "2.16": ("Allowed Claims", ERROR, ERROR, ERROR),
    "2.17": ("Reinsurance", ERROR, ERROR, ERROR),
    "2.23": ("Premium", "$600.00", ERROR, "$400.00"),
    "III": ("Section III: Plan Adjustment Factors", None, None, None),
    "3.2": ("Market Adjusted Index Rate", ERROR, ERROR, ERROR),
    "3.3": ("AV and Cost Sharing Design of Plan", 1.878, 0.7487, None),
    "3.4": ("CSR Load", 1, 1, None),
    "3.5": ("Provider Network Adjustment", 1, 1, None),
    "3.6": ("Benefits in Addition to EHB", 1.01, 1.01, None),
    "3.7": ("Administrative Expense", "14.0%", "14.0%", None),
    "3.8": ("Taxes and Fees", 0.03, 0.03, None),
    "3.9": ("Profit & Risk Load", 0.02, 0.02, None),
    "3.10": ("Catastrophic Adjustment", None, 1, None),
    "3.11": ("Plan Adjusted Index Rate", "$1,254.19", "$500.00", 0),
    "3.12": ("Age Calibration Factor", 0.573, None, None),
    "3.13": ("Geographic Calibration Factor", 1.0128, None, None),
    "3.14": ("Tobacco Calibration Factor", 0.9932, None, None),
    "3.15": ("Calibrated Plan Adjusted Index Rate", "$722.90", "$288.19", 0),
    "IV": ("Section IV: Projected Plan Level Information", None, None, None),
    "4.2": ("Allowed Claims", 900000, 300000, 0),
    "4.10": ("Premium", "$1,254,190", 250000, 0),
    "4.11": ("Projected Member Months", "1,000", 500, 0),
}
AREAS = {"Rating Area 1": 1.05, "Rating Area 2": "0.95", "Rating Area 3": None}


def write_filed(path, *, lines=None, market=None, version="v8.2", tabs=None, areas=None, numbers="text"):
    """Write such a workbook.

    `lines` replaces lines of worksheet 2 by number (None takes one out); `market` entries of worksheet 1 by label;
    `numbers`: whether the numbers of lines are written as text or as numbers.
    """
    tabs = tabs or ("Wksh 1 - Market Experience", "Wksh 2 - Plan Product Info", "Wksh 3 - Rating Areas")
    book = xlsxwriter.Workbook(path, {"strings_to_formulas": False})
    first, second, third = (book.add_worksheet(tab) if tab else None for tab in tabs)
    if first is not None:
        _market(book, first, version, market or {})
    if second is not None:
        _plans(second, {**LINES, **(lines or {})}, numbers)
    for row, (area, factor) in enumerate((AREAS if areas is None else areas).items(), 2):
        if third is not None:
            third.write(row, 0, area)
            _put(third, row, 1, factor)
    book.add_worksheet("Instructions").hide()
    book.close()


def _put(sheet, row, column, value):
    """Write a value; an error as the result of a formula that was not calculated, currency as that of one that was."""
    if value is None:
        return
    if value == ERROR:
        sheet.write_formula(row, column, "=NotThere()", None, ERROR)
    elif isinstance(value, str) and value.startswith(("$", "($")):
        sheet.write_formula(row, column, "=AsText()", None, value)
    else:
        sheet.write(row, column, value)


def _market(book, sheet, version, changed):
    sheet.write(0, 1, f"Unified Rate Review {version} [To add a product to Worksheet 2, select the Add Product button]")
    sheet.write(0, 10, "To validate, select the Validate button.")
    entries = {
        "Company Legal Name:": "Copper Health, Inc.",
        "HIOS Issuer ID:": 12345,
        "Effective Date of Rate Change(s):": 46388,
        "State:": "OR",
        "Market:": "Individual",
        "Allowed Claims": (1500000, ERROR),
        "Reinsurance": (0, 0),
        "Incurred Claims in Experience Period": (1200000, "$400.00"),
        "Risk Adjustment": (-40000, -13.333333333333334),
        "Experience Period Premium": (1600000, 533.33333333333337),
        "Experience Period Member Months": (3000,),
        **changed,
    }
    for row, label in enumerate(("Company Legal Name:", "HIOS Issuer ID:", "Effective Date of Rate Change(s):"), 2):
        sheet.write(row, 1, label)
        _put(sheet, row, 2, entries[label])
    for row, label in enumerate(("State:", "Market:"), 2):
        sheet.write(row, 4, label)
        _put(sheet, row, 5, entries[label])
    sheet.write(6, 1, "Market Level Calculations (Same for all Plans)")
    sheet.write(8, 1, "Section I: Experience Period Data")
    sheet.write_row(9, 1, ["Experience Period:", 45658, "to", "12/31/2025"])
    sheet.write_row(10, 2, ["Total", "PMPM"])
    totals = list(entries)[5:11]
    for row, label in enumerate(totals, 11):
        sheet.write(row, 1, label)
        for column, value in enumerate(entries[label], 2):
            _put(sheet, row, column, value)
    sheet.write(18, 1, "Section II: Projections")
    sheet.write_row(19, 1, ["Benefit Category", "Experience Period Index Rate PMPM", "Year 1 Trend"])
    sheet.write_row(19, 5, ["Year 2 Trend", None, "Trended EHB Allowed Claims PMPM"])
    sheet.write_row(20, 3, ["Cost", "Utilization", "Cost", "Utilization"])
    for row, (label, values) in enumerate(CATEGORIES.items(), 21):
        sheet.write(row, 1, label)
        for column, value in enumerate(values, 2):
            _put(sheet, row, column, value)
    sheet.write_row(27, 1, ["Total", 500])
    _put(sheet, 27, 7, "$549.88")
    below = {
        "Morbidity Adjustment": 1,
        "Demographic Shift": 1,
        "Plan Design Changes": 1,
        "Other": 1.0,
        "Adjusted Trended EHB Allowed Claims PMPM": "$549.88",
        "Manual EHB Allowed Claims PMPM": 0,
        "Applied Credibility %": "100.00%",
        "Projected Index Rate": "$549.88",
        "Reinsurance": 0,
        "Risk Adjustment Payment/Charge": 25,
        "Exchange User Fees": "2.00%",
        "Market Adjusted Index Rate": "$535.59",
        "Projected Member Months": 1500,
    }
    for row, (label, value) in enumerate({**below, **changed.get("below", {})}.items(), 29):
        if value != "left out":
            sheet.write(row, 1, label)
            _put(sheet, row, 7, value)


def _plans(sheet, lines, numbers):
    sheet.write(0, 1, "Product-Plan Data Collection")
    sheet.write_row(2, 2, ["Company Legal Name:", "Copper Health, Inc."])
    sheet.write(4, 1, "Section I: General Product and Plan Information")
    sheet.set_column(5, 5, 10, None, {"hidden": True})
    row = 5
    for number, line in lines.items():
        row += 1
        if line is None:
            continue
        label, *values = line
        if label.startswith("Section"):
            sheet.write(row, 1, label)
            continue
        sheet.write(row, 1, float(number) if numbers == "number" else number)
        sheet.write(row, 2, label)
        for column, value in zip(COLUMNS, values, strict=True):
            _put(sheet, row, column, value)
