"""ClockBound's shared memory, written for its clients (docs/clockbound.md): layouts, terms, place."""
