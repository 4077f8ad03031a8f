"""A function with schemas: what does not fit them never reaches it, and what it returns is held to them too."""


def handle(context, payload):
    return {"total": payload["count"] * payload.get("price", 1)}
