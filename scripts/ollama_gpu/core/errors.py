"""The exception that ends a command with a message for the user instead of a traceback."""


class UserError(Exception):
    """An error that the user can fix.

    ``message`` describes the error, ``remedy`` how to fix it. ``status`` is the exit status: 1 if the operation failed,
    2 if the request was invalid.
    """

    def __init__(self, message: str, remedy: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message
