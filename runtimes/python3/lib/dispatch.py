"""What a handler may use of Dispatch: a reply with a status and header fields of its own.

    from dispatch import Response

    def handle(context, payload):
        return Response({"error": "gone"}, status=410, headers={"Cache-Control": "no-store"})
"""


class Response:
    """body: bytes (application/octet-stream), str (text/plain; charset=utf-8), None (no body), or anything JSON has.

    headers: a dict, or pairs, of name and value; a list of values repeats the field. A Content-Type among them
    wins over the defaults above.
    """

    __dispatch_response__ = True
    __slots__ = ("body", "status", "headers")

    def __init__(self, body=None, status=200, headers=None):
        self.body = body
        self.status = status
        self.headers = headers
