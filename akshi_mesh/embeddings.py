"""A trained model that embeds texts, if the owner has one: a directory of two files.

    model.onnx       a sentence encoder such as all-MiniLM-L6-v2, exported to ONNX
    tokenizer.json   its tokenizer, as the `tokenizers` library writes it

Nothing is ever downloaded: the owner puts the files there. The libraries are the extra
`embeddings`, loaded when the first text is embedded. What a vector stands for is named by the
hash of both files, so a changed model starts an index of its own.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from akshi_mesh.errors import UsageError
from sync.embedding import Embedder, HashingEmbedder, quantised

FILES: Final = ("model.onnx", "tokenizer.json")
TOKENS_MAX: Final = 256  # what MiniLM was trained on
BATCH: Final = 16


class EmbedderUnusable(UsageError):
    """The files or the libraries of the configured model are not there."""


def embedder_of(model_path: str | None) -> Embedder:
    """The embedder of `[embeddings] model_path`, else the built-in one.

    Raises:
        EmbedderUnusable: with the remedy.
    """
    if model_path is None:
        return HashingEmbedder()
    return OnnxEmbedder(Path(model_path))


class OnnxEmbedder:
    """Mean of the token vectors of an encoder. Blocks: call `embed` in a thread."""

    def __init__(self, directory: Path) -> None:
        digest = hashlib.blake2b(digest_size=8)
        for name in FILES:
            try:
                with (directory / name).open("rb") as file:
                    digest.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as failure:
                raise EmbedderUnusable(
                    f"[embeddings] model_path: {directory / name}: {failure.strerror}".lower(),
                    hint=f"put {' and '.join(FILES)} there, or remove [embeddings]",
                ) from failure
        try:
            import numpy
            import onnxruntime
            import tokenizers
        except ImportError as failure:
            raise EmbedderUnusable(
                f"[embeddings] wants the libraries of the extra: {failure}".lower(),
                hint="pip install 'akshi-mesh[embeddings]'",
            ) from failure
        self.model = f"onnx-{digest.hexdigest()}"
        self._numpy: Any = numpy
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(directory / FILES[1]))
        self._tokenizer.enable_truncation(TOKENS_MAX)
        self._tokenizer.enable_padding()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # the node has other work
        self._session: Any = onnxruntime.InferenceSession(
            str(directory / FILES[0]), options, providers=["CPUExecutionProvider"]
        )

    @cached_property
    def dimension(self) -> int:
        return len(self.embed(["dimension"])[0])

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        vectors: list[bytes] = []
        for start in range(0, len(texts), BATCH):
            vectors += self._batch(list(texts[start : start + BATCH]))
        return vectors

    def _batch(self, texts: list[str]) -> list[bytes]:
        numpy, encoded = self._numpy, self._tokenizer.encode_batch(texts)
        mask = numpy.array([one.attention_mask for one in encoded], dtype=numpy.int64)
        given = {
            "input_ids": numpy.array([one.ids for one in encoded], dtype=numpy.int64),
            "attention_mask": mask,
            "token_type_ids": numpy.zeros_like(mask),
        }
        wanted = {one.name for one in self._session.get_inputs()}
        tokens = self._session.run(None, {k: v for k, v in given.items() if k in wanted})[0]
        weights = mask[:, :, None].astype(tokens.dtype)
        mean = (tokens * weights).sum(axis=1) / numpy.maximum(weights.sum(axis=1), 1)
        return [quantised([float(value) for value in row]) for row in mean]
