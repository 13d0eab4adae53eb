"""The embedded host: the same service on one machine, in one process, without Frappe."""
