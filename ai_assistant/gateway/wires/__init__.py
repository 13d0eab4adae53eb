"""One file per wire: a synchronous parser from a provider's bytes to chunks."""
