"""The `truechimer` command."""
