"""The runner that measures on phones: its C++ sources, its bundle, its jobs and records."""
