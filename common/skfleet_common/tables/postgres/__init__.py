"""PostgreSQL 12 and newer as a warehouse."""
