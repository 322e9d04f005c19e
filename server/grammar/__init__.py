"""What an answer may look like: from the wire's wishes to one grammar, proved before any work."""
