"""The kernel's own view of real TCP connections: parsed, told apart by remote, counted between points."""
