"""What the text of a cell says: numbers as currency or percent, dates as day numbers, yes and no, labels of lines."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from data_specs.errors import InputRefused
from rating.filing._numbers import CONTEXT, exact
from rating.filing._workbook_cells import BOOLEAN, NUMBER, Cell

__all__ = ["date_of", "day_number", "flag_of", "label_key", "number_of", "parts_of_label", "text_of", "words_alike"]

_DAY_ZERO, _DAY_ZERO_1904 = date(1899, 12, 30), date(1904, 1, 1)
_LAST_DAY = 2_958_465  # 31 December 9999
_BLANK = {"", "-", "–", "—", "n/a", "na", "not applicable"}
# A sign or parentheses around it, dollars, thousands, one point, percent.
_WRITTEN = re.compile(
    r"(?P<open>\()?(?P<sign>[-−+])?\$?(?P<inner>[-−])?(?P<digits>[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|[0-9]+\.?[0-9]*|\.[0-9]+)"
    r"(?P<power>[eE][+-]?[0-9]{1,2})?(?P<percent>%)?(?P<close>\))?"
)
_DATES = ("%Y-%m-%d", "%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y", "%B %d, %Y", "%b %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%Y%m%d")
_PARENTHESES = re.compile(r"\([^()]*\)")
_MARKS = re.compile(r"[^a-z0-9]+")
_YES, _NO = {"yes", "y", "true", "1"}, {"no", "n", "false", "0"}
_SHORT_WORDS = {"of", "the", "and", "a", "for", "to", "in"}


def text_of(cell: Cell | None) -> str:
    """Return the text of a cell on one line; "" where it is blank."""
    return "" if cell is None else " ".join(cell.text.replace("\u00a0", " ").split())


def number_of(cell: Cell) -> tuple[Decimal | None, bool]:
    """Return the number in a cell, and whether it can be read at all.

    ``(None, True)`` is a blank: a dash, "n/a". ``(None, False)`` is a text that is no number.

    Examples
    --------
    >>> from rating.filing._workbook_cells import TEXT
    >>> [number_of(Cell(TEXT, text))[0] for text in ("$723.88", "($1,254.19)", "12.5%", "-$0.50", "104.5 %")]
    [Decimal('723.88'), Decimal('-1254.19'), Decimal('0.125'), Decimal('-0.50'), Decimal('1.045')]
    >>> number_of(Cell(TEXT, "n/a")), number_of(Cell(TEXT, "see memo"))
    ((None, True), (None, False))
    """
    if cell.kind == NUMBER:
        return _exact(cell.text)
    text = text_of(cell).lower()
    if text in _BLANK or cell.kind == BOOLEAN:
        return None, text in _BLANK
    found = _WRITTEN.fullmatch(text.replace(" ", ""))
    if found is None or bool(found["open"]) != bool(found["close"]) or len(text) > 40:
        return None, False
    value, _ = _exact(found["digits"].replace(",", "") + (found["power"] or ""))
    if value is None:
        return None, False
    if found["percent"]:
        value = CONTEXT.divide(value, Decimal(100))
    signs = sum(map(bool, (found["open"], found["sign"] in ("-", "−"), found["inner"])))
    if signs > 1:  # "(-5)": nobody can tell
        return None, False
    return (-value if signs else value), True


def _exact(text: str) -> tuple[Decimal | None, bool]:
    try:
        return exact(text, "cell"), True
    except InputRefused:  # of no size that a filing has
        return None, False


@lru_cache(maxsize=4096)
def date_of(cell: Cell, *, starts_1904: bool = False) -> date | None:
    """Return the date in a cell: a day number, or a date in words or digits; None where it is none.

    Day 0 is what a template shows where no date was entered.

    Examples
    --------
    >>> from rating.filing._workbook_cells import TEXT
    >>> date_of(Cell(NUMBER, "46388")), date_of(Cell(TEXT, "1/1/2027")), date_of(Cell(TEXT, "January 1, 2027"))
    (datetime.date(2027, 1, 1), datetime.date(2027, 1, 1), datetime.date(2027, 1, 1))
    >>> date_of(Cell(NUMBER, "0"))
    """
    text = text_of(cell)
    if cell.kind == NUMBER or re.fullmatch(r"[0-9]{5}(?:\.0+)?", text):
        days = int(Decimal(text))
        if not 0 < days <= _LAST_DAY:
            return None
        return (_DAY_ZERO_1904 if starts_1904 else _DAY_ZERO) + timedelta(days=days)
    for form in _DATES:
        try:
            return datetime.strptime(text.partition("T")[0].partition(" 00:00")[0], form).date()
        except ValueError:
            continue
    return None


def day_number(day: date) -> int:
    """Return a date as workbooks hold it.

    Examples
    --------
    >>> day_number(date(2027, 1, 1))
    46388
    """
    return (day - _DAY_ZERO).days


def flag_of(cell: Cell) -> bool | None:
    """Return yes or no as True or False; None for any other text.

    Examples
    --------
    >>> from rating.filing._workbook_cells import TEXT
    >>> flag_of(Cell(TEXT, "Yes")), flag_of(Cell(BOOLEAN, "0")), flag_of(Cell(TEXT, "Both"))
    (True, False, None)
    """
    text = text_of(cell).lower()
    return True if text in _YES else False if text in _NO else None


@lru_cache(maxsize=4096)
def label_key(label: str) -> str:
    """Return a label as it is compared: lower case, without marks and without what stands in parentheses.

    Examples
    --------
    >>> label_key("Plan ID (Standard Component ID)*"), label_key("Profit & Risk Load"), label_key("Exchange Plan?")
    ('plan id', 'profit and risk load', 'exchange plan')
    """
    plain = _PARENTHESES.sub(" ", label.lower().replace("&", " and "))
    return _MARKS.sub(" ", plain).strip()


def parts_of_label(label: str) -> tuple[str, str]:
    """Return the line and the column that a label of ``filing/urrt_fields`` names.

    Examples
    --------
    >>> parts_of_label("Allowed Claims - total"), parts_of_label("Morbidity Adjustment")
    (('Allowed Claims', 'total'), ('Morbidity Adjustment', ''))
    """
    line, _, column = label.partition(" - ")
    return line, column


def words_alike(one: str, other: str) -> bool:
    """Return whether two labels may name the same line: the words of the shorter one are in the longer one.

    Examples
    --------
    >>> words_alike("Administrative Expense (% of premium)", "Administrative Expense Load")
    True
    >>> words_alike("Other", "Metal")
    False
    """
    first, second = (set(label_key(label).split()) - _SHORT_WORDS for label in (one, other))
    return bool(first) and bool(second) and (first <= second or second <= first)
