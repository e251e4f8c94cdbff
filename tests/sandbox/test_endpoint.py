"""URLs have one spelling, and a rule covers what a slow reading of it covers."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.endpoint import METHODS, EndpointRule, Url
from sandbox.errors import MalformedEndpoint, MalformedUrl

GOOD = {
    "https://api.example.com": "https://api.example.com/",
    "HTTPS://API.Example.COM/A": "https://api.example.com/A",
    "https://api.example.com:443/": "https://api.example.com/",
    "https://api.example.com./": "https://api.example.com/",
    "http://api.example.com:80/x": "http://api.example.com/x",
    "https://api.example.com:8443/v1?q=a%20b&c[]=1": "https://api.example.com:8443/v1?q=a%20b&c[]=1",
    "https://8.8.8.8/": "https://8.8.8.8/",
    "https://[2606:4700::1111]:444/": "https://[2606:4700::1111]:444/",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://xn--bcher-kva.example/?": "https://xn--bcher-kva.example/",
    "https://a_b.example.com/%7Ejoe/a..b/...": "https://a_b.example.com/%7Ejoe/a..b/...",
}

BAD = {
    "user name": "https://api.example.com@evil.example/",
    "password": "https://a:b@api.example.com/",
    "empty user": "https://@api.example.com/",
    "backslash": "https://evil.example\\.api.example.com/",
    "backslash for slashes": "https:\\\\api.example.com/",
    "tab": "https://api.exam\tple.com/",
    "newline": "https://api.example.com/\n",
    "leading space": " https://api.example.com/",
    "nul": "https://api.example.com\0.evil.example/",
    "one slash": "https:/api.example.com/",
    "three slashes": "https:///api.example.com/",
    "no scheme": "//api.example.com/",
    "other scheme": "ftp://api.example.com/",
    "file": "file:///etc/passwd",
    "fragment": "https://api.example.com/#@evil.example",
    "octal": "http://0177.0.0.1/",
    "octal whole": "http://017700000001/",
    "hex": "http://0x7f.0.0.1/",
    "hex whole": "http://0x7f000001/",
    "hex empty": "http://0x/",
    "decimal": "http://2130706433/",
    "short": "http://127.1/",
    "leading zeros": "http://127.0.0.01/",
    "number last": "http://example.1/",
    "hex last": "http://example.0x1/",
    "too large": "http://256.1.1.1/",
    "address with a dot": "http://127.0.0.1./",
    "number with a dot": "http://2130706433./",
    "full-width digits": "http://１２７.0.0.1/",
    "circled digits": "http://①②⑦.0.0.1/",
    "full-width dot": "http://example．com/",
    "ideographic dot": "http://example。com/",
    "mapped": "http://[::ffff:127.0.0.1]/",
    "mapped in hex": "http://[::ffff:7f00:1]/",
    "zone": "http://[fe80::1%25eth0]/",
    "bare zone": "http://[fe80::1%eth0]/",
    "long IPv6": "http://[0:0:0:0:0:0:0:1]/",
    "IPv6 with zeros": "http://[::0001]/",
    "IPv6 without brackets": "http://::1/",
    "IPv6 with an IPv4 tail": "http://[64:ff9b::127.0.0.1]/",
    "brackets around a name": "http://[example.com]/",
    "IPvFuture": "http://[v1.a:b]/",
    "empty port": "https://api.example.com:/",
    "port zero": "https://api.example.com:0/",
    "port with zeros": "https://api.example.com:0443/",
    "port too large": "https://api.example.com:65536/",
    "port in other digits": "https://api.example.com:４４３/",
    "port with a sign": "https://api.example.com:+443/",
    "two ports": "https://api.example.com:443:80/",
    "encoded host": "https://api%2eexample.com/",
    "empty host": "https:///",
    "only a dot": "https://./",
    "two dots": "https://api.example.com../",
    "empty label": "https://api..example.com/",
    "leading dot": "https://.example.com/",
    "hyphen first": "https://-a.example/",
    "wildcard": "https://*.example.com/",
    "long label": f"https://{'a' * 64}.example/",
    "long host": f"https://{'a.' * 127}example/",
    "long url": "https://api.example.com/" + "a" * 4_096,
    "bad A-label": "https://xn--a.example/",
    "mixed A-label": "https://xn--80ak6aa92e!.com/",
    "upper case beyond ASCII": "https://BÜCHER.example/",
    "sharp joiner": "https://exa\u200dmple.com/",
    "soft hyphen": "https://exa\u00admple.com/",
    "dots": "https://api.example.com/v1/../admin",
    "one dot": "https://api.example.com/./v1",
    "dots at the end": "https://api.example.com/v1/..",
    "encoded dots": "https://api.example.com/v1/%2e%2e/admin",
    "half encoded dots": "https://api.example.com/v1/.%2E/admin",
    "dots with a parameter": "https://api.example.com/v1/..;x/admin",
    "encoded dot in a name": "https://api.example.com/v1/a%2Eb",
    "encoded slash": "https://api.example.com/v1%2f..",
    "encoded backslash": "https://api.example.com/v1%5C..",
    "encoded nul": "https://api.example.com/v1%00",
    "encoded newline": "https://api.example.com/v1%0d%0aX: y",
    "encoded twice": "https://api.example.com/%252e%252e/",
    "overlong dot": "https://api.example.com/%c0%ae%c0%ae/",
    "half an escape": "https://api.example.com/%2",
    "not an escape": "https://api.example.com/%zz",
    "path beyond ASCII": "https://api.example.com/ä",
    "query beyond ASCII": "https://api.example.com/?ä",
    "query with quotes": 'https://api.example.com/?"',
    "query with half an escape": "https://api.example.com/?%",
}


@pytest.mark.parametrize(("text", "canonical"), GOOD.items())
def test_a_url_has_one_spelling(text: str, canonical: str) -> None:
    assert str(Url.parse(text)) == canonical
    assert Url.parse(canonical) == Url.parse(text)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_what_two_readers_could_understand_differently_is_refused(text: str) -> None:
    with pytest.raises(MalformedUrl):
        Url.parse(text)


def test_a_user_name_is_called_one() -> None:
    with pytest.raises(MalformedUrl, match="user name"):
        Url.parse("https://api.example.com@evil.example/")


@given(st.text() | st.text(alphabet="https:/.@[]%\\0127x?#-*e").map("http://".__add__))
def test_any_text_is_a_url_or_malformed(text: str) -> None:
    try:
        url = Url.parse(text)
    except MalformedUrl:
        return
    assert Url.parse(str(url)) == url
    assert str(url).isascii()


def test_parts_that_are_no_url_cannot_be_put_together() -> None:
    for parts in (
        ("ftp", "a", 1, "/", ""),
        ("http", "A", 80, "/", ""),
        ("http", "a", 0, "/", ""),
        ("http", "a", 80, "", ""),
        ("http", "a", 80, "/", " "),
        ("http", "::1%lo", 80, "/", ""),
    ):
        with pytest.raises(MalformedUrl):
            Url(*parts)


def test_what_is_sent_and_where() -> None:
    url = Url.parse("http://[::1]:8080/a?b=c")
    assert url.origin == "http://[::1]:8080"
    assert url.target == "/a?b=c"
    assert str(url.address) == "::1"
    assert Url.parse("https://localhost").address is None
    assert Url.parse("https://localhost").target == "/"


RULES = {
    "api.example.com": "api.example.com",
    "API.example.com./": "api.example.com",
    "https://api.example.com:443": "api.example.com",
    "http://api.example.com:80/v1/": "http://api.example.com/v1",
    "post,get api.example.com:8443/v1": "GET,POST api.example.com:8443/v1",
    "*.example.com": "*.example.com",
    "http://*.example.com:81": "http://*.example.com:81",
    "private redirects GET http://127.0.0.1:8080/a": "private redirects GET http://127.0.0.1:8080/a",
    "private [::1]": "private [::1]",
    "bücher.example/ok": "xn--bcher-kva.example/ok",
}

NO_RULES = (
    "",
    "*",
    "*.",
    "*.*.example.com",
    "a*.example.com",
    "api.*.com",
    "*.127.0.0.1",
    "*.[::1]",
    "*.0x7f.1",
    "127.1",
    "user@api.example.com",
    "api.example.com?q=1",
    "api.example.com?",
    "api.example.com/../v1",
    "api.example.com:",
    "api.example.com:0",
    "ftp://api.example.com",
    "TRACE api.example.com",
    "CONNECT api.example.com",
    "GET, POST api.example.com",
    " api.example.com",
    "api.example.com ",
    "redirects private api.example.com",
    "private private api.example.com",
    ", api.example.com",
    "GET GET api.example.com",
)


@pytest.mark.parametrize(("text", "canonical"), RULES.items())
def test_a_rule_is_read_and_printed(text: str, canonical: str) -> None:
    rule = EndpointRule.parse(text)
    assert str(rule) == canonical
    assert EndpointRule.parse(canonical) == rule


@pytest.mark.parametrize("text", NO_RULES)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(MalformedEndpoint) as caught:
        EndpointRule.parse(text)
    assert "\n" not in str(caught.value)


def test_rules_that_mean_nothing_cannot_be_put_together() -> None:
    for wrong in ({"path": "/a/"}, {"methods": ()}, {"methods": ("POST", "GET")}, {"port": 0}):
        with pytest.raises(MalformedEndpoint):
            EndpointRule("example.com", **wrong)  # type: ignore[arg-type]


def test_a_rule_without_words_is_https_and_any_method() -> None:
    rule = EndpointRule.parse("api.example.com")
    url = Url.parse("https://api.example.com/any/where")
    assert all(rule.covers(url, method) for method in METHODS)
    for other in (
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
        "https://example.com/",
        "https://x.api.example.com/",
    ):
        assert not rule.covers(Url.parse(other), "GET")
    for method in ("TRACE", "CONNECT", "get", "", "GET "):
        assert not rule.covers(url, method)


def test_a_wildcard_is_for_what_is_below() -> None:
    rule = EndpointRule.parse("*.example.com")
    assert rule.covers(Url.parse("https://a.example.com"), "GET")
    assert rule.covers(Url.parse("https://b.a.example.com."), "GET")
    for host in ("example.com", "evilexample.com", "a.example.com.evil.example", "a.example.org"):
        assert not rule.covers(Url.parse(f"https://{host}"), "GET")


def test_a_prefix_is_compared_in_whole_decoded_segments() -> None:
    rule = EndpointRule.parse("api.example.com/v1/a%7Eb")
    for path in ("/v1/a~b", "/v1/%61~b", "/v1/a%7eb/", "/v1/a~b/c"):
        assert rule.covers(Url.parse(f"https://api.example.com{path}"), "GET")
    for path in ("", "/v1", "/v1/", "/v1/a~bc", "//v1/a~b", "/V1/a~b", "/v1//a~b", "/v1/a~b;/x"):
        assert not rule.covers(Url.parse(f"https://api.example.com{path}"), "GET")


# A second matcher, on text and one character at a time, that shares no code with the first.


def slowly_covers(rule: str, url: str, method: str) -> bool:
    words = rule.split(" ")
    methods = words[0].split(",") if len(words) == 2 else list(METHODS)
    rule_scheme, rule_host, rule_port, rule_path = _taken_apart(words[-1])
    scheme, host, port, path = _taken_apart(url)
    if method not in methods or (scheme, port) != (rule_scheme, rule_port):
        return False
    if rule_host[0] == "*":
        wanted = rule_host.split(".")[1:]
        found = host.split(".")
        if len(found) <= len(wanted) or found[len(found) - len(wanted) :] != wanted:
            return False
    elif host != rule_host:
        return False
    wanted = [part for part in rule_path.split("/") if part]
    found = path.split("/")[1:]
    return found[: len(wanted)] == wanted


def _taken_apart(place: str) -> tuple[str, str, str, str]:
    scheme = "https"
    for known in ("http", "https"):
        if place.startswith(known + "://"):
            scheme, place = known, place[len(known) + 3 :]
    host, slash, path = place.partition("/")
    host, _, port = host.partition(":")
    decoded, at = "", 0
    while at < len(path):
        if path[at] == "%":
            decoded += chr(int(path[at + 1 : at + 3], 16))
            at += 3
        else:
            decoded += path[at]
            at += 1
    port = port or {"http": "80", "https": "443"}[scheme]
    return scheme, host.lower(), port, slash + decoded if slash else "/"


LABELS = st.sampled_from(["a", "b", "ab", "evil", "x", "xA"])
HOSTS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)
PLACES = st.sampled_from(["", ":80", ":443", ":8443"])
SEGMENTS = st.lists(st.sampled_from(["v1", "v", "%76", "V1", "", "a%20b"]), max_size=3)
PATHS = st.just("") | SEGMENTS.map(lambda parts: "/" + "/".join(parts))
RULE_PATHS = SEGMENTS.map(lambda parts: "".join("/" + part for part in parts if part))
SCHEMES = st.sampled_from(["https://", "http://"])
URLS = st.tuples(SCHEMES, HOSTS, PLACES, PATHS).map("".join)
METHOD_WORDS = st.just("") | st.lists(st.sampled_from(METHODS), min_size=1, unique=True).map(
    lambda words: ",".join(words) + " "
)
RULE_TEXTS = st.tuples(
    METHOD_WORDS, st.just("") | SCHEMES, st.sampled_from(["", "*."]), HOSTS, PLACES, RULE_PATHS
).map("".join)


@given(RULE_TEXTS, URLS, st.sampled_from(METHODS))
def test_a_rule_covers_what_a_slow_reading_covers(rule: str, url: str, method: str) -> None:
    assert EndpointRule.parse(rule).covers(Url.parse(url), method) == slowly_covers(
        rule, url, method
    )


@given(URLS, st.sampled_from(METHODS))
def test_a_url_is_covered_by_the_rule_written_from_it(url: str, method: str) -> None:
    parsed = Url.parse(url)
    rule = EndpointRule.parse(f"{method} {parsed.origin}{parsed.path}".rstrip("/"))
    assert rule.covers(parsed, method) or "//" in parsed.path


@given(st.text(alphabet=string.ascii_lowercase + "*./:,% GETprivate-0123", max_size=40))
def test_any_text_is_a_rule_or_malformed(text: str) -> None:
    try:
        rule = EndpointRule.parse(text)
    except MalformedEndpoint:
        return
    assert EndpointRule.parse(str(rule)) == rule


@pytest.mark.parametrize("odd", ["\\", " ", "\t", "\n", "\r", "\0", "\x1f", "\x7f"])
@pytest.mark.parametrize(
    "text",
    [
        "{}https://a.org/",
        "https://a{}.org/",
        "https://a.org{}/x",
        "https://a.org/{}x",
        "https://a.org/x?{}y",
        "https://a.org/x{}",
    ],
)
def test_a_character_that_readers_skip_or_turn_is_refused_as_such(text: str, odd: str) -> None:
    with pytest.raises(MalformedUrl, match="a space, a backslash or a control character"):
        Url.parse(text.format(odd))


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com:443/v1",
        "https://api.example.com:80/v1",
        "https://api.example.com/v2",
        "https://www.api.example.com/v1",
        "https://xapi.example.com/v1",
    ],
)
def test_one_part_that_differs_is_enough(url: str) -> None:
    rule = EndpointRule.parse("api.example.com/v1")
    assert rule.covers(Url.parse("https://api.example.com/v1"), "GET")
    assert not rule.covers(Url.parse(url), "GET")
    assert not EndpointRule.parse("POST api.example.com").covers(
        Url.parse("https://api.example.com/"), "GET"
    )
