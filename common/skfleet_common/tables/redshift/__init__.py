"""Redshift behind the port."""
