"""An error in the screen's own code becomes a notice: the screen goes on."""

from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from textual.message_pump import MessagePump as _Base
else:
    _Base = object


class ErrorBoundary(_Base):
    """Mixed into apps, screens and widgets, before Textual's class.

    Without it an exception in a handler ends the loop of whatever handled it.
    """

    async def _dispatch_message(self, message: Message) -> Any:
        try:
            return await super()._dispatch_message(message)
        except Exception as error:
            self.app._handle_exception(error)
