"""The process that holds the models: reads requests from standard input, writes answers to standard output.

A request is (models that are not needed any more, model, name, arguments), an answer (True, result) or (False, what
is said to the user), both pickled: the two ends of the pipe are promptkit's own.
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
    models: dict[int, Any] = {}
    count = 0
    while True:
        try:
            unused, which, name, given = pickle.load(requests)
        except EOFError:
            return
        for number in unused:
            del models[number]
        answer: tuple[bool, Any]
        try:
            if name == "load":
                count += 1
                models[count] = _load(*given, first=count == 1)
                answer = (True, count)
            else:
                answer = (True, getattr(models[which], name)(*given))
        except Exception as error:
            traceback.print_exc()
            answer = (False, _said(error))
        pickle.dump(answer, answers, protocol=5)
        answers.flush()


def _load(device: str, *given: Any, first: bool) -> Any:
    import mindspore as ms

    if first:
        # Before mindnlp is imported; once anything has been computed, no device can be set.
        ms.set_device(device)
        ms.set_context(mode=ms.PYNATIVE_MODE)
    from promptkit_mindnlp.lm import LanguageModel

    return LanguageModel(device, *given)


def _said(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0].rstrip(".") if lines else type(error).__name__
    return text if type(error).__name__ == "RefusedError" else f"{text} ({type(error).__name__})"


if __name__ == "__main__":
    main()
