"""Published nets that are no choice of candidates, as graphs at any resolution: one file per family."""
