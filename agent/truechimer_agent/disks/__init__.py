"""How long write + fsync takes on a disk: the probe's file, its thread, and what was watched."""
