"""`python -m loraleak`."""

import sys

from loraleak.cli import main

sys.exit(main())
