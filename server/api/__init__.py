"""The HTTP surface: edge, authentication, admission, responses and routes."""
