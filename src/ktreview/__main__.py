"""``python -m ktreview`` is the command ``ktreview``."""

import sys

from ktreview.cli import main

sys.exit(main())
