"""The mesh's sockets: STAMP among the agents."""
