"""Re-execute chapters and labs as other machines would, and compare every output exactly.

Each setting is one that x86-64 machines differ in. Chapters run under each of them. A run of all labs takes
minutes, so they run once under each setting that changes arithmetic, and once under all others together;
without vector instructions, which comes last, it takes several times as long.
Run it with `make test-portable`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
SETTINGS: dict[str, dict[str, str]] = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "no vector instructions": {
        "ATEN_CPU_CAPABILITY": "default",
        "MKL_CBWR": "COMPATIBLE",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F AVX512CD AVX512_SKX FMA3",
    },
    "another language": {"LC_ALL": "C", "LANG": "C"},
    "another number format": {"LC_ALL": "de_DE.UTF-8", "LANG": "de_DE.UTF-8"},
    "another time zone": {"TZ": "Pacific/Kiritimati"},
    "another hash seed": {"PYTHONHASHSEED": "4321"},
    "another working folder": {},
}
ARITHMETIC = ("one thread", "two threads", "no vector instructions")
TOGETHER = {
    name: value
    for setting in SETTINGS
    for name, value in SETTINGS[setting].items()
    if setting not in ARITHMETIC
}
CHAPTERS = [
    *(sys.executable, "-W", "ignore", "-m", "pytest", "--nbval", "--nbval-current-env", "-q"),
    *("-p", "no:cacheprovider", "-c", "/dev/null", "-n", "2", "--dist", "loadfile", str(ROOT / "book")),
]
#: Values are compared to the eight digits that are committed.
LABS = [str(Path(sys.executable).parent / "ktreview"), "lab", "run", "--all", "--fresh"]


def main() -> int:
    """Run all chapters and labs under each setting; return how many runs failed."""
    runs = [(name, "chapters", CHAPTERS, variables) for name, variables in SETTINGS.items()]
    runs.append(("another working folder and all others", "labs", LABS, TOGETHER))
    runs += [(name, "labs", LABS, SETTINGS[name]) for name in ARITHMETIC]
    failed = []
    for name, what, command, variables in tqdm(runs, desc="settings", unit="run"):
        with tempfile.TemporaryDirectory() as elsewhere:
            run = subprocess.run(
                command,
                env=os.environ | variables,
                cwd=elsewhere if name.startswith("another working folder") else ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        told = run.stdout if what == "chapters" else run.stderr
        summary = (told.strip().splitlines() or [""])[-1]
        same = run.returncode == 0
        tqdm.write(f"{name}, {what}: {'same outputs' if same else 'OTHER OUTPUTS'} ({summary})")
        if not same:
            failed.append(f"{name}, {what}\n{told[-3000:]}")
    print("\n\n".join(failed), file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
