"""Each service has a Dockerfile of its own beside it; all but what the two images are for is the same."""

from tests.support.outside.manifests import REPOSITORY


def build_stage(service: str) -> str:
    """The instructions that build one image, without its comments, with the name of the service left out."""
    text = (REPOSITORY / "services" / service / "Dockerfile").read_text()
    stage, final, _ = text.partition("\nFROM ${PYTHON_IMAGE}\n")
    assert final
    return "\n".join(line for line in stage.replace(service, "SERVICE").splitlines() if not line.startswith("#"))


def test_built_alike() -> None:
    """What is mended in one of them is mended in the other."""
    assert build_stage("server") == build_stage("client")
