"""``theorylab`` and ``python -m theorylab``."""

import sys

from theorylab import _interrupt


def _without_docstrings() -> int:
    words = "Python leaves out docstrings (-OO or PYTHONOPTIMIZE=2), which scikit-image needs; -O is possible"
    print(f"theorylab: error: {words}", file=sys.stderr)
    return 2


def main() -> None:
    """Run the command line."""
    if sys.flags.optimize > 1:
        sys.exit(_without_docstrings())
    _interrupt.ends_all()
    from theorylab import cli

    cli.main()


if __name__ == "__main__":
    main()
