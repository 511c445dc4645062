"""What can go wrong with a model, as three cases that are handled differently.

ModelError
+-- Retryable   the call may succeed later: rate limit, overload, timeout, no connection
+-- Permanent   no later call will: wrong key, unknown model, refused request
+-- Unusable    there is an answer, and nothing can be made of it
"""


class ModelError(Exception):
    """A model gave no analysis; the text is one sentence for the person who reads the fallback."""

    outcome = "error"
    """The label of the metric."""


class Retryable(ModelError):  # noqa: N818 - reads as what it is
    """The same call may succeed later; not before `after` seconds, where the provider says so.

    `may_be_billed`: it was given up while the provider may have worked on it.
    """

    outcome = "retryable"

    def __init__(self, text: str, after: float = 0.0, *, may_be_billed: bool = False) -> None:
        super().__init__(text)
        self.after = after
        self.may_be_billed = may_be_billed


class Permanent(ModelError):  # noqa: N818 - reads as what it is
    """The same call will not succeed until someone changes a setting."""

    outcome = "permanent"


class Unusable(ModelError):  # noqa: N818 - reads as what it is
    """The model answered, but not in the agreed form or with nothing that its evidence bears out."""

    outcome = "unusable"
