"""Pauses: how often and how long hosts and processes stopped, why, and how long somebody was looking.

With them: what others feel of it, and what the watched processes, their heaps and the disks were doing.
"""
