"""The tracing SDK: makes any Python program's calls into traces. Imports no Frappe, server or LiteLLM."""
