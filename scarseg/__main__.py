"""python -m scarseg."""

from scarseg.cli import main

if __name__ == "__main__":  # children of a process pool import this module again
    raise SystemExit(main())
