"""The black-box suite: takes a base URL and credentials, and passes on every host that keeps the wire contract."""
