"""lutbench: latency lookup tables of operators on a device, and nets made for it."""

__version__ = "0.2.0"
