"""The use cases. Every API calls this and nothing below; owner checks and idempotency keys are
here.

A job that is not the caller's is treated everywhere like one that does not exist, with the same
error.
"""

from checkback.service.jobs import Page as Page
from checkback.service.jobs import Service as Service
from checkback.service.jobs import SubmitResult as SubmitResult
