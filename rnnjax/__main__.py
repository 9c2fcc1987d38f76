"""`python -m rnnjax`, the same as the command `rnnjax`."""

import sys

from rnnjax.cli import main

sys.exit(main())
