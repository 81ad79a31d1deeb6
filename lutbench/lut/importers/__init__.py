"""Latency tables that others published, as LUTs of provenance "imported": one file per format, one function for all."""
