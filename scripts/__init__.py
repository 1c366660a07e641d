"""Programs that make the bundled model and its speech; run as `python -m scripts.NAME`."""
