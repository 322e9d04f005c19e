"""Worker processes that handle untrusted input and may die."""
