"""`python -m runtime.published` writes docs/schemas and docs/asyncapi.yaml; `release VERSION` keeps them."""

import sys

from runtime.published.files import DOCS, RELEASES, pages, released


def main(arguments: list[str]) -> int:
    """Write the files under the working directory; gives the exit code."""
    match arguments:
        case []:
            found = pages()
            for stale in (DOCS / "schemas").glob("*.json"):
                stale.unlink()
        case ["release", version]:
            found = {RELEASES / f"{version}.json": released()}
        case _:
            sys.stderr.write("usage: python -m runtime.published [release VERSION]\n")
            return 2
    for path, text in found.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
