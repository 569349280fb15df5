"""The host's own time daemons, and how each is asked what it believes: one a file, read apart from parse."""
