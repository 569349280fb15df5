"""When packets really left and came: the kernel's stamps, and where they lie in S."""
