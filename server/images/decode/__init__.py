"""From bytes to uint8 views, in decode workers. No torch."""
