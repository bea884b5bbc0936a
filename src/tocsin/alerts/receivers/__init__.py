"""One adapter per sender, pure: bytes in, alerts out."""
