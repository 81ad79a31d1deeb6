"""The one place that opens and parses files: whatever is in one, the caller gets plain values or one of our errors."""
