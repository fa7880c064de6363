"""How hard the property tests try: a little in every run, and as long as one likes by hand.

``HYPOTHESIS_PROFILE=thorough pytest tests/unit`` tries twenty times as many examples.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# A machine that does other things at the same time is no reason to fail.
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
