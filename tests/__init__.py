"""The tests: a package, so that nobody else's ``tests`` in the environment is taken for them."""
