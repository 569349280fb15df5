"""Interval arithmetic: from exchanges to an interval of UTC − S that contains the truth."""
