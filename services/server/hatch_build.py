"""Build hook: a service needs the shared package of its own version, and the number is written in one place only.

What else it needs stands beside the hook's setting in ``pyproject.toml``, because the build backend takes a list of
dependencies either from there or from a hook, never from both. The other service has the same file: a source
distribution must carry its own.
"""

from hatchling.metadata.plugin.interface import MetadataHookInterface


class SameVersion(MetadataHookInterface):
    """Completes the dependencies of a distribution whose version is known already."""

    def update(self, metadata: dict[str, object]) -> None:
        """Set ``dependencies`` in the ``[project]`` table."""
        metadata["dependencies"] = [f"dirsync=={metadata['version']}", *self.config["dependencies"]]
