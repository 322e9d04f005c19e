"""`llava-server chat`: ask a running server about images, from a terminal or a script."""
