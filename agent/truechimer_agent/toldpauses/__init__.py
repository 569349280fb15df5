"""Pauses that programs tell of themselves: what is believed, how much is taken, and where they tell it."""
