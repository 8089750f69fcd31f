"""``python -m skfleet``: the command line."""

from skfleet.cli import main

if __name__ == "__main__":
    main()
