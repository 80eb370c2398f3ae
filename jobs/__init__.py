"""One entry point per stage: reads the recipe, hands the library's function to Spark, Ray or torchrun.

Each job file imports this package before anything else. Python puts the folder of a script first on its path, and in
this folder `select.py` would then stand where the standard library asks for its own `select`.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [place for place in sys.path if os.path.abspath(place or os.curdir) != _HERE]
