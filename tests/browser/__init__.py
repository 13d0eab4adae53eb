"""The page in Chromium, against a running embedded host."""
