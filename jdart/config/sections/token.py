"""Settings of a style token: words of its own for the style, learnt together with the adapters."""

from __future__ import annotations

from dataclasses import dataclass

from jdart.config.problem import check


@dataclass(frozen=True)
class TokenConfig:
    """Textual inversion. The placeholder stands in data.template, as in "an image of {object} in <style>"."""

    placeholder: str = "<style>"
    initializer: str = "style"  # the word whose embedding the vectors start from
    vectors: int = 1
    learning_rate: float = 5e-4

    def __post_init__(self) -> None:
        good = bool(self.placeholder) and not any(letter.isspace() or letter in "{}" for letter in self.placeholder)
        check(good, f"placeholder: {self.placeholder!r}; take one word without braces, such as <style>")
        check(bool(self.initializer), "initializer: name a word to start from, such as style")
        check(1 <= self.vectors <= 64, f"vectors: {self.vectors} is not in 1 to 64")
        check(self.learning_rate > 0, f"learning_rate: {self.learning_rate} is not above 0")
