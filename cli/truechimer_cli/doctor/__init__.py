"""What ``truechimer doctor`` looks at."""
