"""The chart's pods, the images' steps and compose, without a container engine."""
