"""`python -m promptkit`."""

import sys

from promptkit.cli import main

if __name__ == "__main__":
    sys.exit(main())
