"""The page to log in, and log-out."""
