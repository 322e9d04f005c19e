"""Overload: saturation, ten times its clients, and a polite key beside a flooding one."""
