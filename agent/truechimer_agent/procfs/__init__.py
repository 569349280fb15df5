"""Texts and structures of the kernel, parsed."""
