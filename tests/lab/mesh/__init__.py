"""The mesh's proof: recordings of real agents, and `skew` answers about them held against the truth."""
