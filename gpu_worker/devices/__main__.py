"""Print the devices that models can compute on, for `scriptorium doctor`."""

from __future__ import annotations

from gpu_worker.devices import main

if __name__ == "__main__":
    main()
