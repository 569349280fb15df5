"""truechimer: how wrong clocks can be, how long networks and processes stop, what timeouts should be."""

__version__ = "0.1.0"
