"""The lab's campaign: agents among real servers over bad links, on hosts whose clocks are disturbed.

A *cell* is one host with an agent, a chronyd client beside it, and its servers, for a minute or so. Whatever
the agent publishes is held against the truth, which the harness knows.
"""
