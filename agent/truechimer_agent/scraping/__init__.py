"""What programs tell of their own pauses on /metrics: fetching, reading, and what happened in between."""
