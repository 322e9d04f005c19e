"""From a command line to a server that may load: options, mistakes in them, checks, the report."""
