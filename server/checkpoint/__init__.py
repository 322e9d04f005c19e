"""What a checkpoint says of itself: configuration, vocabulary, adapters, verification."""
