"""A guest that speaks SQL, without a guest around it."""

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.errors import ActFailed
from sandbox.fault import FaultCode
from sandbox.host.guest_sql import GuestSql, Limits
from sandbox.sql import read_statement

COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
TASK = b"t" * 32


class Guest:
    """What a guest can do: statements, one after the other."""

    def __init__(self, path: Path, **limits: Any) -> None:
        self.path = path
        self.sql = GuestSql(str(path), limits=Limits(**limits))
        self.sql.begin()

    def does(self, sql: str, *values: Any) -> Any:
        return json.loads(self.sql.execute(read_statement(sql, json.dumps(values))))

    def asks(self, sql: str, *values: Any) -> Any:
        return json.loads(self.sql.query(read_statement(sql, json.dumps(values))))["rows"]

    def fails(self, *statements: str) -> bool:
        """Whether one of them does."""
        for sql in statements:
            try:
                self.does(sql)
            except ActFailed:
                return True
        return False

    def is_refused(self, sql: str, match: str = "is not allowed") -> None:
        for run in (self.does, self.asks):
            with pytest.raises(ActFailed, match=match) as refused:
                run(sql)
            assert refused.value.code is FaultCode.NOT_ALLOWED
