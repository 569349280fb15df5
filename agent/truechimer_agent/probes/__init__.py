"""Probes of peers: which addresses to try and when, what an answer means, and the ICMP echo codec."""
