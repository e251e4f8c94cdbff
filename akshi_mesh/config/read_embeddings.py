"""[embeddings]: the model that search by meaning uses instead of the built-in one."""

from akshi_mesh.config.files import Files
from akshi_mesh.config.section import Section


def read_embeddings(root: Section, files: Files) -> str | None:
    """The directory of the model, or None for the built-in one."""
    section = root.table("embeddings")
    if section is None:
        return None
    written = section.text("model_path", "")
    if not written or "\0" in written:
        section.wrong("model_path", "'model_path' wants a directory with a model")
        written = ""
    path = files.place(written) if written else None
    if path is not None and not files.is_directory(path):
        section.wrong("model_path", f"no directory {path}")
    section.close()
    return path
