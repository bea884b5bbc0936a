"""Move a running system to another release and back: `.github/pipeline/deploy`. Standard library only."""
