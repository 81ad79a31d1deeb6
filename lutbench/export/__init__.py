"""Operator or net -> artifact for a runtime, and the cache of artifacts."""
