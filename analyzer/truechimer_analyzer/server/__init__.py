"""What machines and people reach over HTTP: writes, answers, series, events, health, metrics, the page."""
