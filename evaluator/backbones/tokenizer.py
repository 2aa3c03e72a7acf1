"""CLIP's byte-pair tokenizer from vocab.json and merges.txt; both CLIPs of the evaluator share it."""

from __future__ import annotations

from pathlib import Path

from contest.errors import UserError

CONTEXT = 77
_PATTERN = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_START, _END = "<|startoftext|>", "<|endoftext|>"


class Tokenizer:
    """Text -> token ids, start and end included. Raises UserError for files that are not CLIP's."""

    def __init__(self, folder: Path) -> None:
        from tokenizers import Regex, models, normalizers, pre_tokenizers
        from tokenizers import Tokenizer as Pipeline

        try:
            model = models.BPE.from_file(
                str(folder / "vocab.json"),
                str(folder / "merges.txt"),
                end_of_word_suffix="</w>",
                unk_token=_END,
            )
        except Exception as error:  # the library raises bare Exception for anything it cannot read
            raise UserError(
                f"{folder}: vocab.json and merges.txt are not CLIP's ({error}); fetch them again"
            ) from error
        self._pipeline = Pipeline(model)
        self._pipeline.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
        )
        words = pre_tokenizers.Split(Regex(_PATTERN), behavior="removed", invert=True)
        self._pipeline.pre_tokenizer = pre_tokenizers.Sequence(
            [words, pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        start, end = self._pipeline.token_to_id(_START), self._pipeline.token_to_id(_END)
        if start is None or end is None:
            raise UserError(f"{folder / 'vocab.json'}: {_START} or {_END} is not in it; fetch it again")
        merges = (folder / "merges.txt").read_text("utf-8").splitlines()[1:]
        # every token but 2 x 256 bytes and two special ones comes from a merge; with fewer merges words fall
        # apart into other tokens and the scores would be wrong without a sign
        if len(merges) != self._pipeline.get_vocab_size() - 2 * 256 - 2:
            raise UserError(f"{folder / 'merges.txt'}: {len(merges)} merges do not fit vocab.json; fetch it again")
        self.start: int = start
        self.end: int = end

    def ids(self, texts: list[str], padding: int) -> list[list[int]]:
        """One row of CONTEXT ids per text, filled up with `padding`.

        Raises UserError for a text that is too long.
        """
        rows = [[self.start, *self._pipeline.encode(text).ids, self.end] for text in texts]
        for text, row in zip(texts, rows):
            if len(row) > CONTEXT:
                raise UserError(f"{text[:40]!r}...: {len(row)} tokens; CLIP reads at most {CONTEXT}")
        return [row + [padding] * (CONTEXT - len(row)) for row in rows]
