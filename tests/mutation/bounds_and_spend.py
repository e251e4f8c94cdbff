"""Rules of sandbox/bounds.py, spend.py, reservation.py, rate.py and budget.py."""

from tests.mutation.mutant import Mutant


def _bounds(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/bounds.py", old, new)


def _spend(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/spend.py", old, new)


def _reservation(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "sandbox/reservation.py", old, new)


BOUNDS = (
    _bounds(
        "all who bound a task must cover",
        "    for one in bounds:",
        "    for one in tuple(bounds)[:1]:",
    ),
    _bounds("who is gone allows nothing", "if one.gone is not None:"),
    _bounds("what was not given is refused", "if not any(_allows(cap, use) for cap in one.caps):"),
    _bounds("a payment wants an amount a day", "if use.is_payment and one.spend_per_day is None:"),
    _bounds("one capability is not another", "if cap.capability != use.capability.value:"),
    _bounds("a scope narrows", "if scope is None or use.is_any:", "if True:"),
    _bounds(
        "a scope of the web is held against the URL",
        "use.url is not None and rule.covers(use.url, use.method)",
        "use.url is not None",
    ),
    _bounds(
        "a scope of the web is held against the method",
        "rule.covers(use.url, use.method)",
        'rule.covers(use.url, "GET")',
    ),
    _bounds(
        "what names no node or server matches no scope of one",
        "if not its_first or not matches(first, its_first):",
        "if not matches(first, its_first):",
    ),
    _bounds(
        "the first part of a scope counts",
        "if not its_first or not matches(first, its_first):",
        "if not its_first:",
    ),
    _bounds(
        "the second part of a scope counts",
        "return not slash or (bool(its_slash) and matches(second, its_second))",
        "return True",
    ),
    _bounds(
        "a scope of tools is none of the list of tools",
        "(bool(its_slash) and matches(second, its_second))",
        "matches(second, its_second)",
    ),
    _bounds(
        "what names no target matches no scope",
        "return bool(use.target) and matches(scope, use.target)",
        "return matches(scope, use.target)",
    ),
    _bounds(
        "the target is held against the scope",
        "return bool(use.target) and matches(scope, use.target)",
        "return bool(use.target)",
    ),
    _bounds(
        "a scope that cannot be read allows nothing",
        "        return EndpointRule.parse(scope)\n    except MalformedEndpoint:\n"
        "        return None",
        "        return EndpointRule.parse(scope)\n    except MalformedEndpoint:\n"
        '        return EndpointRule.parse("api.example.com")',
    ),
    _bounds(
        "an amount a day is handed on",
        "Bounds(who, scope.caps, spend or None, hint)",
        "Bounds(who, scope.caps, None, hint)",
    ),
    _bounds(
        "a scope that cannot be read is refused when it is given",
        "            return str(malformed)",
        "            return None",
    ),
    _bounds(
        "a remedy is no command of the guest's",
        """    return "'" + cap.replace("'", "") + "'\"""",
        "    return cap",
    ),
)

SPEND = (
    _spend("halted money is not spent, whatever else", "    if killed:", "    if False:"),
    _spend(
        "without a budget nothing is spent",
        "    if policy is None:\n        return",
        "    if policy is None:\n        return None\n    if policy is None:\n        return",
    ),
    _spend(
        "a rail is on the agent's list",
        "if cost.rail != INFERENCE and cost.rail not in policy.rails:",
    ),
    _spend(
        "inference needs no rail",
        "if cost.rail != INFERENCE and cost.rail not in",
        "if cost.rail not in",
    ),
    _spend("another currency has no budget", "if money.currency != policy.daily.currency:"),
    _spend(
        "one action has a cap",
        "if policy.per_action is not None and money.micro > policy.per_action.micro:",
    ),
    _spend(
        "the cap of one action itself is allowed",
        "money.micro > policy.per_action.micro",
        "money.micro >= policy.per_action.micro",
    ),
    _spend(
        "the agent has a cap a day",
        "if spent_in(account.agent, money.currency) + money.micro > policy.daily.micro:",
    ),
    _spend(
        "the agent's cap itself is allowed",
        "+ money.micro > policy.daily.micro",
        "+ money.micro >= policy.daily.micro",
    ),
    _spend(
        "what was spent or reserved counts",
        "if spent_in(account.agent, money.currency) + money.micro >",
        "if money.micro >",
    ),
    _spend(
        "what an originator has spent counts",
        "if spent_in(allowance.spent, money.currency) + money.micro >",
        "if money.micro >",
    ),
    _spend(
        "an originator without an amount pays nothing",
        "if cap is None or cap.currency != money.currency:",
        "if cap is None:\n            continue\n        if cap.currency != money.currency:",
    ),
    _spend(
        "an originator's amount is in its currency",
        "if cap is None or cap.currency != money.currency:",
        "if cap is None:",
    ),
    _spend(
        "an originator has a cap a day",
        "        if spent_in(allowance.spent, money.currency) + money.micro > cap.micro:",
        "        if False:",
    ),
    _spend(
        "every originator's cap counts",
        "    for allowance in account.others:",
        "    for allowance in account.others[:1]:",
    ),
    _spend(
        "the node's budget is in its currency",
        "if cap is not None and cap.currency != money.currency:",
    ),
    _spend(
        "the node has a cap a day",
        "if cap is not None and spent_in(account.node, money.currency) + money.micro > cap.micro:",
    ),
    _spend(
        "what the node has spent counts",
        "spent_in(account.node, money.currency) + money.micro > cap.micro",
        "money.micro > cap.micro",
    ),
    _spend("currencies are never mixed", " if amount.currency == currency)", ")"),
    _spend(
        "an amount is never negative",
        "or not 0 <= self.micro <= MICRO_MAX:",
        "or self.micro > MICRO_MAX:",
    ),
    _spend(
        "an amount ends where JSON does",
        "or not 0 <= self.micro <= MICRO_MAX:",
        "or self.micro < 0:",
    ),
    _spend("an amount is a whole number", "if type(self.micro) is not int or not", "if not"),
)

RESERVATION = (
    _reservation(
        "nothing is given back twice",
        '    def release(self) -> tuple["Reservation", int]:\n'
        '        """Nothing was paid; the change of the day\'s count, zero the second'
        ' time."""\n        if self.standing is not Standing.RESERVED:',
        '    def release(self) -> tuple["Reservation", int]:\n'
        "        if self.standing is Standing.COMMITTED:",
    ),
    _reservation(
        "what may have been paid stays counted",
        "more = max(0, actual.micro - self.money.micro)",
        "more = actual.micro - self.money.micro",
    ),
    _reservation(
        "a payment after a release counts",
        "replace(self, money=actual, standing=Standing.COMMITTED), actual.micro\n",
        "replace(self, money=actual, standing=Standing.COMMITTED), 0\n",
    ),
    _reservation(
        "what was settled is not lost",
        "            return self\n        return replace(self, standing=Standing.UNKNOWN)",
        "            pass\n        return replace(self, standing=Standing.UNKNOWN)",
    ),
    _reservation(
        "no earlier day is opened anew", "max(wall_ms // DAY_MS, highest)", "wall_ms // DAY_MS"
    ),
)

RATES = (
    Mutant(
        "a rate is a whole count and a unit",
        "sandbox/rate.py",
        "_FORM.fullmatch(text)",
        "_FORM.match(text)",
    ),
    Mutant(
        "a rate has its own unit",
        "sandbox/rate.py",
        "per_s=rate.count / rate.per_s",
        "per_s=rate.count",
    ),
    Mutant(
        "a rate allows its count at once and no more",
        "sandbox/rate.py",
        "burst=rate.count,",
        "burst=2 * rate.count,",
    ),
    Mutant("what is used up is gone", "sandbox/budget.py", "        self._left -= 1\n", ""),
    Mutant(
        "a quiet time saves nothing up",
        "sandbox/budget.py",
        "min(self._burst, self._left + (now_s - self._at_s) * self._per_s)",
        "self._left + (now_s - self._at_s) * self._per_s",
    ),
    Mutant(
        "a clock set back gives and takes nothing",
        "sandbox/budget.py",
        "if now_s > self._at_s:",
        "if now_s != self._at_s:",
    ),
    Mutant(
        "a call counts once, however often it is looked at",
        "sandbox/host/counsel.py",
        "if self._counted == number:",
        "if False:",
    ),
    Mutant(
        "a call counts at all",
        "sandbox/host/counsel.py",
        "self._has_rate = budget is None or budget.take(now_s)",
        "self._has_rate = True",
    ),
)
