"""Report: one self-contained HTML page a bundle, with its figures, plots and features."""
