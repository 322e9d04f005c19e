"""A checkpoint's own data: configuration, vocabulary, adapters, verification."""
