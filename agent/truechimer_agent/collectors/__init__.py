"""One collector a file; the daemon registers them in one dict."""
