"""Errors in message handlers reach the app, which shows them; the screen goes on."""

from typing import TYPE_CHECKING, Any

from textual.message import Message

if TYPE_CHECKING:
    from textual.message_pump import MessagePump as _Base
else:
    _Base = object


class ErrorBoundary(_Base):
    """Mixin for apps, screens and widgets; it stands before Textual's class.

    Without it an exception in a handler ends the message loop of that app, screen or widget.
    """

    async def _dispatch_message(self, message: Message) -> Any:
        try:
            return await super()._dispatch_message(message)
        except Exception as error:
            self.app._handle_exception(error)
