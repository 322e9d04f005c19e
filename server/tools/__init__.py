"""Tool calls in the generic format, and the content deltas that any answer is parsed into."""
