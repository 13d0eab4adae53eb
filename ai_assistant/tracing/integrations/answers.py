"""An answer of a model, whole or chunk by chunk, on its way into an observation."""

from __future__ import annotations

from typing import Any

from ai_assistant.tracing.integrations.recording import Recording, harmless


class Answer:
    """What is common to the providers' forms. `add` and `whole` read; the rest ends the observation, once."""

    def __init__(self, recording: Recording):
        self.recording = recording
        self.model: str | None = None
        self.usage: dict[str, int] = {}
        self.finish_reason: str | None = None
        self.metadata: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        """Columns that say why the provider itself calls its answer a failure."""

    def read_chunk(self, chunk: Any) -> None:
        """Notes what a chunk says."""
        raise NotImplementedError

    def read_whole(self, response: Any) -> None:
        """Notes what a whole answer says."""
        raise NotImplementedError

    def output(self) -> Any:
        """The answer so far."""
        raise NotImplementedError

    def forget(self) -> None:
        """Frees what was kept: the program may hold its stream long after its end."""

    @harmless
    def add(self, chunk: Any) -> None:
        """A chunk went by."""
        if not self.recording.span.ended:
            self.read_chunk(chunk)

    def whole(self, response: Any) -> None:
        """The whole answer came at once."""
        self._read_whole(response)
        self.completed()

    @harmless
    def _read_whole(self, response: Any) -> None:
        self.read_whole(response)
        request_id = getattr(response, "_request_id", None)
        if request_id:
            self.metadata["request_id"] = request_id

    @harmless
    def finished(self) -> None:
        """A stream came to its end. One that did not say why it ended was cut off, though the SDK raises nothing."""
        if not self.finish_reason and self.error is None:
            self.recording.span.update(level="warning", error_message="the stream ended without a finish reason")
        self.completed()

    @harmless
    def completed(self) -> None:
        """The answer is whole."""
        if self.error is not None:
            self.recording.end(status="failed", output=self.output(), **self.columns(), **self.error)
        else:
            self.recording.end(output=self.output(), **self.columns())
        self.forget()

    @harmless
    def failed(self, error: BaseException) -> None:
        """An exception came instead, or in the middle."""
        self.recording.end(error=error, output=self.output(), **self.columns())
        self.forget()

    @harmless
    def dropped(self) -> None:
        """The program wants no more of it. What had already said why it ended counts as complete."""
        if self.finish_reason or self.error:
            self.completed()
        else:
            self.recording.end(status="cancelled", output=self.output(), **self.columns())
            self.forget()

    def columns(self) -> dict[str, Any]:
        """What is known beside the output."""
        found = {
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.usage or None,
            "metadata": self.metadata or None,
        }
        return {name: value for name, value in found.items() if value is not None}


def failure(code: Any, message: Any) -> dict[str, Any]:
    """Columns of an error that came as data."""
    return {
        "level": "error",
        "error_type": str(code or "error"),
        "error_message": str(message or code or "the provider says that it failed"),
    }
