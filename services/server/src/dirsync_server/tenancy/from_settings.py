"""The tenants that the settings name."""

import os
from collections.abc import Iterable
from pathlib import Path

from dirsync.endpoint.quota import Quota
from dirsync.errors import UsageError
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.directories import lies_within
from dirsync.runtime.files.secrets import TokenFile
from dirsync.tree.path import escape
from dirsync_server.settings import Permissions, ServerSettings
from dirsync_server.tenancy.policies import Defaults
from dirsync_server.tenancy.registry import TenantRegistry
from dirsync_server.tenancy.tenants import Tenant, read_tenants


def registry_of(settings: ServerSettings) -> TenantRegistry:
    """The namespaces that a server with these settings has.

    Raises:
        UsageError: the tenants file or the token file cannot be used, or the state lies in the root of a namespace.
    """
    quota = Quota(settings.max_file_size, settings.quota_bytes, settings.quota_entries, settings.min_free_bytes)
    fixed = settings.permissions is Permissions.FIXED
    defaults = Defaults(quota, settings.fsync, fixed, settings.file_mode, settings.dir_mode)
    file = settings.tenants_file
    if file is not None:
        certificates = settings.serves_tls and settings.tls_client_ca_file is not None
        registry = TenantRegistry.following(file, lambda: read_tenants(file, defaults, certificates=certificates))
        _refuse_state_within(registry.current().values(), settings.state_dir)
        return registry
    token = TokenFile(settings.token_file, variable_name("server", "token_file")) if settings.token_file else None
    return TenantRegistry.single(Path(settings.root), defaults.policy, token)


def _refuse_state_within(tenants: Iterable[Tenant], state_dir: Path) -> None:
    """For ``ROOT`` the settings check this themselves."""
    for tenant in tenants:
        if lies_within(state_dir, tenant.root):
            msg = (
                f"{variable_name('server', 'state_dir')}={escape(os.fsencode(state_dir))} lies in "
                f"{tenant.setting} {escape(os.fsencode(tenant.root))}, where it would be mirrored away; "
                "set it to a directory outside"
            )
            raise UsageError(msg)
