"""Rules of accounts, which know no database and no HTTP."""
