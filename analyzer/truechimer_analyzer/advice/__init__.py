"""Advice for products: what etcd, Kafka, Patroni… should be told, from what was measured.

Products are data (``products/NAME.toml``, read by ``schema``); rules in them are checked expressions
(``expressions``). No numpy here: the command reads a user's present settings with ``current`` on hosts that
hold no analyzer.
"""
