"""The process and its machine: streams, signals, folders, files, memory, cores."""
