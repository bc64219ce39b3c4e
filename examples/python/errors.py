"""What an error of certmint says: the details of its google.rpc.Status."""

from dataclasses import dataclass, field

import grpc
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo, RetryInfo
from grpc_status import rpc_status


@dataclass
class RichError:
    code: str
    message: str
    reason: str = ""
    """A name of certmint.v1.ErrorReason; empty where the error was made on this side, as by a cut connection."""
    violations: list[tuple[str, str]] = field(default_factory=list)
    """Which fields of the request are wrong, and why."""
    resource: str = ""
    retry_after: float | None = None
    """Seconds, where the server asks to wait."""

    @classmethod
    def of(cls, call: grpc.RpcError) -> "RichError":
        error = cls(call.code().name, call.details())
        status = rpc_status.from_call(call)
        for detail in status.details if status else ():
            if detail.Unpack(info := ErrorInfo()) and info.domain == "certmint.v1":
                error.reason = info.reason
            elif detail.Unpack(bad := BadRequest()):
                error.violations = [(it.field, it.description) for it in bad.field_violations]
            elif detail.Unpack(resource := ResourceInfo()):
                error.resource = f"{resource.resource_type} {resource.resource_name}"
            elif detail.Unpack(retry := RetryInfo()):
                error.retry_after = retry.retry_delay.ToTimedelta().total_seconds()
        return error

    def __str__(self) -> str:
        lines = [f"{self.code} {self.reason}".rstrip() + f": {self.message}"]
        lines += [f"  {name}: {description}" for name, description in self.violations]
        if self.resource:
            lines.append(f"  about: {self.resource}")
        if self.retry_after is not None:
            lines.append(f"  retry after: {self.retry_after:.1f} s")
        return "\n".join(lines)
