"""What the SQL warehouses share."""
