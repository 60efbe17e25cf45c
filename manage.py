#!/usr/bin/env python
"""Django's command line for SigmaSight Admin."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sigmasight.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit("Django is not installed in this Python: run `make run` (or `make test`), which makes .venv.")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
