"""Maps of one picture with a few numbers, measured in a network or predicted by the laws: what the commands show.

Here networks are run and laws are evaluated; the drawing is done elsewhere (:mod:`theorylab.drawing`).
"""

from theorylab.exhibits._beside import beside
from theorylab.exhibits._exhibit import Exhibit, rules_named
from theorylab.exhibits._predicted import predicted
from theorylab.exhibits._visualized import NetworkChoice, visualized

__all__ = ["Exhibit", "NetworkChoice", "beside", "predicted", "rules_named", "visualized"]
