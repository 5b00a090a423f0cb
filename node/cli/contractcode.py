"""Creation code of contracts, as files hand it over: plain hex, so that everybody hashes the same bytes."""

from __future__ import annotations

from pathlib import Path

from ledger.errors import InvalidInputError
from node.cli.texts import t

#: What the node takes (MemberService.Deploy), as hex digits with some white space.
_MAX_TEXT = 256_000


def read_code(path: Path) -> bytes:
    """The bytes of a file of hex digits (0x in front and white space allowed).

    Raises: InvalidInputError(code.malformed), OSError.
    """
    with path.open("rb") as file:
        data = file.read(_MAX_TEXT + 1)
    try:
        code = bytes.fromhex(data.decode("ascii").strip().removeprefix("0x"))
    except ValueError:
        code = b""
    if code and len(data) <= _MAX_TEXT:
        return code
    raise InvalidInputError(
        "code.malformed",
        t(f"{path} holds no creation code in hex", f"{path} 不是十六进制的创建代码"),
        hint=t(
            "the compiler's bytecode followed by the encoded constructor arguments",
            "编译器输出的字节码，后接编码后的构造参数",
        ),
    )


def shipped_code(name: str, genesis_file: Path) -> bytes:
    """Creation code of a contract of this software, for the Consortium of a city's genesis file.

    Raises: InvalidInputError(code.unknown-contract | genesis.*), OSError.
    """
    import contracts
    from ledger.chain.genesis import decode_genesis

    if name not in contracts.NAMES[1:]:
        raise InvalidInputError(
            "code.unknown-contract",
            t(f"no contract {name!r} comes with this software", f"本软件没有合约 {name!r}"),
            hint=", ".join(contracts.NAMES[1:]),
        )
    consortium = decode_genesis(genesis_file.read_bytes()).contracts["Consortium"]
    return contracts.artifact(name).bytecode + consortium.rjust(32, b"\0")


def code_hash(code: bytes) -> bytes:
    """What a vote adopts."""
    from ledger.chain.embedded import keccak256

    return keccak256(code)
