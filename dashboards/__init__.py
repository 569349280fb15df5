"""Grafana dashboards, alert rules and the table of samples, built from declarations; committed as built."""
