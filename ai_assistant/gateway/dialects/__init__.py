"""One file per wire: translates a request into a provider's dialect. Pure functions, no I/O."""
