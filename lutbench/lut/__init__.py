"""The latency lookup table: its data, its file, and what is read off it. It never loads a runtime or torch."""
