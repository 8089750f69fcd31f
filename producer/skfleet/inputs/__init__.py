"""Inputs: where training rows come from, behind one port."""
