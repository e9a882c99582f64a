"""The base of every body."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """A frozen body that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")
