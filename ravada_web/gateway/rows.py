"""The database, for a process that must not wait for it: use cases run in a few threads of their own."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from flask import Flask

from ravada_web.extensions import db
from ravada_web.services.audit import origin

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Rows:
    """Runs services in the application's context, beside the event loop, so many at a time."""

    def __init__(self, app: Flask, threads: int, name: str) -> None:
        self.app = app
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)

    async def run(
        self, use_case: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """The use case's result, or what it raises."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: self._in_context(use_case, "", *args, **kwargs)
        )

    async def run_for(
        self, address: str, use_case: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """The same, on behalf of the browser at that address, as the audit log will say."""
        return await asyncio.get_running_loop().run_in_executor(
            self._pool, lambda: self._in_context(use_case, address, *args, **kwargs)
        )

    def _in_context(
        self, use_case: Callable[Parameters, Result], address: str, *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        with self.app.app_context():
            origin.address.set(address[:64])
            try:
                return use_case(*args, **kwargs)
            finally:
                db.session.remove()

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
