"""A product's present settings from its own configuration: the file's text in, settings' values out.

``formats`` turns a text into lines of words, ``matching`` finds a product's settings among them, ``guessing``
tells whose file it is. Nothing else of a file is kept: passwords and names in it go nowhere.
"""

from __future__ import annotations

from truechimer_analyzer.advice.current.guessing import Present, read_present

__all__ = ["Present", "read_present"]
