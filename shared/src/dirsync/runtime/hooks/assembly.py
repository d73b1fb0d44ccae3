"""Makes the hooks of a service of its settings."""

import os
import shlex
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from dirsync.errors import UsageError
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.config.settings import ServiceSettings
from dirsync.runtime.hooks.command import CommandHook
from dirsync.runtime.hooks.delivered import Delivered
from dirsync.runtime.hooks.hooks import Hooks
from dirsync.runtime.hooks.message import Place
from dirsync.runtime.hooks.thread import HookOptions, HookThread
from dirsync.runtime.hooks.webhook import WebhookHook
from dirsync.runtime.metrics.metrics import Metrics
from dirsync.tree.path import escape

if TYPE_CHECKING:
    from dirsync.runtime.hooks.outcome import Action


class HookPlace(NamedTuple):
    """One place of a service whose states its hooks are told."""

    namespace: str
    root: os.PathLike[str]
    target: str = ""
    """At a client whose servers have names: the one that has the states."""


def make_hooks(settings: ServiceSettings, roots: Iterable[HookPlace], metrics: Metrics) -> Hooks:
    """The hooks that the settings name, for these places.

    Raises:
        UsageError: there is no such program.
    """
    service = settings.service
    places = [Place(service, name, os.path.abspath(os.fsencode(root)), target) for name, root, target in roots]
    delivered = Delivered(settings.state_dir)
    actions: list[tuple[str, str, Action]] = []
    if settings.hook_command is not None:
        _require_program(settings.hook_command[0], variable_name(service, "hook_command"))
        actions.append(("command", shlex.join(settings.hook_command), CommandHook(settings.hook_command)))
    if settings.hook_webhook is not None:
        webhook = WebhookHook(settings.hook_webhook, settings.hook_success_status, settings.hook_timeout)
        actions.append(("webhook", settings.hook_webhook, webhook))
    return Hooks(
        [
            HookThread(
                HookOptions(name, target, settings.hook_timeout, settings.hook_debounce),
                action,
                places,
                delivered,
                metrics,
            )
            for name, target, action in actions
        ]
    )


def _require_program(program: str, setting: str) -> None:
    if shutil.which(program) is None:
        shown = escape(os.fsencode(program))
        msg = f"{setting}: there is no program {shown} that can be executed; write its path, or install it"
        raise UsageError(msg)
