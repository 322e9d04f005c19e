"""The teacher's prompts for each kind. It never sees the image."""
