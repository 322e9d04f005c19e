"""Compressed request bodies: gzip, deflate, Brotli and Zstandard, inflated within limits."""
