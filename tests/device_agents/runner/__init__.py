"""Tests of the runner: its job, its records, its bundle, and the program itself."""
