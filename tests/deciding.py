"""The half of the gate that decides, and the tests that must notice whatever it does wrong.

    python -m tests.deciding

runs these tests and fails unless every branch of every file was taken. Two modules of the
same kind, `tests.mutation` and this one, are what docs/explanation/testing.md reports.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
SANDBOX = (
    *("answer_body", "approval_life", "approvals", "audit", "bounds", "budget", "capability"),
    *("challenge", "charge", "endpoint", "fetch", "fields", "gate", "kept", "ledger"),
    *("mcp_server", "policy", "prompt", "public_address", "rate", "redaction", "request"),
    *("reservation", "risk", "risk_defaults", "secrets", "spend", "trace"),
)
IDENTITY = ("caps", "grants", "rights")
FILES = (
    *(f"sandbox/{name}.py" for name in SANDBOX),
    *(f"identity/{name}.py" for name in IDENTITY),
)


def tests() -> list[str]:
    """Pure tests of these files and of what stands beside them; no sockets, no guests."""
    beside = sorted(
        {*ROOT.glob("tests/sandbox/test_*.py")} - {ROOT / "tests/sandbox/test_errors.py"}
    )
    theirs = [ROOT / f"tests/identity/test_{name}.py" for name in IDENTITY]
    return [str(path.relative_to(ROOT)) for path in (*beside, *theirs)]


def main() -> int:
    """0 if every branch was taken."""
    with tempfile.TemporaryDirectory() as folder:
        data = f"--data-file={folder}/coverage"
        run = [sys.executable, "-m", "coverage"]
        asked = [*run, "run", "--branch", data, f"--include={','.join(FILES)}"]
        ended = subprocess.run([*asked, "-m", "pytest", "-q", *tests()], cwd=ROOT, check=False)
        if ended.returncode:
            return ended.returncode
        report = [*run, "report", data, "--show-missing", "--skip-covered", "--fail-under=100"]
        report.append(f"--include={','.join(FILES)}")
        return subprocess.run(report, cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
