"""End-to-end tests: a package, so that its stacks end when its last test has."""
