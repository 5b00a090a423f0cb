"""Well-formed changes of a proof file: a value replaced, taken away or doubled."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

JSON_VALUES = st.none() | st.booleans() | st.integers(-5, 2**53 - 1) | st.text(max_size=8) | st.just([]) | st.just({})


def change_one(data: st.DataObject, place: Any) -> None:
    """Change one value somewhere below ``place``, an object or a list, in it."""
    while True:
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        inner = place[step]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
            break
        place = inner
    deed = data.draw(st.sampled_from(["replace", "remove", "double"]))
    if deed == "replace":
        place[step] = data.draw(JSON_VALUES.filter(lambda value: value != inner))
    elif deed == "remove":
        del place[step]
    elif isinstance(place, list):
        place.insert(step, inner)
    else:
        place[step + "2"] = inner
