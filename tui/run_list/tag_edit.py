"""A change of the tags of several runs: ``+night -draft``. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


def tag_words(text: str) -> list[str]:
    """The tags of a text, without their ``#``, each once: ``#night draft``."""
    return list(dict.fromkeys(text.replace("#", " ").split()))


@dataclass(frozen=True)
class TagEdit:
    """Tags to add and tags to remove."""

    added: tuple[str, ...]
    removed: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "TagEdit":
        """From ``+word``, ``-word``, and plain words, which are added."""
        words = tag_words(text.replace("+#", "+").replace("-#", "-"))
        signed = [word if word[0] in "+-" else f"+{word}" for word in words]
        return cls(
            tuple(word[1:] for word in signed if word[0] == "+" and word[1:]),
            tuple(word[1:] for word in signed if word[0] == "-" and word[1:]),
        )

    def __bool__(self) -> bool:
        return bool(self.added or self.removed)

    def __str__(self) -> str:
        return " ".join([*(f"+{word}" for word in self.added), *(f"-{w}" for w in self.removed)])

    def applied(self, tags: Iterable[str]) -> list[str]:
        """The tags after the change, in their order; what is both added and removed is removed."""
        return [tag for tag in dict.fromkeys([*tags, *self.added]) if tag not in self.removed]


def common(tags: Sequence[Sequence[str]]) -> list[str]:
    """The tags that all of several runs have, in the order of the first."""
    return [tag for tag in tags[0] if all(tag in others for others in tags)] if tags else []
