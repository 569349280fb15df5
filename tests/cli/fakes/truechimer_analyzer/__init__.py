"""A stand-in for the analyzer: PYTHONPATH puts it before the real one."""
