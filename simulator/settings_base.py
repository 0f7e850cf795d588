"""What every table of `simulator.toml` is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Base: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Seconds = Annotated[float, Field(ge=0, le=86400)]
Address = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$")]  # "127.0.0.1:0"; port 0: the system picks one


def split_address(address: str) -> tuple[str, int]:
    """("127.0.0.1", 2222) from "127.0.0.1:2222"."""
    host, _, port = address.rpartition(":")
    return host, int(port)
