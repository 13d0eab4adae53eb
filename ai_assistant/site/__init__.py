"""The adapter to a Frappe site: the core's ports over Frappe's requests, database and configuration."""
