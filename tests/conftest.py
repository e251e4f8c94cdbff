"""How hard the property tests look: HYPOTHESIS_PROFILE is dev (50 examples), ci or night."""

import os

from hypothesis import HealthCheck, settings

# No deadline and no complaint about slow drawing: a busy machine is not a failing test.
_PATIENT = settings(
    deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile("dev", _PATIENT, max_examples=50)
settings.register_profile("ci", _PATIENT, max_examples=100)
settings.register_profile("night", _PATIENT, max_examples=50_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
