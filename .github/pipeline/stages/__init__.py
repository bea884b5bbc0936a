"""The seven stages of the delivery pipeline: `.github/pipeline/stage NAME`. Uses the standard library only."""
