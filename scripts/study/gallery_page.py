"""All that was measured of galleries at scale, in one page: made of the pages it names.

Each part is a page of docs/results as its command printed it, with that command and its date.

    python -m scripts.study.gallery_page
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

RESULTS: Final = Path(__file__).parents[2] / "docs" / "results"

PARTS: Final = {
    "How a gallery is searched": ["gallery-index", "gallery-memory"],
    "What enrolment and identification cost in each store, plain and sealed": [
        *("gallery-stores", "gallery-stores-sealed"),
    ],
    "What killing loses": [
        *("gallery-kills", "gallery-kills-encrypted", "gallery-kills-postgres"),
        *("gallery-kills-postgres-encrypted", "gallery-kills-upgrade"),
    ],
    "A tour": ["gallery-tour"],
}


def main() -> None:
    """Print the page."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    for title, pages in PARTS.items():
        print(f"## {title}\n")
        for page in pages:
            text = (RESULTS / f"{page}.md").read_text("utf-8")
            body = text.partition("\n")[2].strip().replace("\n#", "\n###")
            print(f"### [{page}]({page}.md)\n\n{body}\n")


if __name__ == "__main__":
    main()
