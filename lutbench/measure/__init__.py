"""The measuring protocol: rounds, statistics, drift, journal. It knows no device, runtime or file format of a LUT."""
