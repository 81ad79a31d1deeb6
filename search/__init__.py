"""From a latency lookup table to nets for a device. It reads the space, the LUT's read side and the torch modules."""
