"""What a connection to a device says where it breaks, or where the device refuses what is sent."""

from __future__ import annotations


class LinkLostError(Exception):
    """The connection broke, or the device did not answer in time; it may come back."""


class PushError(Exception):
    """The device refused to store a file."""
