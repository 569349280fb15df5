"""The per-host daemon: collect, bound, spool, ship."""
