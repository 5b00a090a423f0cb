"""Verified values: only the function that verified may build one."""

from __future__ import annotations


class Seal:
    """A module's private token. A sealed dataclass takes it as its ``seal`` and refuses any other, so that a
    ``Verified…`` value in hand is proof that the checks ran, and a ``replace`` of one of its fields fails."""

    __slots__ = ()

    def check(self, given: object) -> None:
        """Raises: TypeError, a mistake of the programmer."""
        if given is not self:
            raise TypeError("only the verifying function builds this value")
