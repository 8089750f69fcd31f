"""Tables: one port, and the warehouses behind it."""

from skfleet_common.tables.warehouses import open_warehouse

__all__ = ["open_warehouse"]
