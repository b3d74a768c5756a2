"""Notebooks that run on a PYNQ board and, unchanged, on the simulated one; and what runs them headless."""
