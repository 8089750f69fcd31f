"""The address that clients connect to: what arrives is passed on to the server's own, and back.

A process of its own, because a client in the server's process holds the interpreter while libpq cancels a
statement: until the cancelling connection is closed, which nobody in that process could then do.
"""

from __future__ import annotations

import asyncio
import struct
import sys
from contextlib import suppress

CANCEL_REQUEST = 80_877_102


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while part := await reader.read(1 << 16):
            writer.write(part)
            await writer.drain()
    with suppress(OSError):
        writer.close()


async def _serve(back_port: int) -> None:
    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            first = await reader.readexactly(8)
            back_reader, back_writer = await asyncio.open_connection("127.0.0.1", back_port)
            back_writer.write(first)
            if struct.unpack("!II", first) == (16, CANCEL_REQUEST):
                back_writer.write(await reader.readexactly(8))
                writer.close()
            await asyncio.gather(_pass_on(reader, back_writer), _pass_on(back_reader, writer))

    listener = await asyncio.start_server(meet, "127.0.0.1", 0, backlog=512)
    sys.stdout.write(f"{listener.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    # It ends with the process that started it.
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
