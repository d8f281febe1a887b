"""``python -m poolwise``: the command."""

from poolwise.cli import main

if __name__ == "__main__":
    main()
