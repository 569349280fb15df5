"""Other processes: which they are, what the kernel tells of their stops, and what their runtimes tell."""
