"""Refuse a Python that cannot run Colonnade, before a virtual environment is made with it."""

import sys

if not (3, 11) <= sys.version_info[:2] <= (3, 12):
    found = ".".join(map(str, sys.version_info[:2]))
    sys.exit(
        f"colonnade: {sys.executable} is Python {found}, but 3.11 or 3.12 is needed"
        " (pynq 4.0.0 has no wheels beyond).\nRemedy: make setup PYTHON=/path/to/python3.11"
    )
