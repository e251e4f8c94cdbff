"""A model of the owner's: found where it lies, never fetched, and named by what it is."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from akshi_mesh.config.errors import ConfigError
from akshi_mesh.config.read import read_config
from akshi_mesh.embeddings import EmbedderUnusable, OnnxEmbedder, embedder_of
from sync.embedding import HashingEmbedder
from tests.akshi_mesh.config.test_read import Beside


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    (tmp_path / "tokenizer.json").write_bytes(b"{}")
    return tmp_path


def read(text: str) -> str | None:
    return read_config(text, file="runtime.toml", files=Beside()).embeddings


def test_without_a_section_it_is_the_built_in_one() -> None:
    assert read("") is None
    assert isinstance(embedder_of(None), HashingEmbedder)


def test_the_directory_is_read_beside_the_file() -> None:
    assert read('[embeddings]\nmodel_path = "minilm"\n') == "/base/minilm"


@pytest.mark.parametrize(
    "text",
    ["[embeddings]\n", '[embeddings]\nmodel_path = "missing"\n', "[embeddings]\nmodel = 1\n"],
)
def test_what_is_wrong_is_told(text: str) -> None:
    with pytest.raises(ConfigError):
        read(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(EmbedderUnusable, match=r"model\.onnx") as unusable:
        OnnxEmbedder(tmp_path)
    assert "remove [embeddings]" in str(unusable.value.hint)


def test_a_missing_library_is_named(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EmbedderUnusable, match="extra") as unusable:
        OnnxEmbedder(directory)
    assert unusable.value.hint == "pip install 'akshi-mesh[embeddings]'"


class Tokens:
    """A tokenizer of letters, and a model whose vector of a letter is its place."""

    @classmethod
    def from_file(cls, path: str) -> "Tokens":
        return cls()

    def enable_truncation(self, tokens: int) -> None: ...

    def enable_padding(self) -> None: ...

    def encode_batch(self, texts: list[str]) -> list[Any]:
        longest = max(map(len, texts))
        return [
            SimpleNamespace(
                ids=[ord(c) % 4 for c in text] + [0] * (longest - len(text)),
                attention_mask=[1] * len(text) + [0] * (longest - len(text)),
            )
            for text in texts
        ]


def test_padding_does_not_count(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numpy = pytest.importorskip("numpy")

    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...

        def get_inputs(self) -> list[Any]:
            return [SimpleNamespace(name="input_ids"), SimpleNamespace(name="attention_mask")]

        def run(self, _: object, given: dict[str, Any]) -> list[Any]:
            assert set(given) == {"input_ids", "attention_mask"}
            return [numpy.eye(4)[given["input_ids"]]]

    runtime = SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)
    monkeypatch.setitem(sys.modules, "onnxruntime", runtime)
    monkeypatch.setitem(sys.modules, "tokenizers", SimpleNamespace(Tokenizer=Tokens))
    embedder = OnnxEmbedder(directory)
    assert embedder.dimension == 4
    alone, among = embedder.embed(["a"])[0], embedder.embed(["a", "bbbbbb"])[0]
    assert alone == among == bytes([0, 127, 0, 0])
    (directory / "model.onnx").write_bytes(b"other weights")
    assert OnnxEmbedder(directory).model != embedder.model
