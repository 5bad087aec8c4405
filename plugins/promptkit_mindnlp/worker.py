"""The process that holds a model: reads requests from standard input, writes answers to standard output.

A request is (name, arguments), an answer (True, result) or (False, what is said to the user), both pickled: the two
ends of the pipe are promptkit's own.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from typing import Any


def main() -> None:
    """Serve until standard input ends."""
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever a library prints goes where the process's errors go, and not between two answers.
    os.dup2(2, 1)
    model: Any = None
    while True:
        try:
            name, given = pickle.load(requests)
        except EOFError:
            return
        try:
            if name == "load":
                model = _load(*given)
                found = model.told()
            else:
                found = getattr(model, name)(*given)
            answer = (True, found)
        except Exception as error:
            traceback.print_exc()
            answer = (False, _said(error))
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


def _load(device: str, *given: Any) -> Any:
    import mindspore as ms

    ms.set_device(device)
    ms.set_context(mode=ms.PYNATIVE_MODE)
    from promptkit_mindnlp.lm import LanguageModel

    return LanguageModel(*given)


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if type(error).__name__ == "Refused" else f"{text} ({type(error).__name__})"


if __name__ == "__main__":
    main()
