"""What each call of a client carries beside its request."""

from pathlib import Path

from dirsync.rpc.service import Metadata
from dirsync_client.session.channel import ServerConnection
from dirsync_client.settings import ClientSettings


def test_each_call_names_its_namespace(tmp_path: Path) -> None:
    """A proxy sees which namespace a call is about, without a look into its request; a token goes with it."""
    token = tmp_path / "token"
    token.write_text("secret-token-of-a-tenant")
    token.chmod(0o600)
    settings = {"namespace": "photos", "source": str(tmp_path)}

    assert [(("dirsync-namespace", "photos"),)] == headers(settings)
    with_token = (("authorization", "Bearer secret-token-of-a-tenant"), ("dirsync-namespace", "photos"))
    assert [with_token] == headers({**settings, "token_file": str(token)})


def test_each_target_has_its_own(tmp_path: Path) -> None:
    """Of several servers each is told its own namespace and token, and no server that of another."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"secret-token-of-{name}")
        (tmp_path / name).chmod(0o600)
    settings = {
        "source": str(tmp_path),
        "server": "a=localhost:1,b=localhost:2,c=localhost:3",
        "namespace": "a=photos,b=music",
        "token_file": f"a={tmp_path / 'one'},b={tmp_path / 'two'}",
    }

    assert [
        (("authorization", "Bearer secret-token-of-one"), ("dirsync-namespace", "photos")),
        (("authorization", "Bearer secret-token-of-two"), ("dirsync-namespace", "music")),
        (("dirsync-namespace", "default"),),
    ] == headers(settings)


def headers(flags: dict[str, str]) -> list[Metadata]:
    """Those of each target."""
    settings = ClientSettings.load(flags)
    return [ServerConnection(settings, target).metadata() for target in settings.targets]
