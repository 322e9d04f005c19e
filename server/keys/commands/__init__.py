"""The commands of `llava-server keys`."""
