"""Admission: permits for compute, granted by cost, fairly between tenants, within a bounded wait."""
