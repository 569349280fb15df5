"""STAMP (RFC 8762, RFC 8972): packets, and what either side makes of them, sans-IO."""
