"""What a process tells about itself: metrics, traces, log lines, a heartbeat file."""
