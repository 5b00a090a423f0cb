"""What a user hands to a command: JSON texts and whole numbers, refused in words before anything is sent."""

from __future__ import annotations

import json
from typing import Any

from ledger.errors import InvalidInputError

#: The largest whole number a record, a message or the chain takes (docs/formats.md, canonical bytes).
MAX_NUMBER = (1 << 53) - 1


def parse_json(data: str | bytes, where: str, *, hint: str = "") -> Any:
    """A JSON text that a person wrote: any order of names, any white space.

    Raises: InvalidInputError(input.json) naming ``where`` for whatever is no JSON: bad UTF-8, nesting without end,
    numbers of thousands of digits.
    """
    try:
        return json.loads(data)
    except RecursionError:
        raise InvalidInputError("input.json", f"{where}: nested too deeply", hint=hint) from None
    except ValueError as error:
        # JSONDecodeError and UnicodeDecodeError are ValueErrors; so is a number with too many digits.
        raise InvalidInputError("input.json", f"{where}: {error}", hint=hint) from None
