"""What difference constraints prove of clocks: bounds of every pair, who must lie, what holds anyhow.

``constraints`` in, ``paths`` for what they prove out, ``cycles`` where they contradict each other, ``liars``
who can have said so, ``epsilon`` for whole clusters, ``consequences`` for what follows from that.
"""
