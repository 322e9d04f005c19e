"""Training stages, optimisation and evaluation."""
