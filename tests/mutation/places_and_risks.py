"""Rules of sandbox/endpoint.py, public_address.py, risk.py, fields.py, kept.py and audit.py."""

from tests.mutation.mutant import Mutant


def _place(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/endpoint.py", old, new)


def _risk(rule: str, old: str, new: str = "if False:") -> Mutant:
    return Mutant(rule, "sandbox/risk.py", old, new)


def _field(rule: str, old: str, new: str) -> Mutant:
    return Mutant(rule, "sandbox/fields.py", old, new)


ENDPOINTS = (
    _place("a rule has one port", "url.port == self.port", "True"),
    _place("a rule has one scheme", "and url.scheme == self.scheme", ""),
    _place("a rule has its methods", "and method in self.methods", ""),
    _place("a rule has its host", "and self.covers_host(url.host)", ""),
    _place("a rule has its path", "and self.covers_path(url.path)", ""),
    _place(
        "a wildcard is for names below",
        "host.endswith(self.host[1:])",
        "host.endswith(self.host[2:])",
    ),
    _place(
        "a host is the whole host", "return host == self.host", "return host.endswith(self.host)"
    ),
    _place(
        "a prefix is whole segments",
        "return segments(path)[: len(prefix)] == prefix",
        "return path.startswith(self.path)",
    ),
    _place("a URL has no user", 'if "@" in authority:'),
    _place("a URL has no fragment", "if fragment is not None:"),
    _place("a URL has no backslash and no blank", "if _ODD.search(text):"),
    _place("a port has one spelling", "if port is not None and not _PORT.fullmatch(port):"),
    _place("an address has one spelling", "    if str(address) != host:", "    if False:"),
    _place("octal, hex and decimal are addresses", "[0-9]+|0x[0-9a-f]*", "[0-9]+x"),
    _place(
        "a mapped address is none",
        "isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id)",
        "isinstance(address, IPv6Address) and address.scope_id",
    ),
    _place(
        "a zone is none of ours",
        "isinstance(address, IPv6Address) and (address.ipv4_mapped or address.scope_id)",
        "isinstance(address, IPv6Address) and address.ipv4_mapped",
    ),
    _place("a dot is not encoded", 'if "%2e" in path.lower():'),
    _place("a slash is not encoded", "if _UNSEEN.search(part):"),
    _place("nothing is encoded twice", "if _ENCODED.search(part):"),
    _place("no segment climbs", 'if part.partition(";")[0] in {".", ".."}:'),
    _place("no segment climbs with a parameter", 'part.partition(";")[0] in', "part in"),
    _place(
        "a name is known to IDNA",
        'if any(label.startswith("xn--") and not _is_a_label(label) for label in labels):',
    ),
    _place(
        "a trailing dot is the same name",
        'return host[:-1] if host.endswith(".") and not _ends_in_number(host[:-1]) else host',
        "return host",
    ),
    _place(
        "a host has the characters of a host",
        "    if not all(map(_LABEL.fullmatch, labels)):",
        "    if False:",
    ),
    _place("nothing is below an address", "if host != self.host and _address(host) is not None:"),
    _place(
        "a rule wants methods that are some",
        "if not self.methods or self.methods != tuple(sorted(set(self.methods) & {*METHODS})):",
    ),
)

RISKS = (
    _risk(
        "what nobody has judged is high",
        "return Tier.HIGH, WEIGHTS[Tier.HIGH]",
        "return Tier.LOW, WEIGHTS[Tier.LOW]",
    ),
    _risk("the worst field is the tier", "tier = max((field.tier", "tier = min((field.tier"),
    _risk(
        "the score is the sum",
        "sum(field.weight for field in judged))",
        "max((field.weight for field in judged), default=0))",
    ),
    _risk(
        "the score ends at a hundred",
        "min(SCORE_MAX, sum(field.weight for field in judged))",
        "sum(field.weight for field in judged)",
    ),
    _risk(
        "too many fields are high",
        'return Risk.of((*kept, self.judge(f"{capability}.too-many-fields")))',
        "return Risk.of(kept)",
    ),
    _risk(
        "of too many fields the worst are kept",
        "sorted(map(self.judge, names), key=_worst_first)",
        "sorted(map(self.judge, names), key=_worst_first, reverse=True)",
    ),
    _risk("an exact line beats the others", "        if exact is not None:", "        if False:"),
    _risk(
        "the longest covering line wins",
        "            if covering is not None:\n                return covering",
        '            if covering is not None and end == field.find("."):\n'
        "                return covering",
    ),
    _risk(
        "a name that is cut is not the name",
        'field[: FIELD_CHARS_MAX - 1] + "~"',
        "field[:FIELD_CHARS_MAX]",
    ),
    _risk("a name in a record is harmless", 'return _ODD.sub("~", field)', "return field"),
    _risk("a guest fills no memory with names", "if len(self._known) < LINES_MAX:", "if True:"),
    _risk("one line never covers everything", '    if path == "*":', "    if False:"),
    _risk("a tier is one of three", "if not isinstance(value, str) or value not in list(Tier):"),
    _risk(
        "a weight is a number in range",
        "if type(weight) is not int or not 0 <= weight <= SCORE_MAX:",
    ),
    _risk(
        "an unknown key is a mistake",
        'if unknown := set(value) - {"tier", "weight"}:',
        "if unknown := set():",
    ),
    _risk(
        "the record explains the score",
        'return (("tier", self.tier.value), ("score", str(self.score)), *named)',
        'return (("tier", self.tier.value), ("score", str(self.score)), *named[1:])',
    ),
    _field(
        "a method is judged",
        '["http_fetch.url", f"http_fetch.method.{wish.method}"]',
        '["http_fetch.url"]',
    ),
    _field(
        "a header is judged",
        '    fields += [f"http_fetch.headers.{name.lower()}" for name, _ in wish.headers]\n',
        "",
    ),
    _field("a header is judged in any case", "{name.lower()}", "{name}"),
    _field("a query is judged", "if wish.url.query:", "if False:"),
    _field("a body is judged", "if wish.body:", "if False:"),
    _field("a proof of payment is judged", "if wish.payment is not None:", "if False:"),
    _field(
        "a tool is judged",
        '(f"mcp.tool.{server}/{tool}", *_of_arguments(fields))',
        "tuple(_of_arguments(fields))",
    ),
    _field(
        "an argument is judged",
        '(f"mcp.tool.{server}/{tool}", *_of_arguments(fields))',
        '(f"mcp.tool.{server}/{tool}",)',
    ),
    _field(
        "nesting hides nothing",
        "for key in _KEY.findall(path)",
        "for key in _KEY.findall(path)[:1]",
    ),
    _field("a dot in a key is no nesting", '"(?:[^"\\\\]|\\\\.)*"|', ""),
    _field(
        "a plain call is judged by its name",
        "return (_plain_name(capability, request.function.name),)",
        "return ()",
    ),
)

RECORDS = (
    Mutant(
        "rows are kept as their hash",
        "sandbox/kept.py",
        "request.function.effect is Effect.STAGED or (is_file",
        "(is_file",
    ),
    Mutant(
        "a long file is kept as its hash",
        "sandbox/kept.py",
        "len(answer) > KEPT_CHARS_MAX)",
        "False)",
    ),
    Mutant(
        "an answer is the same only if it is",
        "sandbox/kept.py",
        "return _digest(answer) == self.digest",
        "return bool(self.digest)",
    ),
    Mutant(
        "a record is short",
        "sandbox/audit.py",
        'object.__setattr__(self, "detail", _cut(self.detail, DETAIL_CHARS_MAX))',
        "pass",
    ),
    Mutant(
        "facts are few", "sandbox/audit.py", "    if len(facts) > FACTS_MAX:\n", "    if False:\n"
    ),
    Mutant(
        "a fact is short",
        "sandbox/audit.py",
        "(name, _cut(value, FACT_CHARS_MAX))",
        "(name, value)",
    ),
    Mutant(
        "a fold counts",
        "sandbox/audit.py",
        "        self.count += record.count\n",
        "        self.count = 1\n",
    ),
    Mutant("folds are few", "sandbox/audit.py", "if len(self._open) >= FOLDS_MAX:", "if False:"),
    Mutant(
        "a fold ends after a second",
        "sandbox/audit.py",
        "record.at_ms - fold.opened_ms < FOLD_MS:",
        "True:",
    ),
    Mutant(
        "different facts are different events",
        "sandbox/audit.py",
        "            record.facts,\n        )",
        "            (),\n        )",
    ),
    Mutant(
        "what is money is done at most once",
        "sandbox/capability.py",
        'Function("spend.charge", Capability.SPEND, (_TEXT,), Effect.OUTSIDE)',
        'Function("spend.charge", Capability.SPEND, (_TEXT,), Effect.READ)',
    ),
    Mutant(
        "each function has its capability",
        "sandbox/capability.py",
        'Function("spend.charge", Capability.SPEND,',
        'Function("spend.charge", None,',
    ),
)
