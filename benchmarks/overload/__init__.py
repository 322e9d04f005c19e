"""Overload: saturation, ten times its clients, and a polite key next to a flooding one."""
