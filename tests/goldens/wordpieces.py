"""Golden token ids of `vocab.txt` under the settings of `tokenizer_config.json`, for `make_goldens.py`."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path

from transformers import AutoTokenizer
from vocabularies import LETTERS

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHARACTERS = "éÉüÄñçåÅø中文字好電影한국어ひらがなабвй!?.,'-0123456789"
WORDS = "Great great GREAT café cafe naïve über uber Über 中文 好電影 film ##s".split()  # noqa: SIM905
TEXTS = [
    "Great film",
    "GREAT great Great",
    "Café naïve ÜBER über uber",
    "Cafe\u0301 nai\u0308ve",  # the same accents as characters of their own
    "中文 good 好電影",
    "中文great好電影",
    "한국어 ひらがな",
    "Абвй абв",
    "films, film's, it's-a 2024!",
    "Ångström\u00a0São\u200bPaulo\ttab\nline",
    "[MASK] [unused1] <mask>",
    "İstanbul ſtraße ǅ",
    "",
]


def vocabulary() -> list[str]:
    """Pieces in both cases, with accents and without, and Chinese words that only a whole run of characters gives."""
    letters = LETTERS + LETTERS.upper() + CHARACTERS
    pieces = [*SPECIAL, *WORDS, *letters, *(f"##{letter}" for letter in letters), "[", "]", "<", ">"]
    return list(dict.fromkeys(pieces))


def write_wordpiece_golden(path: Path) -> None:
    """Write the ids that transformers gives for every combination of settings."""
    pieces, cases = vocabulary(), []
    combinations = itertools.product((True, False), (True, False), (None, True, False))
    for lower, chinese, accents in combinations:
        settings = {"do_lower_case": lower, "tokenize_chinese_chars": chinese, "strip_accents": accents}
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
            (Path(folder) / "config.json").write_text('{"model_type": "bert"}')
            told = {"tokenizer_class": "BertTokenizer", **settings}
            (Path(folder) / "tokenizer_config.json").write_text(json.dumps(told))
            tokenizer = AutoTokenizer.from_pretrained(folder)
            assert len(tokenizer) == len(pieces)
            ids = [tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True) for text in TEXTS]
        cases.append({"settings": settings, "ids": ids})
    for left, right in itertools.combinations(cases, 2):
        # Where case goes, accents go with it unless something is said: null is then the same as true, else as false.
        same = dict(left["settings"], strip_accents=None) == dict(right["settings"], strip_accents=None)
        assert same or left["ids"] != right["ids"], (left["settings"], right["settings"])
    golden = {"vocabulary": pieces, "texts": TEXTS, "cases": cases}
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
