"""The page as it is served."""

import base64
import hashlib
import re

import pytest

from dirsync.runtime.page.page import load_page


def policy() -> dict[str, str]:
    """The content security policy, by directive."""
    return dict(directive.strip().split(" ", 1) for directive in load_page().policy.split(";"))


@pytest.mark.parametrize("tag, directive", [("script", "script-src"), ("style", "style-src")])
def test_policy_names_what_is_inline(tag: str, directive: str) -> None:
    """The only script and the only style are those whose digests the policy names."""
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", load_page().body.decode(), re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in found]

    assert [f"'sha256-{digest}'" for digest in digests] == policy()[directive].split()
    assert 1 == len(digests)


def test_policy_is_strict() -> None:
    """Nothing else is allowed but to ask the service itself."""
    others = {name: value for name, value in policy().items() if name not in ("script-src", "style-src")}

    assert {
        "default-src": "'none'",
        "connect-src": "'self'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    } == others
    assert "unsafe" not in load_page().policy


def test_self_contained() -> None:
    """The page names no other host, and has no attribute that the policy would refuse."""
    body = load_page().body.decode()
    addresses = set(re.findall(r"https?://[^'\"\s)]+", body))

    assert {"http://www.w3.org/2000/svg"} == addresses  # the name of SVG, which nothing fetches
    assert not re.search(r"\sstyle=|\son\w+=|javascript:|@import|url\(", body)


def test_no_html_is_made_of_text() -> None:
    """The script has none of the ways to turn a text into markup or code."""
    body = load_page().body.decode()

    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|outerHTML\s*=[^=]|eval\(|new Function", body)
