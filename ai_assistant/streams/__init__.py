"""Redis: tasks, their numbered event logs, the worker's queue and heartbeats."""
