"""Small cells: what a page that is meant to be shared does not show."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SMALLEST_SHOWN", "hidden_cells", "shown_count"]

# The cell size rule of the agency that publishes such data: no cell of 10 or fewer, nor what would reveal one.
SMALLEST_SHOWN = 11


def hidden_cells(people: Sequence[int]) -> list[bool]:
    """Return which cells of a column stay hidden when the column's total is shown.

    Cells of 1 to 10 people are hidden. As long as the hidden cells are a single one, or hold fewer than 11 people
    together, the smallest cell still shown is hidden too: otherwise the total less the cells shown would give it away.

    Examples
    --------
    >>> hidden_cells([500, 7, 40, 300])
    [False, True, True, False]
    >>> hidden_cells([500, 40, 0])
    [False, False, False]
    """
    hidden = [0 < n < SMALLEST_SHOWN for n in people]
    while any(hidden):
        held = [n for n, is_hidden in zip(people, hidden, strict=True) if is_hidden]
        shown = [i for i, n in enumerate(people) if n and not hidden[i]]
        if not shown or (len(held) > 1 and sum(held) >= SMALLEST_SHOWN):
            break
        hidden[min(shown, key=lambda i: people[i])] = True
    return hidden


def shown_count(number: int) -> str:
    """Return a count as text, small ones as ``under 11``.

    Examples
    --------
    >>> shown_count(0), shown_count(3), shown_count(1234)
    ('0', 'under 11', '1,234')
    """
    return f"under {SMALLEST_SHOWN}" if 0 < number < SMALLEST_SHOWN else f"{number:,}"
