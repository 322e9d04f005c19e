"""What the teacher is told, for each kind; it is never shown the image."""
