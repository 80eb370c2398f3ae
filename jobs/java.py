"""Whether Spark finds a Java that it can run on."""

import jobs  # noqa: F401 - before all others, see there

# isort: split
import os
import shutil
import subprocess

HELP = (
    "Spark needs Java 17 or 21, and `java` is {found}. Install it: on Debian or Ubuntu\n"
    "    apt-get install openjdk-17-jre-headless\n"
    "on macOS `brew install openjdk@17`; then run the same command again."
)


def problem() -> str | None:
    """What is wrong with Java here, as an instruction; None when Spark can run."""
    home = os.environ.get("JAVA_HOME")
    binary = f"{home}/bin/java" if home else shutil.which("java")
    if not binary or not os.path.exists(binary):
        return HELP.format(found="not on this machine")
    said = subprocess.run([binary, "-version"], capture_output=True, text=True, check=False).stderr
    number = said.split('"')[1].split(".")[0] if '"' in said else "?"
    return None if number.isdigit() and int(number) >= 17 else HELP.format(found=f"version {number}")
