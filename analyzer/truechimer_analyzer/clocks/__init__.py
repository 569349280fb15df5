"""Judging nodes' clocks: pure functions from stored columns to intervals, flags and their evidence."""
