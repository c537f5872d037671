"""``python -m mfr`` is ``mfr``."""

from mfr.cli import main

main()
