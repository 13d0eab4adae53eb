"""AI Assistant: streams large language models over Frappe's realtime and keeps their traces."""

__version__ = "0.1.0"
