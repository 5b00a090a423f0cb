"""A Struct that many threads decode at once, for the first time: looked at before, it is no danger."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from ledger.structs import prepare

#: Eight threads decode fresh types at once, switched as often as can be: without ``prepare`` this ends in a fault.
CHILD = """
from __future__ import annotations
import sys, threading, types
import msgspec
from ledger.structs import prepare

TEXT = '''
from __future__ import annotations
import msgspec
class Inner(msgspec.Struct, frozen=True, kw_only=True):
    x: int
    y: str
class Middle(msgspec.Struct, frozen=True, kw_only=True):
    inner: list[Inner]
    names: dict[str, dict[str, str]]
    one: Inner | None
class Outer(msgspec.Struct, frozen=True, kw_only=True):
    middle: list[Middle]
'''
sys.setswitchinterval(1e-6)
data = b'{"middle":[{"inner":[{"x":1,"y":"q"}],"names":{"zh":{}},"one":null}]}'
wrong = []
for number in range(40):
    module = types.ModuleType(f"made{number}")
    sys.modules[module.__name__] = module
    exec(TEXT, module.__dict__)
    prepare()
    together = threading.Barrier(8)

    def decode():
        together.wait()
        try:
            msgspec.json.decode(data, type=module.Outer)
        except Exception as error:
            wrong.append(repr(error))

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print(len(wrong))
"""


class _Inner(msgspec.Struct):
    value: int


class _Outer(_Inner):
    inner: _Inner


def test_every_struct_is_looked_at() -> None:
    before = prepare()

    class Later(_Outer):
        more: list[_Outer]

    assert Later in _Outer.__subclasses__()
    assert before >= 2
    assert prepare() >= before


def test_many_threads_may_decode_a_type_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, timeout=280, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "0"), done.stderr
