"""What a hypervisor tells its guests of restores and migrations, across which no clock can be trusted."""
