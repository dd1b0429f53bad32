"""Twilio's error answers, word for word where its documentation gives the words."""


class Problem(Exception):
    """One error answer: HTTP status, Twilio's code, message."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def body(self) -> dict[str, object]:
        """The JSON body."""
        return {
            "code": self.code,
            "message": self.message,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }


# What is said for a code, and the HTTP status; {to} and {from} are filled in.
SAID: dict[int, tuple[int, str]] = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource {path} was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service is unavailable. Please try again"),
    20009: (400, "Cannot update this resource before it is complete"),
    21201: (400, "No 'To' number is specified"),
    21205: (400, "Url is not a valid URL: {url}"),
    21210: (400, "The source phone number provided, {from}, is not yet verified for your account."),
    21213: (400, "A 'From' phone number is required"),
    21215: (400, "Account not authorized to call {to}. Perhaps you need to enable some international permissions."),
    21220: (400, "Unable to update record. Call is not in-progress. Cannot redirect."),
    21211: (400, "Invalid 'To' Phone Number: {to}"),
    21212: (400, "Invalid From Number (caller ID): {from}"),
    21266: (400, "'To' and 'From' number cannot be the same: {to}"),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21606: (
        400,
        "The 'From' phone number provided ({from}) is not a valid message-capable Twilio phone number "
        "for this destination.",
    ),
    21609: (400, "Invalid 'StatusCallback' url: {callback}"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (
        400,
        "Message cannot be sent with the current combination of 'To' ({to}) and/or 'From' ({from}) parameters",
    ),
    21614: (400, "'To' number is not a valid mobile number: {to}"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21624: (400, "Invalid validity period value"),
    21705: (400, "The Messaging Service Sid {service} is invalid"),
    30400: (400, "Parameters are not valid"),
    30409: (409, "This message cannot be canceled"),
}

# The words that come with an error code on the message itself.
DELIVERY: dict[int, str] = {
    30001: "Queue overflow",
    30003: "Unreachable destination handset",
    30005: "Unknown destination handset",
    30006: "Landline or unreachable carrier",
    30007: "Message filtered",
    30008: "Unknown error",
    30036: "Validity Period Expired",
}


def problem(code: int, **words: str) -> Problem:
    """The error answer for a Twilio code."""
    status, said = SAID[code]
    return Problem(status, code, said.format_map({"to": "", "from": "", **words}))
