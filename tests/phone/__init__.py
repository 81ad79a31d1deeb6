"""Tests against an emulated phone: Google's adbd for arm64 in a userland of its own, run by qemu."""
