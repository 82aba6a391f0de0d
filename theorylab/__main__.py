"""``theorylab`` and ``python -m theorylab``."""

from theorylab import _interrupt


def main() -> None:
    """Run the command line."""
    _interrupt.ends_all()
    from theorylab import cli

    cli.main()


if __name__ == "__main__":
    main()
