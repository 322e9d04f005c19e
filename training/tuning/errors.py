"""What a run is refused for, other than its options."""


class DataError(Exception):
    """Training data that cannot be used; its text says where and why."""
