"""The processes of one machine: how each is started, kept alive, added, drained and ended."""
