"""``python -m truechimer_cli``."""

from truechimer_cli.main import main

main()
