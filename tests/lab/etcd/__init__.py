"""A real etcd whose members are far apart and pause: what its settings make of that."""
