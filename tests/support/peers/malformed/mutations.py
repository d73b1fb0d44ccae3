"""Bytes that are almost right: valid messages with flips, cuts, repetitions and insertions, and sheer noise."""

from hypothesis import strategies as st


@st.composite
def mutated(draw: st.DrawFn, valid: st.SearchStrategy[bytes]) -> bytes:
    """A valid message after up to five accidents, or noise."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.binary(max_size=200))
    raw = bytearray(draw(valid))
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(raw)))
        match draw(st.sampled_from(("flip", "cut", "drop", "repeat", "insert"))):
            case "flip" if at < len(raw):
                raw[at] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del raw[at:]
            case "drop":
                del raw[at : at + draw(st.integers(1, 8))]
            case "repeat":
                raw[at:at] = raw[at : at + draw(st.integers(1, 40))]
            case _:
                raw[at:at] = draw(st.binary(min_size=1, max_size=8))
    return bytes(raw)
