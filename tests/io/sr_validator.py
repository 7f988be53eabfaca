"""Run pixelmed's DicomSRValidator on several files in one Java machine.

The program itself takes one file a call, and starting it (compiling its style sheets) costs more
than validating. Called as a child process: a Java machine never leaves the process it started in.
"""

from __future__ import annotations

import json
import sys

import jpype

JAR = "/usr/share/java/pixelmed.jar"
LIMITS = ("xpathExprGrpLimit", "xpathExprOpLimit", "xpathTotalOpLimit")


def main(paths: list[str]) -> None:
    """Print the validator's text of each file as a JSON list, in the order given."""
    # Newer Java refuses the validator's own style sheets unless these limits are lifted.
    jpype.startJVM(*(f"-Djdk.xml.{name}=0" for name in LIMITS), classpath=[JAR])
    validator = jpype.JClass("com.pixelmed.validate.DicomSRValidator")()
    sys.stdout.write(json.dumps([str(validator.validate(path)) for path in paths]))


if __name__ == "__main__":
    main(sys.argv[1:])
