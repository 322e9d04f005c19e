"""From an image URL to image_embeds."""
