"""Measurements that users already have, read into samples: CSV, ping, logs of JVMs, HdrHistogram logs."""
