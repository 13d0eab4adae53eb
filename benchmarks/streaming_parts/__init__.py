"""The parts of `benchmarks/streaming.py`: an upstream, clients, the host under test, a peer, and the report."""
