"""`python -m orchestrator.cli`, the same as `scriptorium`."""

from orchestrator.cli import main

main()
