"""`python -m intarsia`, also for `torchrun -m intarsia`."""

import sys

from intarsia.cli import main

sys.exit(main())
