"""That a process stopped, for how long and why: the meter, its records, the attribution of each gap."""
