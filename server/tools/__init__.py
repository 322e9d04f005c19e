"""Tool calling without a native format: how calls are written, and what content is made of."""
