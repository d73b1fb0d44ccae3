"""What each call of a client carries beside its request."""

from pathlib import Path

from dirsync_client.session.channel import ServerConnection
from dirsync_client.settings import ClientSettings


def test_each_call_names_its_namespace(tmp_path: Path) -> None:
    """A proxy sees which namespace a call is about, without a look into its request; a token goes with it."""
    token = tmp_path / "token"
    token.write_text("secret-token-of-a-tenant")
    token.chmod(0o600)
    settings = {"namespace": "photos", "source": str(tmp_path)}
    bare = ServerConnection(ClientSettings.load(settings)).metadata()
    with_token = ServerConnection(ClientSettings.load({**settings, "token_file": str(token)})).metadata()

    assert (("dirsync-namespace", "photos"),) == bare
    assert (("authorization", "Bearer secret-token-of-a-tenant"), ("dirsync-namespace", "photos")) == with_token
