"""Traces on the server: the consumer that stores them, what is asked of them, OpenTelemetry in and out."""
