"""Gives each name of an entry such as ``benefit_year, settings`` its own entry, before docstrings become pages.

Otherwise all names of the entry are shown with the type of the first one.
"""

import re

import griffe

ENTRY = re.compile(r"^(\w+(?:, \w+)+)\n((?:[ ]{4}.*\n?)+)", re.MULTILINE)


def split(text):
    """A docstring with one entry for each name."""
    return ENTRY.sub(lambda found: "".join(f"{name}\n{found[2].rstrip()}\n" for name in found[1].split(", ")), text)


class OneNameEach(griffe.Extension):
    def on_object(self, *, obj, **_):
        if obj.docstring:
            obj.docstring.value = split(obj.docstring.value)
