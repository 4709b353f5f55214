"""Re-execute the chapters as other machines would, and compare every output exactly.

Each setting is one that x86-64 machines differ in. Run it with `make test-portable`.
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
}


def main() -> int:
    """Run nbval under each setting, from another folder; return how many settings failed."""
    failed = []
    runs = [*SETTINGS.items(), ("another working folder", {})]
    for name, variables in tqdm(runs, desc="settings", unit="setting"):
        with tempfile.TemporaryDirectory() as elsewhere:
            run = subprocess.run(
                [
                    *(sys.executable, "-W", "ignore", "-m", "pytest", "--nbval", "--nbval-current-env", "-q"),
                    *("-p", "no:cacheprovider", "-c", "/dev/null", "-n", "2", "--dist", "loadfile"),
                    str(ROOT / "book"),
                ],
                env=os.environ | variables,
                cwd=elsewhere if name == "another working folder" else ROOT,
                capture_output=True,
                text=True,
                check=False,
            )
        summary = run.stdout.strip().splitlines()[-1] if run.stdout.strip() else run.stderr[-300:]
        tqdm.write(f"{name}: {'same outputs' if run.returncode == 0 else 'OTHER OUTPUTS'} ({summary})")
        if run.returncode:
            failed.append(f"{name}\n{run.stdout[-3000:]}")
    print("\n\n".join(failed), file=sys.stderr)
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
