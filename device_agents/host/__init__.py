"""This machine as a device: a worker process, pinned where the system allows it, runs the artifacts."""
