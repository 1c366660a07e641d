"""Files sent to an API over HTTP, with the job or by themselves."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp


async def upload(base: str, path: Path, options: dict[str, object]) -> str:
    """Submit a file over HTTP; its job's id."""
    async with aiohttp.ClientSession() as session:
        form = aiohttp.FormData()
        form.add_field("file", path.read_bytes(), filename=path.name)
        form.add_field("options", json.dumps(options))
        async with session.post(f"{base}/v1/jobs", data=form) as reply:
            assert reply.status == 202, await reply.text()
            return str((await reply.json())["id"])


async def put_upload(base: str, path: Path) -> str:
    """The id of an upload that many submissions may name."""
    async with aiohttp.ClientSession() as session:
        data = path.read_bytes()
        body = {"name": path.name, "size": len(data)}
        async with session.post(f"{base}/v1/uploads", json=body) as reply:
            made = await reply.json()
        url = made["url"] if "://" in made["url"] else base + made["url"]
        async with session.put(url, data=data, headers=made["headers"]) as reply:
            assert reply.status < 300, await reply.text()
        return str(made["id"])
