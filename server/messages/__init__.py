"""The Messages dialect: requests translated into chat requests, deltas into blocks and events."""
