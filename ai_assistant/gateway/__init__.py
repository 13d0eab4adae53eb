"""Normalised streaming from every provider: one file per wire, LiteLLM for the rest, resilience around both."""
