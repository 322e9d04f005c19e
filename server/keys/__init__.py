"""API keys: the file that holds them, what each may do, and the commands that write it."""
