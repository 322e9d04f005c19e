"""Wire types of `/v1/completions`."""
