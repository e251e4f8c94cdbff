"""Rules of sandbox/approval_life.py, approvals.py and secrets.py."""

from tests.mutation.mutant import Mutant


def _life(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/approval_life.py", old, new)


def _asks(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "sandbox/approvals.py", old, new)


def _secret(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/secrets.py", old, new)


APPROVALS = (
    _life("at its end it is over", "now_ms < self.expires_ms:", "now_ms <= self.expires_ms:"),
    _life(
        "a vote is about what is asked",
        "        if subject != self.subject.hash:\n            raise OtherSubject(self.id)\n"
        "        standing = self.at(now_ms).standing\n        if standing is not Standing.PENDING:",
        "        standing = self.at(now_ms).standing\n        if standing is not Standing.PENDING:",
    ),
    _life("what is decided stays decided", "if standing is not Standing.PENDING:"),
    _life(
        "nobody votes after the end",
        "standing = self.at(now_ms).standing\n        if standing is not Standing.PENDING:",
        "standing = self.standing\n        if standing is not Standing.PENDING:",
    ),
    _life(
        "nobody says yes twice",
        "if approves and any(vote.operator == operator for vote in self.votes):",
    ),
    _life(
        "one no is a no",
        "        if not approves:\n            return after._become(Standing.DENIED, now_ms)\n",
        "",
    ),
    _life("a quorum is a quorum", "if len(after.votes) >= self.quorum:", "if after.votes:"),
    _life("only who is entitled counts", "if entitled(vote.operator))", ")"),
    _life(
        "a yes is for one act and no other",
        "        if subject != self.subject.hash:\n            raise OtherSubject(self.id)\n"
        "        standing = self.at(now_ms).standing\n"
        "        if standing is not Standing.APPROVED:",
        "        standing = self.at(now_ms).standing\n"
        "        if standing is not Standing.APPROVED:",
    ),
    _life(
        "a yes counts once",
        "if standing is not Standing.APPROVED:",
        "if standing not in {Standing.APPROVED, Standing.USED}:",
    ),
    _life(
        "a yes counts until its end",
        "standing = self.at(now_ms).standing\n        if standing is not Standing.APPROVED:",
        "standing = self.standing\n        if standing is not Standing.APPROVED:",
    ),
    _life(
        "what is withdrawn was open",
        "        if not self.is_open:\n            return self\n"
        "        return replace(self._become",
        "        return replace(self._become",
    ),
    _life(
        "no step goes back in time",
        "changed_ms=max(now_ms, self.changed_ms))",
        "changed_ms=now_ms)",
    ),
    _life(
        "what is shown is what is asked",
        "if is_whole and digest_of(self.shown) != self.subject.request_hash:",
    ),
    _life(
        "a stored quorum can be",
        "if not 1 <= self.quorum <= QUORUM_MAX or not self.asked_ms < self.expires_ms:",
    ),
    _life(
        "no operator has two stored votes",
        "if len(operators) != len(self.votes) or len(self.votes) > QUORUM_MAX:",
    ),
    _life(
        "a stored no has somebody who said it",
        "if self.standing is Standing.DENIED and (not self.votes or self.votes[-1].approves):",
    ),
    _life("a stored yes has its quorum", "len(self.votes) < self.quorum or not all(", "not all("),
    _life(
        "a stored yes holds no no",
        "len(self.votes) < self.quorum or not all(vote.approves for vote in self.votes)",
        "len(self.votes) < self.quorum",
    ),
    _life("eight questions at once", "if pending >= PENDING_PER_AGENT_MAX:"),
    _life("a no is followed by a pause", "        if left_ms > 0:", "        if False:"),
    _life("the pause doubles", "PAUSE_MS << min(len(recent) - 1, 16)", "PAUSE_MS"),
    _life(
        "the pause has an end",
        "min(PAUSE_MS << min(len(recent) - 1, 16), PAUSE_MS_MAX)",
        "PAUSE_MS << min(len(recent) - 1, 16)",
    ),
    _life("an old no is forgotten", "if now_ms - at_ms < MEMORY_MS]", "]"),
    _asks(
        "a tier asks from its own on",
        "return rank >= Tier(self.when).rank",
        "return rank > Tier(self.when).rank",
    ),
    _asks("a tier that nobody knows is high", "else Tier.HIGH.rank", "else Tier.LOW.rank"),
    _asks("always is always", 'return self.when == "always"', "return False"),
    _asks("never is never", 'return self.when == "always"', "return True"),
    _asks("each call asks anew", '    digest.update(number.to_bytes(8, "big"))\n', ""),
    _asks(
        "each task asks anew",
        "hashlib.blake2b(task_id, digest_size",
        'hashlib.blake2b(b"", digest_size',
    ),
    _asks(
        "a request is bound by all its bytes",
        "return hashlib.sha256(data).digest()",
        "return hashlib.sha256(data[:64]).digest()",
    ),
)

SECRETS = (
    _secret(
        "a secret is for its agent",
        "return self.agent in {None, agent} and self.endpoint",
        "return self.endpoint",
    ),
    _secret(
        "a secret goes to its endpoint",
        "self.agent in {None, agent} and self.endpoint.covers(url, method)",
        "self.agent in {None, agent}",
    ),
    _secret(
        "a secret goes with its methods",
        "self.endpoint.covers(url, method)",
        "self.endpoint.covers(url, self.endpoint.methods[0])",
    ),
    _secret("a secret goes to one host", 'if self.endpoint.host.startswith("*."):'),
    _secret(
        "a secret is no place to widen a rule",
        "if self.endpoint.is_private or self.endpoint.follows:",
    ),
    _secret(
        "a secret is a header",
        "if len(self.header) > HEADER_CHARS_MAX or not _HEADER.fullmatch(self.header):",
    ),
    _secret("a secret frames no request", "if _HEADERS_REFUSED.fullmatch(self.header.lower()):"),
    _secret(
        "a header is refused in any case",
        "_HEADERS_REFUSED.fullmatch(self.header.lower())",
        "_HEADERS_REFUSED.fullmatch(self.header)",
    ),
    _secret(
        "a format breaks no line",
        "if len(self.format) > FORMAT_CHARS_MAX or not _FORMAT.fullmatch(self.format):",
    ),
    _secret(
        "a format holds the value once",
        "if self.format.count(PLAIN) + self.format.count(BASE64) != 1:",
    ),
    _secret(
        "a short value is no secret", "if not VALUE_BYTES_MIN <= len(value) <= VALUE_BYTES_MAX:"
    ),
    _secret("a value breaks no header", "if not _VALUE.fullmatch(value):"),
    _secret(
        "the most particular secret goes",
        "sorted(bindings, key=_particular)",
        "sorted(bindings, key=_particular, reverse=True)",
    ),
    _secret(
        "one header has one secret",
        "best[binding.header.lower()] = binding",
        "best[binding.name] = binding",
    ),
    _secret(
        "a password alone is looked for, too",
        "            texts.update(dict.fromkeys(_parts(pair)))",
        "            pass",
    ),
    _secret("an injection prints no value", "    value: str = field(repr=False)", "    value: str"),
)
