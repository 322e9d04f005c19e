"""From a video's bytes to the frames that the model sees, in decode workers. No torch."""
