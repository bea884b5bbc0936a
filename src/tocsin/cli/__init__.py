"""`tocsin`: what people type."""

from tocsin.cli.app import main as main
