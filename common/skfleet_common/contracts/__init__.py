"""What every part of a fleet must agree on: pure values, no input or output."""
