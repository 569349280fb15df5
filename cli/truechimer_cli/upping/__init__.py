"""What ``truechimer up`` is made of: its folder, its surroundings, its children."""
