"""What each command of `muster` does; app/cli.py lists them under their names."""
