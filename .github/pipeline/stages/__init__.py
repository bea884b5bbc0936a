"""The seven stages of the delivery pipeline: `.github/pipeline/stage NAME`. Python's standard library alone."""
