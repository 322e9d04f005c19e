"""The connection level of HTTP: limits on connections, headers, pipelining and time."""
