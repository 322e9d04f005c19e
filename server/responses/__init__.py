"""The Responses dialect: requests translated into chat requests, deltas into items and events."""
