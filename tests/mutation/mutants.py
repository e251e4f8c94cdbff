"""Every broken rule, and where somebody has to notice it."""

from typing import Final

from tests.mutation.approvals_and_secrets import APPROVALS, SECRETS
from tests.mutation.bounds_and_spend import BOUNDS, RATES, RESERVATION, SPEND
from tests.mutation.mutant import Mutant
from tests.mutation.places_and_risks import ENDPOINTS, RECORDS, RISKS
from tests.mutation.policy_and_gate import GATE, POLICY

MUTANTS: Final = (
    *(POLICY + GATE + BOUNDS + SPEND + RESERVATION + RATES),
    *(APPROVALS + SECRETS + ENDPOINTS + RISKS + RECORDS),
)
# Broken in every run of the tests; the others take minutes.
SAMPLES: Final = frozenset(
    {
        "no capability, no call",
        "it is decided again after a person's yes",
        "the agent has a cap a day",
        "a yes counts once",
        "a secret goes to its endpoint",
    }
)
SANDBOX = "tests/sandbox/test_{}.py"
# Beside the test of the module itself, in this order.
ALSO: Final = {
    "sandbox/policy.py": ("matrix", "gate_outside", "gate_approved"),
    "sandbox/gate.py": ("gate_outside", "gate_approved"),
    "sandbox/approvals.py": ("approval_life", "policy"),
}
INSTEAD: Final = {
    "sandbox/host/counsel.py": ("tests/sandbox/host/test_rates.py",),
    "sandbox/budget.py": ("tests/sandbox/test_rate.py",),
    "sandbox/kept.py": ("tests/sandbox/test_gate.py", "tests/sandbox/test_gate_approved.py"),
    "sandbox/risk.py": ("tests/sandbox/test_risk.py", "tests/sandbox/test_fields.py"),
}


def who_should_notice(mutant: Mutant) -> tuple[str, ...]:
    """The files whose business the rule is."""
    if mutant.file in INSTEAD:
        return INSTEAD[mutant.file]
    name = mutant.file.removeprefix("sandbox/").removesuffix(".py")
    return tuple(SANDBOX.format(one) for one in (name, *ALSO.get(mutant.file, ())))
