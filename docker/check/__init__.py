"""Runs the CPU image's root file system as a container engine would, and checks it."""
