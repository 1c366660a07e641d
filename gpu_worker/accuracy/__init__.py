"""Word errors: of a text against a reference, and of engines on a labelled set."""
