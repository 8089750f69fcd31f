"""The model side: training rows to a bundle, a bundle to scored rows. Pure: no cloud, no driver."""
