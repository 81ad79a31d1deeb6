"""Operators and nets as torch modules, with random weights seeded by their names."""
