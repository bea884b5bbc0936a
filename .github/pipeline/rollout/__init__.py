"""Move a running system to another release and back: `.github/pipeline/deploy`. Uses the standard library only."""
