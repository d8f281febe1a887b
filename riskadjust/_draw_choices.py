"""What a bootstrap is asked for: seed, number of draws, and the level of its interval."""

from __future__ import annotations

from typing import Any

from data_specs.errors import SettingRefused
from riskadjust._bootstrap import MOST_DRAWS

__all__ = ["check_draws"]


def check_draws(seed: Any, draws: Any, level: Any) -> None:
    """Refuse a seed, a number of draws or a level that no bootstrap can use.

    Examples
    --------
    >>> check_draws(seed=1, draws=200, level=0.9)
    """
    for name, value, least, most in (("seed", seed, 0, 2**128 - 1), ("draws", draws, 2, MOST_DRAWS)):
        is_whole = hasattr(value, "__index__") and not isinstance(value, bool)
        if not is_whole or not least <= int(value) <= most:
            raise SettingRefused(f"`{name}` cannot be {value!r}", rule=f"a whole number from {least} to {most}")
    if isinstance(level, bool) or not isinstance(level, int | float) or not 0 < level < 1:
        raise SettingRefused(f"`level` cannot be {level!r}", rule="a share between 0 and 1", remedy="90 percent is 0.9")
