"""The settings that a container of ours would start with: its image's environment, and the settings in addition."""

import os
import re
from unittest import mock

from dirsync.runtime.config.settings import ServiceSettings
from dirsync_client.settings import ClientSettings
from dirsync_server.settings import ServerSettings
from tests.support.outside.manifests import REPOSITORY

CLASSES: dict[str, type[ServiceSettings]] = {"server": ServerSettings, "client": ClientSettings}


def image_environment(service: str) -> dict[str, str]:
    """The settings that the image of a service makes."""
    text = (REPOSITORY / "services" / service / "Dockerfile").read_text()
    return dict(re.findall(r"(DIRSYNC_\w+)=(\S+)", text.rpartition("\nENV ")[2]))


def load_settings(service: str, environment: dict[str, str]) -> ServiceSettings:
    """The settings of a service in this environment; raises UsageError where the program would refuse to start."""
    with mock.patch.dict(os.environ, image_environment(service) | environment, clear=True):
        return CLASSES[service].load()
