"""From where an image is to pixels as the checkpoint wants them."""
