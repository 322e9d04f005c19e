"""Admission: permits for compute, by cost, fair between tenants, within a bounded wait."""
