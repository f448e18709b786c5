"""The one exception that ends a command: a sentence for the person at the keyboard, never a traceback."""


class UserError(Exception):
    """Something the user can put right.

    ``message`` says what was seen, ``remedy`` what to do about it; ``status`` is the exit status
    (1: the work failed, 2: the request itself was wrong).
    """

    def __init__(self, message: str, remedy: str = "", status: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message
