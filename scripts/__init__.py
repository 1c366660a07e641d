"""Programs that make the bundled models and their speech.

Run as `python -m scripts.NAME`; those of the models as `python -m scripts.pico.NAME`.
"""
