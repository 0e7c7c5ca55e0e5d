"""Counter-based randomness: every random draw has its own seed, named by what it is for."""

import hashlib
import json

__all__ = ["derive_seed"]


def derive_seed(*parts: int | str) -> int:
    """Hash what a draw is for into a seed.

    The same parts give the same seed in every process, on every machine and in every version of Python, so that no
    generator's state has to be saved. `1` and `"1"` are different parts, and so are `("ab",)` and `("a", "b")`.

    Args:
        parts: what the draw is for, from the general to the specific, such as `(seed, "order", epoch)`.

    Returns:
        A whole number from 0 to 2**63 - 1 (torch and numpy both take it).
    """
    text = json.dumps(parts, ensure_ascii=True, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("ascii")).digest()[:8], "big") >> 1
