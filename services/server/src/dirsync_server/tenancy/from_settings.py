"""The tenants that the settings name."""

from pathlib import Path

from dirsync.endpoint.quota import Quota
from dirsync.runtime.config.fields import variable_name
from dirsync.runtime.files.secrets import TokenFile
from dirsync_server.settings import Permissions, ServerSettings
from dirsync_server.tenancy.policies import Defaults
from dirsync_server.tenancy.registry import TenantRegistry
from dirsync_server.tenancy.tenants import read_tenants


def registry_of(settings: ServerSettings) -> TenantRegistry:
    """The namespaces that a server with these settings has.

    Raises:
        UsageError: the tenants file or the token file cannot be used.
    """
    quota = Quota(settings.max_file_size, settings.quota_bytes, settings.quota_entries, settings.min_free_bytes)
    fixed = settings.permissions is Permissions.FIXED
    defaults = Defaults(quota, settings.fsync, fixed, settings.file_mode, settings.dir_mode)
    file = settings.tenants_file
    if file is not None:
        certificates = settings.serves_tls and settings.tls_client_ca_file is not None
        return TenantRegistry.following(file, lambda: read_tenants(file, defaults, certificates=certificates))
    token = TokenFile(settings.token_file, variable_name("server", "token_file")) if settings.token_file else None
    return TenantRegistry.single(Path(settings.root), defaults.policy, token)
