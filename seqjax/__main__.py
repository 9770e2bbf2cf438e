"""``python -m seqjax`` is the command ``seqjax``."""

import sys

from seqjax.cli import main

sys.exit(main())
