"""`python -m loraleak` and the command `loraleak`: the start, which takes Ctrl-C well from the first moment on."""

import sys

__all__ = ["main"]


def main() -> int:
    """Run the command line and give its exit code."""
    try:
        from loraleak.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("loraleak: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
