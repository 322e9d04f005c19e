"""Soak: mixed traffic and faults on a schedule, for minutes to hours, and a report."""
