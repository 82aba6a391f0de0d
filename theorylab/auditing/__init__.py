"""Audits of saliency maps: is a map an explanation, or the image again.

:func:`audit` takes any attribution, from any library, and says with numbers and intervals whether its maps recover the
picture and whether they change with the class.
"""

from theorylab.auditing._audit import audit, audit_files
from theorylab.auditing._drawing import AuditReport
from theorylab.auditing._estimates import Estimate
from theorylab.auditing._measure import Measured
from theorylab.auditing._null import Compared, Null
from theorylab.auditing._report import Randomized
from theorylab.auditing._smoothed import SmoothedAttribution
from theorylab.auditing._verdict import Verdict
from theorylab.auditing.adapters import (
    CaptumAttribution,
    MethodAttribution,
    ModuleAttribution,
    NetworkAttribution,
)

__all__ = [
    "AuditReport",
    "CaptumAttribution",
    "Compared",
    "Estimate",
    "Measured",
    "MethodAttribution",
    "ModuleAttribution",
    "NetworkAttribution",
    "Null",
    "Randomized",
    "SmoothedAttribution",
    "Verdict",
    "audit",
    "audit_files",
]
