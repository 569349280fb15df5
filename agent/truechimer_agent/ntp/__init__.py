"""NTP: packets, exchanges and what one server has said, sans-IO."""
