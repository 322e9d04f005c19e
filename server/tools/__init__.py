"""Our own tool call format, and the parts that parsers split message content into."""
