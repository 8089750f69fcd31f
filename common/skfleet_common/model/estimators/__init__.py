"""Estimators: what can be fitted, how it is asked for, and what it wants of its features."""
