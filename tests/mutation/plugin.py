"""For pytest (`-p tests.mutation.plugin`): runs with the rule broken that AKSHI_MUTANT numbers."""

import os
import sys

from tests.mutation.mutant import Breaker
from tests.mutation.mutants import MUTANTS

sys.meta_path.insert(0, Breaker(MUTANTS[int(os.environ["AKSHI_MUTANT"])]))
