"""Rules of sandbox/policy.py and sandbox/gate.py."""

from tests.mutation.mutant import Mutant


def _policy(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/policy.py", old, new)


def _gate(rule: str, old: str, new: str = "") -> Mutant:
    return Mutant(rule, "sandbox/gate.py", old, new)


POLICY = (
    _policy("a stopped node does nothing", "if state.stopped is not None:"),
    _policy(
        "halted money is not spent",
        "if state.spend_halted and (state.cost is not None or _pays(request)):",
    ),
    _policy(
        "halted money is not spent by a request that names no price yet",
        "(state.cost is not None or _pays(request))",
        "state.cost is not None",
    ),
    _policy("a proof of payment is money", "return shows_proof or request", "return request"),
    _policy(
        "a charge is money whatever it says",
        "shows_proof or request.function.name == PAYING",
        "shows_proof",
    ),
    _policy(
        "no capability, no call",
        "if capability is not None and capability not in config.capabilities:",
    ),
    _policy(
        "what is refused by the allowlist is refused",
        "    if isinstance(found, Deny):\n        return found\n",
        "    if isinstance(found, Deny):\n        found = Allow()\n",
    ),
    _policy(
        "who is gone gets nothing at all", "return Deny(*gone) if gone else found", "return found"
    ),
    _policy(
        "whose work it is bounds it",
        "    if refusal is not None:\n        return Deny(*refusal)\n    if not state.has_rate:",
        "    if not state.has_rate:",
    ),
    _policy("a rate that is used up refuses", "if not state.has_rate:"),
    _policy("a problem of the node refuses", "if state.problem is not None:"),
    _policy(
        "what only the node knows is judged, too",
        "(*fields_of(request), *state.fields)",
        "fields_of(request)",
    ),
    _policy(
        "a price is held against the caps",
        "    if state.cost is not None:\n        refusal = spend.refusal(",
        "    if False:\n        refusal = spend.refusal(",
    ),
    _policy(
        "where nothing is configured, high risk needs a person",
        "config.approval.get(capability, RULE_DEFAULT)",
        'config.approval.get(capability, ApprovalRule("never"))',
    ),
    _policy("what a rule asks about waits for a person", "if rule.asks(risk.tier):"),
    _policy(
        "a payment needs an amount a day of its originator", "is_payment=pays", "is_payment=False"
    ),
    _policy(
        "the originator's method is the one that is used",
        "Use(capability, url=url, method=method)",
        'Use(capability, url=url, method="GET")',
    ),
    _policy(
        "the originator's shelf is the one that is read",
        'Use(capability, path.shelf or "", is_any=path.shelf is None)',
        "Use(capability, is_any=True)",
    ),
    _policy(
        "the originator's model is the one that would be asked",
        "target or state.target, is_payment",
        "target, is_payment",
    ),
    _policy(
        "arguments that mean nothing are refused",
        "return Deny(FaultCode.INVALID, why)",
        "return Allow()",
    ),
    _policy(
        "a URL is on the agent's list",
        "if any(rule.covers(wish.url, wish.method) for rule in config.endpoints):",
        "if config.endpoints:",
    ),
    _policy(
        "a method is on the agent's list",
        "rule.covers(wish.url, wish.method)",
        'rule.covers(wish.url, "GET")',
    ),
    _policy("an MCP server is on the agent's list", "if spec.name == server:", "if True:"),
    _policy("a tool is on its server's list", "if tool is None or spec.allows(tool):", "if True:"),
    _policy("a task comes through four agents at most", "+ 1 > HOPS_MAX", "> HOPS_MAX"),
    _policy("who is not trusted is not tasked", "if did is None:"),
    _policy(
        "a line that means nothing allows nothing",
        "            continue\n",
        '            return Allow(f"{did}/{wish.target.agent}")\n',
    ),
    _policy(
        "the agent that is tasked is on the list",
        "pattern.covers_name(wish.target.agent) and (",
        "True and (",
    ),
    _policy(
        "the node that is tasked is on the list",
        "pattern.did(me=state.me, resolve=state.resolve) == did",
        "True",
    ),
    _policy(
        "/ is a list and no file",
        "if is_list and config.filesystem_allowed:",
        "if config.filesystem_allowed:",
    ),
    _policy(
        "without a path there is no list of shelves",
        "if is_list and config.filesystem_allowed:",
        "if is_list:",
    ),
    _policy("a shelf is on the agent's list", "if mount_name(root) == shelf:", "if True:"),
)

GATE = (
    _gate("what was answered once is not done again", "if remembered is not None:", "if False:"),
    _gate(
        "a refusal ends the call",
        "        return Fault(verdict.code, verdict.reason)\n    if isinstance(verdict, Allow):",
        "        return _Leave(Allow(), state, None)\n    if isinstance(verdict, Allow):",
    ),
    _gate(
        "it is decided again after a person's yes",
        "    state = yield from Consult(request)\n    verdict = decide(config, request, state)\n"
        "    if isinstance(verdict, Deny):\n"
        "        return Fault(verdict.code, verdict.reason)\n    return _Leave(",
        "    return _Leave(",
    ),
    _gate(
        "only a yes is a yes",
        "if not isinstance(decision, Approved):",
        'decision = decision if isinstance(decision, Approved) else Approved("")\n    if False:',
    ),
    _gate(
        "a question that cannot be recorded is not asked",
        "    except AuditUnavailable:\n        return _UNRECORDED\n",
    ),
    _gate(
        "a refusal is recorded",
        "        yield from Record(event, request, fault)\n    except AuditUnavailable:\n"
        "        fault =",
        "        pass\n    except AuditUnavailable:\n        fault =",
    ),
    _gate(
        "every answer is remembered",
        "    yield from Remember(request, keep(request, answer))\n    return answer\n\n\n"
        "def _act_locally",
        "    yield from ()\n    return answer\n\n\ndef _act_locally",
    ),
    _gate(
        "a local act uses its approval up",
        "            yield from Consume(request, leave.verdict.target, leave.approval)\n"
        "        answer = yield",
        "            pass\n        answer = yield",
    ),
    _gate(
        "a local act without a record does not happen",
        "if not (yield from Record(Event.DONE, request, None, leave.facts)):",
        "if (yield from Record(Event.DONE, request, None, leave.facts)) is None:",
    ),
    _gate(
        "a local act and its memory are one transaction",
        "        yield from Remember(request, keep(request, answer))\n        yield from _COMMIT\n"
        "    except PortRefused as refused:\n        yield from _ROLL_BACK\n"
        "        return (yield from _refuse(request, refused.fault, Event.FAILED))\n"
        "    except AuditUnavailable:\n        yield from _ROLL_BACK\n"
        "        return (yield from _remembered(request, _UNRECORDED))\n    return answer",
        "        yield from _COMMIT\n"
        "    except PortRefused as refused:\n        yield from _ROLL_BACK\n"
        "        return (yield from _refuse(request, refused.fault, Event.FAILED))\n"
        "    except AuditUnavailable:\n        yield from _ROLL_BACK\n"
        "        return (yield from _remembered(request, _UNRECORDED))\n"
        "    yield from Remember(request, keep(request, answer))\n    return answer",
    ),
    _gate(
        "an approval is used up on the disk, locally",
        "Begin(durable=leave.approval is not None)",
        "Begin()",
    ),
    _gate(
        "a look without a record does not happen",
        "if not (yield from Record(Event.ALLOWED, request, None, leave.facts)):\n"
        "            return",
        "if (yield from Record(Event.ALLOWED, request, None, leave.facts)) is None:\n"
        "            return",
    ),
    _gate(
        "what costs or was approved is begun on the disk",
        "is_durable = leave.approval is not None or leave.state.cost is not None",
        "is_durable = False",
    ),
    _gate(
        "an act outside without a record does not happen",
        "if not (yield from Record(Event.ALLOWED, request, None, leave.facts)):\n"
        "            yield from _ROLL_BACK",
        "if (yield from Record(Event.ALLOWED, request, None, leave.facts)) is None:\n"
        "            yield from _ROLL_BACK",
    ),
    _gate(
        "an act outside uses its approval up",
        "            yield from Consume(request, leave.verdict.target, leave.approval)\n"
        "        if leave.state.cost",
        "            pass\n        if leave.state.cost",
    ),
    _gate("a price is reserved before the act", "yield from Reserve(request, leave.state)", "pass"),
    _gate("begun is remembered before the act", "        yield from Remember(request, BEGUN)\n"),
    _gate("a price is settled after the act", "        yield from Settle(request, fault)\n"),
    _gate(
        "an unknown end is recorded as unknown",
        "Event.UNKNOWN if fault.code is FaultCode.UNKNOWN else Event.FAILED",
        "Event.FAILED",
    ),
    _gate("an end that is not kept is not told", "        return _LOST", "        return answer"),
    _gate("an end is remembered", "        yield from Conclude(request, keep(request, answer))\n"),
    _gate(
        "another call under one number ends the attempt",
        "if remembered.request_hash != request.hash:",
        "if False:",
    ),
    _gate(
        "what was begun outside is never repeated",
        "if is_begun and request.function.effect is Effect.OUTSIDE:",
        "if False:",
    ),
    _gate(
        "an approved look happens once",
        "Effect.OUTSIDE or leave.approval is not None:",
        "Effect.OUTSIDE:",
    ),
    _gate(
        "another answer than before ends the attempt",
        "if not (isinstance(answer, str) and kept.fits(answer)):",
        "if False:",
    ),
    _gate(
        "a look is not repeated once it is forbidden",
        'raise Nondeterministic(request.number, why=f"no longer allowed: {verdict.reason}")',
        'return ""',
    ),
    _gate(
        "a look that is repeated is recorded",
        "if not (yield from Record(Event.ALLOWED, request)):",
        "if (yield from Record(Event.ALLOWED, request)) is None:",
    ),
    _gate("the record names the approval", 'facts = (*facts, ("approval", self.approval))', "pass"),
    _gate(
        "the record names the price and who gets it",
        'facts = (*facts, ("price", str(cost.money)), ("payee", cost.payee))',
        "pass",
    ),
    _gate(
        "the record holds the risk", "self.verdict.risk.facts() if self.verdict.risk else ()", "()"
    ),
    _gate(
        "a look goes where it was checked",
        "answer = yield from Perform(request, leave.verdict.target)\n"
        "    except PortRefused as refused:\n        return (yield from _refuse",
        'answer = yield from Perform(request, "")\n'
        "    except PortRefused as refused:\n        return (yield from _refuse",
    ),
    _gate(
        "an act outside goes where it was checked",
        "answer = yield from Perform(request, leave.verdict.target)\n"
        "    except PortRefused as refused:\n        answer",
        'answer = yield from Perform(request, "")\n'
        "    except PortRefused as refused:\n        answer",
    ),
)
