"""Kills a comparison again and again, and holds its table against that of one that nothing happened to.

    python benchmarks/killed.py --kills 10 --whole ../benchmark-runs --broken ../killed-runs -- \\
        --strategies hard,pet,soft,ptuning --shots 16 --seeds 3 --data PATH/TO/rt-polarity

What stands behind `--` goes to `promptkit compare`. Cells that the store `--whole` has are not run again. The exit
code is 1 if the tables differ.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

COMMAND = (sys.executable, "-m", "promptkit", "compare")


def parse_arguments() -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, metavar="N", help="how often (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--between", type=float, nargs=2, default=(2.0, 60.0), metavar=("FROM", "TO"), help="seconds")
    parser.add_argument("--whole", type=Path, required=True, metavar="DIR", help="store of the unbroken comparison")
    parser.add_argument("--broken", type=Path, required=True, metavar="DIR", help="store of the other; not there yet")
    parser.add_argument("compare", nargs="+", metavar="ARGUMENT", help="of promptkit compare")
    options = parser.parse_args()
    if options.broken.exists():
        parser.error(f"'{options.broken}' exists")
    return options


def table(arguments: list[str], store: Path) -> str:
    """Return the table of a comparison, run to its end."""
    command = [*COMMAND, *arguments, "--store", str(store), "--no-times", "--quiet"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def kill_one(arguments: list[str], store: Path, seconds: float) -> bool:
    """Start a comparison and kill it after some seconds; tell whether it was still running."""
    process = subprocess.Popen([*COMMAND, *arguments, "--store", str(store), "--quiet"], stdout=subprocess.DEVNULL)
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        # SIGKILL: nothing in the process can take note of it.
        process.kill()
        process.wait()
        return True
    return False


def main() -> int:
    """Kill, finish, compare."""
    options = parse_arguments()
    moments = random.Random(options.seed)
    started, killed = time.perf_counter(), 0
    for _ in range(options.kills):
        seconds = moments.uniform(*options.between)
        if not kill_one(options.compare, options.broken, seconds):
            print("it had ended by itself; later kills find nothing", file=sys.stderr, flush=True)
            break
        killed += 1
        print(f"killed after {seconds:.1f} s", file=sys.stderr, flush=True)
    broken = table(options.compare, options.broken)
    spent = time.perf_counter() - started
    whole = table(options.compare, options.whole)
    same = broken == whole
    print(broken)
    said = "the same as" if same else "not that of"
    print(f"killed {killed} times in {spent:.0f} s; the table is {said} the unbroken one")
    if not same:
        print(whole)
    return int(not same)


if __name__ == "__main__":
    sys.exit(main())
