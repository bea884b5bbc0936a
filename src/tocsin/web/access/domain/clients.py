"""What a client says of itself, as text that PostgreSQL stores, and the network that counts as one client."""

from tocsin.kernel.client_network import MAX_TEXT, network_of, storable

__all__ = ["MAX_TEXT", "network_of", "storable"]
