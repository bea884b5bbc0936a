"""The command line: `tocsin`."""

from tocsin.cli.app import main as main
