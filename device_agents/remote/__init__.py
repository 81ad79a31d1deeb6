"""What every machine that runs the runner has in common, however it is reached: files, jobs, records, waiting."""
