"""skfleet."""
