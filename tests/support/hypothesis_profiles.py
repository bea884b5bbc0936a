"""How many examples a property is tested with; HYPOTHESIS_PROFILE selects another number than a push has."""

import os
from typing import Final

from hypothesis import settings

from tests.support import sampling

PROFILES: Final = {"default": sampling.rows(50, 100), "quick": 20, "thorough": 2_000}
"""quick is for between two edits, thorough for a night."""

for name, examples in PROFILES.items():
    # A deadline measures the machine, not the code.
    settings.register_profile(name, deadline=None, print_blob=True, max_examples=examples)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
