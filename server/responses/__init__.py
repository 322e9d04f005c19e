"""The Responses API: its request as a chat's, an answer's deltas as its items and events."""
