"""From pixels to image embeddings: tower, projector, batching, cache."""
