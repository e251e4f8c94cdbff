"""Where secrets go is read from the file; what they are never stands in it."""

import pytest

from akshi_mesh.config.errors import ConfigError
from akshi_mesh.config.read import read_config
from akshi_mesh.config.read_secrets import SECRETS_MAX, read_endpoint_secret
from akshi_mesh.config.section import Report, Section
from sandbox.endpoint import EndpointRule
from sandbox.secrets import SecretBinding, SecretSource


class NoFiles:
    def place(self, written: str) -> str:
        return written

    def is_file(self, path: str) -> bool:
        return False

    def is_directory(self, path: str) -> bool:
        return False


def read(text: str) -> tuple[SecretSource, ...]:
    return read_config(text, file="runtime.toml", files=NoFiles()).secrets


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(text)
    return [str(problem) for problem in refused.value.problems]


LEAST = '[[secrets]]\nname = "weather"\nendpoint = "api.example.com/v1"\n'


def test_without_the_section_there_are_none() -> None:
    assert read("") == ()


def test_the_least_that_can_be_written() -> None:
    assert read(LEAST) == (SecretSource(SecretBinding.parse("weather", "api.example.com/v1")),)


def test_everything_that_can_be_written() -> None:
    text = LEAST + (
        'methods = ["GET", "POST"]\nagent = "reader"\nheader = "X-Key"\nformat = "key {}"\n'
        'secret_env_var = "WEATHER_TOKEN"\n'
    )
    binding = SecretBinding.parse(
        "weather",
        "https://api.example.com/v1",
        methods=("POST", "GET"),
        agent="reader",
        header="X-Key",
        format="key {}",
    )
    assert read(text) == (SecretSource(binding, "WEATHER_TOKEN"),)


def test_one_name_may_go_to_several_places() -> None:
    places = [s.binding.place for s in read(LEAST + LEAST.replace("/v1", "/v2"))]
    assert places == ["https://api.example.com/v1", "https://api.example.com/v2"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[[secrets]]\nendpoint = "a.example"', "line 1: a secret needs a 'name'"),
        ('[[secrets]]\nname = "x"', "line 1: a secret needs an 'endpoint'"),
        (LEAST + "methods = []", "line 4: 'methods' is empty"),
        (LEAST + 'methods = ["FETCH"]', "line 1: secret 'weather':"),
        (LEAST + 'agent = ""', "line 1: secret 'weather':"),
        (LEAST + 'header = "Host"', "a secret cannot be the header Host"),
        (LEAST + 'format = "Bearer"', "want one {} or {base64}"),
        (LEAST + 'fromat = "Bearer {}"', "did you mean 'format'?"),
        (LEAST.replace("api.", "*."), "want one host"),
        (LEAST + LEAST, "line 4: secret 'weather' goes to the same place twice"),
        ("[secrets]", "'secrets' wants tables [[secrets]]"),
    ],
)
def test_what_cannot_be_used_is_a_problem_with_its_line(text: str, problem: str) -> None:
    assert any(problem in line for line in problems(text))


@pytest.mark.parametrize("key", ["value", "secret", "token", "key", "password"])
def test_a_value_in_the_file_is_refused_and_not_repeated(key: str) -> None:
    (line,) = problems(LEAST + f'{key} = "planted-secret-value"')
    assert "akshi-node secrets set" in line
    assert "planted" not in line


@pytest.mark.parametrize("value", ['"planted-secret-value"', '"$PLANTED"', '""', '"P=planted"'])
def test_a_value_in_the_place_of_a_variable_is_refused_and_not_repeated(value: str) -> None:
    (line,) = problems(LEAST + f"secret_env_var = {value}")
    assert "wants the name of an environment variable" in line
    assert "lanted" not in line.lower().replace("line", "")


def test_too_many_tables_are_refused() -> None:
    many = "".join(LEAST.replace("/v1", f"/{n}") for n in range(SECRETS_MAX + 1))
    assert problems(many) == [
        f"runtime.toml line {3 * SECRETS_MAX + 1}: more than {SECRETS_MAX} tables [[secrets]]"
    ]


def endpoint(values: dict[str, object], rule: str) -> tuple[SecretSource | None, list[str]]:
    report = Report("runtime.toml", {})
    section = Section(report, ("agents", 0, "endpoints", "allowed", 0), values)
    source = read_endpoint_secret(section, "reader", EndpointRule.parse(rule))
    section.close()
    return source, [problem.text for problem in report.problems]


def test_an_endpoint_with_a_variable_is_a_secret_of_that_agent_there() -> None:
    source, wrong = endpoint({"secret_env_var": "API_KEY"}, "private GET api.example.com/v1")
    binding = SecretBinding.parse("API_KEY", "api.example.com/v1", methods=("GET",), agent="reader")
    assert (source, wrong) == (SecretSource(binding, "API_KEY"), [])
    source, wrong = endpoint(
        {"secret_env_var": "API_KEY", "header": "X-Key", "format": "{}"}, "api.example.com"
    )
    assert source is not None
    assert (source.binding.header, source.binding.format, wrong) == ("X-Key", "{}", [])


def test_an_endpoint_without_a_variable_has_no_secret() -> None:
    assert endpoint({}, "api.example.com") == (None, [])
    source, wrong = endpoint({"header": "X-Key"}, "api.example.com")
    assert source is None
    assert wrong == ["'header' says how a secret is sent, so it wants 'secret_env_var'"]


def test_an_endpoint_of_many_hosts_gets_no_secret() -> None:
    source, wrong = endpoint({"secret_env_var": "API_KEY"}, "*.example.com")
    assert source is None
    assert "want one host" in wrong[0]


def test_a_secret_for_nobody_is_told() -> None:
    def notes(agent: str) -> list[str]:
        text = f'{LEAST}agent = "{agent}"\n'
        return [str(note) for note in read_config(text, file="f", files=NoFiles()).notes]

    (note,) = notes("raeder")
    assert "line 4: there is no agent 'raeder'" in note
    assert notes("rail.card") == notes("route.big") == []
