"""Faults on a running Frappe site: parts are killed, stopped, frozen and restarted under running chats."""
