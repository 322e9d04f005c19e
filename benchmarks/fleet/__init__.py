"""A cell of replicas as a simulation: routing, hot images, faults, scaling, updates."""
