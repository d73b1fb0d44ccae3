"""Checking whether a file still matches a signature, reading it only up to the first difference."""

from collections.abc import Iterable

from dirsync.delta.signature.signature import Signature


def differs(signature: Signature, frames: Iterable[bytes]) -> bool:
    """Whether content differs from the basis of a complete signature; stops reading at the first difference.

    The answer "no" is as reliable as the signature's strong checksum. A caller that needs proof hashes the whole file.

    Args:
        signature: of the basis.
        frames: the content, in frames whose length is a multiple of the block size, except the last.
    """
    block, size, block_size = 0, 0, signature.block_size
    group_bytes = signature.group * block_size
    for frame in frames:
        view = memoryview(frame)
        if group_bytes and block % signature.group == 0:
            sums = signature.strong.of_blocks(view, group_bytes)
            groups = len(sums) // signature.strong.size
            if groups and signature.equal_groups(block, sums) < groups:
                return True
            block, size, view = (
                block + groups * signature.group,
                size + groups * group_bytes,
                view[groups * group_bytes :],
            )
        whole = len(view) - len(view) % block_size
        sums = signature.strong.of_blocks(view[:whole], block_size)
        if whole < len(view):
            sums += signature.strong.digest(view[whole:])
        size += len(view)
        count = len(sums) // signature.strong.size
        if size > signature.size or not signature.equal(block, sums).all():
            return True
        block += count
    return size != signature.size
